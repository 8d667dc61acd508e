"""What clients of a simulated state machine want ordered: numbered words without end, or commands of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol

from guts_core.codec import decode, encode

from .machine import S, StateMachine


class Workload(Protocol):
    """The next wish of some client. No two wishes are the same bytes: each is ordered once."""

    def early(self) -> bytes | None:
        """Before the network heals, when a crash may forget it."""

    def due(self, is_final: Callable[[bytes], bool]) -> bytes | None:
        """After the heal: it must be final at the end."""


class Words:
    """A new word each time."""

    def __init__(self) -> None:
        self._early = self._due = 0

    def early(self) -> bytes | None:
        """A word that may be forgotten."""
        self._early += 1
        return b"early %d" % self._early

    def due(self, _is_final: Callable[[bytes], bool]) -> bytes | None:
        """A word that may not."""
        self._due += 1
        return b"word %d" % (self._due - 1)


class Commands:
    """These commands, in about this order: each is offered early, and after the heal until it is ordered."""

    def __init__(self, commands: Sequence[bytes]) -> None:
        self.wishes = [encode((number, command)) for number, command in enumerate(commands)]
        self._early, self._due = iter(self.wishes), list(reversed(self.wishes))

    def early(self) -> bytes | None:
        """The next one, once."""
        return next(self._early, None)

    def due(self, is_final: Callable[[bytes], bool]) -> bytes | None:
        """The next one that was forgotten or never offered."""
        while self._due:
            wish = self._due.pop()
            if not is_final(wish):
                return wish
        return None


class Numbered(Generic[S]):
    """A machine that is given the commands of ``Commands``: two equal ones are two."""

    def __init__(self, machine: StateMachine[S]) -> None:
        self._machine = machine
        self.initial, self.root = machine.initial, machine.root

    def apply(self, state: S, wish: bytes) -> S:
        """The command without its number."""
        return self._machine.apply(state, numbered(wish)[1])


def numbered(wish: bytes) -> tuple[int, bytes]:
    """The command that a client of ``Commands`` wished for, and its place among them."""
    match decode(wish):
        case (int(number), bytes(command)):
            return number, command
    raise AssertionError("a wish is a number and a command")
