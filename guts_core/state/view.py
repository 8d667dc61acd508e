"""
What execution and reads see of the state: a small synchronous protocol, and overlays over it.

``Store`` is what survives: a dict in simulations, SQLite in a node. ``Overlay`` is copy-on-write
above a store or another overlay; each unfinalized block executes in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from typing import Protocol

Pair = tuple[bytes, bytes]


class View(Protocol):
    """Read access to records by store key."""

    def get(self, key: bytes) -> bytes | None:
        """The record's canonical bytes, or None."""

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """At most ``limit`` (key, value) pairs under prefix with key > after, in bytewise order."""


class Store(View, Protocol):
    """The durable base under all overlays: records, and the pages of the state tree."""

    def page(self, path: bytes) -> bytes | None:
        """One page of the state tree by its path, or None."""


class Overlay:
    """Writes held above a view that stays untouched; deletions are tombstones (None)."""

    def __init__(self, base: View) -> None:
        self._base = base
        self.writes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The record's canonical bytes as of this overlay, or None."""
        if key in self.writes:
            return self.writes[key]
        return self._base.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write one record."""
        self.writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove one record; absent ones are no error."""
        self.writes[key] = None

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan, with this overlay's writes and tombstones merged over the base."""
        if limit <= 0:
            return []
        ours = sorted(k for k in self.writes if k.startswith(prefix) and k > after)
        hidden = len(ours)
        below = self._base.scan(prefix, after, limit + hidden)
        complete = len(below) < limit + hidden
        last = below[-1][0] if below and not complete else None
        merged = merge(((k, 0) for k in ours), ((k, 1) for k, _ in below))
        values = dict(below)
        return list(self._merged(merged, values, last, limit))

    def _merged(
        self, keys: Iterator[tuple[bytes, int]], values: dict[bytes, bytes], last: bytes | None, limit: int
    ) -> Iterator[Pair]:
        count = 0
        for found, origin in keys:
            if origin == 1 and found in self.writes:
                continue
            if last is not None and found > last:
                return
            value = self.writes[found] if origin == 0 else values[found]
            if value is None:
                continue
            yield found, value
            count += 1
            if count == limit:
                return

    def absorb(self, child: Overlay) -> None:
        """Take over all writes of an overlay made on top of this one."""
        self.writes.update(child.writes)
