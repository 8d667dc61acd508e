"""
What a pack that git has indexed asks of those who will read it: how deep its deltas are, how large its
objects become, which commits are unusual (``reliability.md`` C01-C07).

Read from the heads of the entries, without inflating any object: a few microseconds each, and nothing at
all is looked at that a pack with so few objects cannot have.
"""

from __future__ import annotations

import mmap
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import compress, takewhile
from pathlib import Path

from attrs import define, frozen

from guts_core.errors import Corrupt, LimitExceeded
from guts_core.git.pack_limits import OF_VALIDATORS, PARENTS_MAX, TREE_BYTES_MAX, PackLimits
from guts_core.names import Oid

from .index_file import IndexFile

_COMMIT, _TREE, _BLOB, _TAG, _OFS_DELTA, _REF_DELTA = 1, 2, 3, 4, 6, 7
_OID_BYTES = 20
# A delta starts with two sizes of ten bytes at most.
_DELTA_SIZES_BYTES = 20
# Most heads stand within this; deflate's table of codes alone may take more before the first byte comes.
_PIECE_BYTES = 256
_PARENT_LINE_BYTES = len(b"parent ") + 2 * _OID_BYTES + 1
_NO_BASE = 0xFFFFFFFF
# The mode of a directory, a space, one byte of name, NUL and the id.
_TREE_ENTRY_BYTES_LEAST = len(b"40000") + 1 + 1 + 1 + _OID_BYTES
_IS_COMMIT = bytes(kind == _COMMIT for kind in range(256))


@frozen
class Survey:
    """What has to be looked at more closely, with git."""

    long_commits: tuple[Oid, ...]  # with room for more parents than allowed, and stored as deltas
    commits: tuple[Oid, ...]  # all, when there are trees enough to be too deep
    large_trees: tuple[Oid, ...]  # with room for more entries than allowed


