"""F07 to F10: bits that flip on the disk of one node are found, and nothing wrong is served."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from itertools import zip_longest
from pathlib import Path
from random import Random

import pytest
import trio
from attrs import evolve

from guts_core.chain.audit import audit_records
from guts_core.errors import Corrupt
from guts_core.forge import queries
from guts_core.names import RepoId
from guts_core.simplex.certificates import check
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate
from guts_http.doors import doors
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.scrub import DatabaseAudit, Pace
from guts_net.settings import NodeSettings
from guts_net.store import ChainDatabase
from tests.net.world import World, a_commit, found, push, status, wait_until

HURRIED = Pace(rest_seconds_least=0.0, rest_factor=0.0, pack_rest_seconds=0.0, round_seconds=0.2)
DATABASE_PAGE_BYTES = 4096
# The first object of a pack is the newest commit, which git has to read before it sends a thing.
IN_THE_COMMIT = 40
COMMITTED = "SELECT * FROM {} ORDER BY 1"
# What the state root, the headers and the certificates commit to; the other tables follow from the blocks.
COVERED = ("records", "pages", "blocks", "receipts")


async def a_network(path: Path, validators: int, pushes: int = 1) -> World:
    """Stopped, with this many repositories on every node's disk."""
    world = found(path, validators)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        for number in range(pushes):
            report = await push(nodes[0], world, f"hello{number}", a_commit(path / f"work{number}"))
            assert [ref.error for ref in report.refs] == [None]
        goal = nodes[0]._node.ledger.head.height
        await wait_until(lambda: all(node._server._status().height >= goal for node in nodes))
    return world


def hurried(world: World, index: int) -> NodeSettings:
    """The node with a scrubber that does not rest."""
    return evolve(world.settings(index), scrub=HURRIED)


def database_of(world: World, index: int = 0) -> Path:
    """One file, no log beside it."""
    path = world.seats[index].directory / "chain.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return path


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows that something commits to; raises sqlite3.DatabaseError."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return {table: connection.execute(COMMITTED.format(table)).fetchall() for table in COVERED}


def judge_of(world: World) -> Callable[[Certificate], None]:
    """What a node holds certificates against."""
    from guts_core.chain.genesis import chain_id
    from guts_core.identity import Ed25519Verifier

    keys = tuple(entry.vote_key for entry in world.genesis.validators)
    committee = Committee(chain_id(world.genesis), 0, keys, world.genesis.fault_model, Ed25519Verifier())
    return lambda certificate: check(committee, certificate, None)


def is_found(path: Path, judge: Callable[[Certificate], None]) -> bool:
    """Whether an audit of the whole file raises."""
    try:
        for _ in DatabaseAudit(path, judge).steps():
            pass
    except Corrupt:
        return True
    return False


async def test_fault_F07_a_flipped_bit_anywhere_in_the_database_is_found_or_changes_nothing(tmp_path: Path) -> None:
    """Some bits of each page of the file: either the audit raises, or every row reads as it did before."""
    world = await a_network(tmp_path, 1, pushes=2)
    path, judge = database_of(world), judge_of(world)
    before = contents(path)
    data = path.read_bytes()
    rotten, dice = tmp_path / "rotten.db", Random(7)  # noqa: S311  # places to flip
    assert not is_found(path, judge)

    seen = 0
    for page in range(len(data) // DATABASE_PAGE_BYTES):
        # The first one describes the tables: a word of it changes what all others mean.
        for _ in range(10 if page else 200):
            at = page * DATABASE_PAGE_BYTES + dice.randrange(DATABASE_PAGE_BYTES)
            damaged = bytearray(data)
            damaged[at] ^= 1 << dice.randrange(8)
            rotten.write_bytes(damaged)
            if is_found(rotten, judge):
                seen += 1
                continue
            now = contents(rotten)
            differing = [
                (table, a, b) for table in COVERED for a, b in zip_longest(before[table], now[table]) if a != b
            ]
            assert not differing, f"byte {at} changed what is read, and nobody noticed"
    assert seen > 20


@pytest.mark.parametrize("table", COVERED)
async def test_fault_F07_a_node_with_a_damaged_row_does_not_start_and_is_rebuilt_from_its_peers(
    tmp_path: Path, table: str
) -> None:
    """SQLite finds nothing wrong with it; the node does, says what to do, and that works."""
    world = await a_network(tmp_path, 4)
    path = database_of(world, 1)
    column = {"records": "value", "pages": "data", "blocks": "body", "receipts": "receipt"}[table]
    with closing(sqlite3.connect(path)) as connection, connection:
        order = "height" if table == "blocks" else f"length({column}) DESC"
        (old,) = connection.execute(f"SELECT {column} FROM {table} ORDER BY {order} LIMIT 1").fetchone()  # noqa: S608  # from the table above
        new = old[:-1] + bytes((old[-1] ^ 4,))
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))  # noqa: S608  # as above
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    with pytest.raises(Corrupt, match=r"chain\.db is damaged .* move chain\.db away and start it again"):
        async with open_node(world.settings(1)):
            pass
    path.rename(tmp_path / "damaged.db")

    async with world.running() as nodes:
        await wait_until(lambda: len({node._server._status().height for node in nodes}) == 1)
        await wait_until(lambda: nodes[1]._server._status().height >= 2)
        assert len({node._node.ledger.head.state_root for node in nodes}) == 1
        report = await push(nodes[1], world, "again", a_commit(tmp_path / "again"))
        assert [ref.error for ref in report.refs] == [None]
        assert [node._node.equivocations for node in nodes] == [0] * 4


