"""
The one door through which a node writes files.

Everything durable goes through here, in order, so that a test can watch the order of writes,
syncs and sends, break one, and see a named test fail. All methods block: call them from a worker
thread when they may take long. An ``OSError`` of a sync is never retried (the kernel forgets the
dirty pages after reporting it once): it travels up and ends the process.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .protocols import Disk

Observer = Callable[[str, str], None]


def _nobody(_operation: str, _subject: str) -> None:
    """Watch nothing."""


def _no_room_to_make() -> bool:
    """Nothing is held back that could be given up."""
    return False


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
# Nothing was written, and nothing that was is in doubt: read-only, permissions, too many open files (F14, F15).
UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE})
_MIB = 1 << 20


class LocalFile:
    """
    A file open for writing at its end.

    Where a write of a ``promised`` file finds the disk full, room is made for it: a write that failed
    so took nothing, and may be tried again, unlike a sync.
    """

    def __init__(self, disk: LocalDisk, path: Path, raw: IO[bytes], *, promised: bool = False) -> None:
        self._disk, self.path, self._raw, self._promised = disk, path, raw, promised

    def write(self, data: bytes) -> None:
        """Append; not durable before ``sync``."""
        self._disk.observe("write", str(self.path))
        rest = memoryview(data)
        while rest:
            rest = rest[self._take(rest) :]

    def _take(self, data: memoryview) -> int:
        try:
            return self._raw.write(data)
        except OSError as error:
            if not self._promised or error.errno not in NO_ROOM or not self._disk.make_room():
                raise
        return self._raw.write(data)

    def sync(self) -> None:
        """Make every byte written so far survive a power cut."""
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._disk.observe("sync", str(self.path))

    def tell(self) -> int:
        """Bytes in the file."""
        return self._raw.tell()

    def truncate(self, size: int) -> None:
        """Cut the file to its first ``size`` bytes."""
        self._raw.flush()
        self._raw.truncate(size)
        self._raw.seek(size)

    def close(self) -> None:
        """Close without syncing."""
        self._raw.close()


class LocalDisk:
    """Every durable operation of a node; ``observe(operation, subject)`` hears each one done."""

    def __init__(self, observe: Observer = _nobody) -> None:
        self.observe = observe
        self.make_room: Callable[[], bool] = _no_room_to_make  # whether anything was given up

    def free_bytes(self, path: Path) -> int:
        """What this process may still write to the file system of a path."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize

    def total_bytes(self, path: Path) -> int:
        """What the file system of a path holds at most."""
        found = os.statvfs(path)
        return found.f_blocks * found.f_frsize

    def allocate(self, path: Path, size: int) -> None:
        """A file of this size whose space on the disk is its own; what it holds is nothing."""
        with path.open("wb") as raw:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(raw.fileno(), 0, size)
            else:
                for at in range(0, size, _MIB):
                    raw.write(bytes(min(_MIB, size - at)))
            raw.flush()
            os.fsync(raw.fileno())
        self.observe("allocate", str(path))

    def create(self, path: Path) -> LocalFile:
        """A new file; FileExistsError if it exists."""
        return LocalFile(self, path, path.open("xb"))

    def append(self, path: Path) -> LocalFile:
        """An existing or new file of what was promised, positioned at its end."""
        # Unbuffered: a write that finds the disk full shall say so itself, and how much it took.
        raw = path.open("r+b" if path.exists() else "x+b", buffering=0)
        raw.seek(0, os.SEEK_END)
        return LocalFile(self, path, raw, promised=True)

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """A whole small file, atomically and durably: written beside, synced, renamed, directory synced."""
        beside = path.with_name(path.name + ".new")
        try:
            file = self.overwrite(beside, mode)
            try:
                file.write(data)
                file.sync()
            finally:
                file.close()
            self.rename(beside, path)
        except OSError:
            beside.unlink(missing_ok=True)  # nobody would find what it holds by its name
            raise
        self.sync_directory(path.parent)

    def overwrite(self, path: Path, mode: int) -> LocalFile:
        """A file of this mode, emptied if it exists: a step of ``write_file``, no operation of its own."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        return LocalFile(self, path, os.fdopen(descriptor, "wb", buffering=0))

    def sync_file(self, path: Path) -> None:
        """Make a file that someone else wrote (git, say) survive a power cut."""
        with path.open("rb") as raw:
            os.fsync(raw.fileno())
        self.observe("sync", str(path))

    def sync_directory(self, path: Path) -> None:
        """Make names in a directory survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.observe("sync-directory", str(path))

    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        """A directory and its parents; existing ones are no error."""
        path.mkdir(mode=mode, parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename within one file system."""
        source.replace(target)
        self.observe("rename", str(target))

    def link(self, source: Path, target: Path) -> None:
        """Hard-link; a target that exists already is no error (same bytes, named by digest)."""
        try:
            os.link(source, target)
        except FileExistsError:
            return
        self.observe("link", str(target))

    def unlink(self, path: Path) -> None:
        """Remove a file; absent is no error."""
        path.unlink(missing_ok=True)
        self.observe("unlink", str(path))

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all in it; absent is no error."""
        shutil.rmtree(path, ignore_errors=True)
        self.observe("remove-tree", str(path))


def make_lasting_directory(disk: Disk, path: Path, mode: int = 0o700) -> None:
    """A directory that survives a power cut, with those above it that were not there; existing ones are no error."""
    made = [one for one in (path, *path.parents) if not one.exists()]
    disk.make_directory(path, mode)
    for one in reversed(made):
        disk.sync_directory(one.parent)
