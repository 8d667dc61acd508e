"""
Whether a history is what the chain's order says, in O(n log n): for runs of a million operations.

The chain tells where every write was executed, so nothing needs to be sought: the order is replayed
through the model, and each answer has to be the model's at that place. Besides, the order has to agree
with the clock: what was told before something was asked stands before it. A read is placed behind the
block that it has seen; that it lags is allowed unless ``strict_reads``.

``log`` is the chain itself, as (position, operation) pairs. With it, an acknowledged write that is not
there, one that is there twice, and one that was told another place are found, and operations with an
unknown end are where the log has them. Without it these may be absent or anywhere after their question,
and a part that has any is searched for a place for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

from attrs import evolve, frozen

from .history import Operation, Outcome, Position
from .linearizable import linearizable
from .models import Model
from .violation import Violation

# Above every place in a block: a read stands behind the whole block that it has seen.
_WHOLE_BLOCK = 1 << 62


@frozen
class _Placed:
    operation: Operation
    position: Position


def total_order(
    model: Model,
    operations: Iterable[Operation],
    log: Iterable[tuple[Position, int]] | None = None,
    *,
    strict_reads: bool = False,
) -> None:
    """Raises Violation where an answer, an order in time or the log contradicts the positions."""
    asked = list(operations)
    places = None if log is None else _places(asked, log)
    listed = [one for one in asked if one.outcome is not Outcome.FAILED]
    placed, open_ones = _placed(model, listed, places)
    _check_distinct(model, placed)
    _check_time(model, placed, strict_reads=strict_reads)
    _replay(model, placed, open_ones)


def _places(operations: Sequence[Operation], log: Iterable[tuple[Position, int]]) -> dict[int, Position]:
    """Where the log has each operation; at most once, and none of which somebody was told that it did not happen."""
    known = {one.number: one for one in operations}
    places: dict[int, Position] = {}
    for position, number in log:
        if number not in known:
            raise Violation(f"the log has operation {number} at {position}, and nobody asked for it", [])
        if known[number].outcome is Outcome.FAILED:
            one = known[number]
            raise Violation(f"{one.process} was told {one.words()}, and the log has it at {position}", [one])
        if number in places:
            raise Violation(
                f"operation {number} was executed twice, at {places[number]} and at {position}", [known[number]]
            )
        places[number] = position
    return places


def _placed(
    model: Model, operations: Sequence[Operation], places: dict[int, Position] | None
) -> tuple[list[_Placed], list[Operation]]:
    placed: list[_Placed] = []
    open_ones: list[Operation] = []
    for one in operations:
        position = _position(model, one, places)
        if position is not None:
            placed.append(_Placed(one, position))
        elif one.outcome is Outcome.OK and one.action not in model.reads:
            raise Violation(f"{one.process} was told {one.words()}, and no position for it", [one])
        elif one.outcome is Outcome.UNKNOWN and one.action not in model.reads and places is None:
            open_ones.append(one)
    return sorted(placed, key=lambda one: one.position), open_ones


def _position(model: Model, one: Operation, places: dict[int, Position] | None) -> Position | None:
    if one.action in model.reads:
        return None if one.height is None else (one.height, _WHOLE_BLOCK)
    if places is None or one.outcome is Outcome.UNKNOWN:
        return one.position if places is None else places.get(one.number)
    found = places.get(one.number)
    if found is None:
        raise Violation(f"{one.process} was told {one.words()}, which the log does not have", [one])
    if one.position is not None and one.position != found:
        raise Violation(f"{one.process} was told {one.words()} at {one.position}; the log has it at {found}", [one])
    return found


def _check_distinct(model: Model, placed: Sequence[_Placed]) -> None:
    writes = [one for one in placed if one.operation.action not in model.reads]
    for one, other in pairwise(writes):
        if one.position == other.position:
            pair = [one.operation, other.operation]
            raise Violation(f"two operations were told one place, {one.position}", pair)


def _check_time(model: Model, placed: Sequence[_Placed], *, strict_reads: bool) -> None:
    """Sweep in order of questions, with the highest position of all that was told before."""
    told = sorted((one for one in placed if one.operation.completed is not None), key=_end)
    highest: _Placed | None = None
    at = 0
    for one in sorted(placed, key=lambda one: one.operation.invoked):
        while at < len(told) and _end(told[at]) < one.operation.invoked:
            highest = told[at] if highest is None or told[at].position > highest.position else highest
            at += 1
        is_bound = strict_reads or one.operation.action not in model.reads
        if is_bound and highest is not None and one.position < highest.position:
            earlier = highest.operation
            raise Violation(
                f"{earlier.process} was told {earlier.words()} at {_shown(highest)} before {one.operation.process} "
                f"asked for {one.operation.words()}, which stands at {_shown(one)}",
                [earlier, one.operation],
            )


def _end(one: _Placed) -> int:
    return one.operation.completed or 0


def _shown(one: _Placed) -> str:
    height, place = one.position
    return f"height {height}" if place == _WHOLE_BLOCK else f"{one.position}"


def _replay(model: Model, placed: Sequence[_Placed], open_ones: Sequence[Operation]) -> None:
    """Part by part; where the end of some is unknown, a place is sought for these among those that are placed."""
    position_of = {one.operation.number: one.position for one in placed}
    ordered = [one.operation for one in placed]
    for part in model.parts([*ordered, *open_ones]).values():
        there = [one for one in part if one.number in position_of]
        if len(there) == len(part):
            _replay_part(model, there)
        else:
            linearizable(model, [*_in_steps(there), *_between(there, part[len(there) :])])


def _replay_part(model: Model, part: Sequence[Operation]) -> None:
    state = model.initial
    for at, one in enumerate(part):
        state, answer = model.step(state, one.action, one.arguments)
        if one.outcome is Outcome.OK and answer != one.answer:
            raise Violation(
                f"{one.process} was told {one.words()}; in the order of the chain it is {answer!r}", part, part[:at]
            )


def _in_steps(ordered: Sequence[Operation]) -> list[Operation]:
    """As if each had been asked when the one before it was told, so that only one order is left."""
    return [evolve(one, invoked=3 * rank, completed=3 * rank + 1) for rank, one in enumerate(ordered)]


def _between(ordered: Sequence[Operation], open_ones: Sequence[Operation]) -> list[Operation]:
    """Open ones in the time of ``_in_steps``: after everything placed that was told before they were asked."""
    ends: list[int] = []
    ranks: list[int] = []
    told = sorted((one.completed, rank) for rank, one in enumerate(ordered) if one.completed is not None)
    for end, rank in told:
        ends.append(end)
        ranks.append(max(rank, ranks[-1] if ranks else rank))
    moved = []
    for one in open_ones:
        before = bisect_left(ends, one.invoked)
        moved.append(evolve(one, invoked=3 * ranks[before - 1] + 2 if before else -1))
    return moved
