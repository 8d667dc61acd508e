"""What other processes cost, read from /proc: processor time with that of their children, and memory."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB_PER_MB = 1000 * 1000 / 1024
# An idle node wakes for its timers and no more; whoever works uses more than this in the interval.
SETTLE_SECONDS, SETTLED_CPU_SECONDS = 0.1, 0.015
SETTLE_SECONDS_MAX = 15.0


@frozen
class Memory:
    """
    Megabytes (10^6 bytes) of one process: resident, with shared pages divided among who shares them, and its own.

    Its own are no copies of what a file holds: pages of a mapped pack are resident too, and Linux takes them back
    whenever it wants.
    """

    rss: float
    pss: float
    own: float


@frozen
class Cpu:
    """Processor seconds: of processes themselves, and of their children that have ended."""

    own: float
    children: float

    @property
    def total(self) -> float:
        """Both."""
        return self.own + self.children

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(self.own - before.own, self.children - before.children)


def tree(pid: int) -> tuple[int, ...]:
    """A process and all that descend from it, now."""
    return (pid, *(below for child in _children(pid) for below in tree(child)))


def cpu(pids: Iterable[int]) -> Cpu:
    """Processor time of these processes so far."""
    ticks = [_ticks(pid) for pid in pids]
    return Cpu(sum(own for own, _ in ticks) / _TICKS, sum(children for _, children in ticks) / _TICKS)


def children_cpu_seconds() -> float:
    """Processor time of this process's own children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory(pid: int) -> Memory:
    """What a process holds now."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    sizes = {words[0]: int(words[1]) for words in lines if words[-1] == "kB"}
    return Memory(*(sizes[name] / _KIB_PER_MB for name in ("Rss:", "Pss:", "Anonymous:")))


def settle(pids: Iterable[int]) -> None:
    """Wait until these processes do nothing: what one run leaves to do shall not slow the next."""
    watched, deadline = tuple(pids), time.monotonic() + SETTLE_SECONDS_MAX
    before = cpu(watched).total
    while time.monotonic() < deadline:
        time.sleep(SETTLE_SECONDS)
        now = cpu(watched).total
        if now - before < SETTLED_CPU_SECONDS and not _have_children(watched):
            return
        before = now


def _ticks(pid: int) -> tuple[int, int]:
    # The name in parentheses may hold spaces; utime, stime, cutime and cstime are fields 14 to 17.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own, children = fields[11:13], fields[13:15]
    return sum(map(int, own)), sum(map(int, children))


def _have_children(pids: Iterable[int]) -> bool:
    # A running child's time is counted only when it ended; servers that stand by are watched themselves.
    watched = frozenset(pids)
    return any(not watched.issuperset(_children(pid)) for pid in watched)


def _children(pid: int) -> list[int]:
    found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for children in found for child in children.split()]
