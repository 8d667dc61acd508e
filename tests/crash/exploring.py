"""
Cutting the power everywhere: a workload runs once, and is cut at every operation in every mode; then the next
start runs, is held against what was promised, and is itself cut at its operations.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from guts_net.disk import LocalDisk
from guts_net.protocols import Disk
from tests.crash.fault_disk import FaultDisk
from tests.crash.model import DiskModel, Mode, Tree
from tests.crash.sqlite_below import sqlite_on

# Of a mode that has several: how a write is torn, what is kept of what.
VARIANTS = {Mode.KEPT: 1, Mode.DROPPED: 1, Mode.TORN: 5, Mode.REORDERED: 8}


@frozen
class Workload:
    """What is done to a directory, what the next start does with it, and what has to hold then."""

    name: str
    prepare: Callable[[Path], None]  # what stands there, durably, before anything is cut
    run: Callable[[Path, FaultDisk], None]
    recover: Callable[[Path, Disk], Any]  # through the door; what it found
    check: Callable[[Path, Any, list[Any]], None]  # what was found, against what was promised
    beside: frozenset[str] = frozenset()  # names that are written beside the door on purpose, and hold no promise


@define
class Covered:
    """How much was tried."""

    operations: int = 0
    points: Counter[str] = field(factory=Counter)  # cuts by mode
    images: int = 0  # different disks among them
    again: int = 0  # cuts of a recovery

    def line(self, name: str) -> str:
        """One row of the table."""
        modes = ", ".join(f"{self.points[mode.value]} {mode.value}" for mode in Mode)
        return (
            f"{name}: {self.operations} operations, {self.points.total()} cuts ({modes}), "
            f"{self.images} different disks, {self.again} cuts of recoveries"
        )


class Broken(AssertionError):
    """A promise did not hold after a cut; the sentence says which cut."""


def explore(workload: Workload, *, every_variant: bool = False, again_every: int = 7, forgets: str = "") -> Covered:
    """
    All of it. ``every_variant`` tries each way of tearing and reordering at each operation, else they take turns.

    ``again_every`` says at how many of the different disks the recovery is cut too, at each of its operations.
    ``forgets`` plants a mistake: operations of that name are left out.
    """
    covered, tried, cuts = Covered(), set[bytes](), set[tuple[int, Mode, int]]()
    with _scratch() as scratch:
        disk = _recorded(workload, scratch / "first", forgets)
        covered.operations = len(disk.operations)
        for number, model, promises in disk.cuts():
            for mode, variant, tree in _trees(model, number, every_variant=every_variant):
                cuts.add((number, mode, variant))
                key = tree.digest() + len(promises).to_bytes(4, "big")
                if key in tried:
                    continue
                tried.add(key)
                where = f"{workload.name}, cut after operation {number} ({_last(disk, number)}), {mode.value}/{variant}"
                _check(workload, tree, promises, scratch, where)
                if covered.images % again_every == 0:
                    covered.again += _cut_again(workload, tree, promises, scratch, where, every_variant=every_variant)
                covered.images += 1
    covered.points.update(mode.value for _, mode, _ in cuts)
    return covered


def _last(disk: FaultDisk, number: int) -> str:
    return disk.operations[number - 1] if number else "none"


def _trees(model: DiskModel, number: int, *, every_variant: bool) -> Iterator[tuple[Mode, int, Tree]]:
    for mode in Mode:
        count = VARIANTS[mode]
        for variant in range(count) if every_variant else (number % count,):
            yield mode, variant, model.crash(mode, variant)


def _recorded(workload: Workload, directory: Path, forgets: str) -> FaultDisk:
    """The workload, run through; and nothing was written that the door did not hear of."""
    directory.mkdir()
    workload.prepare(directory)
    disk = FaultDisk(directory, forgets)
    with sqlite_on(disk):
        workload.run(directory, disk)
    assert bool(forgets) == bool(disk.forgotten), f"nothing is called {forgets}"
    _nothing_beside(disk, workload.beside)
    return disk


def _nothing_beside(disk: FaultDisk, beside: Iterable[str]) -> None:
    known, there = disk.model.crash(Mode.KEPT), DiskModel.of(disk.root).crash(Mode.KEPT)
    for name in known.names.keys() | there.names.keys():
        if any(part in beside or part.endswith("-shm") for part in Path(name).parts):
            continue
        told, found = (tree.contents.get(tree.names.get(name, -1), b"nothing") for tree in (known, there))
        assert told == found, f"{name} was written beside the door"


def _check(workload: Workload, tree: Tree, promises: list[Any], scratch: Path, where: str) -> None:
    directory = scratch / "cut"
    tree.lay(directory)
    try:
        workload.check(directory, workload.recover(directory, LocalDisk()), promises)
    except Exception as error:
        raise Broken(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(directory)


def _cut_again(
    workload: Workload, tree: Tree, promises: list[Any], scratch: Path, where: str, *, every_variant: bool
) -> int:
    """The recovery is recorded, and cut at each of its operations; the one after it has to do."""
    directory = scratch / "again"
    tree.lay(directory)
    try:
        disk = FaultDisk(directory)
        with sqlite_on(disk):
            workload.recover(directory, disk)
    finally:
        shutil.rmtree(directory)
    tried, cuts = set[bytes](), 0
    for number, model, later in disk.cuts():
        for mode, variant, second in _trees(model, number, every_variant=every_variant):
            cuts += 1
            if (digest := second.digest() + len(later).to_bytes(4, "big")) not in tried:
                tried.add(digest)
                again = f"{where}, then cut in recovery after operation {number} ({_last(disk, number)})"
                _check(workload, second, [*promises, *later], scratch, f"{again}, {mode.value}/{variant}")
    return cuts


@contextmanager
def _scratch() -> Iterator[Path]:
    """In memory where that can be had: thousands of directories come and go."""
    memory = Path("/dev/shm")  # noqa: S108  # a directory of our own inside
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        yield Path(made)
