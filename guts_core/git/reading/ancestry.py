"""
How two commits are related: their merge bases, and what each has that the other has not.

As git paints it: both histories are walked at once by date, each commit gets the sides that reach it, and
what both reach is done with. Dates lie now and then, so the walk goes on past the oldest commit of one side.
"""

from __future__ import annotations

from attrs import frozen

from guts_core.names import Oid

from .history import ByDate, Step, step_of
from .objects import Bounded

_BASE, _HEAD = 1, 2
_BOTH = _BASE | _HEAD
_STALE = 4  # below a common ancestor that was found


@frozen
class Comparison:
    """Two commits beside each other; lists are by date, the newest first."""

    merge_bases: tuple[Oid, ...]
    ahead: tuple[Oid, ...]  # what the head has and the base has not
    behind: tuple[Oid, ...]  # the other way round


def merge_bases(objects: Bounded, one: Oid, other: Oid) -> tuple[Oid, ...]:
    """The best common ancestors, as ``git merge-base --all`` gives them; none of unrelated histories."""
    return compare(objects, one, other).merge_bases


def is_ancestor(objects: Bounded, old: Oid, new: Oid) -> bool:
    """Whether ``new`` has ``old`` in its history, or is it."""
    return merge_bases(objects, old, new) == (old,)


def compare(objects: Bounded, base: Oid, head: Oid) -> Comparison:
    """How ``head`` stands to ``base``."""
    if base == head:
        return Comparison((base,), (), ())
    painting = _Painting(objects, base, head)
    painting.finish()
    sides = painting.sides
    ahead = tuple(oid for oid in painting.order if sides[oid] == _HEAD)
    behind = tuple(oid for oid in painting.order if sides[oid] == _BASE)
    candidates = [oid for oid in painting.order if sides[oid] == _BOTH]
    return Comparison(_best(objects, candidates), ahead, behind)


def _best(objects: Bounded, candidates: list[Oid]) -> tuple[Oid, ...]:
    """Those that no other one has in its history: lying dates leave such."""
    if len(candidates) < 2:
        return tuple(candidates)
    return tuple(
        one for one in candidates if not any(other != one and _reaches(objects, other, one) for other in candidates)
    )


def _reaches(objects: Bounded, tip: Oid, wanted: Oid) -> bool:
    painting = _Painting(objects, wanted, tip)
    painting.finish()
    return painting.sides[wanted] & _HEAD != 0


class _Painting:
    def __init__(self, objects: Bounded, base: Oid, head: Oid) -> None:
        self._objects = objects
        self._steps: dict[Oid, Step] = {}  # of those that wait
        self._waiting = ByDate()
        self._undecided: set[Oid] = set()  # waiting, and not below a common ancestor
        self._oldest: int | None = None  # of those that one side alone reaches so far
        self.sides: dict[Oid, int] = {}
        self.order: dict[Oid, None] = {}  # as they were visited
        self._paint(base, _BASE)
        self._paint(head, _HEAD)

    def finish(self) -> None:
        """Walk until nothing can change."""
        while self._waiting and (self._undecided or self._may_meet_more()):
            self._visit(self._waiting.take())

    def _may_meet_more(self) -> bool:
        return self._oldest is not None and self._waiting.newest >= self._oldest

    def _visit(self, oid: Oid) -> None:
        sides = self.sides[oid]
        self._undecided.discard(oid)
        self.order.setdefault(oid)
        step = self._step(oid)
        del self._steps[oid]
        if sides & _BOTH == _BOTH:
            sides |= _STALE
        elif self._oldest is None or step.seconds < self._oldest:
            self._oldest = step.seconds
        for parent in step.parents:
            self._paint(parent, sides)

    def _paint(self, oid: Oid, sides: int) -> None:
        """What changes is walked again, so that what is below it learns of it."""
        before = self.sides.get(oid, 0)
        if before | sides == before:
            return
        if oid in self._steps:
            self._objects.budget.spend()
        self.sides[oid] = before | sides
        if not self.sides[oid] & _STALE:
            self._undecided.add(oid)
        else:
            self._undecided.discard(oid)
        self._waiting.put(oid, self._step(oid).seconds)

    def _step(self, oid: Oid) -> Step:
        if oid not in self._steps:
            self._steps[oid] = step_of(self._objects, oid)
        return self._steps[oid]
