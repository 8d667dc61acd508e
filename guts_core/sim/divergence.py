"""
Machines that are not deterministic, and the words for where they are not.

A replicated machine that asks a clock, throws dice or walks through a set in its order works on one
computer and forks a network. Every command is therefore executed twice from one state, and where the two
answers differ it is said at which key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from guts_core.errors import Refused

from .ledger import Broken
from .machine import S, StateMachine

# Longer values are cut in messages: a reader looks for the key, and has both states at hand.
SHOWN_CHARS = 80
# A state this deep refers to itself.
DEPTH_MAX = 40
# Outcomes remembered for the other nodes: enough for the blocks that several of them execute at about one time.
_KNOWN_MAX = 4096
# What a careless machine changes in place; a shallow copy is cheap and shows most of it.
_COPIED = (dict, list, set, bytearray)

Path: TypeAlias = tuple[str, ...]
T = TypeVar("T")


class NotDeterministic(Broken):
    """The same command on the same state gave two states."""

    code = "not-deterministic"


class Doubled(Generic[S]):
    """
    A machine that executes every command twice, and raises NotDeterministic where that shows.

    All nodes of a run share one: what the first of them computed is what every other must come to.
    """

    def __init__(self, machine: StateMachine[S]) -> None:
        self._machine = machine
        self.initial, self.root = machine.initial, machine.root
        self._known: dict[tuple[bytes, bytes], S | Refused] = {}

    def apply(self, state: S, command: bytes) -> S:
        """The state after a command, if it is the same each time and the state before was left alone."""
        before, copied = self.root(state), copy(state) if isinstance(state, _COPIED) else state
        key = (before, command)
        outcome = attempt(self._machine, state, command)
        if self.root(state) != before:
            where = _where(copied, state, "")
            raise NotDeterministic(f"{shown(command)} changed the state it was given{where}: states are replaced")
        if key not in self._known:
            again = attempt(self._machine, state, command)
            self._remember(key, again)
        self._compare(command, outcome, self._known[key])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def _remember(self, key: tuple[bytes, bytes], outcome: S | Refused) -> None:
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[key] = outcome

    def _compare(self, command: bytes, one: S | Refused, other: S | Refused) -> None:
        if isinstance(one, Refused) or isinstance(other, Refused):
            if not (isinstance(one, Refused) and isinstance(other, Refused)):
                no = one if isinstance(one, Refused) else other
                raise NotDeterministic(f"{shown(command)}, twice on one state, was refused once: {no}")
        elif self.root(one) != self.root(other):
            where = _where(one, other, ": in nothing but its root, which root() computes anew each time")
            raise NotDeterministic(f"{shown(command)}, twice on one state, gave two{where}")


def attempt(machine: StateMachine[T], state: T, command: bytes) -> T | Refused:
    """The state after a command, or why it has no effect."""
    try:
        return machine.apply(state, command)
    except Refused as refused:
        return refused


def flat(state: object) -> Iterator[tuple[Path, str]]:
    """
    Every leaf of a state with the way to it, in an order that depends on nothing but the state.

    Mappings, attrs values, tuples, lists and sets are walked into; anything else is a leaf, shown by its ``repr``.
    """
    yield from _flat(state, (), DEPTH_MAX)


def first_difference(one: Mapping[Path, str], other: Mapping[Path, str]) -> tuple[Path, str, str] | None:
    """The first way at which two flat states differ, with what stands there in each; None when they are equal."""
    for path in sorted(one.keys() | other.keys()):
        left, right = one.get(path, "nothing"), other.get(path, "nothing")
        if left != right:
            return path, left, right
    return None


def told(path: Path, left: str, right: str) -> str:
    """Where two states differ, in words."""
    return f" at {' -> '.join(path) or 'its value'}: {_cut(left)} and {_cut(right)}"


def shown(command: bytes) -> str:
    """A command as a reader may know it."""
    text = command.decode("utf-8", "replace")
    is_readable = text.isprintable() and "\ufffd" not in text
    return f"command {text if is_readable else command.hex()}"[:SHOWN_CHARS]


def _where(one: object, other: object, otherwise: str) -> str:
    found = first_difference(dict(flat(one)), dict(flat(other)))
    return told(*found) if found else otherwise


def _flat(value: object, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    children = _children(value) if depth else None
    if children is None:
        yield path, repr(value)
        return
    if path or not children:
        yield path, f"{type(value).__name__} of {len(children)}"
    for name, child in children:
        yield from _flat(child, (*path, name), depth - 1)


def _children(value: object) -> list[tuple[str, object]] | None:
    if isinstance(value, Mapping):
        return [(repr(key), child) for key, child in value.items()]
    kind: Any = type(value)
    if attrs.has(kind):
        return [(at.name, getattr(value, at.name)) for at in attrs.fields(kind)]
    if isinstance(value, AbstractSet):
        return [(f"holds {name}", True) for name in sorted(map(repr, value))]
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        names: Any = getattr(value, "_fields", None) or map(str, range(len(value)))
        return list(zip(names, value, strict=True))
    return None


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
