"""
Files by their digests, in parts from several nodes at once; a wrong byte is refused and fetched elsewhere.

Which of several nodes gave the wrong byte of a file nobody can tell, since state names the whole. So where a
file of several nodes is false, it is fetched again as a whole from one after another; who gives a false
one then has lied or lost a bit, and is asked for nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from attrs import define, field, frozen

from guts_core.codec import HASH_BYTES, Tag
from guts_core.errors import PeerFault, Unavailable

from .known import Mirror
from .transfer import NotServed, Range, copy_range
from .words import say

# Each part is a request of some milliseconds; fewer would leave nodes without work at the end.
PART_BYTES = 16 << 20
# A node's two cores and ours; more threads only wait for each other.
PARTS_AT_ONCE = 4
FILES_AT_ONCE = 2
# A cut, a restart, another cut; a node that fails more often is not asked for this clone any more.
FAILURES_MAX = 5
_READ_BYTES = 1 << 20


class WrongBytes(PeerFault):
    """A node gave a file that is not the one of its digest."""

    code = "wrong-bytes"


@frozen
class File:
    """A file to be had: what it is called, where, its digest and size in bytes, and where it shall be."""

    name: str
    path: str
    digest: bytes
    size: int
    target: Path


@define
class Mirrors:
    """The nodes that still are to be asked."""

    left: list[Mirror]
    _failures: dict[str, int] = field(factory=dict)
    _lock: threading.Lock = field(factory=threading.Lock)

    def from_(self, turn: int) -> list[Mirror]:
        """All of them, beginning with another one at each turn."""
        with self._lock:
            start = turn % len(self.left) if self.left else 0
            return self.left[start:] + self.left[:start]

    def failed(self, mirror: Mirror) -> None:
        """It did not give what it was asked for; one that does so again and again goes."""
        with self._lock:
            self._failures[mirror.url] = self._failures.get(mirror.url, 0) + 1
            if self._failures[mirror.url] >= FAILURES_MAX and mirror in self.left:
                self.left.remove(mirror)

    def lied(self, mirror: Mirror, what: str) -> None:
        """It gave other bytes."""
        say(f"{mirror.url} gave a {what} with wrong bytes; it is fetched elsewhere")
        with self._lock:
            if mirror in self.left:
                self.left.remove(mirror)


def fetch_all(files: Sequence[File], mirrors: Mirrors) -> None:
    """Every file, whole and checked, at its target. Raises Unavailable or WrongBytes; what was begun stays there."""
    with ThreadPoolExecutor(PARTS_AT_ONCE) as parts, ThreadPoolExecutor(FILES_AT_ONCE) as whole:
        for done in [whole.submit(_fetch, file, mirrors, parts) for file in files]:
            done.result()


def _fetch(file: File, mirrors: Mirrors, parts: ThreadPoolExecutor) -> None:
    used = _from_all(file, mirrors, parts)
    if _is(file):
        return
    if len(used) == 1:
        mirrors.lied(used.pop(), _kind(file))
    for mirror in mirrors.from_(0):
        try:
            _from_one(file, mirror)
        except (OSError, Unavailable):
            mirrors.failed(mirror)
            continue
        if _is(file):
            return
        mirrors.lied(mirror, _kind(file))
    raise WrongBytes(f"no node gave {file.name} as its digest says")


def _from_all(file: File, mirrors: Mirrors, parts: ThreadPoolExecutor) -> set[Mirror]:
    """All parts, each from whoever gives it; who gave some."""
    with file.target.open("wb") as raw:
        done = [
            parts.submit(_part, file, part, turn, mirrors, raw.fileno()) for turn, part in enumerate(_parts(file.size))
        ]
        return set[Mirror]().union(*(one.result() for one in done))


def _from_one(file: File, mirror: Mirror) -> None:
    with file.target.open("wb") as raw:
        at = 0
        for _ in range(FAILURES_MAX):
            at = copy_range(mirror, file.path, Range(at, file.size), raw.fileno())
            if at == file.size:
                return
    raise NotServed(f"{mirror.url} cut {file.name} again and again")


def _part(file: File, part: Range, turn: int, mirrors: Mirrors, into: int) -> set[Mirror]:
    """One part, begun at one node and gone on with at others where that is cut off."""
    at, used = part.first, set[Mirror]()
    for _ in range(FAILURES_MAX):
        for mirror in mirrors.from_(turn):
            try:
                reached = copy_range(mirror, file.path, Range(at, part.end), into)
            except (OSError, Unavailable):
                mirrors.failed(mirror)
                continue
            if reached > at:
                used.add(mirror)
            at = reached
            if at == part.end:
                return used
            mirrors.failed(mirror)
    raise Unavailable(f"no node gives {file.name} now")


def _parts(size: int) -> list[Range]:
    return [Range(at, min(at + PART_BYTES, size)) for at in range(0, size, PART_BYTES)]


def _is(file: File) -> bool:
    """Whether the bytes at the target are the ones."""
    hashed = blake2b(digest_size=HASH_BYTES, person=Tag.BLOB.value)
    with file.target.open("rb") as raw:
        while piece := raw.read(_READ_BYTES):
            hashed.update(piece)
    return hashed.digest() == file.digest


def _kind(file: File) -> str:
    return "pack" if file.path.endswith(".pack") else "pack index"
