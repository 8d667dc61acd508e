"""How many signatures agreement costs, counted by verifiers that do nothing else."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest
from attrs import evolve

from guts_core.codec import Tag, decode
from guts_core.identity.keys import Signer
from guts_core.names import ChainId
from guts_core.sim.crypto import KeyRing
from guts_core.sim.faults import SECOND, Plan
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Store
from guts_core.sim.replica_node import HonestCast, ReplicaNode
from guts_core.sim.world import World
from guts_core.simplex.messages import Kind
from guts_core.simplex.quorum import FaultModel, quorum

BLOCKS_LEAST = 5


class Counting(KeyRing):
    """Counts, by kind and view, the votes whose signatures one node looks at."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring, self.public_keys = ring, ring.public_keys
        self.looked: Counter[tuple[Kind, int]] = Counter()

    def signer(self, index: int) -> Signer:
        """The same as ever."""
        return self._ring.signer(index)

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """The same as ever, counted."""
        kind, _, view, _ = cast("tuple[int, int, int, object]", decode(body))
        self.looked[Kind(kind), view] += 1
        return self._ring.verify(public_key, tag, chain_id, body, signature)


class CountingCast(HonestCast):
    """Honest nodes, each with a verifier of its own."""

    def __init__(self, seed: int, size: int) -> None:
        super().__init__(seed, size)
        self.counted: dict[int, Counting] = {}

    def make(self, index: int, records: list[bytes], stored: list[Store], *, recalls: bool = True) -> ReplicaNode:
        """The same as ever, counted; starts ask nobody, since answers are looked at apart."""
        del recalls
        shared, own = self.ring, Counting(self.ring)
        self.ring = self.counted[index] = own
        try:
            return super().make(index, records, stored, recalls=False)
        finally:
            self.ring = shared


def counted(size: int, plan: Plan) -> tuple[list[Counter[tuple[Kind, int]]], int]:
    """What each node of a run looked at, and how many blocks were final."""
    cast = CountingCast(7, size)
    world = World(7, plan, cast, size, VoteLedger(size, FaultModel.BYZANTINE, frozenset()))
    world.run()
    return [one.looked for one in cast.counted.values()], len(world.ledger.chain)


@pytest.mark.parametrize("size", [4, 31])
def test_an_undisturbed_node_looks_at_no_more_than_a_quorum_of_votes(size: int) -> None:
    """
    Of a kind and view, one less than a quorum: its own vote it knows.

    Links are equally long, so each hears the leader before it hears who voted for it.
    """
    plan = evolve(Plan.calm(size), delay_us=(20_000, 20_001), work_us=100_000, chaos_us=SECOND, heal_us=SECOND // 2)
    looked, blocks = counted(size, plan)

    assert blocks >= BLOCKS_LEAST
    assert max(max(one.values()) for one in looked) == quorum(size, FaultModel.BYZANTINE) - 1
    assert {kind for one in looked for kind, _ in one} == {Kind.NOTARIZE, Kind.FINALIZE}


@pytest.mark.parametrize("size", [4, 10])
def test_where_messages_overtake_each_other_it_is_one_more_than_a_quorum_at_most(size: int) -> None:
    """
    A certificate may hold a quorum of others, while the leader's vote was looked at with what it proposed.

    To look at votes as they come would be more: those that came, and then the rest of a certificate of others.
    """
    plan = evolve(Plan.calm(size), delay_us=(1_000, 90_000), work_us=50_000)
    looked, blocks = counted(size, evolve(plan, chaos_us=2 * SECOND, heal_us=SECOND))

    assert blocks >= BLOCKS_LEAST
    assert max(max(one.values()) for one in looked) <= quorum(size, FaultModel.BYZANTINE) + 1
