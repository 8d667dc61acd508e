"""F53: a backup is put back where no other node stands: whole it is served and goes on, damaged it is refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_core.errors import Corrupt
from guts_core.forge.params import Followers
from guts_core.identity import KeyPair
from guts_http.doors import doors
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.scrub import Pace
from guts_net.settings import KEY_FILES, NodeSettings
from tests.net.world import PARAMS, Packed, World, a_commit, found, push, status, wait_until
from tests.ports import free_ports

# A start that has no time to look: what was never served from here is looked at in spite of that.
NO_TIME = Pace(start_seconds=0.0)


async def a_backup(path: Path) -> tuple[World, Packed, NodeSettings]:
    """A network of four that holds a repository and was stopped; a copy of one directory, with keys of its own."""
    world = found(path, 4, params=evolve(PARAMS, followers=Followers.OPEN))
    packed = a_commit(path / "work")
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        assert [ref.error for ref in (await push(nodes[0], world, "hello", packed)).refs] == [None]
        goal = nodes[0].height
        await wait_until(lambda: nodes[1].height >= goal)
    restored = path / "restored"
    shutil.copytree(
        world.seats[1].directory, restored, ignore=shutil.ignore_patterns("keys", "votes.log*", "node.lock")
    )
    (restored / "keys").mkdir()
    for role in ("node", "vote"):
        (restored / "keys" / KEY_FILES[role]).write_text(KeyPair(os.urandom(32)).seed.hex())
    (port,) = free_ports(1)
    settings = evolve(world.settings(1), directory=restored, p2p=f"127.0.0.1:{port}", log_path=path / "restored.log")
    return world, packed, evolve(settings, scrub=NO_TIME)


@asynccontextmanager
async def served(settings: NodeSettings) -> AsyncIterator[tuple[RunningNode, str]]:
    """A running node, and where its doors are."""
    async with open_node(settings) as node, trio.open_nursery() as nursery:
        url = await nursery.start(doors("127.0.0.1:0"), node, settings.directory / "chain.db")
        yield node, f"{url}/alice/hello.git"
        nursery.cancel_scope.cancel()


async def tip_at(url: str) -> str:
    """What stock git is told, and is given."""
    done = await trio.run_process(
        ["git", "ls-remote", url, "refs/heads/main"], capture_stdout=True, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode().split()[0]


async def test_fault_F53_a_backup_without_keys_and_votes_is_served_alone_and_goes_on_when_others_return(
    tmp_path: Path,
) -> None:
    world, packed, settings = await a_backup(tmp_path)

    async with served(settings) as (node, url):
        before = await status(node)
        assert await tip_at(url) == packed.oid.hex()
        await trio.run_process(["git", "clone", "-q", url, str(tmp_path / "clone")], stdin=subprocess.DEVNULL)
        assert (tmp_path / "clone" / "data").read_bytes() == (tmp_path / "work" / "data").read_bytes()
        assert before.missing_packs == 0
        assert node._node.seat is None

        async with world.running() as others:
            again = a_commit(tmp_path / "again")
            assert [ref.error for ref in (await push(others[0], world, "later", again)).refs] == [None]
            await wait_until(lambda: node.height >= others[0].height > before.height)
            assert node._node.ledger.head.state_root == others[0]._node.ledger.head.state_root
            assert [one._node.equivocations for one in others] == [0] * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "UPDATE records SET value = x'00' WHERE key = (SELECT max(key) FROM records)",
            "not what the state root commits",
        ),
        ("UPDATE records SET value = CAST(x'80' AS TEXT) WHERE key = (SELECT max(key) FROM records)", "cannot be read"),
        ("DELETE FROM records WHERE key = (SELECT max(key) FROM records)", r"there are \d+ records, the state root"),
        ("UPDATE meta SET value = zeroblob(32) WHERE name = 'state_root'", "block 2 has state root"),
        (
            "UPDATE blocks SET certificate = NULL, hash = zeroblob(32) WHERE height = 1",
            "block 1 is not the one of its hash",
        ),
        ("DELETE FROM receipts", "receipt 0 of block 1 is missing"),
    ],
)
async def test_fault_F53_a_damaged_backup_is_refused_before_anything_is_served(
    tmp_path: Path, change: str, words: str
) -> None:
    _, _, settings = await a_backup(tmp_path)
    with closing(sqlite3.connect(settings.directory / "chain.db")) as connection, connection:
        assert connection.execute(change).rowcount > 0

    with pytest.raises(Corrupt, match=rf"chain\.db is damaged.*{words}"):
        async with open_node(settings):
            pass


async def test_fault_F53_a_backup_that_lacks_a_pack_says_so_and_fetches_it_when_others_return(tmp_path: Path) -> None:
    world, packed, settings = await a_backup(tmp_path)
    for part in settings.directory.glob("packs/*"):
        part.unlink()
    shutil.rmtree(settings.directory / "repos")

    async with served(settings) as (node, url):
        assert (await status(node)).missing_packs == 1
        async with world.running(first=1):
            await wait_until(lambda: node._server._status().missing_packs == 0)
            assert await tip_at(url) == packed.oid.hex()
