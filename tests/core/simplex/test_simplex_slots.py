"""Turns to lead, counted for any gap exactly as by walking through its views."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guts_core.simplex.slots import Slots


@given(st.integers(1, 7), st.integers(0, 3), st.lists(st.integers(1, 40), max_size=8))
def test_every_view_is_counted_once_for_its_leader(size: int, epoch: int, steps: list[int]) -> None:
    """Also gaps of many rounds, which are not walked through."""
    slots, view = Slots(size, epoch), 0
    led, missed = [0] * size, [0] * size
    for step in steps:
        slots.settle(view, view + step)
        for passed in range(view + 1, view + step):
            missed[(passed + epoch) % size] += 1
        view += step
        led[(view + epoch) % size] += 1

    assert (slots.led, slots.missed) == (led, missed)


def test_a_gap_of_years_takes_no_time() -> None:
    """A node that was away counts what it missed when it is back."""
    slots = Slots(4, 0)
    slots.settle(0, 10**15)

    assert sum(slots.missed) == 10**15 - 1
