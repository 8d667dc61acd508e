"""The packs on one node's disk: durable after their sync, gone in a crash before it."""

from __future__ import annotations

from collections.abc import Collection

from guts_core.names import RepoId


class Depot:
    """Packs by digest, and the rows of what state lists and this disk lacks."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}
        self._unsynced: dict[bytes, bytes] = {}
        self.missing: dict[tuple[RepoId, bytes], None] = {}
        self.lost = 0  # packs that crashes took

    def holds(self, digest: bytes) -> bool:
        """Whether a crash now would leave this pack."""
        return digest in self._kept

    def read(self, digest: bytes) -> bytes | None:
        """A durable pack's bytes: only what was synced and renamed has its name."""
        return self._kept.get(digest)

    def write(self, digest: bytes, data: bytes) -> None:
        """Write a pack; durable only after ``sync``."""
        self._unsynced[digest] = data

    def sync(self, digest: bytes) -> None:
        """This pack survives from now on."""
        data = self._unsynced.pop(digest, None)
        if data is not None:
            self._kept[digest] = data

    def crash(self) -> None:
        """Lose what was not synced."""
        self.lost += len(self._unsynced)
        self._unsynced = {}

    def sweep(self, needed: Collection[bytes]) -> int:
        """Remove what neither state nor a promise needs, as a node does when it starts; how many."""
        garbage = [digest for digest in self._kept if digest not in needed]
        for digest in garbage:
            del self._kept[digest]
        return len(garbage)
