"""Patience that grows until it fits the network there is (1.6), and leaders that are known to be away (rule 4)."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.sim.faults import SECOND, Crash, Loss
from guts_core.sim.replica_node import DELTA_US, ReplicaNode
from tests.stories.timed_world import (
    ABSENT_AFTER_US,
    AWAY,
    CALM,
    NEVER_THERE,
    NODES,
    SLACK_US,
    SLOW_LINKS,
    SLOW_UNTIL_US,
    TRIP_US,
    Timed,
)


def test_links_slower_than_was_told_are_waited_for_and_fast_ones_no_longer() -> None:
    """Views fail until all wait long enough for a message, and then blocks are final."""
    world = Timed(SLOW_LINKS)
    world.run()

    for deltas, views in zip(world.deltas, world.entered, strict=True):
        slowly = [delta for at, delta in deltas if at < SLOW_UNTIL_US]
        # As long as nothing is final, one step after every turn of all leaders.
        assert slowly[:3] == [DELTA_US, DELTA_US * 3 // 2, DELTA_US * 9 // 4]
        grew = next(at for at, delta in deltas if delta > DELTA_US)
        assert max(view for view, at in views.items() if at <= grew) == NODES + 2
        # The leader's word takes three deltas and is waited for by two, votes on it come another three later and
        # are waited for by three: a little more than twice the patience is enough, so two steps, or three.
        assert max(slowly) <= DELTA_US * 27 // 8
        assert slowly.count(DELTA_US) >= 3  # back at once, with each block that became final
        assert {delta for at, delta in deltas if at > SLOW_UNTIL_US + SECOND} <= {DELTA_US}
    assert len(world.ledger.chain) >= 10


@pytest.mark.parametrize("gone", [0, SECOND // 2], ids=["never there", "gone"])
def test_a_node_that_is_away_costs_two_deltas_a_turn_until_it_is_known_to_be(gone: int) -> None:
    """Afterwards its turns cost what a vote takes, and no patience."""
    world = Timed(evolve(NEVER_THERE, losses=(Loss(AWAY, gone),)))
    world.run()

    first = world.waits(AWAY, gone + 2 * DELTA_US, gone + ABSENT_AFTER_US - 3 * DELTA_US)
    later = world.waits(AWAY, gone + ABSENT_AFTER_US + 3 * DELTA_US, 4 * SECOND)
    assert len(first) >= NODES - 1
    assert min(first) >= 2 * DELTA_US
    assert max(first) <= 2 * DELTA_US + SLACK_US
    assert len(later) >= 10
    assert max(later) <= 2 * TRIP_US
    # One that is away never makes the others wait longer for each other.
    assert {delta for deltas in world.deltas for _, delta in deltas} == {DELTA_US}


def test_one_that_comes_back_is_waited_for_again() -> None:
    """It says so as it starts, and its turns become blocks."""
    back = 3 * SECOND
    world = Timed(evolve(CALM, crashes=(Crash(AWAY, 0, 0, back),), chaos_us=back, heal_us=2 * SECOND))
    world.run()

    turns = [view for view, at in world.entered[0].items() if at > back + SECOND and view % NODES == AWAY]
    assert len(turns) >= 10
    node = world.places[0].node
    assert isinstance(node, ReplicaNode)
    assert node.engine.slots.led[AWAY] >= len(turns) - 2  # the last ones are not final yet
