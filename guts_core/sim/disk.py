"""A disk that keeps what was synced, and after a crash an unlucky part of the rest."""

from __future__ import annotations

from random import Random

from .ports import Store


class SimDisk:
    """The log and the database of one node."""

    def __init__(self) -> None:
        self._durable: list[bytes] = []
        self._pending: list[bytes] = []
        self.stored: list[Store] = []
        self.lost = 0  # records that crashes took

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

    def crash(self, dice: Random) -> None:
        """Lose a suffix of what was not synced: at least one record, if there is one."""
        kept = dice.randrange(len(self._pending)) if self._pending else 0
        self.lost += len(self._pending) - kept
        self._durable += self._pending[:kept]
        self._pending = []

    def records(self) -> list[bytes]:
        """The log as a new process reads it."""
        return self._durable + self._pending

    def replace(self, records: list[bytes]) -> None:
        """Compact: the whole log becomes these records, durably."""
        self._durable, self._pending = records, []
