"""How often a process that is a node looks for garbage that refers to itself: seldom, there is little of it."""

from __future__ import annotations

import gc

# Python's own 700 make it look at everything young twice for each transaction, a twentieth of what that costs.
YOUNG_OBJECTS = 10_000
YOUNG_ROUNDS, MIDDLE_ROUNDS = 20, 20


def collect_rarely() -> None:
    """For a whole process, once its node has started: what is there by then stays, and is not looked at any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, MIDDLE_ROUNDS)
