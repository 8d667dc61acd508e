"""
What a network agrees on: commands in one order, applied to a state (``consensus.md`` 3, state machine replication).

Agreement, the log and the network know nothing of it. A machine of your own runs under them in
simulation by ``guts_core.simulate``.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from guts_core.codec import Tag, digest

S = TypeVar("S")


class StateMachine(Protocol[S]):
    """
    A deterministic state machine over immutable states.

    Every node computes every state for itself, again after each restart: nothing may come in but the
    arguments (no clock, no dice, no order of a set), and a state that was returned may never change.
    """

    def initial(self) -> S:
        """The state before the first command."""

    def apply(self, state: S, command: bytes) -> S:
        """The state after a command; raises ``guts_core.Refused`` where it has no effect."""

    def root(self, state: S) -> bytes:
        """32 bytes that two states share only if they are equal: each block says it, each node checks it."""


class WordList:
    """The smallest machine worth agreeing on: a running hash over the words in their order."""

    def initial(self) -> bytes:
        """No words."""
        return bytes(32)

    def apply(self, state: bytes, command: bytes) -> bytes:
        """One word more."""
        return digest(Tag.STATE_NODE, state, command)

    def root(self, state: bytes) -> bytes:
        """The hash itself."""
        return state
