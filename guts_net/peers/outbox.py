"""
What waits to be written to one peer, most urgent first (``consensus.md`` 6, Head-of-line blocking).

Putting never blocks. Each urgency has its own bound, so a flood of transactions cannot push out a
vote: transactions, catch-up and proposals lose their oldest (someone asks again), votes are never
dropped silently. A peer that does not take its votes is reset, and the retry rules start over.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

import trio
from attrs import frozen

from guts_core.errors import LimitExceeded
from guts_core.link.frames import PIECE_HEAD_BYTES, Lane, Piece, join_pieces

# One write: enough to make the cost of a system call and a frame small, little enough that a vote
# put while it is under way waits for a few milliseconds at 100 Mb/s only.
WRITE_BYTES = 256 * 1024


class Urgency(IntEnum):
    """Votes and certificates before proposals before catch-up before transactions."""

    VOTE = 0
    PROPOSAL = 1
    CATCH_UP = 2
    TRANSACTION = 3


class OutboxFull(LimitExceeded):
    """A peer does not take its votes."""

    code = "outbox-full"


@frozen
class Bound:
    """How much of one urgency may wait for one peer."""

    messages: int
    bytes: int


# 3 kinds of votes for a thousand views; two proposals of the largest size and a crowd of small
# ones; a few answers of catch-up; what a full mempool of small transactions makes in seconds.
TRANSACTION_BYTES = 8 << 20
BOUNDS = {
    Urgency.VOTE: Bound(4096, 8 << 20),
    Urgency.PROPOSAL: Bound(256, 8 << 20),
    Urgency.CATCH_UP: Bound(256, 16 << 20),
    Urgency.TRANSACTION: Bound(4096, TRANSACTION_BYTES),
}


class Outbox:
    """Bounded queues for one connection; one task takes from them."""

    def __init__(self, transaction_bytes: int = TRANSACTION_BYTES) -> None:
        self._bounds = {**BOUNDS, Urgency.TRANSACTION: Bound(BOUNDS[Urgency.TRANSACTION].messages, transaction_bytes)}
        self._queues: dict[Urgency, deque[bytes]] = {urgency: deque() for urgency in Urgency}
        self._bytes = dict.fromkeys(Urgency, 0)
        self._pieces: dict[Lane, bytes] = {}
        self._filled = trio.Event()
        self._emptied = trio.Event()
        self._emptied.set()

    def put(self, data: bytes, urgency: Urgency, *, wake: bool = True) -> int:
        """Queue a message; how many older ones had to go. Raises OutboxFull for votes."""
        queue, bound = self._queues[urgency], self._bounds[urgency]
        dropped = 0
        while len(queue) >= bound.messages or (queue and self._bytes[urgency] + len(data) > bound.bytes):
            if urgency is Urgency.VOTE:
                raise OutboxFull(f"{len(queue)} votes of {self._bytes[urgency]} bytes wait for it")
            self._bytes[urgency] -= len(queue.popleft())
            dropped += 1
        queue.append(data)
        self._bytes[urgency] += len(data)
        if wake:
            self.wake()
        return dropped

    def put_piece(self, lane: Lane, data: bytes) -> None:
        """Queue a ping or pong before everything else; only the newest of each is kept."""
        self._pieces[lane] = data
        self.wake()

    def take(self) -> bytes:
        """The plain bytes of the next frame: the most urgent messages, at least one if any waits."""
        pieces = [Piece(lane, data) for lane, data in self._pieces.items()]
        self._pieces.clear()
        room = WRITE_BYTES
        for urgency, queue in self._queues.items():
            while queue and (not pieces or len(queue[0]) + PIECE_HEAD_BYTES <= room):
                data = queue.popleft()
                self._bytes[urgency] -= len(data)
                room -= len(data) + PIECE_HEAD_BYTES
                pieces.append(Piece(Lane.SAID, data))
        if not any(self._queues.values()):
            self._emptied.set()
            if self._filled.is_set():
                self._filled = trio.Event()
        return join_pieces(pieces)

    @property
    def waits(self) -> bool:
        """Whether there is something to take."""
        return bool(self._pieces) or any(self._queues.values())

    async def wait_filled(self) -> None:
        """Until there is something to take."""
        await self._filled.wait()

    async def wait_emptied(self) -> None:
        """Until everything put so far was taken."""
        await self._emptied.wait()

    def wake(self) -> None:
        """Something waits to be taken."""
        self._filled.set()
        if self._emptied.is_set():
            self._emptied = trio.Event()
