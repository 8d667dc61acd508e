"""
Free space on the node's disk: what is kept for agreement, and what is refused when it runs out (F13).

With less than the reserve free, writes of clients are refused in words, and packs of others are not
vouched for; votes and blocks go on. Should something else fill the disk to its end, a ballast file is
given up, so that there is still room for the votes of a long while. When space comes back, so does
everything, without a restart.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import trio

from guts_core.errors import Unavailable

from .disk import NO_ROOM
from .logs import Log
from .protocols import Disk

RESERVE_BYTES_MOST = 1 << 30
RESERVE_SHARE = 20
# Some 40,000 votes, or a day of empty blocks.
BALLAST_BYTES_MOST = 8 << 20
# The ballast is part of the reserve, and small where the reserve is.
BALLAST_SHARE = 4
BALLAST_FILE = "ballast"
# How often the disk is looked at while nobody writes, and a full one is tried again.
LOOK_SECONDS = 1.0
_MIB = 1 << 20
T = TypeVar("T")
# What SQLite says when a file of its own cannot grow.
_FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


class DiskLow(Unavailable):
    """This node keeps what space it has for agreement."""

    code = "disk-low"


class Space:
    """The reserve of one data directory. ``make_room`` may be called from any thread."""

    def __init__(self, disk: Disk, directory: Path, reserve_bytes: int | None, log: Log) -> None:
        """``reserve_bytes`` None is 5 % of the disk or 1 GiB, whichever is less; 0 is no reserve."""
        self._disk, self._directory, self._log = disk, directory, log
        total = disk.total_bytes(directory)
        self.reserve = min(RESERVE_BYTES_MOST, total // RESERVE_SHARE) if reserve_bytes is None else reserve_bytes
        self._ballast = directory / BALLAST_FILE
        self._ballast_bytes = min(BALLAST_BYTES_MOST, self.reserve // BALLAST_SHARE)
        self._lock = threading.Lock()
        self._was_low = False
        disk.make_room = self.make_room

    @property
    def free(self) -> int:
        """Bytes that this process may still write, the ballast not counted."""
        return self._disk.free_bytes(self._directory)

    @property
    def is_low(self) -> bool:
        """Whether the reserve is being used."""
        return self.free < self.reserve

    def check(self) -> None:
        """Raises DiskLow while the reserve is being used: for everything that is not agreement."""
        free = self.free
        if free < self.reserve:
            raise DiskLow(
                f"this node is low on disk space ({free // _MIB} MiB free, {self.reserve // _MIB} MiB are kept for "
                "agreement) and takes no writes until there is more; reads go on, and other nodes may take it"
            )

    def make_room(self) -> bool:
        """Give up the ballast; whether there was any. Called when a write that must not fail found the disk full."""
        with self._lock:
            if not self._ballast.exists():
                return False
            self._disk.unlink(self._ballast)
        self._log.error("disk_full", ballast_bytes=self._ballast_bytes)
        return True

    async def run(self) -> None:
        """Until cancelled: tell of changes, and lay the ballast whenever there is room for it."""
        while True:
            await trio.to_thread.run_sync(self.look)
            await trio.sleep(LOOK_SECONDS)

    async def persist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write what is agreed on: where the disk is full, make room, or wait until there is some."""
        while True:
            try:
                return await write()
            except (OSError, sqlite3.OperationalError) as error:
                if not is_full(error):
                    raise
            if not self.make_room():
                await trio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """A node that does not run keeps nothing back."""
        self._disk.unlink(self._ballast)

    def look(self) -> None:
        """Once what ``run`` does again and again."""
        low = self.is_low
        if low != self._was_low:
            say = self._log.warning if low else self._log.info
            say("disk_low" if low else "disk_recovered", free=self.free, reserve=self.reserve)
            self._was_low = low
        if not low:
            self._lay_ballast()

    def _lay_ballast(self) -> None:
        with self._lock:
            if not self._ballast_bytes or self.free < self.reserve + self._ballast_bytes:
                return
            if self._ballast.exists() and self._ballast.stat().st_size == self._ballast_bytes:
                return
            try:
                self._disk.allocate(self._ballast, self._ballast_bytes)
            except OSError as error:
                self._disk.unlink(self._ballast)
                if error.errno not in NO_ROOM:
                    raise


def is_full(error: BaseException) -> bool:
    """Whether a write failed for want of space, in a file or in a database."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode in _FULL_CODES
    return isinstance(error, OSError) and error.errno in NO_ROOM
