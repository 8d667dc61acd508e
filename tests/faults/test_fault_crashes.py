"""F01 to F05: the power is cut before every operation of a push, in every mode; what is promised stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio

from guts_core.forge import queries
from guts_core.names import RepoId
from guts_core.node.port import PushReport
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.faults.bad_disk import FailingDisk, Left, until_cut
from tests.net.world import Packed, World, a_commit, found, push, status, wait_until

# Enough to see a push through on a busy machine, and to end the wait for one whose node is off.
PUSH_SECONDS = 120.0


async def prepared(path: Path, validators: int) -> tuple[World, Packed]:
    """A stopped network in which alice may push, and what she will push."""
    world = found(path, validators)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        await wait_until(lambda: all(node._server._status().height >= 1 for node in nodes))
    return world, a_commit(path / "work")


async def pushed(node: RunningNode, world: World, packed: Packed) -> PushReport:
    """The push, or whatever ends it, in time; as the HTTP door does, into the repository if it is there."""
    with trio.fail_after(PUSH_SECONDS):
        report = await push(node, world, "hello", packed, repo_of(node, world))
        if report.refs[0].error and "is taken" in report.refs[0].error:
            # The block with the push before the cut became final meanwhile: a client that asks again finds it.
            await wait_until(lambda: repo_of(node, world) is not None)
            report = await push(node, world, "hello", packed, repo_of(node, world))
        return report


def repo_of(node: RunningNode, world: World) -> RepoId | None:
    """The id of alice's repository hello, if she has one."""
    found_repo = node.read(lambda view: queries.repository_of(view, world.alice_id, "hello"))
    return None if found_repo is None else RepoId(found_repo.id)


async def operations_of_a_push(world: World, packed: Packed, copy: Path) -> list[str]:
    """What a node's disk does between the first byte of a push and its end."""
    disk = FailingDisk()
    shutil.copytree(world.seats[0].directory, copy)
    async with open_node(world.settings(0), disk) as node:
        disk.operations.clear()
        report = await pushed(node, world, packed)
        assert [ref.error for ref in report.refs] == [None]
        seen = list(disk.operations)
    restore(world, copy)
    return seen


def restore(world: World, copy: Path) -> None:
    """The node's directory as it was."""
    shutil.rmtree(world.seats[0].directory)
    shutil.copytree(copy, world.seats[0].directory)


async def is_whole(node: RunningNode, world: World, packed: Packed) -> None:
    """Nothing half done is left, the same push succeeds, and git finds every object."""
    directory = world.seats[0].directory
    assert list((directory / "quarantine").iterdir()) == []
    report = await pushed(node, world, packed)
    assert [ref.error for ref in report.refs] == [None], report
    assert (await status(node)).missing_packs == 0
    (repo,) = (directory / "repos").glob("??/*.git")
    await trio.run_process(["git", "-C", str(repo), "cat-file", "-e", packed.oid.hex()])


@pytest.mark.parametrize("left", Left, ids=lambda left: left.value)
async def test_fault_F01_to_F04_power_is_cut_before_every_operation_of_a_push(tmp_path: Path, left: Left) -> None:
    """One validator: whatever the cut leaves, it starts, sweeps, has lost nothing it said, and takes the push."""
    world, packed = await prepared(tmp_path, 1)
    copy = tmp_path / "copy"
    operations = await operations_of_a_push(world, packed, copy)
    assert {"sync votes.log", "sync-directory packs"} <= set(operations)
    # Every operation in the harshest mode, every third in the others, each from another start.
    step, first = (1, 0) if left is Left.NOTHING else (4, list(Left).index(left))

    for cut_at in range(first, len(operations), step):
        disk = FailingDisk()

        async def act(node: RunningNode, disk: FailingDisk = disk, cut_at: int = cut_at) -> None:
            disk.arm(cut_at)
            await pushed(node, world, packed)

        await until_cut(world.settings(0), disk, left, act)
        async with open_node(world.settings(0)) as node:
            await is_whole(node, world, packed)
        restore(world, copy)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
async def test_fault_F02_F03_one_of_four_is_cut_and_comes_back_without_contradicting_itself(
    tmp_path: Path, share: float
) -> None:
    """The others go on; back again it catches up to the same state, and nobody saw two of its votes for one view."""
    world, packed = await prepared(tmp_path, 4)
    counting = FailingDisk()
    async with world.running([counting, None, None, None]) as nodes:
        counting.operations.clear()
        first = await push(nodes[0], world, "first", a_commit(tmp_path / "first"))
        assert [ref.error for ref in first.refs] == [None]
        count = len(counting.operations)

    disk = FailingDisk()
    async with world.running(first=1) as others:

        async def act(node: RunningNode) -> None:
            await wait_until(lambda: len(node._network.connected) == 3)
            disk.arm(int(share * count))
            with trio.move_on_after(PUSH_SECONDS):
                await push(node, world, "hello", packed)

        await until_cut(world.settings(0), disk, Left.NOTHING, act)
        report = await push(others[0], world, "other", a_commit(tmp_path / "other"))
        assert [ref.error for ref in report.refs] == [None]
        async with open_node(world.settings(0)) as back:
            goal = others[0]._node.ledger.head
            await wait_until(lambda: back._node.ledger.head.height >= goal.height)
            report = await pushed(back, world, packed)
            assert [ref.error for ref in report.refs] == [None], report
            await wait_until(lambda: len({n._node.ledger.head for n in (back, *others)}) == 1)
            assert [n._node.equivocations for n in (back, *others)] == [0] * 4


async def test_fault_F05_a_push_whose_answer_was_lost_is_up_to_date_when_repeated(tmp_path: Path) -> None:
    """Cut after the commit and before the answer: the same push again succeeds without effect."""
    world, packed = await prepared(tmp_path, 1)
    disk = FailingDisk()

    async def act(node: RunningNode) -> None:
        with trio.CancelScope() as scope:
            disk.observe = lambda operation, _: scope.cancel() if operation == "commit" else None
            await push(node, world, "hello", packed)

    await until_cut(world.settings(0), disk, Left.NOTHING, act)

    async with open_node(world.settings(0)) as node:
        before = (await status(node)).height
        assert before >= 2
        await is_whole(node, world, packed)
