"""How much more memory a node takes while it serves, and while it receives, a gigabyte."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define

from .figures import Figure, figure
from .git_traffic import open_sides
from .history import write_large
from .kept import kept
from .processes import Memory, memory, settle
from .raw import drain, everything
from .run import Run
from .serving import open_served

GIGABYTE = 10**9
LARGE_PUSHES = 10  # of 100 MB each
# 16 MiB in the unit of the row.
BAR_MB = 16.8
_LOOK_SECONDS = 0.1


@define
class Peak:
    """What a process held at first, the most of it since, and what it holds in the end."""

    first: Memory
    most_own: float
    most_resident: float
    last: Memory

    def note(self, held: Memory) -> None:
        """One more look."""
        self.last = held
        self.most_own, self.most_resident = max(self.most_own, held.own), max(self.most_resident, held.rss)

    @property
    def growth(self) -> float:
        """MB (10^6 bytes) of its own, at most."""
        return self.most_own - self.first.own


def measure(run: Run) -> list[Figure]:
    """Once of the same kind before, so that what is imported and kept for later is there."""
    return [*_served(run), *_received(run)]


def _served(run: Run) -> list[Figure]:
    served = run.once(open_served)
    source = served.raw(served.our_url)
    body = everything(source)
    size = drain(source, body).bytes
    with watched(served.our_pids[0]) as peak:
        for _ in range(-(-GIGABYTE // size)):
            drain(source, body)
    return [figure("memory growth, 1 GB served", "MB", [peak.growth], bar=BAR_MB, note=_told(peak))]


def _received(run: Run) -> list[Figure]:
    with open_sides(run, "growth", kept(write_large)) as sides:
        pid = run.network.pid(0)
        sides.push_ours(0)
        with watched(pid) as peak:
            for number in range(1, LARGE_PUSHES + 1):
                sides.push_ours(number)
    return [figure("memory growth, 1 GB received", "MB", [peak.growth], bar=BAR_MB, note=_told(peak))]


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """Look at what a process holds until the block ends."""
    settle([pid])
    ended, first = threading.Event(), memory(pid)
    peak = Peak(first, first.own, first.rss, first)
    thread = threading.Thread(target=_look, args=(lambda: memory(pid), peak, ended))
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _look(held: Callable[[], Memory], peak: Peak, ended: threading.Event) -> None:
    over = False
    while not over:
        over = ended.wait(_LOOK_SECONDS)
        peak.note(held())


def _told(peak: Peak) -> str:
    return (
        f"of its own {peak.first.own:.1f} MB before, {peak.most_own:.1f} at most, {peak.last.own:.1f} in the end; "
        f"with what it maps of files {peak.first.rss:.1f}, {peak.most_resident:.1f} and {peak.last.rss:.1f} MB"
    )
