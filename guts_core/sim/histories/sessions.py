"""
What single clients and single nodes may rely on though reads may lag: nothing goes back, and what one wrote is seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from .history import Operation, Outcome
from .violation import Violation


def monotonic_reads(operations: Iterable[Operation]) -> None:
    """The heights that one node answers with never go back from one answer to a later question."""
    by_node: dict[str, list[Operation]] = {}
    for one in operations:
        if one.node is not None and one.height is not None:
            by_node.setdefault(one.node, []).append(one)
    for node, reads in by_node.items():
        _check_forward(node, reads)


def _check_forward(node: str, reads: list[Operation]) -> None:
    told = sorted(reads, key=lambda one: one.completed or 0)
    highest: Operation | None = None
    at = 0
    for one in sorted(reads, key=lambda one: one.invoked):
        while told[at].ends_before(one):
            highest = told[at] if highest is None or _height(told[at]) > _height(highest) else highest
            at += 1
        if highest is not None and _height(one) < _height(highest):
            raise Violation(
                f"node {node} answered {highest.words()} at height {highest.height}, and later {one.words()} "
                f"at height {one.height}",
                [highest, one],
            )


def _height(one: Operation) -> int:
    return one.height or 0


def read_your_writes(operations: Iterable[Operation]) -> None:
    """A read is at least at the height it asked for, and who asks for that of an own write is shown it."""
    for one in operations:
        if one.outcome is Outcome.OK and one.min_height is not None and (one.height or 0) < one.min_height:
            raise Violation(
                f"{one.process} asked for height {one.min_height} at least, and was told {one.words()} "
                f"at height {one.height}",
                [one],
            )
