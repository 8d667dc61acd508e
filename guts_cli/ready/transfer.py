"""
One byte range of one file from one node, straight into its place in a local file.

By the standard library: what counts here is the processor time of a byte, and ``readinto`` has the least.
The bytes are anybody's until their digest was checked.
"""

from __future__ import annotations

import os
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

from attrs import frozen

from guts_core.errors import Unavailable
from guts_http.client.address import Address

from .known import Mirror

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


def copy_range(mirror: Mirror, path: str, wanted: Range, into: int) -> int:
    """
    Write a range of what the node serves at a path into an open file, and return how far that came.

    Fewer bytes than were asked for are no error: the rest is asked for again. Raises NotServed, or OSError
    where nobody answers. A node that says more is not listened to.
    """
    where = urlsplit(mirror.url)
    assert where.hostname is not None, "a client was opened with this URL"
    with closing(_connected(mirror, where.scheme == "https", where.hostname, where.port)) as connection:
        try:
            headers = {**Address(mirror.url, mirror.token).headers, "Accept": "*/*", "Range": wanted.header}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return _copied(response, _start(response, wanted), wanted.end, into)
        except HTTPException as error:
            raise NotServed(f"{mirror.url} does not speak HTTP as it should: {error}") from error


def _connected(mirror: Mirror, is_tls: bool, host: str, port: int | None) -> HTTPConnection:
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


def _copied(response: HTTPResponse, at: int, end: int, into: int) -> int:
    piece = memoryview(bytearray(PIECE_BYTES))
    while at < end:
        try:
            size = response.readinto(piece[: end - at])
        except (OSError, HTTPException):
            return at
        if not size:
            return at
        os.pwrite(into, piece[:size], at)
        at += size
    return at
