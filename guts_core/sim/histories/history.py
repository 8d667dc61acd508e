"""
A history: what each client asked, when, what it was told, and where in the chain that happened.

It is written as it happens, one JSON object a line: an ``invoke`` when a client asks, a ``complete`` when it
is told. Who records a run of processes that die appends each line at once; an invocation without completion
is an operation whose end nobody knows.

    {"event": "invoke", "number": 0, "process": "ada", "action": "update", "arguments": [...], "time": 12}
    {"event": "complete", "number": 0, "outcome": "ok", "answer": "ok", "time": 40, "position": [7, 0]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from guts_core.errors import Malformed

# Of JSON, with tuples for arrays: what can be hashed and compared.
Value: TypeAlias = "bool | int | str | tuple[Value, ...] | None"
# Height, and place in that block.
Position: TypeAlias = tuple[int, int]


class Outcome(Enum):
    """What a client knows of the end of what it asked."""

    OK = "ok"  # it was answered; a refusal that the state machine executed is an answer too
    FAILED = "failed"  # it was told, and knows, that nothing happened
    UNKNOWN = "unknown"  # it may have happened, may happen yet, or never


@frozen
class Operation:
    """One question and what came of it. Times are of one clock; an unknown end has none."""

    number: int
    process: str
    action: str
    arguments: tuple[Value, ...]
    invoked: int
    completed: int | None = None
    outcome: Outcome = Outcome.UNKNOWN
    answer: Value = None
    position: Position | None = None  # of a write
    node: str | None = None  # who was asked
    height: int | None = None  # of a read: the last block that its answer has seen
    min_height: int | None = None  # of a read: what it asked to see at least

    def __attrs_post_init__(self) -> None:
        if self.completed is not None and self.completed < self.invoked:
            raise Malformed(f"operation {self.number} is complete before it is invoked")
        if (self.completed is None) != (self.outcome is Outcome.UNKNOWN):
            raise Malformed(f"operation {self.number} has an end that is {self.outcome.value}, and a time that is not")

    def words(self) -> str:
        """The call and its answer, for people."""
        told = {Outcome.OK: repr(self.answer), Outcome.FAILED: "failed", Outcome.UNKNOWN: "?"}[self.outcome]
        return f"{self.action}({', '.join(map(_word, self.arguments))}) -> {told}"

    def ends_before(self, other: Operation) -> bool:
        """Whether this was told before the other was asked."""
        return self.completed is not None and self.completed < other.invoked


class History:
    """Records operations as they go. ``lines`` and ``read`` are one another's inverse."""

    def __init__(self) -> None:
        self._operations: dict[int, Operation] = {}
        self._events: list[dict[str, Any]] = []

    def invoke(
        self,
        process: str,
        action: str,
        *arguments: Value,
        time: int,
        node: str | None = None,
        min_height: int | None = None,
    ) -> int:
        """A client asks; the number by which the answer is told."""
        number = len(self._operations)
        self._operations[number] = Operation(number, process, action, arguments, time, node=node, min_height=min_height)
        asked = {"process": process, "action": action, "arguments": arguments, "time": time}
        self._note("invoke", number, asked, node=node, min_height=min_height)
        return number

    def complete(
        self,
        number: int,
        answer: Value = None,
        *,
        time: int,
        position: Position | None = None,
        height: int | None = None,
    ) -> None:
        """It is answered."""
        self._end(number, Outcome.OK, time, answer=answer, position=position, height=height)

    def fail(self, number: int, *, time: int) -> None:
        """It is told that nothing happened. Whoever is not sure says nothing instead."""
        self._end(number, Outcome.FAILED, time)

    def _end(self, number: int, outcome: Outcome, time: int, **told: Any) -> None:
        open_one = self._operations.get(number)
        if open_one is None or open_one.outcome is not Outcome.UNKNOWN:
            raise Malformed(f"operation {number} is {'complete' if open_one else 'not invoked'}")
        self._operations[number] = evolve(open_one, completed=time, outcome=outcome, **told)
        self._note("complete", number, {"outcome": outcome.value, "time": time}, **told)

    def _note(self, event: str, number: int, said: dict[str, Any], **where_known: Value) -> None:
        known = {name: value for name, value in where_known.items() if value is not None}
        self._events.append({"event": event, "number": number, **said, **known})

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All of them, in the order in which they were asked."""
        return tuple(self._operations.values())

    def lines(self, since: int = 0) -> Iterator[str]:
        """The events in the order they were told, as JSON lines without line ends; ``since`` skips the first ones."""
        for event in self._events[since:]:
            yield json.dumps(event, separators=(",", ":"))

    @classmethod
    def read(cls, lines: Iterable[str]) -> History:
        """The history of these lines; Malformed names the line that is none."""
        history = cls()
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    history._take(_Event.of(json.loads(line)))
                except (ValueError, TypeError, KeyError, Malformed) as error:
                    raise Malformed(f"line {number} of the history: {error}") from error
        return history

    def _take(self, event: _Event) -> None:
        if event.name == "invoke":
            told = event.fields
            number = self.invoke(told.pop("process"), told.pop("action"), *told.pop("arguments"), **told)
            if number != event.number:
                raise Malformed(f"operation {event.number} stands where {number} should")
        elif event.name == "complete":
            self._end(event.number, Outcome(event.fields.pop("outcome")), event.fields.pop("time"), **event.fields)
        else:
            raise Malformed(f"{event.name!r} is no event")


@frozen
class _Event:
    name: str
    number: int
    fields: dict[str, Any] = field(factory=dict)

    @classmethod
    def of(cls, found: Any) -> _Event:
        if not isinstance(found, dict):
            raise Malformed("an event is an object")
        fields = {name: _frozen(value) for name, value in found.items()}
        return cls(fields.pop("event"), fields.pop("number"), fields)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value


def _word(value: Value) -> str:
    return value if isinstance(value, str) else repr(value)
