"""A validator that was voted out: while it looks on, and when it comes back years of epochs later."""

from __future__ import annotations

import shutil
from pathlib import Path

import trio

from guts_core.discovery.members import EPOCHS_ADMITTED
from guts_core.forge import queries
from guts_core.forge.actions import ProposeDecision, VoteDecision
from guts_core.forge.decisions import RemoveValidator
from guts_core.forge.params import Params
from guts_core.forge.records import NodeRole
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.faults.test_fault_F40_lost_keys import act
from tests.net.world import World, found, status, wait_until

# Epochs of a third of a second: those for which others remember a validator are over soon.
BRIEF = Params(delta_ms=100, retry_ms=200, heartbeat_ms=100, epoch_ms=300)
GONE = 3


async def vote_out(world: World, node: RunningNode) -> int:
    """The three others agree; the epoch in which they did."""
    await act(world, node, 0, ProposeDecision(RemoveValidator(GONE), now=True))
    for operator in (1, 2):
        await act(world, node, operator, VoteDecision(1, approve=True))
    await wait_until(lambda: len(node._node.vote_keys) == GONE)
    return epoch(node)


def epoch(node: RunningNode) -> int:
    """Where a node stands."""
    return node._node.ledger.network.epoch


def role(node: RunningNode) -> NodeRole:
    """What a node's own state says that it is."""
    record = queries.node_of_number(node._node.ledger.view(), GONE)
    assert record is not None
    return record.role


async def test_a_validator_that_was_voted_out_is_told_and_then_no_longer_heard(tmp_path: Path) -> None:
    """For some epochs it may still fetch what happened to it; then its connections are refused, and it is old."""
    world = found(tmp_path, 4, params=BRIEF)
    directory = world.seats[GONE].directory
    full, world.seats = world.seats, world.seats[:GONE]
    async with world.running() as others:
        world.seats = full
        with trio.fail_after(180):
            async with open_node(world.settings(GONE)) as node:
                await wait_until(lambda: node.height >= 2)
            shutil.copytree(directory, tmp_path / "before")
            async with open_node(world.settings(GONE)) as node:
                left = await vote_out(world, others[0])
                await wait_until(lambda: role(node) is NodeRole.RETIRED)
                assert (node._node.seat, node._node.engine.halted) == (None, None)
                await wait_until(lambda: epoch(others[0]) > left + EPOCHS_ADMITTED and not node.connected)
            shutil.rmtree(directory)
            shutil.copytree(tmp_path / "before", directory)
            refused = sum(one._network.counters["handshakes_refused"] for one in others)
            async with open_node(world.settings(GONE)) as old:
                await wait_until(lambda: sum(one._network.counters["handshakes_refused"] for one in others) > refused)
                told = await status(old)

    assert (told.peers, told.halted, told.damage) == (0, None, None)
    assert told.epoch < left
