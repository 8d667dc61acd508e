"""
The last block of an epoch when it does not become final as it should: by itself, at once, with everybody there.

The validators of the epoch put empty blocks above it until one is final; nothing of the next epoch begins before.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes
from guts_core.forge.decisions import RemoveValidator
from guts_core.names import BlockHash
from guts_core.node.effects import Effect
from guts_core.node.events import Event
from guts_core.node.messages import PEER_MESSAGES
from guts_core.simplex.messages import Certificate, Kind, Proposal, Vote
from tests.core.node.node_world import World
from tests.core.node.test_node_epochs import EPOCH_MS, a_world, decide, epoch


@define
class Muffled(World):
    """A world in which some votes to finalize never arrive."""

    unheard: Callable[[Proposal], bool] = lambda _: False

    def tell(self, index: int, event: Event) -> list[Effect]:
        """What follows at a node, less what nobody hears."""
        effects = World.tell(self, index, event)
        self.queue = type(self.queue)(one for one in self.queue if not self._is_unheard(one[2]))
        return effects

    def _is_unheard(self, data: bytes) -> bool:
        said = PEER_MESSAGES.from_bytes(data)
        if not isinstance(said, Vote | Certificate) or said.kind is not Kind.FINALIZE or said.proposal is None:
            return False
        return self.unheard(said.proposal)

    def is_boundary(self, proposal: Proposal) -> bool:
        """Whether some node executed this as the last block of an epoch."""
        return any(seat.node.ledger.is_last(proposal.block_hash) for seat in self.seats)

    def is_above(self, proposal: Proposal) -> bool:
        """Whether some node executed this as an empty block above the last one of an epoch."""
        branches = [seat.node.ledger._branches.get(BlockHash(proposal.block_hash)) for seat in self.seats]
        return any(block is not None and block.is_child for block in branches)


def a_muffled_world() -> Muffled:
    return Muffled(a_world().genesis)


def the_end(world: World, number: int = 0) -> EpochStep:
    """How an epoch ended, as node 0 keeps it."""
    return from_bytes(EpochStep, world.seats[0].store.epoch_end(number) or b"")


def test_a_child_makes_a_boundary_final_that_nobody_finalized() -> None:
    """The votes for the block itself are lost for ever: those for an empty one above it count for both."""
    world = a_muffled_world()
    world.unheard = world.is_boundary

    world.pass_time(EPOCH_MS + 5000)

    assert {epoch(world, index) for index in range(4)} == {1}
    end = the_end(world)
    assert len(end.children) >= 1
    assert all(child.epoch == 0 and child.state_root == end.header.state_root for child in end.children)
    assert len(world.roots) == 1
    first = world.seats[0].store.block_at(end.header.height + 1)
    assert first is not None
    assert from_bytes(Proposal, first.proposal).epoch == 1


def test_a_laggard_is_brought_over_a_boundary_that_only_a_child_made_final() -> None:
    """Whoever was away gets the empty blocks with the proof, and keeps none of them."""
    world = a_muffled_world()
    world.unheard = world.is_boundary
    world.cut = {3}
    world.pass_time(3 * EPOCH_MS)
    assert epoch(world, 3) == 0
    assert epoch(world, 0) >= 2

    world.cut = set()
    world.pass_time(5000)

    assert epoch(world, 3) == epoch(world, 0)
    assert len(world.roots) == 1
    assert world.seats[3].store.epoch_end(0) is not None


def test_all_crash_at_a_boundary_that_is_notarized_and_not_final() -> None:
    """Nobody knows yet that it is final: everybody wakes in the old epoch and ends it."""
    world = a_muffled_world()
    ended: list[Proposal] = []

    def unheard(proposal: Proposal) -> bool:
        over = world.is_boundary(proposal) or bool(ended)
        if over:
            ended.append(proposal)
        return over and proposal.epoch == 0

    world.unheard = unheard
    world.pass_time(EPOCH_MS + 1500)
    assert ended
    assert {epoch(world, index) for index in range(4)} == {0}
    world.unheard = lambda _: False
    for index in range(4):
        world.restart(index)

    world.pass_time(5000)

    assert {epoch(world, index) for index in range(4)} == {1}
    assert len(world.roots) == 1


def test_one_that_turned_and_crashed_helps_those_that_did_not() -> None:
    """It alone heard the proof; after its power cut it votes in the old epoch no more, and tells the others."""
    world = a_muffled_world()
    world.commits = False  # and its database has not written the boundary
    world.unheard = lambda proposal: world.is_boundary(proposal) and not any(epoch(world, index) for index in range(4))
    world.pass_time(EPOCH_MS + 3000)
    assert {epoch(world, index) for index in range(4)} == {1}
    log = list(world.seats[2].log)

    world.restart(2)

    assert world.seats[2].log[: len(log)] == log
    world.pass_time(3000)
    assert epoch(world, 2) >= 1
    assert len({seat.node.ledger.head.block_hash for seat in world.seats}) == 1


def test_a_validator_that_goes_with_the_epoch_still_helps_to_end_it() -> None:
    """Only the empty block that the leaving validator led is final: it was its last service."""
    world = a_muffled_world()
    size, leaver = 4, 1

    def unheard(proposal: Proposal) -> bool:
        is_over = world.is_boundary(proposal) or world.is_above(proposal)
        return proposal.epoch == 0 and is_over and proposal.view % size != leaver

    world.unheard = unheard
    decide(world, RemoveValidator(leaver))
    world.pass_time(8000)

    assert {epoch(world, index) for index in range(4)} == {1}
    end = the_end(world)
    last = end.children[-1] if end.children else end.header
    assert last.view % size == leaver
    assert world.seats[leaver].node.seat is None
    assert len(world.roots) == 1
