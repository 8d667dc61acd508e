"""
An answer that several read, each at its own pace: its beginning in memory, the rest where it is needed.

While it is short all of it is kept, and who comes later reads it from its start. When it grows beyond that,
one reader alone is handed it piece by piece; several have the rest in a file without a name, so that
nobody waits for the slowest, and nobody fails by being slow.
"""

from __future__ import annotations

import os
import tempfile

import trio

from guts_core.errors import Unavailable

# Clones of one moment come within a few milliseconds; an answer of more than this has begun long before.
MEMORY_BYTES_MAX = 4 << 20
# As much as the largest push: who is further behind another reader than this reads on nowhere.
FILE_BYTES_MAX = 2 << 30
READ_BYTES = 64 * 1024


class Spool:
    """Bytes by their position; ``size`` is how many there have been."""

    def __init__(self, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self.size = 0
        self._memory = bytearray()
        self._file: int | None = None
        self._file_bytes_max = file_bytes_max
        self._first = 0  # beyond memory, what is still there begins here

    @property
    def is_whole(self) -> bool:
        """Whether everything is in memory: a reader may begin."""
        return self.size == len(self._memory)

    async def append(self, data: bytes, *, shared: bool) -> None:
        """Take the next bytes; not ``shared``: the only reader has them already, and all that came before."""
        end = self.size + len(data)
        if self.is_whole and end <= MEMORY_BYTES_MAX:
            self._memory += data
        elif shared:
            await self._write(data, end)
        else:
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
            data = await trio.to_thread.run_sync(os.pread, self._file, count, at % self._file_bytes_max)
        if at < self._first or not data:
            raise Unavailable("this answer was shared with faster clients and is not kept any more; try again")
        return data

    def close(self) -> None:
        """Nothing of it is needed any more."""
        self._memory = bytearray()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _write(self, data: bytes, end: int) -> None:
        """Around the end of the file to its start, over what was first."""
        self._first = max(self._first, end - self._file_bytes_max)
        at = self.size % self._file_bytes_max
        try:
            if self._file is None:
                self._file = await trio.to_thread.run_sync(_unnamed)
            room = self._file_bytes_max - at
            await trio.to_thread.run_sync(_write_all, self._file, data[:room], at)
            await trio.to_thread.run_sync(_write_all, self._file, data[room:], 0)
        except OSError:  # a full disk: those who are not behind need none of it
            self._first = end


def _unnamed() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write_all(file: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(file, data, at)
        data, at = data[written:], at + written
