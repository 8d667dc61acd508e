"""Who waits for which transaction: conversations of the port park here until a commit or a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from guts_core.chain.commit import StoredReceipt
from guts_core.names import TxId

# A node waits for at most this many of its clients' transactions; more are told to come back.
WAITERS_MAX = 4_096


@define(eq=False)
class Waiter:
    """One conversation's wish to hear of one transaction."""

    done: trio.Event = field(factory=trio.Event)
    stored: StoredReceipt | None = None  # when it is committed
    refusal: tuple[str, str] | None = None  # (code, message) when it will never be admitted


class Waiters:
    """Waiters by transaction id."""

    def __init__(self) -> None:
        self._by_id: dict[TxId, list[Waiter]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self._count >= WAITERS_MAX

    @asynccontextmanager
    async def waiting(self, tx_id: TxId) -> AsyncIterator[Waiter]:
        """Register before submitting, so that no answer is missed."""
        waiter = Waiter()
        self._by_id.setdefault(tx_id, []).append(waiter)
        self._count += 1
        try:
            yield waiter
        finally:
            self._count -= 1
            remaining = self._by_id.get(tx_id, [])
            if waiter in remaining:
                remaining.remove(waiter)
            if not remaining:
                self._by_id.pop(tx_id, None)

    def committed(self, tx_id: TxId, stored: StoredReceipt) -> None:
        """The transaction is on disk, and how it ended."""
        for waiter in self._by_id.get(tx_id, ()):
            waiter.stored = stored
            waiter.done.set()

    def refused(self, tx_id: TxId, code: str, message: str) -> None:
        """The transaction will never be admitted."""
        for waiter in self._by_id.get(tx_id, ()):
            waiter.refusal = code, message
            waiter.done.set()
