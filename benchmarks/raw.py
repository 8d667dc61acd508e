"""
A client that fetches and throws away: what a server does for a clone, without the client's work on it.

Protocol v2 over HTTP/1.1 by hand (git's ``gitprotocol-v2``): the refs are asked for once, and each fetch wants all that
they name. One socket a fetch, closed by the server at the end of its answer.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

from guts_core.git.pkt_line import packet
from tests.compat.devnet import basic

READ_BYTES = 1 << 20
# Longer than any answer of a machine that is merely slow.
SILENCE_SECONDS = 120.0
_DELIMITER, _FLUSH = b"0001", b"0000"
# The last chunk of an answer; what a server broke off has none.
_END = b"0\r\n\r\n"
PACK = b"PACK\0\0\0\x02"
_REF = re.compile(rb"[0-9a-f]{4}([0-9a-f]{40}) \S+")


@frozen
class Source:
    """A repository at a server, and who asks for it."""

    url: str
    user: str
    token: str

    @property
    def split(self) -> SplitResult:
        """The parts of its URL."""
        return urlsplit(self.url)

    def request(self, body: bytes) -> bytes:
        """``POST git-upload-pack`` with this body."""
        head = (
            f"POST {self.split.path}/git-upload-pack HTTP/1.1\r\nHost: {self.split.netloc}\r\n"
            f"Authorization: {basic(self.user, self.token)}\r\nGit-Protocol: version=2\r\nConnection: close\r\n"
            f"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@frozen
class Drained:
    """One fetch: seconds from the connection's beginning to the first byte of the pack and to the end, and bytes."""

    first_pack_seconds: float
    seconds: float
    bytes: int


def everything(source: Source) -> bytes:
    """The body of a fetch that wants all that the repository's refs name now."""
    asked = packet(b"command=ls-refs\n") + _DELIMITER + _FLUSH
    answer = b"".join(piece for _, piece in _answer(source, source.request(asked)))
    oids = sorted(set(_REF.findall(answer)))
    assert oids, answer[:500]
    return wanting(oids)


def wanting(oids: Sequence[bytes]) -> bytes:
    """The body of a fetch that has nothing."""
    wants = b"".join(packet(b"want " + oid + b"\n") for oid in oids)
    options = b"".join(packet(word + b"\n") for word in (b"no-progress", b"ofs-delta"))
    return packet(b"command=fetch\n") + _DELIMITER + options + wants + packet(b"done\n") + _FLUSH


def drain(source: Source, body: bytes) -> Drained:
    """Fetch and throw away; AssertionError for an answer that is no whole pack."""
    began, first, size, tail, seen = time.perf_counter(), 0.0, 0, b"", b""
    for now, piece in _answer(source, source.request(body)):
        if not first:
            seen += piece
            first = now if PACK in seen else 0.0
        size, tail = size + len(piece), (tail + piece[-len(_END) :])[-len(_END) :]
    assert first, seen[:500]
    assert tail == _END, "the answer is broken off"
    return Drained(first - began, time.perf_counter() - began, size)


def drain_together(source: Source, body: bytes, clients: int) -> float:
    """So many at once: 10^6 bytes a second of all of them together."""
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        all_of_them = list(pool.map(lambda _: drain(source, body), range(clients)))
    return sum(one.bytes for one in all_of_them) / (time.perf_counter() - began) / 1e6


def _answer(source: Source, request: bytes) -> Iterator[tuple[float, bytes]]:
    host, port = source.split.hostname, source.split.port
    assert host is not None
    buffer = bytearray(READ_BYTES)
    with socket.create_connection((host, port or 80), SILENCE_SECONDS) as connection:
        connection.sendall(request)
        while count := connection.recv_into(buffer):
            yield time.perf_counter(), bytes(memoryview(buffer)[:count])
