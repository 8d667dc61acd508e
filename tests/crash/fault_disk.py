"""
A disk that writes down what is done to it, so that the power can be cut afterwards, at every operation.

A workload runs once. Its operations, and what it promised between them, are replayed on a ``DiskModel`` as
often as somebody likes. What git or anybody else writes beside the door is noticed when the door touches it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from attrs import frozen
from typing_extensions import override

from guts_net.disk import LocalDisk, LocalFile
from tests.crash.model import DiskModel


@frozen
class Step:
    """One operation, or one promise."""

    name: str
    act: Callable[[DiskModel], object] | None
    promise: Any = None


class FaultDisk(LocalDisk):
    """Behind the ``Disk`` protocol, for all that lies below ``root``."""

    def __init__(self, root: Path, forgets: str = "") -> None:
        """``forgets`` names operations that are left out, as a mistake would: the disk is told nothing of them."""
        super().__init__(self._heard)
        self.root, self._forgets = root.resolve(), forgets
        self.forgotten = 0
        self.start = DiskModel.of(self.root)
        self.model = deepcopy(self.start)
        self.steps: list[Step] = []
        self._lock = threading.RLock()

    def promise(self, what: object) -> None:
        """From here on somebody relies on this."""
        self.steps.append(Step("promise", None, what))

    def _heard(self, operation: str, subject: str) -> None:
        """Operations are told here already; what others tell us of is none."""

    def cuts(self) -> Iterator[tuple[int, DiskModel, list[Any]]]:
        """The disk before the first operation and after each, with what was promised by then."""
        model, number = deepcopy(self.start), 0
        promises: list[Any] = []
        yield 0, model, list(promises)
        for step in self.steps:
            if step.act is None:
                promises.append(step.promise)
            else:
                step.act(model)
                number += 1
            yield number, model, list(promises)

    @property
    def operations(self) -> list[str]:
        """What was done, in words."""
        return [step.name for step in self.steps if step.act is not None]

    # ---- telling ----

    def told(self, name: str, path: Path, act: Callable[[DiskModel], object]) -> Any:
        """An operation is done: remember it, and do it to the model."""
        with self._lock:
            if self._forgets and fnmatch(f"{name} {path.name}", self._forgets):
                self.forgotten += 1
                return None
            self.steps.append(Step(f"{name} {path.name}", act))
            return act(self.model)

    def within(self, path: Path) -> Path:
        """As the model names it."""
        return path.resolve().relative_to(self.root) if path != self.root else Path()

    def node(self, path: Path) -> int:
        """The model's file at a path, with the bytes that somebody wrote there beside the door."""
        relative = self.within(path)
        number = self.model.find(relative)
        if number is None:
            number = self.created(path)
        file = self.model.file(number)
        data = path.read_bytes()
        if data != file.content():
            self.told("cut", path, lambda model: model.cut(number, 0))
            self.told("write", path, lambda model: model.write(number, 0, data))
        return number

    def created(self, path: Path) -> int:
        """A file that was not there before."""
        relative, mode = self.within(path), path.stat().st_mode & 0o777
        number: int = self.told("create", path, lambda model: model.create(relative, mode))
        return number

    # ---- the door ----

    @override
    def create(self, path: Path) -> LocalFile:
        raw = path.open("x+b", buffering=0)
        return _FaultFile(self, path, raw, self.created(path))

    @override
    def append(self, path: Path) -> LocalFile:
        is_new = not path.exists()
        raw = path.open("x+b" if is_new else "r+b", buffering=0)
        raw.seek(0, os.SEEK_END)
        return _FaultFile(self, path, raw, self.created(path) if is_new else self.node(path))

    @override
    def overwrite(self, path: Path, mode: int) -> LocalFile:
        is_new = not path.exists()
        number = None if is_new else self.node(path)
        raw = super().overwrite(path, mode)._raw
        if number is None:
            number = self.created(path)
        else:
            self.told("cut", path, lambda model: model.cut(number, 0))
        return _FaultFile(self, path, raw, number)

    @override
    def allocate(self, path: Path, size: int) -> None:
        super().allocate(path, size)
        self.sync_file(path)

    @override
    def sync_file(self, path: Path) -> None:
        number = self.node(path)
        self.told("sync", path, lambda model: model.sync(number))

    @override
    def sync_directory(self, path: Path) -> None:
        relative = self.within(path)
        self.told("sync-directory", path, lambda model: model.sync_folder(relative))

    @override
    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        super().make_directory(path, mode)
        relative = self.within(path)
        if self.model.find(relative) is None:
            self.told("make-directory", path, lambda model: model.make_folder(relative))

    @override
    def rename(self, source: Path, target: Path) -> None:
        if source.is_file():
            self.node(source)
        before, after = self.within(source), self.within(target)
        super().rename(source, target)
        self.told("rename", target, lambda model: model.rename(before, after))

    @override
    def link(self, source: Path, target: Path) -> None:
        self.node(source)
        is_new = not target.exists()
        super().link(source, target)
        before, after = self.within(source), self.within(target)
        if is_new:
            self.told("link", target, lambda model: model.link(before, after))

    @override
    def unlink(self, path: Path) -> None:
        is_there, relative = path.exists(), self.within(path)
        super().unlink(path)
        if is_there:
            self.told("unlink", path, lambda model: model.unlink(relative))

    @override
    def remove_tree(self, path: Path) -> None:
        relative = self.within(path)
        super().remove_tree(path)
        if self.model.find(relative) is not None:
            self.told("remove-tree", path, lambda model: model.remove_tree(relative))


class _FaultFile(LocalFile):
    """Unbuffered: what is written is written when it is said."""

    _disk: FaultDisk

    def __init__(self, disk: FaultDisk, path: Path, raw: IO[bytes], number: int) -> None:
        super().__init__(disk, path, raw)
        self._number = number

    @override
    def write(self, data: bytes) -> None:
        at, number, copy = self.tell(), self._number, bytes(data)
        super().write(copy)
        self._disk.told("write", self.path, lambda model: model.write(number, at, copy))

    @override
    def sync(self) -> None:
        number = self._number
        self._disk.told("sync", self.path, lambda model: model.sync(number))

    @override
    def truncate(self, size: int) -> None:
        super().truncate(size)
        number = self._number
        self._disk.told("cut", self.path, lambda model: model.cut(number, size))
