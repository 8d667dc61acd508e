"""
What a fetch asks for, read from its bytes as they pass to ``git upload-pack`` (gitprotocol-pack, -v2).

git itself gives any object that it has to whoever names it: every object in protocol 2, trees and blobs
in the older ones. Guts gives what a visible ref reaches (``reliability.md`` C14), so it has to know
the wants before git does. They come before the first ``have``, as every client sends them; one that comes
later is refused rather than missed.
"""

from __future__ import annotations

import re

from guts_core.errors import LimitExceeded
from guts_core.names import Oid

from .pkt_line import BadPacket, Mark, PacketReader

# D02: a mirror of the largest repository wants this many tips at most (50,000 refs), and git gives up
# negotiating long before it has named as many haves.
WANTS_MAX = 65_536
HAVES_MAX = 65_536
SHALLOWS_MAX = 65_536
# Everything else is one line each: capabilities, depth, filter. Ref prefixes and `deepen-not` may be several.
OTHERS_MAX = 1_000
# What stock git accepts as an object id here: either case.
_WANT = re.compile(rb"want ([0-9a-fA-F]{40})(?![0-9a-zA-Z])")
_MOST = {b"want": WANTS_MAX, b"have": HAVES_MAX, b"shallow": SHALLOWS_MAX}


class FetchRequest:
    """Takes the request's bytes in pieces of any size; ``wants`` is complete once ``is_decided``."""

    def __init__(self) -> None:
        self._reader = PacketReader()
        self._lines: dict[bytes, int] = {}
        self.wants: set[Oid] = set()
        self.is_decided = False

    def receive(self, data: bytes) -> None:
        """Take the next bytes; raises BadPacket for what is no request, LimitExceeded for too many lines."""
        self._reader.receive(data)
        while (read := self._reader.next_packet()) is not None:
            if read is Mark.FLUSH:
                self.is_decided = True
            elif isinstance(read, bytes):
                self._take(read)

    def finish(self) -> None:
        """The request has ended."""
        if not self._reader.is_between_packets():
            raise BadPacket("the request ends in the middle of a packet")
        self.is_decided = True

    def _take(self, line: bytes) -> None:
        word = line.split(b" ", 1)[0].rstrip(b"\n")
        self._count(word if word in _MOST else b"")
        if word == b"want":
            self._want(line)
        elif word in (b"have", b"done"):
            self.is_decided = True

    def _want(self, line: bytes) -> None:
        matched = _WANT.match(line)
        if matched is None:
            raise BadPacket("a want names no object id")
        if self.is_decided:
            raise BadPacket("a want comes after the first have; wants come first")
        self.wants.add(Oid(bytes.fromhex(matched[1].decode("ascii"))))

    def _count(self, word: bytes) -> None:
        self._lines[word] = self._lines.get(word, 0) + 1
        most = _MOST.get(word, OTHERS_MAX)
        if self._lines[word] > most:
            raise LimitExceeded(f"the request has more than {most} {word.decode() or 'other'} lines")
