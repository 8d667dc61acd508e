"""
Look single objects up in a pack and its index (gitformat-pack, version 2) without reading all of it.

Most pushes are one commit on top of another. What such a push does can be read in the pack itself,
which saves two git children of some 2 ms each at every attester; what cannot, git is asked.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from guts_core.errors import Corrupt
from guts_core.git.pack_limits import DELTA_DEPTH_MAX
from guts_core.names import Oid

_HEAD = b"\xfftOc\x00\x00\x00\x02"
_NAMES_AT = len(_HEAD) + 256 * 4
_OID_BYTES = 20
_CRC_BYTES = 4
_OFFSET_BYTES = 4
_LARGE = 1 << 31
# Type and size, then the base of a delta: never longer than this.
_ENTRY_HEAD_BYTES = 48
_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFS_DELTA, _REF_DELTA = 6, 7
# The tree line and 256 parents; the rest of a commit is not looked at.
_PARENT_LINE_BYTES = len(b"parent ") + 2 * _OID_BYTES
_COMMIT_HEAD_BYTES = 16 * 1024


class IndexFile:
    """An open index. We wrote it ourselves, so what is wrong with it is this disk's fault."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        head = raw.read(_NAMES_AT)
        if len(head) != _NAMES_AT or not head.startswith(_HEAD):
            raise Corrupt(f"the pack index {Path(raw.name).name} is damaged")
        self._fan: tuple[int, ...] = struct.unpack(">256I", head[len(_HEAD) :])

    @property
    def objects(self) -> int:
        """How many objects the pack has."""
        return self._fan[255]

    def has(self, oid: Oid) -> bool:
        """Whether the pack holds this object."""
        return self._position(oid) is not None

    def offset(self, oid: Oid) -> int | None:
        """Where in the pack the object's entry starts; None if it is not there."""
        position = self._position(oid)
        if position is None:
            return None
        offsets_at = _NAMES_AT + self.objects * (_OID_BYTES + _CRC_BYTES)
        offset = int.from_bytes(self._read(offsets_at + position * _OFFSET_BYTES, _OFFSET_BYTES))
        if offset < _LARGE:
            return offset
        large_at = offsets_at + self.objects * _OFFSET_BYTES
        return int.from_bytes(self._read(large_at + (offset - _LARGE) * 8, 8))

    def offsets(self) -> Iterator[int]:
        """Where each entry starts, in the order of names."""
        count = self.objects
        offsets = array("I", self._read(_NAMES_AT + count * (_OID_BYTES + _CRC_BYTES), count * _OFFSET_BYTES))
        if sys.byteorder == "little":
            offsets.byteswap()
        large_at = _NAMES_AT + count * (_OID_BYTES + _CRC_BYTES + _OFFSET_BYTES)
        for offset in offsets:
            yield offset if offset < _LARGE else int.from_bytes(self._read(large_at + (offset - _LARGE) * 8, 8))

    def names_at(self, offsets: Container[int]) -> dict[int, Oid]:
        """The objects whose entries start there, by where."""
        names = self._read(_NAMES_AT, self.objects * _OID_BYTES)
        return {
            offset: Oid(names[position * _OID_BYTES : (position + 1) * _OID_BYTES])
            for position, offset in enumerate(self.offsets())
            if offset in offsets
        }

    def names_of(self, first: int) -> list[Oid]:
        """The names that begin with this byte, in order."""
        low = self._fan[first - 1] if first else 0
        names = self._read(_NAMES_AT + low * _OID_BYTES, (self._fan[first] - low) * _OID_BYTES)
        return [Oid(names[at : at + _OID_BYTES]) for at in range(0, len(names), _OID_BYTES)]

    def _position(self, oid: Oid) -> int | None:
        low = self._fan[oid[0] - 1] if oid[0] else 0
        high = self._fan[oid[0]]
        while low < high:
            middle = (low + high) // 2
            found = self._read(_NAMES_AT + middle * _OID_BYTES, _OID_BYTES)
            if found == oid:
                return middle
            low, high = (middle + 1, high) if found < oid else (low, middle)
        return None

    def _read(self, at: int, size: int) -> bytes:
        self._raw.seek(at)
        return self._raw.read(size)


class PackFile:
    """An open pack that git has checked, with its index."""

    def __init__(self, pack: BinaryIO, index: IndexFile) -> None:
        self._pack, self._index = pack, index

    def kind(self, oid: Oid) -> str | None:
        """What kind of object it is; None if it is not in the pack."""
        offset = self._index.offset(oid)
        for _ in range(DELTA_DEPTH_MAX + 1):
            if offset is None:
                return None
            code, rest = self._entry(offset)
            if code in _KINDS:
                return _KINDS[code]
            offset = offset - _distance(rest) if code == _OFS_DELTA else self._index.offset(Oid(rest[:_OID_BYTES]))
        return None

    def parents(self, oid: Oid) -> tuple[Oid, ...] | None:
        """The parents of a commit; None if it is not in the pack, no commit, or a delta."""
        offset = self._index.offset(oid)
        if offset is None:
            return None
        code, rest = self._entry(offset, _ENTRY_HEAD_BYTES + _COMMIT_HEAD_BYTES)
        if _KINDS.get(code) != "commit":
            return None
        return _parents_in(zlib.decompressobj().decompress(rest, _COMMIT_HEAD_BYTES))

    def _entry(self, offset: int, size: int = _ENTRY_HEAD_BYTES) -> tuple[int, bytes]:
        """The type code at an offset, and what follows the size."""
        self._pack.seek(offset)
        data = self._pack.read(size)
        end = next((at for at, byte in enumerate(data) if not byte & 0x80), None)
        if end is None:
            raise Corrupt(f"the pack {Path(self._pack.name).name} is damaged")
        return data[0] >> 4 & 7, data[end + 1 :]


def _parents_in(commit: bytes) -> tuple[Oid, ...]:
    """As git reads them: the lines right after the tree, and none that only look like them further down."""
    lines = takewhile(lambda line: line.startswith(b"parent "), commit.split(b"\n")[1:])
    return tuple(Oid(bytes.fromhex(line[7:].decode("ascii"))) for line in lines if len(line) == _PARENT_LINE_BYTES)


def _distance(data: bytes) -> int:
    """How far back the base of an offset delta is (gitformat-pack: each further byte adds one)."""
    distance = data[0] & 0x7F
    for at, byte in enumerate(data[1:]):
        if not data[at] & 0x80:
            break
        distance = (distance + 1) << 7 | byte & 0x7F
    return distance


def count_of(idx: Path) -> int:
    """How many objects the pack with this index holds (blocks)."""
    with idx.open("rb") as raw:
        return IndexFile(raw).objects


def names_in_order(indexes: Sequence[Path]) -> Iterator[Oid]:
    """Each name that stands in at least one of these indexes, once, ascending (blocks); a 256th of them in memory."""
    with ExitStack() as opened:
        files = [IndexFile(opened.enter_context(index.open("rb"))) for index in indexes]
        for first in range(256):
            yield from sorted(set().union(*(file.names_of(first) for file in files)))
