"""Serving chunks of held packs: bytes from the disk, Merkle paths from leaves that are hashed once."""

from __future__ import annotations

from collections import OrderedDict

import trio

from guts_core.git.chunks import chunk_path

from .packs import PackStore

# 32 bytes a MiB: leaves of a thousand packs of 100 MB are 3 MB.
LEAVES_CACHED_MAX = 1_000


class ChunkServer:
    """Answers peers that ask for chunks by blob digest."""

    def __init__(self, packs: PackStore) -> None:
        self._packs = packs
        self._leaves: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._hashing = trio.Lock()

    async def serve(self, digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        """A chunk and its path; None when the blob is not held or has no such chunk."""
        leaves = await self._leaves_of(digest)
        data = await self._packs.read_chunk(digest, index)
        if leaves is None or data is None:
            return None
        return data, chunk_path(leaves, index)

    async def _leaves_of(self, digest: bytes) -> tuple[bytes, ...] | None:
        async with self._hashing:  # one reading of a large pack serves all who ask for it at once
            if digest not in self._leaves:
                digested = await self._packs.digested(digest)
                if digested is None:
                    return None
                self._leaves[digest] = digested.leaves
                if len(self._leaves) > LEAVES_CACHED_MAX:
                    self._leaves.popitem(last=False)
            self._leaves.move_to_end(digest)
            return self._leaves[digest]
