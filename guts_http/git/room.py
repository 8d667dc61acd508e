"""
Room for what a node keeps of answers that several clients share: in memory, and in files, each with one bound for all.

What is beyond it is not kept: whoever is behind is told to come back, and from then on each has a child of their own.
Each answer is charged to the address that began it, which has a share: else one slow reader keeps all from sharing.
Files are without names; where a file system cannot make such, one that a crash left behind goes at the next start.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from pathlib import Path

from guts_http.room import Room
from guts_http.turns import EVERYTHING, Shares

# The beginnings of as many answers as have turns by default: 32 of 4 MiB.
MEMORY_BYTES_MAX = 128 << 20
# With less than this left of either, nobody is asked to share any more: their answer would soon be cut off.
LEAST_BYTES = 4 << 20
DIRECTORY = "answers"


class Rooms:
    """What all answers of a node share."""

    def __init__(
        self,
        directory: Path,
        file_bytes_max: int,
        is_low: Callable[[], Awaitable[bool]],
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        shares: Shares = EVERYTHING,
    ) -> None:
        """``directory`` is made when it is needed; ``is_low``: whether the disk is kept for agreement (F13)."""
        self._directory = directory
        self.is_low = is_low
        self.memory = Room(memory_bytes_max, shares).of(None)
        self.files = Room(file_bytes_max, shares).of(None)
        _clear(directory)

    def of(self, client: str | None) -> Rooms:
        """The same, as far as one more answer that this address began may have it."""
        mine = copy(self)
        mine.memory, mine.files = self.memory.of(client), self.files.of(client)
        return mine

    @property
    def is_ample(self) -> bool:
        """Whether one more may share the answer that has this."""
        return min(self.memory.left, self.files.left) >= LEAST_BYTES

    def open_file(self) -> int:
        """A file without a name, its descriptor; for a thread. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._directory) as file:
            return os.dup(file.fileno())


def _clear(directory: Path) -> None:
    with suppress(FileNotFoundError):
        for left in directory.iterdir():
            left.unlink()
