"""A git request's body as a bounded stream of bytes: one layer of gzip at most (``reliability.md`` D07)."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from guts_core.errors import LimitExceeded
from guts_http.middleware import Receive
from guts_http.problems import BadRequest

# Also the largest piece of a pack that travels on the port.
PIECE_BYTES = 64 * 1024
_GZIP_WINDOW = 31  # 16 + the largest window: gzip framing required


class ClientGone(Exception):
    """The client closed the connection in the middle of its request."""


class Inflater:
    """gzip to plain in bounded pieces; BadRequest for anything else."""

    def __init__(self) -> None:
        self._machine = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes that these complete, never more than a piece at a time."""
        while data:
            if self._machine.eof:
                raise BadRequest("bytes follow the end of the gzip body")
            try:
                piece = self._machine.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise BadRequest("the body says it is gzip and is not") from None
            if piece:
                yield piece
            data = self._machine.unconsumed_tail or self._machine.unused_data

    def rest(self) -> Iterator[bytes]:
        """What the machine still held; raises BadRequest when the stream is cut off."""
        while not self._machine.eof:
            piece = self._machine.decompress(b"", PIECE_BYTES)
            if not piece:
                raise BadRequest("the gzip body is cut off")
            yield piece


class Plain:
    """No coding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bytes themselves."""
        if data:
            yield data

    def rest(self) -> Iterator[bytes]:
        """Nothing is held back."""
        return iter(())


def decoder(coding: bytes | None) -> Inflater | Plain:
    """What undoes a Content-Encoding; BadRequest for others than gzip."""
    match (coding or b"identity").strip().lower():
        case b"gzip" | b"x-gzip":
            return Inflater()
        case b"identity" | b"":
            return Plain()
        case _:
            raise BadRequest("the only content-encoding read here is gzip")


async def pieces(receive: Receive, coding: bytes | None, most: int) -> AsyncIterator[bytes]:
    """The decoded body; LimitExceeded beyond ``most`` bytes, ClientGone when it will never be complete."""
    plain = decoder(coding)
    seen, more = 0, True
    while more:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        more = message.get("more_body", False)
        for piece in _decoded(plain, message.get("body", b""), last=not more):
            seen += len(piece)
            if seen > most:
                raise LimitExceeded(f"the request is larger than {most} bytes")
            yield piece


def _decoded(plain: Inflater | Plain, data: bytes, *, last: bool) -> Iterator[bytes]:
    yield from plain.feed(data)
    if last:
        yield from plain.rest()
