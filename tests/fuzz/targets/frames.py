"""Frames between nodes: the pieces inside, and the stream outside, cut anywhere."""

from __future__ import annotations

from guts_core.errors import Malformed, PeerFault
from guts_core.link.frames import FRAME_BYTES_MAX, Opener, Sealer, join_pieces, split_pieces

_KEY = bytes(range(32))


def fuzz(data: bytes) -> None:
    """Pieces join to themselves; sealed bytes open wherever they are cut; other bytes are the peer's fault."""
    try:
        pieces = split_pieces(data)
    except Malformed:
        pieces = None
    if pieces is not None:
        assert join_pieces(pieces) == data
    if data:
        frame = Sealer(_KEY).seal(data)
        opener, cut = Opener(_KEY), len(data) * 7 % len(frame)
        assert opener.feed(frame[:cut]) + opener.feed(frame[cut:]) == [data]
    opener = Opener(_KEY)
    try:
        assert opener.feed(data) == []
        assert opener.buffered <= min(len(data), FRAME_BYTES_MAX + 64)
    except PeerFault:
        assert opener.buffered == 0
