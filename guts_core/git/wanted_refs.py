"""
The ``wanted-refs`` section of an answer to ``fetch``, put into what ``git upload-pack`` says (gitprotocol-v2).

git itself (2.39) sends it before ``shallow-info``, its own client expects it behind, and a shallow clone by names
of refs fails between them. So names are resolved here, the child is asked for the ids, and this writes
the section where it belongs: right before the pack.
"""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.names import Oid

from .pkt_line import DELIMITER, FLUSH, RESPONSE_END, Band, Mark, PacketReader, packet

_MARKS = {Mark.FLUSH: FLUSH, Mark.DELIMITER: DELIMITER, Mark.RESPONSE_END: RESPONSE_END}
_PACK = b"packfile\n"


class WantedRefs:
    """Takes an answer in pieces of any size and gives it on; without names it gives on what it takes."""

    def __init__(self, refs: Iterable[tuple[str, Oid]], *, sideband_all: bool) -> None:
        self._band = bytes((Band.DATA,)) if sideband_all else b""
        lines = [f"{oid.hex()} {name}\n" for name, oid in refs]
        section = b"".join(packet(self._band + line.encode()) for line in ("wanted-refs\n", *lines)) + DELIMITER
        self._section = section if lines else b""
        self._reader = PacketReader()
        self._is_over = not lines

    def receive(self, data: bytes) -> bytes:
        """The next bytes of the answer; b"" where none of these can go on alone."""
        if self._is_over:
            return data
        self._reader.receive(data)
        given = []
        while not self._is_over and (read := self._reader.next_packet()) is not None:
            given.append(self._given(read))
        return b"".join(given) + (self._reader.rest() if self._is_over else b"")

    def head(self) -> bytes:
        """All that comes before the pack, where nothing else does."""
        return self.receive(packet(self._band + _PACK))

    def _given(self, read: bytes | Mark) -> bytes:
        if isinstance(read, Mark):
            return _MARKS[read]
        self._is_over = read == self._band + _PACK
        return (self._section if self._is_over else b"") + packet(read)
