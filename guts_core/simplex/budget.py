"""
How much of each sort one peer is heard, a second: every message costs this node more than it costs whoever says it.

What is above is dropped and counted, and is no fault: a peer that was held up says much at once. Nothing depends on one
message: what was dropped is said again (rule 8), helped with (rule 9) or asked for. Votes need no budget: one of a
signer, kind and view is kept, and it is not verified before something follows from it.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

from attrs import frozen


class Sort(Enum):
    """What is counted by itself."""

    __hash__ = object.__hash__  # a member is one object; by name, as enums do it, takes a call for each look-up

    QUESTION = "questions"
    CERTIFICATE = "certificates"
    PROPOSAL = "proposals"
    ANSWER = "answers"  # only those that were asked for are heard, so the questions are their budget


@frozen
class Rate:
    """So much a second, and so much at once."""

    messages: int
    size: int  # bytes


_MIB = 1 << 20
# 2.5 ms each: faster than any disk syncs the votes of a view.
_VIEWS_A_SECOND = 400
RATES = {
    # An answer is at most 64 blocks or 1 MiB: a laggard gets some 64 MiB a second of one peer, which is more than it
    # executes, and a peer that asks without end takes no more of the processor than that. Questions are small.
    Sort.QUESTION: Rate(64, _MIB),
    # Three kinds a view, twice: once passed on, and once to help. Of 256 validators one has 11 KiB.
    Sort.CERTIFICATE: Rate(3 * 2 * _VIEWS_A_SECOND, 32 * _MIB),
    # Nobody leads more than every other view, each offered twice more at most after restarts. 64 blocks of the largest
    # size are more than a link of half a gigabit carries, and as many as the window of future views takes four times.
    Sort.PROPOSAL: Rate(2 * _VIEWS_A_SECOND, 64 * _MIB),
}
_US = 1_000_000


class Budget:
    """A bucket for each peer and sort, filled by time."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, Sort], tuple[int, int, int]] = {}  # millionths of messages and bytes, and when
        self.dropped: Counter[Sort] = Counter()

    def take(self, peer: int, sort: Sort, now: int, size: int = 0) -> bool:
        """Whether one more of this sort is heard of this peer now (monotonic microseconds)."""
        rate, key = RATES[sort], (peer, sort)
        messages, octets, at = self._spent.get(key) or (0, 0, now)
        passed = now - at
        messages = max(0, messages - passed * rate.messages) + _US
        octets = max(0, octets - passed * rate.size) + size * _US
        if messages > rate.messages * _US or octets > rate.size * _US:
            return self.drop(sort)
        self._spent[key] = messages, octets, now
        return True

    def drop(self, sort: Sort) -> bool:
        """Count one that is not heard; False."""
        self.dropped[sort] += 1
        return False

    def forget(self, peer: int) -> None:
        """The peer is gone."""
        for sort in RATES:
            self._spent.pop((peer, sort), None)
