"""
All headers before a block under one hash: a Merkle mountain range (``architecture.md`` 3).

Appending costs one hash on average and keeps only the peaks; the root binds the count. Any header of
the range is shown under the root by the hashes beside its way up its mountain and the other peaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from attrs import frozen

from guts_core.codec import HASH_BYTES, Tag, decode, digest, encode
from guts_core.errors import Corrupt, Malformed
from guts_core.names import BlockHash


@frozen
class History:
    """The hashes of headers 0..count-1; genesis stands at 0 with the chain id."""

    count: int
    peaks: tuple[bytes, ...]  # largest mountain first

    def append(self, header_hash: BlockHash) -> History:
        """The history with one more header at its end."""
        peaks, tail, carry = list(self.peaks), bytes(header_hash), self.count
        while carry & 1:
            tail = above(peaks.pop(), tail)
            carry >>= 1
        return History(self.count + 1, (*peaks, tail))

    @property
    def root(self) -> bytes:
        """What the next header says of all before it."""
        # 8 + 32k bytes where a mountain's node hashes 64: a root is never a node.
        return digest(Tag.HISTORY, self.count.to_bytes(8, "big"), *self.peaks)

    def nodes(self) -> dict[tuple[int, int], bytes]:
        """Its peaks as nodes, by level and index: what is under them need not be known to go on."""
        mountains = _mountains(self.count)
        return {(level, first >> level): peak for (level, first), peak in zip(mountains, self.peaks, strict=True)}

    def to_bytes(self) -> bytes:
        """As a commit stores it."""
        return encode((self.count, self.peaks))

    @classmethod
    def from_bytes(cls, data: bytes) -> History:
        """As a commit stored it; raises Corrupt for anything else."""
        try:
            value = decode(data)
        except Malformed as error:
            raise Corrupt(f"the stored history cannot be read: {error}") from error
        match value:
            case (int(count), tuple(peaks)) if len(peaks) == count.bit_count():
                kept = tuple(peak for peak in peaks if isinstance(peak, bytes) and len(peak) == HASH_BYTES)
                if len(kept) == len(peaks):
                    return cls(count, kept)
        raise Corrupt("the stored history is no mountain range")


EMPTY = History(0, ())
# (level, index) -> the hash over headers index * 2**level .. (index + 1) * 2**level - 1.
Node: TypeAlias = Callable[[int, int], bytes]


def history_of(header_hashes: Iterable[BlockHash]) -> History:
    """The history of these headers, genesis first."""
    history = EMPTY
    for header_hash in header_hashes:
        history = history.append(header_hash)
    return history


def above(left: bytes, right: bytes) -> bytes:
    """The node over two neighbouring nodes of one level."""
    return digest(Tag.HISTORY, left, right)


def path(node: Node, count: int, index: int) -> tuple[bytes, ...]:
    """The hashes beside the way from a header up to its peak, lowest first, then the other peaks, largest first."""
    assert 0 <= index < count
    mine = _mountain(count, index)
    beside = tuple(node(level, (index >> level) ^ 1) for level in range(mine))
    return beside + tuple(node(level, first >> level) for level, first in _mountains(count) if level != mine)


def verify(expected_root: bytes, count: int, index: int, header_hash: BlockHash, hashes: Sequence[bytes]) -> bool:
    """Whether the header stands at this index of a history of this length with this root."""
    if not 0 <= index < count:
        return False
    mine, mountains = _mountain(count, index), _mountains(count)
    if len(hashes) != mine + len(mountains) - 1:
        return False
    peak = bytes(header_hash)
    for level in range(mine):
        other = hashes[level]
        peak = above(other, peak) if index >> level & 1 else above(peak, other)
    others = iter(hashes[mine:])
    return (
        History(count, tuple(peak if level == mine else next(others) for level, _ in mountains)).root == expected_root
    )


def _mountains(count: int) -> list[tuple[int, int]]:
    """Level and first header of every mountain, largest first: one for each bit of the count."""
    found, first = [], 0
    for level in reversed(range(count.bit_length())):
        if count >> level & 1:
            found.append((level, first))
            first += 1 << level
    return found


def _mountain(count: int, index: int) -> int:
    """The level of the mountain that a header stands on."""
    return next(level for level, first in _mountains(count) if index < first + (1 << level))
