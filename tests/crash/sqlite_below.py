"""
SQLite below the door: its writes, syncs and deletions are steps of a ``FaultDisk`` like all others.

The standard library's ``sqlite3`` cannot be given a file system of one's own, so while such a disk is
watched, ``sqlite3.connect`` gives connections of APSW over one. The code above, and its statements, are ours
and unchanged. What shares memory (``-shm``) is not on the disk, and after a cut it is not there.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import apsw

from tests.crash.fault_disk import FaultDisk

_NUMBERS = itertools.count()
# What SQLite's own file system syncs the directory of, with the first sync of a file that it made.
_SYNCED_WITH_NAME = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
_ERRORS = {apsw.BusyError: sqlite3.OperationalError, apsw.CantOpenError: sqlite3.OperationalError}


@contextmanager
def sqlite_on(disk: FaultDisk) -> Iterator[None]:
    """All databases that are opened inside are on this disk."""
    name = f"crash-{next(_NUMBERS)}"
    files = _FileSystem(name, disk)
    before = sqlite3.connect

    def connect(database: str | Path, *, uri: bool = False, timeout: float = 5.0, **_: object) -> Any:
        return _Connection(str(database), name, timeout)

    sqlite3.connect = connect  # type: ignore[assignment]  # the few words of it that nodes use
    try:
        yield
    finally:
        sqlite3.connect = before
        files.unregister()


class _Connection:
    """As much of ``sqlite3.Connection`` as a node uses, with transactions as they are said."""

    def __init__(self, database: str, file_system: str, timeout: float) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._only_reads = "mode=ro" in database
        self._connection = apsw.Connection(database, flags=flags, vfs=file_system)
        self._connection.set_busy_timeout(int(timeout * 1000))

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def execute(self, statement: str, values: Any = ()) -> Any:
        return self._told(self._connection.execute, statement, values)

    def executemany(self, statement: str, rows: Any) -> None:
        for row in rows:
            self.execute(statement, row)

    def executescript(self, script: str) -> None:
        self.execute(script)

    def close(self) -> None:
        # A connection that only reads asks for the lock of a writer when it ends, in case it is the last one, and is
        # refused it; SQLite takes that for an answer, and APSW tells it all the same.
        with suppress(apsw.IOError) if self._only_reads else nullcontext():
            self._connection.close()

    def _told(self, act: Any, *arguments: Any) -> Any:
        try:
            return act(*arguments)
        except apsw.Error as error:
            raise _ERRORS.get(type(error), sqlite3.DatabaseError)(str(error)) from error


class _FileSystem(apsw.VFS):
    """The machine's own, watched."""

    def __init__(self, name: str, disk: FaultDisk) -> None:
        self._disk = disk
        super().__init__(name, "unix")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            return super().xOpen(None, flags)
        return _WatchedFile(self._disk, Path(path), name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        path = Path(filename)
        relative = self._disk.within(path)
        super().xDelete(filename, syncdir)
        self._disk.told("unlink", path, lambda model: model.unlink(relative))
        if syncdir:
            self._disk.sync_directory(path.parent)


class _WatchedFile(apsw.VFSFile):
    """One file of a database."""

    def __init__(self, disk: FaultDisk, path: Path, name: Any, flags: list[int]) -> None:
        is_new = not path.exists()
        super().__init__("unix", name, flags)
        self._disk, self._path = disk, path
        # Never read beside SQLite: closing another descriptor would let go of its locks.
        number = None if is_new else disk.model.find(disk.within(path))
        self._number = disk.created(path) if number is None else number
        self._syncs_name = bool(flags[0] & _SYNCED_WITH_NAME)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        number, copy = self._number, bytes(data)
        self._disk.told("write", self._path, lambda model: model.write(number, offset, copy))

    def xTruncate(self, size: int) -> None:
        super().xTruncate(size)
        number = self._number
        self._disk.told("cut", self._path, lambda model: model.cut(number, size))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        number = self._number
        self._disk.told("sync", self._path, lambda model: model.sync(number))
        if self._syncs_name:
            self._syncs_name = False
            self._disk.sync_directory(self._path.parent)
