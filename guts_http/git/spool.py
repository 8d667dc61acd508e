"""
An answer that several read, each at its own pace: its beginning in memory, the rest where it is needed.

While it is short all of it is kept, and who comes later reads it from its start. When it grows beyond that,
one reader alone is handed it piece by piece; several have the rest in a file without a name, so that
nobody waits for the slowest, and nobody fails by being slow while there is room (``room.py``).
"""

from __future__ import annotations

import os

import trio

from guts_core.errors import Unavailable

from .room import Rooms

# Clones of one moment come within a few milliseconds; an answer of more than this has begun long before.
MEMORY_BYTES_MAX = 4 << 20
# As much as the largest push: who is further behind another reader than this reads on nowhere.
FILE_BYTES_MAX = 2 << 30
READ_BYTES = 64 * 1024


class Spool:
    """Bytes by their position; ``size`` is how many there have been."""

    def __init__(self, rooms: Rooms, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self.size = 0
        self._rooms = rooms
        self._taken = 0  # of the room for files
        self._may_write = False
        self._memory = bytearray()
        self._file: int | None = None
        self._file_bytes_max = file_bytes_max
        self._first = 0  # beyond memory, what is still there begins here

    @property
    def is_whole(self) -> bool:
        """Whether everything is in memory: a reader may begin."""
        return self.size == len(self._memory)

    async def look(self, *, shared: bool) -> None:
        """Ask, before more is appended, whether it may go to the disk; raises Unavailable."""
        if shared or self.is_whole:  # whole, somebody may join before it comes
            self._may_write = not await self._rooms.is_low()

    async def append(self, data: bytes, *, shared: bool) -> None:
        """Take the next bytes; not ``shared``: the only reader has them already, and all that came before."""
        end = self.size + len(data)
        if self.is_whole and end <= MEMORY_BYTES_MAX and self._rooms.memory.take(len(data)):
            self._memory += data
        elif not shared or not await self._write(data, end):
            self._first = end
            self.close()
        self.size = end

    async def read(self, at: int) -> bytes:
        """Some bytes from a position below ``size``; Unavailable when they are not kept any more."""
        if at < len(self._memory):
            return bytes(self._memory[at : at + READ_BYTES])
        count = min(READ_BYTES, self.size - at, self._file_bytes_max - at % self._file_bytes_max)
        data = b""
        if self._file is not None and at >= self._first:
            # Of its own: when there is no more room the file is closed, and its number may be another's then.
            file = os.dup(self._file)
            try:
                data = await trio.to_thread.run_sync(os.pread, file, count, at % self._file_bytes_max)
            finally:
                os.close(file)
        if at < self._first or not data:
            raise Unavailable("this answer was shared with faster clients and is not kept any more; try again")
        return data

    def close(self) -> None:
        """Nothing of it is needed any more."""
        self._rooms.memory.give(len(self._memory))
        self._memory = bytearray()
        self._rooms.files.give(self._taken)
        self._taken = 0
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _write(self, data: bytes, end: int) -> bool:
        """
        Around the end of the file to its start, over what was first; whether there was room for it.

        Where there is none, those who are not behind need none of it.
        """
        if not self._may_write or not self._take(len(data)):
            return False
        self._first = max(self._first, end - self._file_bytes_max)
        at = self.size % self._file_bytes_max
        try:
            if self._file is None:
                self._file = await trio.to_thread.run_sync(self._rooms.open_file)
            room = self._file_bytes_max - at
            await trio.to_thread.run_sync(_write_all, self._file, data[:room], at)
            await trio.to_thread.run_sync(_write_all, self._file, data[room:], 0)
        except OSError:  # a full disk
            return False
        return True

    def _take(self, count: int) -> bool:
        """The file grows until it goes around; whether it may."""
        more = min(count, self._file_bytes_max - self._taken)
        if not self._rooms.files.take(more):
            return False
        self._taken += more
        return True


def _write_all(file: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written
