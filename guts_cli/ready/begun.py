"""
What an interrupted download leaves for the next one: its files, and how far each part of them has come.

Under names that git takes for its own temporary files: ``git gc`` removes what nobody came back for. Whoever goes on
takes the record first, by renaming it, so that of two runs one has it. Nothing in it is believed: the digest is checked
as ever, and where it is wrong all of the file is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen

# By ``tmp_`` git knows what it may clean up.
TEMPORARY = "tmp_guts_"
_LEFT = f"{TEMPORARY}left_"
_RECORD = ".parts"


@frozen
class File:
    """A file to be had: what it is called, where, its digest and size in bytes, and where it shall be."""

    name: str
    path: str
    digest: bytes
    size: int
    target: Path


@define
class Begun:
    """A file, and up to where each of its parts is there, by the part's first byte."""

    file: File
    reached: dict[int, int] = field(factory=dict)
    is_resumed: bool = False

    def at(self, first: int, end: int) -> int:
        """The first byte of a part that is not there yet."""
        return min(max(first, self.reached.get(first, first)), end)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return sum(at - first for first, at in self.reached.items())


def claim(file: File) -> Begun:
    """The file with what an earlier run left of it, which is then nobody else's."""
    record, left = _record(file.target), _left(file)
    with suppress(OSError, ValueError):
        _record(left).rename(record)
        left.rename(file.target)
        reached = {int(first): int(at) for first, at in map(str.split, record.read_text().splitlines())}
        if all(0 <= first <= at <= file.size for first, at in reached.items()):
            return Begun(file, reached, is_resumed=True)
    return Begun(file)


def leave(files: Iterable[Begun]) -> int:
    """Put away what there is for whoever goes on; how many bytes that is."""
    kept = 0
    for begun in (one for one in files if one.size):
        # Where the disk is full, too, less is left; it is no more than time.
        with suppress(OSError):
            record, left = _record(begun.file.target), _left(begun.file)
            record.write_text("".join(f"{first} {at}\n" for first, at in sorted(begun.reached.items())))
            begun.file.target.rename(left)
            record.rename(_record(left))
            kept += begun.size
    return kept


def forget(packs: Path) -> None:
    """What was left is needed no more: the same came another way."""
    for path in packs.glob(f"{_LEFT}*"):
        path.unlink(missing_ok=True)


def remove(files: Iterable[Begun]) -> None:
    """Take temporary files away, with whatever git put beside them."""
    for begun in files:
        target = begun.file.target
        for path in target.parent.glob(f"{target.stem}.*"):
            path.unlink(missing_ok=True)


def _left(file: File) -> Path:
    return file.target.with_name(f"{_LEFT}{file.digest.hex()}{file.target.suffix}")


def _record(target: Path) -> Path:
    return target.with_name(target.name + _RECORD)
