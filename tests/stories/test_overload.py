"""More is offered than a network can bear: it goes on as fast as it can, and who asks for little waits little."""

from __future__ import annotations

import pytest

from tests.stories.overloaded_world import SECOND, Costs, Overloaded

# What admission costs most, and what blocks do: a full one of these takes longer than a view lasts.
COSTLY_SIGNATURES, COSTLY_BLOCKS = Costs(signature=600, byte=1), Costs(signature=200, byte=3)
MODEST, MODEST_RATE = 3, 2
END = 5 * SECOND


def offered(costs: Costs, rate: int) -> Overloaded:
    """Three operators flood, one does not."""
    world = Overloaded(costs)
    for operator in range(MODEST):
        world.offer(operator, operator, rate // MODEST, SECOND, END)
    world.offer(MODEST, MODEST, MODEST_RATE, SECOND, END)
    world.run(END)
    return world


@pytest.mark.parametrize(
    ("costs", "bearable", "too_much"), [(COSTLY_SIGNATURES, 500, 1_800), (COSTLY_BLOCKS, 400, 1_500)]
)
def test_beyond_what_it_bears_a_network_stays_near_its_best(costs: Costs, bearable: int, too_much: int) -> None:
    """In one queue with votes, and in blocks as large as may be, three times as much was served to nobody."""
    best = offered(costs, bearable).served(2 * SECOND, END)
    world = offered(costs, too_much)

    assert world.served(2 * SECOND, END) >= 0.9 * best
    assert world.nullified == 0
    assert world.refused.keys() <= {"busy"}
    waits = world.waits(MODEST)
    assert len(waits) >= 3 * MODEST_RATE
    assert max(waits) <= 3 * SECOND
