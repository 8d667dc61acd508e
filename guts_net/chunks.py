"""Serving chunks of held packs: bytes from the disk, Merkle paths from leaves that are hashed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import trio

from guts_core.codec import Tag
from guts_core.codec import digest as hash_of
from guts_core.errors import Corrupt
from guts_core.git.chunks import chunk_path

from .logs import Log
from .packs import PackStore

# 32 bytes a MiB: leaves of a thousand packs of 100 MB are 3 MB.
LEAVES_CACHED_MAX = 1_000


class ChunkServer:
    """Answers peers that ask for chunks by blob digest."""

    def __init__(self, packs: PackStore, suspect: Callable[[bytes], None]) -> None:
        """``suspect`` hears the digest of a pack that this disk does not give back."""
        self._packs, self._suspect, self._log = packs, suspect, Log("chunks")
        self._leaves: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._hashing = trio.Lock()

    async def serve(self, digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        """A chunk and its path; None when the blob is not held, is damaged, or has no such chunk (F09)."""
        try:
            return await self._look_up(digest, index)
        except (Corrupt, OSError) as error:
            # A disk that lost a pack may still vote, and others hold the pack.
            self._log.error("pack_damaged", digest=digest.hex(), reason=str(error))
            self._suspect(digest)
            return None

    async def _look_up(self, digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        leaves = await self._leaves_of(digest)
        data = await self._packs.read_chunk(digest, index)
        if leaves is None or data is None:
            return None
        found = await trio.to_thread.run_sync(hash_of, Tag.CHUNK, b"\x00", data)
        if index >= len(leaves) or found != leaves[index]:
            self._leaves.pop(digest, None)
            raise Corrupt(f"chunk {index} of pack {digest.hex()} is damaged on this disk")
        return data, chunk_path(leaves, index)

    async def _leaves_of(self, digest: bytes) -> tuple[bytes, ...] | None:
        if digest not in self._leaves:
            async with self._hashing:  # one reading of a large pack serves all who ask for it at once
                if digest not in self._leaves:
                    digested = await self._packs.digested(digest)
                    if digested is None:
                        return None
                    self._learn(digest, digested.leaves)
        leaves = self._leaves[digest]
        self._leaves.move_to_end(digest)
        return leaves

    def _learn(self, digest: bytes, leaves: tuple[bytes, ...]) -> None:
        self._leaves[digest] = leaves
        if len(self._leaves) > LEAVES_CACHED_MAX:
            self._leaves.popitem(last=False)
