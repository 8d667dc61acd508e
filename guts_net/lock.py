"""One process per data directory (``architecture.md`` 2): a lock that the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guts_core.errors import Conflict

# A pid and a line end.
_PID_BYTES_MAX = 32


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """
    Hold this lock file; raises Conflict naming the process that holds it already.

    The file stays when the lock is gone: removing it would let two processes lock two files of one
    name. The number in it is for people; the lock itself is the kernel's.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def refuse_held(path: Path) -> None:
    """Raise Conflict, as ``hold_lock`` does, while a process holds this lock: for who looks before it holds it."""
    holder = lock_holder(path)
    if holder is not None:
        raise _in_use(path, holder)


def lock_holder(path: Path) -> str | None:
    """The number of the process that holds this lock, "unknown" where it is not told; None when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
        return holder if holder.isdigit() else "unknown"
    finally:
        os.close(descriptor)
    return None


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _PID_BYTES_MAX, 0).decode("ascii", "replace").strip()
        raise _in_use(path, holder) from None


def _in_use(path: Path, holder: str) -> Conflict:
    who = f"process {holder}" if holder.isdigit() else "another process"
    return Conflict(f"{path.parent} is in use by {who}; stop it first, or use another directory")
