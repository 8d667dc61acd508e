"""What a client says first: its request for the refs, read by a listener that answers 404."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

from tests.compat.devnet import PATIENCE_SECONDS
from tests.ports import free_ports

_ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_HEAD_BYTES_MAX = 1 << 16


@define
class Heard:
    """The address to ask, and the heads of what was asked."""

    url: str
    heads: list[str] = field(factory=list)
    is_enough: threading.Event = field(factory=threading.Event)

    def header(self, name: str) -> str | None:
        """A header of the first request."""
        pairs = (line.partition(":") for line in self.heads[0].splitlines()[1:])
        return {key.lower(): value.strip() for key, _, value in pairs}.get(name)


@contextmanager
def listening() -> Iterator[Heard]:
    """A listener that answers until the block ends."""
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(PATIENCE_SECONDS)
        heard = Heard(f"http://127.0.0.1:{port}")
        thread = threading.Thread(target=_answer, args=(server, heard))
        thread.start()
        try:
            yield heard
        finally:
            heard.is_enough.set()
            socket.create_connection(server.getsockname()).close()
            thread.join()


def _answer(server: socket.socket, heard: Heard) -> None:
    while not heard.is_enough.is_set():
        connection, _ = server.accept()
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            if head := _head(connection):
                heard.heads.append(head)
                connection.sendall(_ANSWER)


def _head(connection: socket.socket) -> str:
    """The head of a request; empty for somebody who only connected."""
    held = b""
    while b"\r\n\r\n" not in held and len(held) < _HEAD_BYTES_MAX and (more := connection.recv(4096)):
        held += more
    return held.decode("latin-1")
