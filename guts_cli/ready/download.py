"""
Files by their digests, in parts from several nodes at once; a wrong byte is refused and fetched elsewhere.

Which of several nodes gave the wrong byte of a file nobody can tell, since state names the whole. So where a
file of several nodes is false, it is fetched again as a whole from one after another; who gives a false
one then has lied or lost a bit, and is asked for nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b

from attrs import define, field, frozen

from guts_core.codec import HASH_BYTES, Tag
from guts_core.errors import PeerFault, Unavailable

from .begun import Begun, File
from .crew import Crew, go_on, results
from .known import Mirror
from .local import writing
from .pace import PACE, Pace
from .stages import stage
from .transfer import NotServed, Place, Range, copy_range
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


def fetch_all(files: Sequence[Begun], mirrors: Mirrors, pace: Pace = PACE) -> None:
    """
    Every file, whole and checked, at its target.

    Raises Unavailable or WrongBytes; Misconfigured where a file cannot be written here. Whatever ends it, Ctrl-C
    too, ends all of it at once; what was begun stays, and ``files`` tell how far they came.
    """
    stop = threading.Event()
    with Crew(PARTS_AT_ONCE, stop) as parts, Crew(FILES_AT_ONCE, stop) as whole:
        results([whole.submit(_Download(begun, mirrors, parts, stop, pace).run) for begun in files])


@frozen
class _Download:
    """One file on its way."""

    begun: Begun
    mirrors: Mirrors
    parts: Crew
    stop: threading.Event
    pace: Pace

    def run(self) -> None:
        """Until it is there and true."""
        file = self.begun.file
        used = self._from_all()
        if _is(file):
            return
        if len(used) == 1 and not self.begun.is_resumed:
            self.mirrors.lied(used.pop(), _kind(file))
        for mirror in self.mirrors.from_(0):
            try:
                self._from_one(mirror)
            except (OSError, Unavailable):
                self.mirrors.failed(mirror)
                continue
            if _is(file):
                return
            self.mirrors.lied(mirror, _kind(file))
        raise WrongBytes(f"no node gave {file.name} as its digest says")

    def _from_all(self) -> set[Mirror]:
        """All parts, each from whoever gives it; who gave some."""
        file = self.begun.file
        with writing(file.target):
            file.target.touch()
        work = [self.parts.submit(partial(self._part, part, turn)) for turn, part in enumerate(_parts(file.size))]
        return set[Mirror]().union(*results(work))

    def _from_one(self, mirror: Mirror) -> None:
        file, at = self.begun.file, 0
        self.begun.reached.clear()
        for _ in range(FAILURES_MAX):
            at = copy_range(mirror, file.path, Range(at, file.size), Place(file.target, stop=self.stop, pace=self.pace))
            if at == file.size:
                return
        raise NotServed(f"{mirror.url} cut {file.name} again and again")

    def _part(self, part: Range, turn: int) -> set[Mirror]:
        """One part, begun at one node and gone on with at others where that is cut off."""
        file, used = self.begun.file, set[Mirror]()
        at = self.begun.at(part.first, part.end)
        into = Place(
            file.target, lambda reached: self.begun.reached.update({part.first: reached}), self.stop, self.pace
        )
        for _ in range(FAILURES_MAX):
            for mirror in self.mirrors.from_(turn):
                if at == part.end:
                    return used
                go_on(self.stop)
                try:
                    reached = copy_range(mirror, file.path, Range(at, part.end), into)
                except (OSError, Unavailable):
                    self.mirrors.failed(mirror)
                    continue
                if reached > at:
                    used.add(mirror)
                if reached < part.end:
                    self.mirrors.failed(mirror)
                at = reached
        if at == part.end:
            return used
        raise Unavailable(f"no node gives {file.name} now")


def _parts(size: int) -> list[Range]:
    return [Range(at, min(at + PART_BYTES, size)) for at in range(0, size, PART_BYTES)]


def _is(file: File) -> bool:
    """Whether the bytes at the target are the ones."""
    hashed = blake2b(digest_size=HASH_BYTES, person=Tag.BLOB.value)
    with stage("digest"), writing(file.target), file.target.open("rb") as raw:
        while piece := raw.read(_READ_BYTES):
            hashed.update(piece)
    return hashed.digest() == file.digest


def _kind(file: File) -> str:
    return "pack" if file.path.endswith(".pack") else "pack index"