async def test_fault_F07_rot_that_comes_later_takes_the_node_out_of_rotation(tmp_path: Path) -> None:
    """The next round of the scrubber finds it; what stands in status is what readyz answers."""
    world = await a_network(tmp_path, 1)
    async with open_node(hurried(world, 0)) as node:
        assert (await status(node)).damage is None
        with closing(sqlite3.connect(world.seats[0].directory / "chain.db")) as connection, connection:
            key, old = connection.execute("SELECT key, value FROM records ORDER BY key DESC LIMIT 1").fetchone()
            connection.execute("UPDATE records SET value = ? WHERE key = ?", (old[:-1] + bytes((old[-1] ^ 1,)), key))

        await wait_until(lambda: node._server._status().damage is not None)
        assert "not what the state root commits to" in str((await status(node)).damage)


async def test_fault_F07_records_that_vanish_or_appear_are_found(tmp_path: Path) -> None:
    """A row that is gone, one too many, and one at another's place."""
    world = await a_network(tmp_path, 1)
    path, judge = database_of(world), judge_of(world)
    data = path.read_bytes()
    changes = (
        "DELETE FROM records WHERE key = (SELECT key FROM records LIMIT 1)",
        "INSERT INTO records VALUES (x'02' || zeroblob(40), x'00')",
        "DELETE FROM records",
        "DELETE FROM pages",
        "DELETE FROM receipts WHERE tx_id = (SELECT tx_id FROM receipts LIMIT 1)",
        "DELETE FROM replay",
        "DELETE FROM blocks WHERE height = 1",
        "UPDATE blocks SET certificate = NULL, hash = zeroblob(32) WHERE height = 1",
        "UPDATE meta SET value = zeroblob(32) WHERE name = 'state_root'",
    )
    for change in changes:
        path.write_bytes(data)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(change)

        assert is_found(path, judge), change


async def test_fault_F08_a_database_that_lost_its_last_commits_gets_them_back(tmp_path: Path) -> None:
    """Frames of the write-ahead log after a bad one are silently ignored: the height goes back, and up again."""
    world = await a_network(tmp_path, 4)
    path = world.seats[2].directory / "chain.db"
    old = tmp_path / "old.db"
    shutil.copy(database_of(world, 2), old)
    async with world.running() as nodes:
        for number in range(2):
            report = await push(nodes[0], world, f"later{number}", a_commit(tmp_path / f"later{number}"))
            assert [ref.error for ref in report.refs] == [None]
        goal = nodes[0]._node.ledger.head.height
        await wait_until(lambda: all(node._server._status().height >= goal for node in nodes))
    for leftover in path.parent.glob("chain.db-*"):
        leftover.unlink()
    shutil.copy(old, path)
    database = ChainDatabase(path, LocalDisk())
    assert database.height() < goal
    database.close()

    async with world.running() as nodes:
        await wait_until(lambda: nodes[2]._server._status().height >= goal)
        assert len({node._node.ledger.head.state_root for node in nodes}) == 1
        assert [node._node.equivocations for node in nodes] == [0] * 4


@pytest.mark.parametrize("suffix", [".pack", ".idx"])
async def test_fault_F09_the_scrubber_finds_a_rotten_pack_and_has_it_fetched_again(tmp_path: Path, suffix: str) -> None:
    """No client and no peer has to ask for it first."""
    world = await a_network(tmp_path, 4)
    (path,) = (world.seats[1].directory / "packs").glob(f"*{suffix}")
    kept = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(kept[:-30] + bytes((kept[-30] ^ 8,)) + kept[-29:])

    async with world.running(first=2), open_node(world.settings(0)), open_node(hurried(world, 1)) as node:
        await wait_until(lambda: path.exists() and path.read_bytes() == kept)
        await wait_until(lambda: node._server._status().missing_packs == 0)
        assert (await status(node)).damage is None
        repo = node.read(lambda view: queries.repository_of(view, world.alice_id, "hello0"))
        assert repo is not None
        linked = next((world.seats[1].directory / "repos").glob(f"??/*.git/objects/pack/*{suffix}"))
        assert linked.read_bytes() == kept
        assert node._server._packs.is_linked(RepoId(repo.id), bytes.fromhex(path.stem))


