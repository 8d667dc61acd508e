"""
Whether a history is linearizable: the search of Wing and Gong, with the memory that Lowe gave it.

An operation may take effect at any moment between question and answer, so an order is sought in which
every answer is the model's. Open operations are tried in the order they were asked; a set of placed
operations with the state they led to is tried once. What has no known end stays open to the end of the
history and may as well never happen. Parts that cannot influence each other are searched apart.

Every read takes part: give it the reads that promise the newest state, not those of a node that may lag
(``total_order`` and ``sessions`` are for these).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from attrs import define

from guts_core.errors import GutsError

from .history import Operation, Outcome
from .models import Model
from .violation import Violation

# Some ten seconds of searching; what needs more has too many open operations in one part.
STEPS_MAX = 2_000_000


class Undecided(GutsError):
    """The search was given up: the history is neither cleared nor convicted."""

    code = "history-undecided"


def linearizable(model: Model, operations: Iterable[Operation], steps_max: int = STEPS_MAX) -> None:
    """Raises Violation where no order of the operations gives their answers, Undecided after so many steps."""
    for key, part in model.parts(_of_weight(model, operations)).items():
        _Search(model, part, key, steps_max).run()


def _of_weight(model: Model, operations: Iterable[Operation]) -> list[Operation]:
    """Without what certainly did nothing and says nothing."""
    return [
        one
        for one in operations
        if one.outcome is Outcome.OK or (one.outcome is Outcome.UNKNOWN and one.action not in model.reads)
    ]


@define(eq=False)
class _Entry:
    """A question or an answer in a list in order of time."""

    index: int
    is_call: bool
    before: _Entry | None = None
    after: _Entry | None = None
    answer: _Entry | None = None

    def unlink(self) -> None:
        assert self.before is not None
        self.before.after = self.after
        if self.after is not None:
            self.after.before = self.before

    def relink(self) -> None:
        assert self.before is not None
        self.before.after = self
        if self.after is not None:
            self.after.before = self


class _Search:
    """One part: operations are known by their index in it, sets of them are bits of a number."""

    def __init__(self, model: Model, part: Sequence[Operation], key: Hashable, steps_max: int) -> None:
        self._model, self._part, self._key, self._steps_max = model, part, key, steps_max
        self._head = _linked(part)
        self._known = sum(1 << index for index, one in enumerate(part) if one.outcome is Outcome.OK)
        self._placed = 0
        self._state: Any = model.initial
        self._stack: list[tuple[_Entry, Any]] = []
        self._tried: set[tuple[int, Hashable]] = set()
        self._best: list[int] = []

    def run(self) -> None:
        steps, entry = 0, self._head.after
        while self._known & ~self._placed:
            steps += 1
            if steps > self._steps_max:
                raise Undecided(f"{self._key}: no order of {len(self._part)} operations found in {steps - 1} steps")
            # An open end has no answer in the list, so a known one that is not placed ends the walk before None.
            assert entry is not None
            if not entry.is_call:
                entry = self._step_back()
            elif self._may_be_next(entry):
                entry = self._head.after
            else:
                entry = entry.after

    def _may_be_next(self, entry: _Entry) -> bool:
        operation = self._part[entry.index]
        after, answer = self._model.step(self._state, operation.action, operation.arguments)
        if operation.outcome is Outcome.OK:
            if answer != operation.answer:
                return False
        elif after == self._state:
            return False  # as good as never
        placed = self._placed | 1 << entry.index
        if (placed, after) in self._tried:
            return False
        self._tried.add((placed, after))
        self._stack.append((entry, self._state))
        self._placed, self._state = placed, after
        entry.unlink()
        if entry.answer is not None:
            entry.answer.unlink()
        if len(self._stack) > len(self._best):
            self._best = [one.index for one, _ in self._stack]
        return True

    def _step_back(self) -> _Entry | None:
        if not self._stack:
            raise self._violation()
        entry, self._state = self._stack.pop()
        self._placed &= ~(1 << entry.index)
        if entry.answer is not None:
            entry.answer.relink()
        entry.relink()
        return entry.after

    def _violation(self) -> Violation:
        order = [self._part[index] for index in self._best]
        left = [one for index, one in enumerate(self._part) if index not in set(self._best)]
        stuck = min((one for one in left if one.completed is not None), key=lambda one: one.completed or 0)
        return Violation(
            f"{self._key}: {stuck.process} was told {stuck.words()}, and no order of {len(self._part)} operations "
            f"gives all answers; {len(order)} of them fit",
            self._part,
            order,
        )


def _linked(part: Sequence[Operation]) -> _Entry:
    """Questions before answers of the same moment: what touches is concurrent."""
    events: list[tuple[int, int, _Entry]] = []
    for index, one in enumerate(part):
        call = _Entry(index, is_call=True)
        events.append((one.invoked, 0, call))
        if one.completed is not None:
            call.answer = _Entry(index, is_call=False)
            events.append((one.completed, 1, call.answer))
    events.sort(key=lambda event: event[:2])
    head = last = _Entry(-1, is_call=True)
    for _, _, entry in events:
        last.after, entry.before = entry, last
        last = entry
    return head
