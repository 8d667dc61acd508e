"""
One byte range of one file from one node, straight into its place in a local file.

By the standard library: what counts here is the processor time of a byte, and ``readinto`` has the least.
The bytes are anybody's until their digest was checked. Each transfer opens the file for itself: a descriptor that
several threads share may be somebody else's by the time the last of them writes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from attrs import field, frozen

from guts_core.errors import Unavailable
from guts_http.client.address import Address

from .crew import go_on
from .known import Mirror
from .local import writing
from .pace import PACE, Pace, WatchedSocket

# Nothing for so long: the node hangs, and another is asked.
SILENCE_SECONDS = 20.0
# Larger pieces do not make it faster; this much is held by each thread.
PIECE_BYTES = 512 * 1024
_SERVED = (200, 206)


class NotServed(Unavailable):
    """A node does not give the file now: it lacks it, is busy, or its list is not clean."""

    code = "not-served"


@frozen
class Range:
    """Bytes ``first`` up to, not including, ``end``."""

    first: int
    end: int

    @property
    def header(self) -> str:
        """As HTTP says it."""
        return f"bytes={self.first}-{self.end - 1}"


@frozen
class Place:
    """The file where bytes go, who wants to know how far it has come, and what ends it at once."""

    path: Path
    reached: Callable[[int], None] = field(default=lambda _at: None)
    stop: threading.Event = field(factory=threading.Event)
    pace: Pace = PACE


def copy_range(mirror: Mirror, path: str, wanted: Range, into: Place) -> int:
    """
    Write a range of what the node serves at a path into a file that is there, and return how far that came.

    Fewer bytes than were asked for are no error: the rest is asked for again. Raises NotServed, or OSError
    where nobody answers; Misconfigured where the file cannot be written; CancelledError after a stop. A node that
    says more is not listened to.
    """
    where = urlsplit(mirror.url)
    assert where.hostname is not None, "a client was opened with this URL"
    with closing(_connection(mirror, where.scheme == "https", where.hostname, where.port)) as connection:
        try:
            connection.connect()
            connection.sock = cast("Any", WatchedSocket(connection.sock, into.pace))
            headers = {**Address(mirror.url, mirror.token).headers, "Accept": "*/*", "Range": wanted.header}
            connection.request("GET", path, headers=headers)
            with closing(connection.getresponse()) as response:
                return _copied(response, _start(response, wanted), wanted.end, into)
        except HTTPException as error:
            raise NotServed(f"{mirror.url} does not speak HTTP as it should: {error}") from error


def _connection(mirror: Mirror, is_tls: bool, host: str, port: int | None) -> HTTPConnection:
    if not is_tls:
        return HTTPConnection(host, port, timeout=SILENCE_SECONDS)
    trust = Address(mirror.url).trust()
    context = None if isinstance(trust, bool) else trust
    return HTTPSConnection(host, port, timeout=SILENCE_SECONDS, context=context)


def _start(response: HTTPResponse, wanted: Range) -> int:
    """Where the answer's first byte belongs."""
    if response.status not in _SERVED:
        raise NotServed(f"status {response.status}")
    if response.status == 200:
        if wanted.first:
            raise NotServed("it gives no ranges")
        return 0
    begins, _, _ = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")
    if begins != str(wanted.first):
        raise NotServed("it gave another range than it was asked for")
    return wanted.first


def _copied(response: HTTPResponse, at: int, end: int, into: Place) -> int:
    piece = memoryview(bytearray(PIECE_BYTES))
    with writing(into.path), into.path.open("r+b", buffering=0) as raw:
        while at < end:
            size = _read(response, piece[: end - at])
            go_on(into.stop)
            if not size:
                return at
            _write(raw.fileno(), piece[:size], at)
            at += size
            into.reached(at)
    return at


def _read(response: HTTPResponse, piece: memoryview) -> int:
    """Nothing: it ends there, as it should or not."""
    try:
        return response.readinto(piece)
    except (OSError, HTTPException):
        return 0


def _write(descriptor: int, data: memoryview, at: int) -> None:
    """All of it: a disk that is nearly full takes a part, and says so the next time only."""
    while data:
        size = os.pwrite(descriptor, data, at)
        data, at = data[size:], at + size
