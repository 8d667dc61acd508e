"""``object-info`` of protocol version 2: the sizes of objects without the objects (gitprotocol-v2)."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from guts_core.names import Oid

from .pkt_line import FLUSH, packet
from .v2_arguments import ArgumentRefused, Counted, oid_of, shown

# As many as a fetch may want: who lacks more asks again.
OBJECTS_MAX = 65_536


@frozen
class ObjectInfo:
    """Which objects are asked about, as often and in the order as they were; ``size``: how many bytes they have."""

    oids: tuple[Oid, ...] = ()
    size: bool = False


class ObjectInfoArguments:
    """Takes the argument lines of one request."""

    def __init__(self) -> None:
        self._counted = Counted()
        self._oids: list[Oid] = []
        self._size = False

    def take(self, line: bytes) -> None:
        """The next line; raises ArgumentRefused or LimitExceeded."""
        if line == b"size":
            self._size = True
        elif line.startswith(b"oid "):
            self._counted.add("oid", OBJECTS_MAX)
            self._oids.append(oid_of(line.removeprefix(b"oid ")))
        else:
            raise ArgumentRefused(f"object-info: unexpected line: {shown(line)}")

    def finish(self) -> ObjectInfo:
        """All of it."""
        return ObjectInfo(tuple(self._oids), self._size)


def object_info_answer(asked: ObjectInfo, sizes: Mapping[Oid, int]) -> bytes:
    """The whole answer; of an object that is not among ``sizes`` an empty size, as git says it of one it lacks."""
    if not asked.oids:
        return FLUSH
    head = packet(b"size") if asked.size else b""
    return head + b"".join(packet(_told(asked, oid, sizes)) for oid in asked.oids) + FLUSH


def _told(asked: ObjectInfo, oid: Oid, sizes: Mapping[Oid, int]) -> bytes:
    if not asked.size:
        return oid.hex().encode()
    size = sizes.get(oid)
    return f"{oid.hex()} {'' if size is None else size}".encode()
