"""Disks that fail: a power cut at one operation, with what such a cut leaves; errors; slowness."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path

import trio
from attrs import define
from typing_extensions import override

from guts_net.disk import LocalDisk, LocalFile
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings


class PowerCut(BaseException):  # nothing in the node may answer it
    """The machine is off."""


class Left(Enum):
    """What a power cut leaves of all that was not synced."""

    ALL = "kept"
    NOTHING = "dropped"
    HALF = "torn"
    SOME = "reordered"


@define
class _Loose:
    """One change that no sync has made durable yet."""

    place: Path  # the file, or the directory in which a name changed
    undo: Callable[[Left], None]


class FailingDisk(LocalDisk):
    """Counts operations, and cuts the power before the one with this number."""

    def __init__(self, cut_at: int | None = None) -> None:
        self.operations: list[str] = []
        self.cut_at, self.is_off = cut_at, False
        self._loose: list[_Loose] = []
        self._lock = threading.Lock()
        super().__init__()

    def arm(self, cut_at: int) -> None:
        """Cut before the ``cut_at``-th operation from now on."""
        self.operations.clear()
        self.cut_at = cut_at

    def turn(self, operation: str, path: Path) -> None:
        """An operation begins."""
        with self._lock:
            if self.is_off or (self.cut_at is not None and len(self.operations) >= self.cut_at):
                self.is_off = True
                raise PowerCut
            self.operations.append(f"{operation} {path.name}")

    def loose(self, place: Path, undo: Callable[[Left], None]) -> None:
        """A change that a power cut may take."""
        self._loose.append(_Loose(place, undo))

    def made_durable(self, place: Path) -> None:
        """A sync ended."""
        self._loose = [one for one in self._loose if one.place != place]

    def fall(self, left: Left) -> None:
        """Leave on the real disk what the cut leaves; the newest change first."""
        for number, one in enumerate(reversed(self._loose)):
            if left in (Left.NOTHING, Left.HALF) or (left is Left.SOME and number % 2):
                one.undo(left)

    @override
    def create(self, path: Path) -> LocalFile:
        self.turn("create", path)
        super().create(path).close()
        self.loose(path.parent, lambda _: path.unlink(missing_ok=True))
        return _FailingFile(self, path, path.open("r+b"))

    @override
    def append(self, path: Path) -> LocalFile:
        self.turn("append", path)
        raw = path.open("r+b" if path.exists() else "x+b")
        raw.seek(0, os.SEEK_END)
        return _FailingFile(self, path, raw)

    @override
    def sync_file(self, path: Path) -> None:
        self.turn("sync", path)
        super().sync_file(path)
        self.made_durable(path)

    @override
    def sync_directory(self, path: Path) -> None:
        self.turn("sync-directory", path)
        super().sync_directory(path)
        self.made_durable(path)

    @override
    def rename(self, source: Path, target: Path) -> None:
        self.turn("rename", target)
        there = target.read_bytes() if target.exists() and target.is_file() else None
        super().rename(source, target)

        def undo(_: Left) -> None:
            if source.parent.exists() and target.exists():
                target.replace(source)
            else:
                target.unlink(missing_ok=True)
            if there is not None:
                target.write_bytes(there)

        self.loose(target.parent, undo)

    @override
    def link(self, source: Path, target: Path) -> None:
        self.turn("link", target)
        was = target.exists()
        super().link(source, target)
        if not was:
            self.loose(target.parent, lambda _: target.unlink(missing_ok=True))

    @override
    def unlink(self, path: Path) -> None:
        self.turn("unlink", path)
        super().unlink(path)

    @override
    def remove_tree(self, path: Path) -> None:
        self.turn("remove-tree", path)
        super().remove_tree(path)


class _FailingFile(LocalFile):
    """Knows how much of itself is durable."""

    _disk: FailingDisk

    @override
    def write(self, data: bytes) -> None:
        self._disk.turn("write", self.path)
        before = self.tell()
        super().write(data)
        self._raw.flush()
        kept = len(data) // 2
        self._disk.loose(self.path, lambda left: self._cut(before + (kept if left is Left.HALF else 0)))

    @override
    def sync(self) -> None:
        self._disk.turn("sync", self.path)
        super().sync()
        self._disk.made_durable(self.path)

    def _cut(self, size: int) -> None:
        if self.path.exists() and self.path.stat().st_size > size:
            os.truncate(self.path, size)


class BrokenDisk(LocalDisk):
    """Fails one kind of operation on paths that end in this, from when it is told to."""

    def __init__(self, operation: str, suffix: str, code: int = errno.EIO) -> None:
        self._operation, self._suffix, self._code = operation, suffix, code
        self.is_broken = False
        self.failures = 0
        self.after: list[str] = []  # what was done, or said, once it had failed
        super().__init__(self._heard)

    def _heard(self, operation: str, subject: str) -> None:
        if self.failures:
            self.after.append(f"{operation} {subject}")
        self.check(operation, Path(subject))

    def check(self, operation: str, path: Path) -> None:
        """Fail if it is this operation's turn."""
        if self.is_broken and operation == self._operation and str(path).endswith(self._suffix):
            self.failures += 1
            raise OSError(self._code, os.strerror(self._code), str(path))

    @override
    def append(self, path: Path) -> LocalFile:
        raw = path.open("r+b" if path.exists() else "x+b")
        raw.seek(0, os.SEEK_END)
        return _BrokenFile(self, path, raw)

    @override
    def sync_file(self, path: Path) -> None:
        self.check("sync", path)
        super().sync_file(path)


class _BrokenFile(LocalFile):
    _disk: BrokenDisk

    @override
    def sync(self) -> None:
        self._disk.check("sync", self.path)
        super().sync()


async def until_cut(
    settings: NodeSettings, disk: FailingDisk, left: Left, act: Callable[[RunningNode], Awaitable[object]]
) -> None:
    """Run a node and act on it until its power is cut, or until that is done; then leave what the cut leaves."""
    try:
        async with open_node(settings, disk) as node:
            await act(node)
    except* PowerCut:
        pass
    except* (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel):
        assert disk.is_off, "the conversation ended without a cut"
    disk.fall(left)
