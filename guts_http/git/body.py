"""A git request's body as a bounded stream of bytes: one layer of gzip at most (``reliability.md`` D07)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import trio

from guts_core.errors import GutsError, LimitExceeded
from guts_http.middleware import Receive
from guts_http.problems import BadRequest, TooSlow

# Also the largest piece of a pack that travels on the port.
PIECE_BYTES = 64 * 1024
# A body holds one of a bounded number of turns: silence is ended by ``BodyLimit``, and a trickle here. Half a
# kibibyte a second is a tenth of the slowest mobile network.
TRICKLE_SECONDS = 30.0
TRICKLE_BYTES_LEAST = 16 * 1024
_GZIP_WINDOW = 31  # 16 + the largest window: gzip framing required


class ClientGone(GutsError):
    """The client closed the connection in the middle of its request."""

    code = "client-gone"


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


class Body:
    """
    The decoded body, a piece at a time.

    LimitExceeded beyond ``most`` bytes, ClientGone when it will never be complete. Not a generator:
    those have to be closed by whoever stops early.
    """

    def __init__(self, receive: Receive, coding: bytes | None, most: int) -> None:
        self._receive = receive
        self._plain = decoder(coding)
        self._most = most
        self._seen = 0
        self._complete = False
        self._ready: Iterator[bytes] = iter(())
        self._waited = 0.0
        self._came = 0

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        """The next piece that is not empty."""
        while (piece := next(self._ready, None)) is None:
            if self._complete:
                raise StopAsyncIteration
            await self._take()
        self._seen += len(piece)
        if self._seen > self._most:
            raise LimitExceeded(f"the request is larger than {self._most} bytes")
        return piece

    async def _take(self) -> None:
        began = trio.current_time()
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._complete = not message.get("more_body", False)
        self._judge_pace(trio.current_time() - began, len(message.get("body", b"")))
        self._ready = self._decoded(message.get("body", b""))

    def _judge_pace(self, waited: float, came: int) -> None:
        """Only time spent waiting for the client counts: a node that is slow itself refuses nobody."""
        self._waited += waited
        self._came += came
        if self._waited >= TRICKLE_SECONDS:
            if self._came < TRICKLE_BYTES_LEAST and not self._complete:
                raise TooSlow(f"the request came at less than {TRICKLE_BYTES_LEAST} bytes in {TRICKLE_SECONDS:g} s")
            self._waited, self._came = 0.0, 0

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        yield from self._plain.feed(data)
        if self._complete:
            yield from self._plain.rest()
