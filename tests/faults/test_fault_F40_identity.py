"""F40: an old backup put back, a lost vote log, a copied directory, the same directory twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_cli.outcomes import EXIT_CODES
from guts_core.codec import kinds
from guts_core.errors import Conflict, Corrupt, KeyInUse
from guts_core.forge.params import Params
from guts_core.simplex import fence
from guts_core.simplex.journal import belongs
from guts_core.simplex.state import State
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.faults.identity_plans import NODES, played
from tests.net.world import World, found, status, wait_until

SEEDS = 200
QUICK = Params(delta_ms=100, retry_ms=200, heartbeat_ms=150)


def fenced(seed: int) -> bool:
    """Play a seed; whether the one whose disk is older had forgotten votes, and found out."""
    places = played(seed).places
    logs = [place.disk.records() for place in places]
    return any(record[2] == kinds.LOG_FENCE for log in logs for record in log if belongs(record))


def test_fault_F40_nobody_contradicts_itself_with_an_older_disk_and_all_go_on() -> None:
    """I1 to I9 over all lives, and liveness after the heal. ``python -m tests.faults.identity_plans 1000`` for more."""
    assert sum(fenced(seed) for seed in range(SEEDS)) > SEEDS // 4


def test_fault_F40_without_the_fence_it_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that asks nobody; which seed shows it first changes with whatever changes what is drawn."""
    monkeypatch.setattr(fence, "begin", lambda _: None)
    monkeypatch.setattr(fence, "check_own", lambda *_: None)
    monkeypatch.setattr(State, "may_vote", lambda self, _: self.me is not None)

    with pytest.raises(Corrupt.__mro__[1], match=r"I[12]: node \d cast|node \d halted"):
        list(map(played, range(SEEDS)))


def held_back(node: RunningNode) -> str:
    """Why it does not vote, or nothing."""
    return node._node.engine.held_back or ""


async def assert_votes_again(node: RunningNode, others: list[RunningNode]) -> None:
    """Above the fence, without a word against what it said before."""
    with trio.fail_after(180):
        await wait_until(lambda: not held_back(node))
        below = node._node.engine.view
        await wait_until(lambda: any(view > below for view in own_views(node)))
    assert [one._node.equivocations for one in (node, *others)] == [0] * NODES


def own_views(node: RunningNode) -> list[int]:
    """Views in which this process voted, of those that are not final."""
    rounds = node._node.engine._state.rounds
    return [view for view, round_ in rounds.items() if round_.mine]


async def run_until(world: World, height: int) -> None:
    """Node 0 takes part until then, and is stopped without notice."""
    async with open_node(world.settings(0)) as node:
        await wait_until(lambda: node._server._status().height >= height and not held_back(node))


async def test_fault_F40_a_restored_backup_is_held_back_and_votes_again(tmp_path: Path) -> None:
    """Database, log and all are of an earlier day; the others heard what they do not know."""
    world = found(tmp_path, NODES, params=QUICK)
    mine = world.seats[0].directory
    async with world.running(first=1) as others:
        await run_until(world, 3)
        shutil.copytree(mine, tmp_path / "backup")
        await run_until(world, 14)
        shutil.rmtree(mine)
        shutil.copytree(tmp_path / "backup", mine)
        async with open_node(world.settings(0)) as restored:
            await wait_until(lambda: "votes are held back up to view" in held_back(restored))
            assert "the vote log is older than what others heard from this key" in held_back(restored)
            assert "votes are held back" in ((await status(restored)).held_back or "votes are held back")
            await assert_votes_again(restored, others)
    assert "the vote log is older than what others heard" in (tmp_path / "node0.log").read_text()


async def test_fault_F40_a_lost_vote_log_is_held_back_and_votes_again(tmp_path: Path) -> None:
    """The database alone is left."""
    world = found(tmp_path, NODES, params=QUICK)
    async with world.running(first=1) as others:
        await run_until(world, 6)
        (world.seats[0].directory / "votes.log").unlink()
        async with open_node(world.settings(0)) as node:
            await wait_until(lambda: "votes are held back up to view" in held_back(node))
            await assert_votes_again(node, others)


async def test_fault_F40_a_lost_vote_log_of_a_single_validator_is_refused(tmp_path: Path) -> None:
    """Nobody else can tell."""
    world = found(tmp_path, 1, params=QUICK)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
    (world.seats[0].directory / "votes.log").unlink()

    with pytest.raises(ExceptionGroup) as ended:
        async with open_node(world.settings(0)):
            await trio.sleep_forever()
    assert ended.group_contains(Corrupt, match="this key must not vote again, and no other validator can tell")


async def test_fault_F40_a_copied_directory_on_another_port_stops(tmp_path: Path) -> None:
    """One of the two does: the copy, which watches before it votes, or the first one, should it miss what that saw."""
    world = found(tmp_path, NODES, params=QUICK)
    async with world.running(first=1) as others:
        await run_until(world, 3)
        shutil.copytree(world.seats[0].directory, tmp_path / "copy")
        with pytest.raises(ExceptionGroup) as ended:
            await until_one_of_two_stops(world, tmp_path / "copy")
        assert ended.group_contains(KeyInUse, match="another process votes with this key: its .* was not cast here")
        height = others[0].height
        await wait_until(lambda: all(one.height > height for one in others))
    assert EXIT_CODES[KeyInUse.code] == 78


async def until_one_of_two_stops(world: World, copy: Path) -> None:
    """Both run on one key, the copy at a port of its own."""
    settings = evolve(world.settings(0), directory=copy, p2p="127.0.0.1:0")
    with trio.fail_after(180):
        async with open_node(world.settings(0)) as original:
            await wait_until(lambda: original._server._status().height >= 8 and not held_back(original))
            async with open_node(settings):
                await trio.sleep_forever()


async def test_fault_F40_a_second_start_is_told(tmp_path: Path) -> None:
    """Which process holds the directory."""
    world = found(tmp_path, 1, params=QUICK)
    async with world.running():
        with pytest.raises(Conflict, match=r"is in use by process [0-9]+; stop it first, or use another directory"):
            async with open_node(world.settings(0)):
                pass
