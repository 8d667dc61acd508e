"""A disk that keeps what was synced, and after a crash an unlucky part of the rest."""

from __future__ import annotations

from hashlib import blake2b

from guts_core.errors import Corrupt

from .fates import Fates
from .ports import Store


class SimDisk:
    """
    The log and the database of one node.

    Like the log of a real node it knows a record that it wrote by a check: the torn end of what was not synced is
    cut off, and damage before it is refused. Checks are made when a record is damaged, as if they stood beside all.
    """

    def __init__(self) -> None:
        self._durable: list[bytes] = []
        self._pending: list[bytes] = []
        self._checks: dict[int, bytes] = {}  # of records that are not what was written
        self.stored: list[Store] = []
        self.lost = 0  # records that crashes took
        self.torn = 0  # of those, how many left some of their bytes

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
        self._durable += self._pending[:kept]
        if piece:
            self.torn += 1
            torn = self._pending[kept]
            self._checks[len(self._durable)] = _check(torn)
            self._durable.append(torn[:piece])
        self._pending = []

    def rot(self, bit: int) -> bool:
        """Turn a bit of what was closed long ago, so not of the last record; False: there is nothing that could rot."""
        whole = [at for at, record in enumerate(self._durable[:-1]) if record and at not in self._checks]
        if not whole:
            return False
        at = whole[bit % len(whole)]
        record = bytearray(self._durable[at])
        self._checks[at] = _check(self._durable[at])
        record[bit // 8 % len(record)] ^= 1 << bit % 8
        self._durable[at] = bytes(record)
        return True

    def records(self) -> list[bytes]:
        """The log as a new process reads it; raises Corrupt where something other than its end is damaged."""
        end = len(self._durable) - 1
        for at, check in list(self._checks.items()):
            if _check(self._durable[at]) == check:
                continue
            if at != end:
                raise Corrupt(f"record {at} of the log is damaged, and good ones follow it: this key must not vote")
            del self._checks[at]
            self._durable.pop()
        return self._durable + self._pending

    def replace(self, records: list[bytes]) -> None:
        """Compact: the whole log becomes these records, durably."""
        self._durable, self._pending, self._checks = records, [], {}

    def copy(self) -> tuple[list[bytes], list[Store]]:
        """What a backup takes: what is durable, without a torn end, which the next start cuts off."""
        end = len(self._durable) - 1
        whole = [record for at, record in enumerate(self._durable) if at != end or at not in self._checks]
        return whole, list(self.stored)

    def put_back(self, log: list[bytes] | None, stored: list[Store] | None) -> None:
        """Replace the log, the database or both by what they once were."""
        if log is not None:
            self._durable, self._pending, self._checks = list(log), [], {}
        if stored is not None:
            self.stored = list(stored)


def _check(record: bytes) -> bytes:
    return blake2b(record, digest_size=8).digest()
