"""
The HTTP side of the port (``guts_core.node.port``): records over one duplex stream a conversation.

The node may be in this process or another; all that is shared is bytes. A PortError that comes back
is raised as the class of ``guts_core.errors`` that its code names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import trio

from guts_core import errors
from guts_core.codec import to_bytes
from guts_core.node.codes import error_with
from guts_core.node.port import FRAME_BYTES_MAX, REPLIES, PortError, Reply, Request

_LENGTH_BYTES = 4
_GONE = "the node behind this door is gone or is stopping; try again"


class Port(Protocol):
    """Where conversations with the node begin."""

    async def open(self) -> trio.abc.Stream:
        """A stream of its own for one conversation."""


class Conversation:
    """One conversation: a request said, replies heard. Closing the stream cancels what was asked."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def say(self, record: object) -> None:
        """Send one record; waits while the node does not read. Unavailable when the node is gone."""
        data = to_bytes(record)
        assert len(data) <= FRAME_BYTES_MAX, "the parts of a request are bounded where they come in"
        try:
            await self._stream.send_all(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise errors.Unavailable(_GONE) from None

    async def hear(self) -> Reply:
        """The next reply; a PortError is raised as what it stands for, Unavailable when the node is gone."""
        size = int.from_bytes(await self._exactly(_LENGTH_BYTES), "big")
        if size > FRAME_BYTES_MAX:
            raise errors.Malformed(f"a port frame of {size} bytes")
        reply: Reply = REPLIES.from_bytes(await self._exactly(size))
        if isinstance(reply, PortError):
            raise error_with(reply.code, reply.message, otherwise=errors.Unavailable)
        return reply

    async def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                piece = await self._stream.receive_some(size - len(data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                piece = b""
            if not piece:
                raise errors.Unavailable(_GONE)
            data += piece
        return bytes(data)


@asynccontextmanager
async def open_conversation(port: Port, request: Request) -> AsyncIterator[Conversation]:
    """A conversation that has begun with this request and ends with the block."""
    try:
        stream = await port.open()
    except OSError as error:
        raise errors.Unavailable(_GONE) from error
    try:
        conversation = Conversation(stream)
        await conversation.say(request)
        yield conversation
    finally:
        await trio.aclose_forcefully(stream)


async def ask(port: Port, request: Request) -> Reply:
    """One request, one reply; raises the GutsError that a PortError stands for."""
    async with open_conversation(port, request) as conversation:
        return await conversation.hear()
