"""Rules that this build does not know end the node with one sentence, once the boundary is final, and not before."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import ProposeDecision
from guts_core.forge.decisions import ChangeRules
from guts_core.node.port import Outcome, SubmitTransaction
from guts_net.pump import UnknownRules
from guts_net.runtime import open_node

from .world import PARAMS, WAIT_MS, World, a_commit, ask, found, push, status

EPOCH_MS = 1_000


async def schedule_rules(world: World, rules: int) -> None:
    """Start the node, let its operator decide, and go on until the node ends."""
    async with open_node(world.settings(0)) as node:
        chain = chain_id(world.genesis)
        operator = world.genesis.accounts[0].id
        change = ProposeDecision(ChangeRules(rules, 0), now=False)
        body = compose.by_account(chain, operator, (change,), int(time.time() * 1000) + WAIT_MS, os.urandom(32))
        signed = compose.sign_with_account_key(body, world.seats[0].keys["operator"])
        outcome = await ask(node, SubmitTransaction(to_bytes(signed), (), WAIT_MS))
        assert isinstance(outcome, Outcome)
        assert outcome.error is None, outcome
        with trio.fail_after(180):
            for number in range(1000):  # an idle network of one makes no blocks: pushes carry time forward
                await world.give_credential(node) if number == 0 else await trio.sleep(0.1)
                await push(node, world, f"r{number}", a_commit(world.path / f"w{number}"))


async def test_unknown_rules_stop_the_node_with_words_and_again_after_a_restart(tmp_path: Path) -> None:
    """Exit code 78 at the command line: the operator installs another build."""
    world = found(tmp_path, 1, params=evolve(PARAMS, epoch_ms=EPOCH_MS))

    with pytest.RaisesGroup(pytest.RaisesExc(UnknownRules, match="rules 7"), flatten_subgroups=True):
        await schedule_rules(world, 7)
    with pytest.RaisesGroup(pytest.RaisesExc(UnknownRules, match="rules 7"), flatten_subgroups=True):
        async with open_node(world.settings(0)) as node:
            await status(node)
            await trio.sleep(10)