async def test_fault_F09_a_rotten_pack_of_two_repositories_is_whole_again_in_both(tmp_path: Path) -> None:
    """Links are one file: what rots in one repository rots in each that took the same pack."""
    world, shared = found(tmp_path, 4), a_commit(tmp_path / "shared")
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        for name in ("one", "two"):
            assert [ref.error for ref in (await push(nodes[0], world, name, shared)).refs] == [None]
        goal = nodes[0]._node.ledger.head.height
        await wait_until(lambda: all(node._server._status().height >= goal for node in nodes))
    (path,) = (world.seats[1].directory / "packs").glob("*.pack")
    kept = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(kept[:-30] + bytes((kept[-30] ^ 8,)) + kept[-29:])

    async with world.running(first=2), open_node(world.settings(0)), open_node(hurried(world, 1)) as node:
        await wait_until(lambda: path.exists() and path.read_bytes() == kept)
        await wait_until(lambda: node._server._status().missing_packs == 0)
        linked = list((world.seats[1].directory / "repos").glob("??/*.git/objects/pack/*.pack"))
        assert [one.read_bytes() == kept for one in linked] == [True, True]


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[tuple[RunningNode, str, Path]]:
    """One of four nodes that has looked at its packs, its URL, and its only pack; it looks again tomorrow."""
    world = await a_network(path, 4)
    (pack,) = (world.seats[1].directory / "packs").glob("*.pack")
    async with (
        world.running(first=2),
        open_node(world.settings(0)),
        open_node(world.settings(1)) as node,
        trio.open_nursery() as nursery,
    ):
        url = await nursery.start(doors("127.0.0.1:0"), node, world.seats[1].directory / "chain.db")
        await wait_until(lambda: node._server._status().scrub_rounds > 0)
        yield node, url, pack
        nursery.cancel_scope.cancel()


async def test_fault_F09_a_clone_of_rotten_bytes_fails_and_has_them_looked_at(tmp_path: Path) -> None:
    """What a client stumbles over is not left to the daily round: the pack is fetched again at once."""
    async with served(tmp_path) as (node, url, path):
        kept, clone = path.read_bytes(), ["git", "clone", "--quiet", f"{url}/alice/hello0.git"]
        with path.open("r+b") as file:  # in place: the links to it rot with it
            path.chmod(0o600)
            file.seek(IN_THE_COMMIT)
            file.write(bytes((kept[IN_THE_COMMIT] ^ 8,)))
        failed = await trio.run_process([*clone, str(tmp_path / "first")], check=False, capture_stderr=True)
        await wait_until(lambda: path.exists() and path.read_bytes() == kept)
        await wait_until(lambda: node._server._status().missing_packs == 0)
        await trio.run_process([*clone, str(tmp_path / "second")], capture_stderr=True)

    assert failed.returncode != 0
    assert not (tmp_path / "first").exists()
    assert (tmp_path / "second" / "data").exists()


async def test_fault_F09_a_lone_node_with_a_rotten_pack_says_so_and_keeps_it(tmp_path: Path) -> None:
    """Nobody else has it: what can still be read of it is not thrown away."""
    world = await a_network(tmp_path, 1)
    (path,) = (world.seats[0].directory / "packs").glob("*.pack")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    async with open_node(hurried(world, 0)) as node:
        await wait_until(lambda: node._server._status().damage is not None)
        assert "restore it from a backup" in str((await status(node)).damage)
        assert path.exists()


async def test_fault_F10_a_page_written_to_anothers_place_is_found(tmp_path: Path) -> None:
    """Each page of the file with the bytes of its neighbour."""
    world = await a_network(tmp_path, 1)
    path, judge = database_of(world), judge_of(world)
    before, data = contents(path), path.read_bytes()
    pages = [data[at : at + DATABASE_PAGE_BYTES] for at in range(0, len(data), DATABASE_PAGE_BYTES)]
    rotten = tmp_path / "rotten.db"
    for number in range(1, len(pages) - 1):
        rotten.write_bytes(b"".join([*pages[:number], pages[number + 1], *pages[number + 1 :]]))

        assert is_found(rotten, judge) or contents(rotten) == before


def test_fault_F10_a_record_shown_at_another_place_is_not_what_the_tree_says() -> None:
    """The key is part of the leaf."""
    with pytest.raises(Corrupt, match="not what the state root commits to"):
        audit_records([(bytes(40), b"value")], lambda _: None)


async def test_a_certificate_that_was_damaged_is_never_sent(tmp_path: Path) -> None:
    """Peers would take it for our fault, and ban us."""
    world = await a_network(tmp_path, 4)
    path, judge = database_of(world), judge_of(world)
    with closing(sqlite3.connect(path)) as connection, connection:
        height, old = connection.execute(
            "SELECT height, certificate FROM blocks WHERE certificate IS NOT NULL ORDER BY height LIMIT 1"
        ).fetchone()
        new = old[:-1] + bytes((old[-1] ^ 1,))
        connection.execute("UPDATE blocks SET certificate = ? WHERE height = ?", (new, height))

    with trio.fail_after(180), pytest.raises(Corrupt, match="certificate of block"):
        async with open_node(world.settings(0)):
            pass
    assert is_found(path, judge)
