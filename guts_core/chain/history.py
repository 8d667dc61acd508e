"""
All headers before a block under one hash: a Merkle mountain range (``architecture.md`` 3).

Appending costs one hash on average and keeps only the peaks; the root binds the count.
"""

from __future__ import annotations

from collections.abc import Iterable

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
            tail = digest(Tag.HISTORY, peaks.pop(), tail)
            carry >>= 1
        return History(self.count + 1, (*peaks, tail))

    @property
    def root(self) -> bytes:
        """What the next header says of all before it."""
        # 8 + 32k bytes where a mountain's node hashes 64: a root is never a node.
        return digest(Tag.HISTORY, self.count.to_bytes(8, "big"), *self.peaks)

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


def history_of(header_hashes: Iterable[BlockHash]) -> History:
    """The history of these headers, genesis first."""
    history = EMPTY
    for header_hash in header_hashes:
        history = history.append(header_hash)
    return history
