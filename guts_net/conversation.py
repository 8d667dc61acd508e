"""The node's end of a port conversation: frames over one duplex stream (``guts_core.node.port``)."""

from __future__ import annotations

import trio

from guts_core.codec import Family, to_bytes
from guts_core.errors import Malformed
from guts_core.node.port import FRAME_BYTES_MAX

_LENGTH_BYTES = 4
# Most frames are smaller: one read for each, not one for its length and one for the rest.
READ_BYTES = 4096


class Conversation:
    """Reads and writes records; little more than one frame in memory at a time."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._ahead = bytearray()  # read, and not asked for yet

    async def say(self, record: object) -> None:
        """Send one record; waits while the other end does not read."""
        data = to_bytes(record)
        assert len(data) <= FRAME_BYTES_MAX
        await self._stream.send_all(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    async def hear(self, family: Family) -> object:
        """The next record; trio.EndOfChannel when the other end is gone, Malformed for anything else."""
        size = int.from_bytes(await self._exactly(_LENGTH_BYTES), "big")
        if size > FRAME_BYTES_MAX:
            raise Malformed(f"a port frame of {size} bytes")
        return family.from_bytes(await self._exactly(size))

    async def _exactly(self, size: int) -> bytes:
        while len(self._ahead) < size:
            piece = await self._stream.receive_some(max(READ_BYTES, size - len(self._ahead)))
            if not piece:
                raise trio.EndOfChannel
            self._ahead += piece
        found = bytes(self._ahead[:size])
        del self._ahead[:size]
        return found
