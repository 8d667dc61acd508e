"""F40: a validator's key file is lost; what its operator reads, and how the node is back with a new one."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.errors import Invalid
from guts_core.forge.actions import Action, ProposeDecision, VoteDecision
from guts_core.forge.decisions import EndEpoch
from guts_core.forge.params import Params
from guts_core.identity import KeyPair
from guts_core.node.port import Outcome, SubmitTransaction
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.net.world import WAIT_MS, Seat, World, ask, found, status, wait_until

QUICK = Params(delta_ms=100, retry_ms=200, heartbeat_ms=150)
LOSER, PATIENCE_SECONDS = 0, 180


async def act(world: World, node: RunningNode, operator: int, action: Action) -> None:
    """The operator of a seat signs, whichever node passes it on."""
    chain, key = chain_id(world.genesis), world.seats[operator].keys["operator"]
    expires = int(time.time() * 1000) + compose.LIFETIME_MS
    body = compose.by_account(chain, world.genesis.accounts[operator].id, (action,), expires, os.urandom(32))
    done = await ask(node, SubmitTransaction(to_bytes(compose.sign_with_account_key(body, key)), (), WAIT_MS))
    assert isinstance(done, Outcome)
    assert done.error is None, done


async def end_epoch(world: World, node: RunningNode) -> None:
    """All operators but one agree on it; the last vote ends it."""
    await act(world, node, 1, ProposeDecision(EndEpoch(), now=False))
    for operator in (2, 3):
        await act(world, node, operator, VoteDecision(1, approve=True))


def key_file(seat: Seat, name: str) -> Path:
    """One of a node's keys."""
    return seat.directory / "keys" / name


def new_key(path: Path) -> KeyPair:
    """As `guts network rotate` makes it: on disk before anybody hears of it."""
    pair = KeyPair(os.urandom(32))
    path.write_text(pair.seed.hex())
    return pair


def own_views(node: RunningNode) -> Sequence[int]:
    """Views in which this process voted, of those that are not final."""
    rounds = node._node.engine._state.rounds
    return [view for view, round_ in rounds.items() if round_.mine]


@asynccontextmanager
async def a_loss(path: Path, name: str) -> AsyncIterator[tuple[World, list[RunningNode]]]:
    """Three of four run; the one took part until its operator stopped it, and then its key file was gone."""
    world = found(path, 4, params=QUICK)
    with trio.fail_after(PATIENCE_SECONDS):
        async with world.running(first=1) as others:
            async with open_node(world.settings(LOSER)) as node:
                await wait_until(lambda: node.height >= 2 and own_views(node) != [])
            key_file(world.seats[LOSER], name).unlink()
            yield world, others


async def assert_votes(node: RunningNode, others: Sequence[RunningNode], epoch: int) -> None:
    """In that epoch and from now on, and against nothing that it said before."""
    await wait_until(lambda: node._node.engine.epoch == epoch and node._node.engine.votes)
    below = node._node.engine.view
    await wait_until(lambda: any(view > below for view in own_views(node)))
    assert [one._node.equivocations for one in (node, *others)] == [0] * (1 + len(others))
    assert (await status(node)).held_back is None


async def test_fault_F40_a_lost_vote_key_is_told_and_its_successor_votes_without_another_start(tmp_path: Path) -> None:
    """In between the node serves, follows and passes on writes, its own rotation among them."""
    async with a_loss(tmp_path, "vote.key") as (world, others):
        with pytest.raises(Invalid, match=r"the key with which validator node0 votes is lost: .*vote\.key.*") as told:
            async with open_node(world.settings(LOSER)):
                pass
        for command in ("guts network rotate --dir ", "guts node run --dir ", "guts network propose end-epoch --node "):
            assert command in str(told.value)
        new = new_key(key_file(world.seats[LOSER], "vote-1.key"))
        async with open_node(world.settings(LOSER)) as node:
            first = await status(node)
            assert "the key of node0 is not in keys/vote.key or keys/vote-*.key" in (first.held_back or "")
            assert first.validator_index is None
            await wait_until(lambda: node.height >= max(one.height for one in others) - 1)
            await act(world, node, LOSER, compose.rotate_seat(chain_id(world.genesis), LOSER, new, None))
            assert "its rotation waits" in ((await status(node)).held_back or "")
            assert own_views(node) == []
            await end_epoch(world, node)
            await assert_votes(node, others, epoch=1)


async def test_fault_F40_a_lost_vote_key_comes_back_from_its_backup(tmp_path: Path) -> None:
    """After a start without it, too: then it votes from the next epoch on, because the log says that it may not yet."""
    async with a_loss(tmp_path, "vote.key") as (world, others):
        seat = world.seats[LOSER]
        new_key(key_file(seat, "vote-1.key"))
        async with open_node(world.settings(LOSER)) as node:
            await wait_until(lambda: node._server._status().started)
        key_file(seat, "vote.key").write_text(seat.keys["vote"].seed.hex())
        async with open_node(world.settings(LOSER)) as node:
            await wait_until(lambda: node._server._status().started)
            words = (await status(node)).held_back
            assert words is not None
            assert "the vote log says that this node began this one without a vote" in words
            await end_epoch(world, node)
            await assert_votes(node, others, epoch=1)


async def test_fault_F40_the_only_validator_is_told_that_only_a_backup_helps(tmp_path: Path) -> None:
    """No rotation can become final without it."""
    world = found(tmp_path, 1, params=QUICK)
    key_file(world.seats[0], "vote.key").unlink()

    with pytest.raises(Invalid, match=r"put its backup there; without one nothing can be decided any more"):
        async with open_node(world.settings(0)):
            pass


async def test_fault_F40_a_lost_network_key_is_told_and_its_successor_is_known_from_the_next_epoch_on(
    tmp_path: Path,
) -> None:
    """Its operator tells the network through another node, and starts it when he likes: it waits for its epoch."""
    async with a_loss(tmp_path, "node.key") as (world, others):
        with pytest.raises(Invalid, match=r"the network key .*node\.key is lost: .*`guts network rotate --node-key "):
            async with open_node(world.settings(LOSER)):
                pass
        new = new_key(key_file(world.seats[LOSER], "node.key"))
        await act(world, others[0], LOSER, compose.rotate_seat(chain_id(world.genesis), LOSER, None, new))
        async with open_node(world.settings(LOSER)) as node:
            await end_epoch(world, others[0])
            await assert_votes(node, others, epoch=1)
            assert (await status(node)).validator_index == LOSER
