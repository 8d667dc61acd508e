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
from .processes import memory, settle
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
    """The most a process held, above what it held at first."""

    first: float
    most: float

    @property
    def growth(self) -> float:
        """MB (10^6 bytes)."""
        return self.most - self.first


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
    ended, first = threading.Event(), memory(pid).rss
    peak = Peak(first, first)
    thread = threading.Thread(target=_look, args=(lambda: memory(pid).rss, peak, ended))
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _look(held: Callable[[], float], peak: Peak, ended: threading.Event) -> None:
    over = False
    while not over:
        over = ended.wait(_LOOK_SECONDS)
        peak.most = max(peak.most, held())


def _told(peak: Peak) -> str:
    return f"{peak.first:.1f} MB resident before, {peak.most:.1f} MB at most"
