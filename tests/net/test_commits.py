"""Commits of a node: quick ones are done in place, and none of them holds the loop up for somebody else's writing."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
import trio

from guts_core.forge.actions import CreateRepository
from guts_core.forge.records import ObjectFormat
from guts_core.node.port import Act, Outcome, Phase
from guts_net import offload, store
from guts_net.handle import RunningNode

from .world import WAIT_MS, World, ask, found, wait_until

# Nobody's patience: what is right needs none of it.
HELD_SECONDS_MAX = 30.0


async def write(node: RunningNode, world: World, name: str) -> None:
    action = CreateRepository(name, os.urandom(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None)
    outcome = await ask(node, Act(world.credential.seed, (action,), (), WAIT_MS))
    assert isinstance(outcome, Outcome)
    assert (outcome.phase, outcome.error) == (Phase.FINAL, None)


async def test_a_commit_that_has_to_wait_for_other_writing_does_not_hold_the_loop_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pruning writes for a fraction of a second; meanwhile votes are cast and clients are heard."""
    monkeypatch.setattr(offload, "IN_PLACE_SECONDS", 3600.0)  # all other commits are in place
    monkeypatch.setattr(offload, "_FIRST_IN_THREADS", 0)
    world = found(tmp_path, 1)
    begun, goes_on, went_on = threading.Event(), threading.Event(), []

    def hold(_: sqlite3.Connection) -> None:
        begun.set()
        went_on.append(goes_on.wait(HELD_SECONDS_MAX))

    async with world.running() as (node,):
        await world.give_credential(node)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, node._database.write, hold)
            await wait_until(begun.is_set)
            nursery.start_soon(write, node, world, "meanwhile")
            await wait_until(lambda: node._node.ledger.head.height > node.height, 2 * HELD_SECONDS_MAX)
            goes_on.set()

    assert went_on == [True], "the loop stood still until the other writing was over"


async def test_a_node_copies_its_database_log_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit does it by the way any more: left alone the log would grow to twice what it may."""
    monkeypatch.setattr(store, "ROWS_IN_LOG", 1)
    world = found(tmp_path, 1)
    async with world.running() as (node,):
        await world.give_credential(node)

        await wait_until(lambda: not node._database.log_is_long)
