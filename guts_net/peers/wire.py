"""
Reading and writing a link's stream: directly at the socket where there is one, by its methods otherwise.

Trio's socket streams ask the socket first and take a turn of the loop for each call, which is most of
what a small frame costs; any other stream of a transport is served as it comes.
"""

from __future__ import annotations

import os
from typing import Protocol

import trio

READ_BYTES = 64 * 1024


class Wire(Protocol):
    """What a link does with its stream while it reads and writes frames."""

    def write_now(self, data: bytes) -> bytes:
        """What could not be written without waiting; OSError when the connection broke."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""


def wire_over(stream: trio.abc.Stream) -> Wire:
    """The quickest way to use this stream."""
    return _SocketWire(stream.socket) if isinstance(stream, trio.SocketStream) else _StreamWire(stream)


class _SocketWire:
    def __init__(self, socket: trio.socket.SocketType) -> None:
        self._socket = socket

    def write_now(self, data: bytes) -> bytes:
        try:
            return data[os.write(self._socket.fileno(), data) :] if data else b""
        except BlockingIOError:
            return data

    async def read(self) -> bytes:
        while True:
            # What comes is nearly always waited for: asking the socket first would be in vain.
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return os.read(self._socket.fileno(), READ_BYTES)
            except BlockingIOError:
                continue  # a false alarm of the kernel


class _StreamWire:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    def write_now(self, data: bytes) -> bytes:
        return data

    async def read(self) -> bytes:
        return bytes(await self._stream.receive_some(READ_BYTES))
