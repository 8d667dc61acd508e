"""What is planned to go wrong, in words."""

from __future__ import annotations

from typing import Any

import attrs

from .faults import Clock, Crash, Partition, Plan

# Shown of a sort; a whole drawn plan has dozens.
_SHOWN_MAX = 6


def words_of(plan: Plan) -> list[str]:
    """A line for each fault that the plan lists; clocks that are right are no fault."""
    found: list[str] = []
    for at in attrs.fields(Plan):
        items = getattr(plan, at.name)
        if isinstance(items, tuple) and items and attrs.has(type(items[0])):
            lines = [line for number, item in enumerate(items) if (line := _line(number, item))]
            found += lines[:_SHOWN_MAX]
            found += [f"and {len(lines) - _SHOWN_MAX} more {at.name}"] if len(lines) > _SHOWN_MAX else []
    return found


def _line(number: int, fault: Any) -> str | None:
    if isinstance(fault, Crash):
        return f"node {fault.node} crashes after {_s(fault.at)} and is down for {_s(fault.down)}"
    if isinstance(fault, Partition):
        left = ", ".join(map(str, sorted(fault.left)))
        nodes = f"node {left} is" if len(fault.left) == 1 else f"nodes {left} are"
        way = "heard by nobody else" if fault.one_way else "cut off from the others"
        return f"{nodes} {way} from {_s(fault.since)} to {_s(fault.until)}"
    if isinstance(fault, Clock):
        return _clock(number, fault)
    parts = ", ".join(f"{at.name} {_plain(getattr(fault, at.name))}" for at in attrs.fields(type(fault)))
    return f"{type(fault).__name__.lower()}: {parts}"


def _clock(node: int, clock: Clock) -> str | None:
    if not clock.wall_ms and not clock.drift_ppm:
        return None
    return f"node {node}'s clock is off by {clock.wall_ms} ms and drifts by {clock.drift_ppm} ppm"


def _plain(value: object) -> str:
    return ", ".join(map(str, sorted(value))) if isinstance(value, frozenset) else str(value)


def _s(time: int) -> str:
    return f"{time / 1e6:.3f} s"