def survey(pack: Path, idx: Path, limits: PackLimits = OF_VALIDATORS) -> Survey:
    """Look over a pack (blocks). Raises LimitExceeded for what its entries say, naming object and limit."""
    with idx.open("rb") as raw_idx, pack.open("rb") as raw_pack:
        index = IndexFile(raw_idx)
        with mmap.mmap(raw_pack.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Entries.read(data, index).judge(data, limits)


@define
class _Entries:
    """The entries in the order of the pack; a base is the rank of another entry."""

    index: IndexFile
    pack_bytes: int
    offsets: array[int]
    kinds: bytearray
    sizes: array[int]
    bases: array[int]
    depths: array[int]

    @classmethod
    def read(cls, data: mmap.mmap, index: IndexFile) -> _Entries:
        offsets = array("Q", sorted(index.offsets()))
        count = len(offsets)
        entries = cls(
            index, len(data), offsets, bytearray(count), array("Q", bytes(8 * count)), _blank(count), _blank(count, 0)
        )
        entries._read_heads(data)
        return entries

    def _read_heads(self, data: mmap.mmap) -> None:
        # Done for every object of every push on every node: heads are read here, without calls.
        kinds, sizes, bases, depths = self.kinds, self.sizes, self.bases, self.depths
        for rank, start in enumerate(self.offsets):
            byte = data[start]
            kind, size, at, shift = byte >> 4 & 7, byte & 15, start + 1, 4
            while byte & 0x80:
                byte = data[at]
                size |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
            if kind < _OFS_DELTA:
                kinds[rank], sizes[rank] = kind, size
                continue
            base, at = self._base(start, kind, data, at)
            bases[rank], sizes[rank] = base, _result_size(data, at)
            # Most bases stand before what is made of them; the others are left to ``_resolve``.
            if kinds[base]:
                kinds[rank], depths[rank] = kinds[base], depths[base] + 1

    def _base(self, start: int, kind: int, data: mmap.mmap, at: int) -> tuple[int, int]:
        """Which entry a delta is made of, and where its deflated bytes start."""
        if kind == _REF_DELTA:
            base = self.index.offset(Oid(data[at : at + _OID_BYTES]))
            return self._rank(-1 if base is None else base), at + _OID_BYTES
        byte = data[at]
        distance = byte & 0x7F
        while byte & 0x80:
            at += 1
            byte = data[at]
            distance = (distance + 1) << 7 | byte & 0x7F
        return self._rank(start - distance), at + 1

    def _rank(self, offset: int) -> int:
        rank = bisect_left(self.offsets, offset)
        if rank == len(self.offsets) or self.offsets[rank] != offset:
            raise Corrupt("git indexed a pack with a delta whose base is not in it")
        return rank

    def judge(self, data: mmap.mmap, limits: PackLimits) -> Survey:
        inflated, most = sum(self.sizes), limits.inflated_bytes_max(self.pack_bytes)
        if inflated > most:
            raise LimitExceeded(f"the objects of the pack come to {inflated} bytes; at most {most} for its size")
        self._resolve(limits.delta_depth)
        self._check_sizes(limits)
        long = [rank for rank in self._commits() if self.sizes[rank] > limits.parents * _PARENT_LINE_BYTES]
        for rank in long:
            if self.bases[rank] == _NO_BASE:
                check_parents(self._names([rank])[0], _start_of(data, self.offsets[rank]), limits.parents)
        is_deep = self.kinds.count(_TREE) > limits.tree_depth
        return Survey(
            self._names(rank for rank in long if self.bases[rank] != _NO_BASE),
            self._names(self._commits()) if is_deep else (),
            self._names(self._larger_than(limits.tree_entries * _TREE_ENTRY_BYTES_LEAST, _TREE)),
        )

    def _check_sizes(self, limits: PackLimits) -> None:
        for kind, what, most in (
            (_COMMIT, "commit", limits.commit_bytes),
            (_TAG, "tag", limits.commit_bytes),
            (_BLOB, "file", limits.blob_bytes),
            (_TREE, "tree", TREE_BYTES_MAX),
        ):
            for rank in self._larger_than(most, kind):
                oid, size = self._names([rank])[0].hex(), self.sizes[rank]
                raise LimitExceeded(f"object {oid}: a {what} of {size} bytes; at most {most} are taken")

    def _larger_than(self, most: int, kind: int) -> list[int]:
        if max(self.sizes, default=0) <= most:
            return []
        return [rank for rank, size in enumerate(self.sizes) if size > most and self.kinds[rank] == kind]

    def _commits(self) -> Iterator[int]:
        return compress(range(len(self.kinds)), self.kinds.translate(_IS_COMMIT))

    def _names(self, ranks: Iterable[int]) -> tuple[Oid, ...]:
        """The ids of entries; the index is gone through once for all of them."""
        wanted = dict.fromkeys(self.offsets[rank] for rank in ranks)
        if not wanted:
            return ()
        names = self.index.names_at(wanted)
        return tuple(names[offset] for offset in wanted)

    def _resolve(self, most: int) -> None:
        """Give each delta the kind of its base; without recursion, since a chain may be as long as the pack."""
        start = 0
        while (start := self.kinds.find(0, start)) >= 0:
            chain, rank = [], start
            while not self.kinds[rank]:
                chain.append(rank)
                rank = self.bases[rank]
                if len(chain) > len(self.offsets):
                    raise Corrupt("git indexed a pack with deltas that are each other's base")
            for above in reversed(chain):
                self.kinds[above] = self.kinds[rank]
                self.depths[above], rank = self.depths[rank] + 1, above
        if max(self.depths, default=0) > most:
            raise LimitExceeded(f"the pack has a chain of more than {most} deltas; repack and push")


_LONG_COMMIT_BYTES = PARENTS_MAX * _PARENT_LINE_BYTES


def check_parents(oid: Oid, commit: bytes, most: int = PARENTS_MAX) -> None:
    """Count the parents as git reads them: the lines right after the tree. The start of the commit will do."""
    lines = takewhile(lambda line: line.startswith(b"parent "), commit.split(b"\n")[1:])
    if sum(1 for _ in lines) > most:
        raise LimitExceeded(f"commit {oid.hex()} has more than {most} parents")


def _start_of(data: mmap.mmap, at: int) -> bytes:
    """The first bytes of an object that is no delta: room for one parent too many."""
    return _inflated(data, _head(data, at)[2], _LONG_COMMIT_BYTES + 128)


def _inflated(data: mmap.mmap, at: int, most: int) -> bytes:
    """The first bytes of what is deflated here, however it is cut into blocks; git has seen that it ends."""
    stream, out = zlib.decompressobj(), b""
    for start in range(at, len(data), _PIECE_BYTES):
        out += stream.decompress(data[start : start + _PIECE_BYTES], most - len(out))
        if stream.eof or len(out) == most:
            break
    return out


def _blank(count: int, byte: int = 0xFF) -> array[int]:
    numbers = array("I", bytes((byte,)) * 4 * count)
    assert numbers.itemsize == 4, sys.platform
    return numbers


def _head(data: mmap.mmap, at: int) -> tuple[int, int, int]:
    """Kind, size and where what follows starts."""
    byte = data[at]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 0x80:
        at += 1
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift += 7
    return kind, size, at + 1


def _result_size(data: mmap.mmap, at: int) -> int:
    """What the delta that is deflated here makes, by its second number; the first is the size of its base."""
    # Nearly always the first bytes tell; the slow way is for what somebody deflated in a way of their own.
    head = zlib.decompressobj().decompress(data[at : at + _PIECE_BYTES], _DELTA_SIZES_BYTES)
    if len(head) < _DELTA_SIZES_BYTES:
        head = _inflated(data, at, _DELTA_SIZES_BYTES)
    at = 0
    while head[at] & 0x80:
        at += 1
    size, shift = 0, 0
    while True:
        at += 1
        byte = head[at]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return size
