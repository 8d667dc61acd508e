"""
A leader leaves out what some accounts send, and votes for no block that holds it: the others' turns come, in bounds.

A censor is a whole node in the simulator. What half of all accounts send is nothing to it, whatever it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ClassVar

import pytest
from attrs import evolve

from guts_core.chain.mempool import Mempool
from guts_core.chain.turns import Turns
from guts_core.names import AccountId, BlockHash, TxId
from guts_core.node.figures import BY_KEY
from guts_core.sim.faults import SECOND, Plan
from guts_core.sim.forge_cast import ForgeCast
from guts_core.sim.forge_world import ForgeWorld
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Act, Say
from guts_core.sim.report import report_of
from guts_core.sim.villains.villain import Deeds, Effects, ForgeVillain, Inner
from guts_core.simplex.messages import Kind, Propose, Vote
from guts_core.simplex.quorum import FaultModel, faults_tolerated

METRICS = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
# Nothing else goes wrong: then the block of every honest leader becomes final, and whoever is late was kept waiting.
CHAOS_US, HEAL_US = SECOND // 2, 5 * SECOND // 2


def is_disliked(author: AccountId) -> bool:
    """Half of all accounts."""
    return author[0] % 2 == 1


def anybody(author: AccountId) -> bool:
    """All accounts."""
    return bool(author)


class CensoredMempool(Mempool):
    """All of it waits, and some of it is never proposed."""

    def __init__(self, dislikes: Callable[[AccountId], bool]) -> None:
        super().__init__()
        self._dislikes = dislikes

    def turns(self, held: Collection[Collection[TxId]], room: int) -> Turns:
        """As if the blocks below held it."""
        return super().turns([*held, [one.tx_id for one in self if self._dislikes(one.body.author)]], room)


class Censor(ForgeVillain):
    """Proposes, votes and helps, but not for what it dislikes."""

    name: ClassVar[str] = "censor"
    dislikes = staticmethod(is_disliked)

    def __init__(self, inner: Inner, deeds: Deeds) -> None:
        super().__init__(inner, deeds)
        ledger = self.forge.node.ledger
        ledger.mempool = ledger._applicants.mempool = CensoredMempool(self.dislikes)

    @classmethod
    def achieved(cls, deeds: Deeds, _world: Effects) -> int:
        """Votes that it kept to itself."""
        return deeds.attempts

    def twist(self, acts: list[Act]) -> list[Act]:
        """Say nothing for a block that holds what it dislikes."""
        return [act for act in acts if not self._helps(act)]

    def _helps(self, act: Act) -> bool:
        said = self.read(act)
        if not isinstance(said, Vote) or said.proposal is None or said.kind is Kind.NULLIFY:
            return False
        block = self.forge.node.ledger._branches.get(BlockHash(said.proposal.block_hash))
        pool = self.forge.node.ledger.mempool
        candidates = [pool.get(tx_id) for tx_id in ([] if block is None else block.expiries)]
        spite = any(one is not None and self.dislikes(one.body.author) for one in candidates)
        self.deeds.attempts += spite
        return spite


class CensorOfAll(Censor):
    """Lets nothing but empty blocks pass."""

    dislikes = staticmethod(anybody)


class Watched(ForgeWorld):
    """Counts the turns of honest leaders who could have proposed a transaction, all honest nodes having it."""

    def __init__(self, seed: int, size: int, censors: int, kind: type[Censor] = Censor) -> None:
        players = ForgeCast(seed, size, FaultModel.BYZANTINE, dict.fromkeys(range(censors), kind))
        ledger = VoteLedger(size, FaultModel.BYZANTINE, players.villains)
        plan = evolve(Plan.calm(size), delay_us=(8_000, 12_000), work_us=15_000, chaos_us=CHAOS_US, heal_us=HEAL_US)
        super().__init__(seed, plan, players, size, ledger)
        self.turns: Counter[TxId] = Counter()
        self.censored = 0  # proposals of censors that could have held what they dislike
        self.oldest_us = 0  # pending age at an honest node

    def _say(self, index: int, say: Say) -> None:
        message = self.cast.read(say.data)
        if isinstance(message, Propose) and say.to is None:
            self._watch(index, BlockHash(message.proposal.parent_hash))
        super()._say(index, say)

    def _watch(self, leader: int, parent: BlockHash) -> None:
        ledger = self.node(leader).node.ledger
        below = [block.expiries for block in ledger._branches.above(parent)]
        known = set.intersection(*(set(self._pool(node)._ready) for node in {leader, *self.honest}))
        waiting = {tx_id for tx_id in known if not any(tx_id in block for block in below)}
        if leader in self.honest:
            self.turns.update(waiting)
        else:
            self.censored += any(is_disliked(self.cases[tx_id].wish.author) for tx_id in waiting)
        for node in self.honest:
            since = self._pool(node).oldest_ready()
            if since is not None:
                self.oldest_us = max(self.oldest_us, self._now(node).monotonic - since)

    def _pool(self, node: int) -> Mempool:
        return self.node(node).node.ledger.mempool


@pytest.mark.parametrize(("size", "seed"), [(4, 2), (7, 2)])
def test_fault_F33_what_a_censor_leaves_out_stands_in_a_block_within_f_and_one_turns_of_honest_leaders(
    size: int, seed: int
) -> None:
    """Nobody waits longer than that for a turn, and the age of what waits, which is a metric, stays small."""
    censors = faults_tolerated(size, FaultModel.BYZANTINE)
    world = Watched(seed, size, censors)

    report = report_of(seed, world, world.cast, demanding=False)

    assert report.problem is None
    final = world.checks.receipts
    assert any(is_disliked(case.wish.author) for tx_id, case in world.cases.items() if tx_id in final)
    assert world.censored
    assert all(deeds.attempts for deeds in world.cast.deeds.values())
    assert max(world.turns[tx_id] for tx_id in final) <= censors + 1
    # Each view of a censor takes its turn or a timer.
    assert world.oldest_us < SECOND


def test_fault_F33_what_everybody_leaves_out_shows_in_the_pending_age() -> None:
    """Beyond the bound nothing helps; whoever looks at one honest node's metric sees it."""
    world = Watched(0, 4, 3, CensorOfAll)

    report = report_of(0, world, world.cast, demanding=False)

    assert (report.problem or "").startswith("L2: ")
    assert not world.checks.receipts
    assert world.oldest_us > SECOND
    assert f"`{BY_KEY['pending_age'].metric}`" in METRICS.read_text()
