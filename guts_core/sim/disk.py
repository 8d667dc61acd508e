"""A disk that keeps what was synced, and after a crash an unlucky part of the rest."""

from __future__ import annotations

from .fates import Fates
from .ports import Store


class SimDisk:
    """The log and the database of one node."""

    def __init__(self) -> None:
        self._durable: list[bytes] = []
        self._pending: list[bytes] = []
        self.stored: list[Store] = []
        self.lost = 0  # records that crashes took
        self.torn = 0  # of those, how many left some of their bytes, which the log's reader cuts off

    def write(self, record: bytes) -> None:
        """Append; durable only after ``sync``."""
        self._pending.append(record)

    def sync(self) -> None:
        """Everything written so far survives."""
        self._durable += self._pending
        self._pending = []

    def store(self, store: Store) -> None:
        """Commit a block; one that is there already is no change."""
        if store.height == len(self.stored) + 1:
            self.stored.append(store)

    def crash(self, fates: Fates, node: int) -> None:
        """Lose a suffix of what was not synced."""
        kept, piece = fates.tear(node, tuple(len(record) for record in self._pending))
        self.lost += len(self._pending) - kept
        self.torn += piece > 0
        self._durable += self._pending[:kept]
        self._pending = []

    def records(self) -> list[bytes]:
        """The log as a new process reads it."""
        return self._durable + self._pending

    def replace(self, records: list[bytes]) -> None:
        """Compact: the whole log becomes these records, durably."""
        self._durable, self._pending = records, []
