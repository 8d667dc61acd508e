"""Look up object ids in a pack index (gitformat-pack, version 2) without reading all of it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from guts_core.errors import Corrupt
from guts_core.names import Oid

_HEAD = b"\xfftOc\x00\x00\x00\x02"
_NAMES_AT = len(_HEAD) + 256 * 4
_OID_BYTES = 20


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
        low = self._fan[oid[0] - 1] if oid[0] else 0
        high = self._fan[oid[0]]
        while low < high:
            middle = (low + high) // 2
            found = self._name(middle)
            if found == oid:
                return True
            low, high = (middle + 1, high) if found < oid else (low, middle)
        return False

    def _name(self, position: int) -> bytes:
        self._raw.seek(_NAMES_AT + position * _OID_BYTES)
        return self._raw.read(_OID_BYTES)


def held_of(idx: Path, oids: frozenset[Oid]) -> frozenset[Oid]:
    """Which of these objects the pack with this index holds (blocks)."""
    with idx.open("rb") as raw:
        index = IndexFile(raw)
        return frozenset(oid for oid in oids if index.has(oid))


def count_of(idx: Path) -> int:
    """How many objects the pack with this index holds (blocks)."""
    with idx.open("rb") as raw:
        return IndexFile(raw).objects
