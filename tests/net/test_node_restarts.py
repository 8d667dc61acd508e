"""Nodes stopped abruptly and started again over the same files: what they keep, mend and remove."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import trio

from guts_core.errors import Conflict, Corrupt, Invalid
from guts_core.node.port import AskTransaction, Outcome, Phase
from guts_net import pump
from guts_net.chain_file import OtherBuild
from guts_net.runtime import open_node

from .world import World, a_commit, ask, found, push, status, wait_until


def packs_of(world: World, index: int) -> list[Path]:
    """The packs that a node keeps."""
    return sorted((world.seats[index].directory / "packs").glob("*.pack"))


def linked_of(world: World, index: int) -> list[Path]:
    """What stands in its repositories."""
    return sorted((world.seats[index].directory / "repos").glob("??/*.git/objects/pack/*"))


async def pushed(path: Path, validators: int = 4, size: int = 1000) -> World:
    """A network that took one push and was stopped without notice."""
    world = found(path, validators)
    packed = a_commit(path / "work", size)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        report = await push(nodes[0], world, "hello", packed)
        assert [ref.error for ref in report.refs] == [None]
        await wait_until(lambda: all(node._server._status().height >= 2 for node in nodes))
    return world


async def test_an_acknowledged_push_is_there_after_a_restart_of_all(tmp_path: Path) -> None:
    """Receipts, packs and links: everything that was said stands in the files."""
    world = await pushed(tmp_path)

    async with world.running() as nodes:
        for index, node in enumerate(nodes):
            await wait_until(lambda index=index: len(linked_of(world, index)) == 2)  # type: ignore[misc]  # bound early
            assert len(packs_of(world, index)) == 1
            assert (await status(node)).height >= 2


async def test_fault_F01_what_was_never_promised_is_swept_and_the_rest_stays(tmp_path: Path) -> None:
    """Quarantine, and packs that neither state nor a promise names."""
    world = await pushed(tmp_path, 1)
    directory = world.seats[0].directory
    (directory / "quarantine" / "half").mkdir()
    (directory / "packs" / f"{'ab' * 32}.pack").write_bytes(b"nobody's")

    async with world.running():
        assert list((directory / "quarantine").iterdir()) == []
        assert len(packs_of(world, 0)) == 1
        assert packs_of(world, 0)[0].name != f"{'ab' * 32}.pack"


@pytest.mark.parametrize("lost", [".pack", ".idx"])
async def test_links_that_a_power_cut_took_are_driven_again(tmp_path: Path, lost: str) -> None:
    """Links are not synced before the commit that names them: either may be gone, and both come back."""
    world = await pushed(tmp_path, 1)
    before = linked_of(world, 0)
    for path in before:
        if path.suffix == lost:
            path.unlink()

    async with world.running() as nodes:
        assert linked_of(world, 0) == before
        assert (await status(nodes[0])).missing_packs == 0


async def test_fault_F09_a_pack_that_is_gone_is_fetched_from_peers(tmp_path: Path) -> None:
    """State names it; any other validator has it."""
    world = await pushed(tmp_path)
    (lost,) = packs_of(world, 1)
    kept = lost.read_bytes()
    lost.unlink()
    for path in linked_of(world, 1):
        path.unlink()

    async with world.running():
        await wait_until(lambda: len(linked_of(world, 1)) == 2)
        assert lost.read_bytes() == kept


async def test_fault_F09_a_damaged_pack_is_not_served_and_another_peer_gives_it(tmp_path: Path) -> None:
    """Peer 0 is asked first and its disk rotted: no wrong byte leaves it, its link stays, and peer 2 helps."""
    world = await pushed(tmp_path)
    (lost,) = packs_of(world, 1)
    kept = lost.read_bytes()
    lost.unlink()
    for path in linked_of(world, 1):
        path.unlink()
    (rotten,) = packs_of(world, 0)
    rotten.chmod(0o600)
    rotten.write_bytes(kept[:50] + bytes((kept[50] ^ 1,)) + kept[51:])

    async with world.running() as nodes:
        await wait_until(lambda: len(linked_of(world, 1)) == 2)
        assert lost.read_bytes() == kept
        assert (await status(nodes[0])).peers == 3
    assert "pack_damaged" in (world.path / "node0.log").read_text()


async def test_a_node_that_was_away_fetches_blocks_and_packs(tmp_path: Path) -> None:
    """It commits with a missing row, and mends that by itself."""
    world = found(tmp_path, 4)
    packed = a_commit(tmp_path / "work", 200_000)
    async with world.running(first=1) as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        report = await push(nodes[0], world, "hello", packed)
        assert [ref.error for ref in report.refs] == [None]
        async with open_node(world.settings(0)) as late:
            await wait_until(lambda: len(linked_of(world, 0)) == 2)
            await wait_until(lambda: late._server._status().missing_packs == 0)


async def test_the_second_process_on_a_directory_is_told_who_holds_it(tmp_path: Path) -> None:
    """Two would vote under one key."""
    world = found(tmp_path, 1)
    async with world.running():
        with pytest.raises(Conflict, match=r"in use by process \d+"):
            async with open_node(world.settings(0)):
                pass


async def test_another_networks_genesis_is_refused_with_words(tmp_path: Path) -> None:
    """A directory belongs to one network."""
    world = await pushed(tmp_path, 1)
    (tmp_path / "other").mkdir()
    other = found(tmp_path / "other", 1)
    shutil.copytree(other.seats[0].directory / "keys", world.seats[0].directory / "keys", dirs_exist_ok=True)
    shutil.copy(other.path / "genesis.json", world.path / "genesis.json")

    with pytest.raises(Corrupt, match="the stored chain is"):
        async with open_node(world.settings(0)):
            pass


async def test_a_seat_without_its_vote_key_is_refused_with_words(tmp_path: Path) -> None:
    """The sentence says what to look at, and no key."""
    world = found(tmp_path, 1)
    (world.seats[0].directory / "keys" / "vote.key").write_text("11" * 32)

    with pytest.raises(Invalid, match=r"votes with another key in epoch 0 than .*/keys/vote\.key and vote-") as raised:
        async with open_node(world.settings(0)):
            pass
    assert "11" * 32 not in str(raised.value)


async def test_a_database_of_another_build_is_refused_and_left_alone(tmp_path: Path) -> None:
    """F52: an older build does not guess."""
    world = await pushed(tmp_path, 1)
    path = world.seats[0].directory / "chain.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(OtherBuild, match="layout 99"):
        async with open_node(world.settings(0)):
            pass


async def test_fault_F03_the_log_is_rewritten_under_load_and_still_tells_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bound that every push passes: restarts find no contradiction, and agreement goes on."""
    monkeypatch.setattr(pump, "JOURNAL_BYTES_MAX", 4096)
    world = found(tmp_path, 4)
    for life in range(2):
        async with world.running() as nodes:
            if not life:
                assert (await world.give_credential(nodes[0])).error is None
            for number in range(2):
                packed = a_commit(tmp_path / f"work{life}{number}")
                report = await push(nodes[number], world, f"r{life}{number}", packed)
                assert [ref.error for ref in report.refs] == [None]

    for index in range(4):
        assert (world.seats[index].directory / "votes.log").stat().st_size < 64 * 1024
        assert "equivocation" not in (tmp_path / f"node{index}.log").read_text()


async def test_commits_and_events_that_pile_up_do_not_wait_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pump waits for the committer; the committer must never wait for the pump."""
    monkeypatch.setattr("guts_net.commits.COMMITS_WAITING_MAX", 0)
    monkeypatch.setattr(pump, "INBOX_EVENTS_MAX", 1)
    world = found(tmp_path, 4)
    async with world.running() as nodes:
        with trio.fail_after(180):
            assert (await world.give_credential(nodes[0])).error is None
            for number in range(3):
                packed = a_commit(tmp_path / f"work{number}")
                report = await push(nodes[number], world, f"r{number}", packed)
                assert [ref.error for ref in report.refs] == [None]


async def test_an_unknown_transaction_is_unknown(tmp_path: Path) -> None:
    """Not "pending": nothing was ever submitted here."""
    world = found(tmp_path, 1)
    async with world.running() as nodes:
        outcome = await ask(nodes[0], AskTransaction(bytes(32)))  # type: ignore[arg-type]  # a TxId by content
        assert isinstance(outcome, Outcome)
        assert outcome.phase is Phase.UNKNOWN
