"""
Which transactions stand in no block of the last hour, for certain and without asking the table.

Every transaction is asked after three times on every node, and nearly none was seen before. A few bits of each that
was are kept here (a Bloom filter): where one of its bits is missing, it is new; otherwise the table decides.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from guts_core.chain import schema
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_core.names import TxId

# 2 MiB each: at 1,500 transactions a second for an hour one in five asks in vain, at a tenth of that hardly any.
BITS = 1 << 24
# Ids that are read at start, a second's work at most; where more stand there, the table is asked for a while.
READ_AT_START_MAX = 1_000_000


class SeenFilter:
    """What was seen within the longest life of a transaction, or twice that, and by mistake a little more."""

    def __init__(self) -> None:
        self._since: int | None = None  # block time at which the younger half began
        # Replaced as one, so that who asks on another thread sees both halves of one moment.
        self._halves = (bytearray(BITS >> 3), bytearray())

    def add(self, ids: Iterable[TxId]) -> None:
        """These are in the table, or are about to be."""
        young = self._halves[0]
        for tx_id in ids:
            for place in _places(tx_id):
                young[place >> 3] |= 1 << (place & 7)

    def advance(self, time: int) -> None:
        """A block of this time follows: what no block after it may repeat is forgotten, in its time."""
        if self._since is None:
            self._since = time
        elif time - self._since > EXPIRY_MS_MAX:
            self._since, self._halves = time, (bytearray(BITS >> 3), self._halves[0])

    def doubt_everything(self) -> None:
        """There is too much to take in: whatever was not seen is as if it had been, for an hour or two."""
        self._halves = (bytearray(b"\xff") * (BITS >> 3), self._halves[1])

    def may_hold(self, tx_id: TxId) -> bool:
        """Whether it was seen, or looks as if it had been."""
        first, second = _places(tx_id)
        for half in self._halves:
            if half and half[first >> 3] >> (first & 7) & 1 and half[second >> 3] >> (second & 7) & 1:
                return True
        return False


def seen_in(reader: sqlite3.Connection, most: int = READ_AT_START_MAX) -> SeenFilter:
    """What the table of a database holds as it is opened."""
    seen, rows = SeenFilter(), reader.execute(schema.LIST_REPLAYS, (most + 1,)).fetchall()
    if len(rows) > most:
        seen.doubt_everything()
    else:
        seen.add(TxId(tx_id) for (tx_id,) in rows)
    return seen


def _places(tx_id: TxId) -> tuple[int, int]:
    """An id is a hash: any part of it is as good as another hash of it."""
    both = int.from_bytes(tx_id[:8], "big")
    return both % BITS, (both >> 32) % BITS
