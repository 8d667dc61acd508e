"""
Whose transaction is next: deficit round robin over accounts (``consensus.md`` 4), so that floods delay nobody for long.

In round r an account may have been given r quanta of bytes; it is given them one after another, in the order in
which it sent them. What it was given is counted by final blocks, whoever led them, and by those that a leader
builds on. So accounts that always have something waiting differ by a quantum and two transactions at most, over
any number of blocks (the second where what is next does not fit into the rest of a block, and others fill it). One
that comes new begins with the round under way: its first transaction waits for no more than that of each other one.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from typing import TypeAlias

from attrs import define, field

from guts_core.names import AccountId, TxId

from .admission import Candidate

# Sixteen small transactions: 64 accounts have their turn in a full block, and what one sent together stays together.
QUANTUM_BYTES = 16 * 1024
# A block is full with 1,000 transactions or 1 MiB (``judge``), so a small one takes as much of it as this.
ITEM_BYTES_LEAST = 1024
# Evidence and governance come first, in so much of a block: operators that flood do not stop the others.
URGENT_SHARE = 4

Given: TypeAlias = Mapping[AccountId, int]


def cost_of(candidate: Candidate) -> int:
    """What of a block a transaction takes, in bytes."""
    return max(candidate.size, ITEM_BYTES_LEAST)


@define
class _Queue:
    """What one account wants proposed, in order, and what it was given since it began to wait."""

    given: int
    waiting: dict[TxId, Candidate] = field(factory=dict)


class Lane:
    """Transactions that could be proposed, by the accounts that pay for them."""

    def __init__(self) -> None:
        self._queues: dict[AccountId, _Queue] = {}
        self._begun = 0  # with so much behind it an account that comes new is in the round under way

    def put(self, account: AccountId, candidate: Candidate) -> None:
        """A transaction may be proposed, after the account's others; one that is here already keeps its place."""
        queue = self._queues.get(account)
        if queue is None:
            queue = self._queues[account] = _Queue(self._begun)
        queue.waiting[candidate.tx_id] = candidate

    def take(self, account: AccountId, tx_id: TxId) -> None:
        """A transaction may not be proposed any more; with its last one what the account was given is forgotten."""
        queue = self._queues.get(account)
        if queue is not None:
            queue.waiting.pop(tx_id, None)
            if not queue.waiting:
                del self._queues[account]

    def first(self, account: AccountId) -> TxId | None:
        """What has waited longest of an account's."""
        queue = self._queues.get(account)
        return None if queue is None else next(iter(queue.waiting))

    def charge(self, account: AccountId, cost: int) -> None:
        """A final block gave the account so much."""
        queue = self._queues.get(account)
        if queue is not None:
            queue.given += cost

    def settle(self) -> None:
        """A block is final: the round under way is that of whoever was given least."""
        least = min((queue.given for queue in self._queues.values()), default=0)
        self._begun = max(self._begun, least - least % QUANTUM_BYTES)

    def walk(self, turns: Turns, given: Given) -> Iterator[Candidate]:
        """In order, but for what ``turns`` passes over; ``given``: by blocks that are not final yet."""
        heap = []
        for place, (account, queue) in enumerate(self._queues.items()):
            waiting = iter(queue.waiting.values())
            head = turns.next_of(waiting)
            if head is not None:
                before = queue.given + given.get(account, 0)
                heap.append((_round(before, head), place, before, head, waiting))
        heapify(heap)
        while heap:
            _, place, before, candidate, waiting = heap[0]
            turns.is_closed = False
            yield candidate
            head = None if turns.is_closed else turns.next_of(waiting)
            if head is None:
                heappop(heap)
                continue
            before += cost_of(candidate)
            heapreplace(heap, (_round(before, head), place, before, head, waiting))


def _round(before: int, head: Candidate) -> int:
    """The first in which an account that was given so much may have this one too."""
    return -(-(before + cost_of(head)) // QUANTUM_BYTES)


class Turns:
    """What waits, in the order in which a leader that builds on these blocks proposes it; iterate once."""

    def __init__(self, urgent: Lane, ordinary: Lane, given: Given, held: Container[TxId], urgent_most: int) -> None:
        self._urgent, self._ordinary = urgent, ordinary
        self._given, self._held, self._urgent_most = given, held, urgent_most
        self.is_closed = False

    def __iter__(self) -> Iterator[Candidate]:
        spent = 0
        for candidate in self._urgent.walk(self, {}):
            if spent and spent + cost_of(candidate) > self._urgent_most:
                break
            spent += cost_of(candidate)
            yield candidate
        yield from self._ordinary.walk(self, self._given)

    def pass_over(self) -> None:
        """What came last does not fit: nothing of its account follows, for that would change the account's order."""
        self.is_closed = True

    def next_of(self, waiting: Iterator[Candidate]) -> Candidate | None:
        """The next that the blocks below do not hold."""
        for candidate in waiting:
            if candidate.tx_id not in self._held:
                return candidate
        return None
