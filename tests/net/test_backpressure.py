"""A node on which writes wait and nothing becomes final takes in no more of them, and goes on by itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import trio
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import to_bytes
from guts_core.forge.actions import Action, ReportEvidence, VoteDecision
from guts_core.node.figures import BY_KEY
from guts_core.node.port import AskFigures, Figures, Outcome, Phase, PortError, SubmitTransaction
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.core.chain.chain_world import Network, creation
from tests.core.chain.test_chain_governance import two_votes
from tests.net.world import WAIT_MS, World, ask, found, status

LAG_SECONDS = 0.2


def signed(world: World, action: Action) -> SignedTransaction:
    """A wish of alice's."""
    expires = int(time.time() * 1000) + compose.LIFETIME_MS
    body = compose.by_account(chain_id(world.genesis), world.alice_id, (action,), expires, os.urandom(32))
    return compose.sign_with_account_key(body, world.alice)


async def submitted(node: RunningNode, transaction: SignedTransaction, wait_ms: int = 0) -> Phase | str:
    """How far it came, or the code with which it was not even taken in."""
    said = await ask(node, SubmitTransaction(to_bytes(transaction), (), wait_ms))
    assert isinstance(said, Outcome | PortError), said
    return said.phase if isinstance(said, Outcome) else said.code


async def pending_age_us(node: RunningNode) -> int:
    """As the metric says it."""
    said = await ask(node, AskFigures())
    assert isinstance(said, Figures)
    assert BY_KEY["pending_age"].metric == "guts_node_pending_age_seconds"
    return next(figure.value for figure in said.figures if figure.key == "pending_age")


async def test_without_finality_writes_are_refused_at_once_and_taken_again_after_it(tmp_path: Path) -> None:
    """What waits already may be asked for again; an idle node that stands as still refuses nothing."""
    world = found(tmp_path, 2)
    first, second, third = (signed(world, creation(name)) for name in ("first", "second", "third"))
    ending = signed(world, VoteDecision(1, approve=True))
    evidence = signed(world, ReportEvidence(*two_votes(Network())))
    with trio.fail_after(180):
        async with open_node(evolve(world.settings(0), write_lag_seconds=LAG_SECONDS)) as node:
            while (await status(node)).final_age_ms <= LAG_SECONDS * 1000:
                pass
            assert await pending_age_us(node) == 0
            assert await submitted(node, first) is Phase.PENDING
            while await pending_age_us(node) < LAG_SECONDS * 1_000_000 + 1_000:  # longer, in whole milliseconds
                pass

            assert await submitted(node, second) == "lagging"
            assert await submitted(node, first) is Phase.PENDING
            assert await submitted(node, ending) is Phase.PENDING
            assert await submitted(node, evidence) != "lagging"
            async with open_node(world.settings(1)):
                assert await submitted(node, first, WAIT_MS) is Phase.FINAL
                assert await submitted(node, third, WAIT_MS) is Phase.FINAL
