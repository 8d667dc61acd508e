"""
The tree under ``tx_root`` and ``receipts_root``: RFC 6962's shape, with the leaf count in the root.

An odd node moves up as it is, so no list has the root of another by repeating its last leaf
(CVE-2012-2459); leaves, nodes and roots are hashed under different tags or lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.codec import HASH_BYTES, Tag, digest

_NOTHING = bytes(HASH_BYTES)


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes of 32 bytes each."""
    return _bound(len(leaves), _top(leaves))


def path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The hashes beside the way from one leaf up to the root, lowest first."""
    assert 0 <= index < len(leaves)
    beside: list[bytes] = []
    level = list(leaves)
    while len(level) > 1:
        if index ^ 1 < len(level):
            beside.append(level[index ^ 1])
        level = _above(level)
        index //= 2
    return tuple(beside)


def verify(expected_root: bytes, count: int, index: int, leaf: bytes, beside: Sequence[bytes]) -> bool:
    """Whether the leaf stands at this index of a list of this length under this root."""
    if not 0 <= index < count:
        return False
    waiting, node, width = list(beside), leaf, count
    while width > 1:
        if index ^ 1 < width:
            if not waiting:
                return False
            other = waiting.pop(0)
            node = _inner(other, node) if index & 1 else _inner(node, other)
        index, width = index // 2, (width + 1) // 2
    return not waiting and _bound(count, node) == expected_root


def _top(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else _NOTHING


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [_inner(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return pairs + ([level[-1]] if len(level) % 2 else [])


def _inner(left: bytes, right: bytes) -> bytes:
    assert len(left) == len(right) == HASH_BYTES
    return digest(Tag.TX_NODE, left, right)


def _bound(count: int, top: bytes) -> bytes:
    # 40 bytes where a node hashes 64: a root is never a node.
    return digest(Tag.TX_NODE, count.to_bytes(8, "big"), top)
