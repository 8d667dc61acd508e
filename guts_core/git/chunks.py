"""
How a blob (a pack, say) is named and pulled: one digest, and a Merkle root over 1 MiB chunks.

``architecture.md`` 5: the digest names the bytes in state, the chunk root lets a puller check each
chunk on arrival, whoever sent it. An odd node of the tree moves up unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from attrs import frozen

from guts_core.codec import HASH_BYTES, Tag, digest

# A chunk is one frame of the bulk link; a bad peer wastes at most this much of our time.
CHUNK_BYTES = 1 << 20


@frozen
class Digested:
    """What a file's bytes come to."""

    digest: bytes
    size: int
    leaves: tuple[bytes, ...]

    @property
    def chunk_root(self) -> bytes:
        """The root over the chunks."""
        return chunk_root(self.leaves)


class BlobDigest:
    """Digests bytes as they arrive, in pieces of any size."""

    def __init__(self) -> None:
        self.size = 0
        self._whole = blake2b(digest_size=HASH_BYTES, person=Tag.BLOB.value)
        self._leaves: list[bytes] = []
        self._chunk = _leaf_hasher()
        self._in_chunk = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        self._whole.update(view)
        self.size += len(view)
        while view:
            if self._in_chunk == CHUNK_BYTES:
                self._end_chunk()
            piece, view = view[: CHUNK_BYTES - self._in_chunk], view[CHUNK_BYTES - self._in_chunk :]
            self._chunk.update(piece)
            self._in_chunk += len(piece)

    def finish(self) -> Digested:
        """The digest, size and leaves; no update may follow. An empty file is one empty chunk."""
        self._end_chunk()
        return Digested(self._whole.digest(), self.size, tuple(self._leaves))

    def _end_chunk(self) -> None:
        self._leaves.append(self._chunk.digest())
        self._chunk = _leaf_hasher()
        self._in_chunk = 0


def chunk_count(size: int) -> int:
    """How many chunks a blob of this size has; an empty one has one."""
    return max(1, -(-size // CHUNK_BYTES))


def chunk_size(size: int, index: int) -> int:
    """How long chunk ``index`` of a blob of this size is."""
    assert 0 <= index < chunk_count(size)
    return min(CHUNK_BYTES, size - index * CHUNK_BYTES)


def chunk_root(leaves: Sequence[bytes]) -> bytes:
    """The Merkle root over chunk leaves."""
    assert leaves
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def chunk_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """What, with its own bytes, leads from chunk ``index`` to the root: siblings, lowest first."""
    assert 0 <= index < len(leaves)
    level, path = list(leaves), []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _parents(level), index // 2
    return tuple(path)


def verify_chunk(root: bytes, size: int, index: int, chunk: bytes, path: Sequence[bytes]) -> bool:
    """Whether ``chunk`` is chunk ``index`` of the blob with this root and size."""
    width = chunk_count(size)
    if not 0 <= index < width or len(chunk) != chunk_size(size, index):
        return False
    node, steps = digest(Tag.CHUNK, b"\x00", chunk), iter(path)
    while width > 1:
        if index ^ 1 < width:
            sibling = next(steps, b"")
            node = _inner(sibling, node) if index & 1 else _inner(node, sibling)
        width, index = (width + 1) // 2, index // 2
    return node == root and next(steps, None) is None


def _leaf_hasher() -> blake2b:
    return blake2b(b"\x00", digest_size=HASH_BYTES, person=Tag.CHUNK.value)


def _inner(left: bytes, right: bytes) -> bytes:
    return digest(Tag.CHUNK, b"\x01", left, right)


def _parents(level: list[bytes]) -> list[bytes]:
    pairs = [_inner(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return pairs + level[len(level) & ~1 :]
