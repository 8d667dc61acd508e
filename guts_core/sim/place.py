"""What can happen in a simulated world, and where it happens."""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from .disk import SimDisk
from .fates import dice as dice  # noqa: PLC0414  # asked for here by those who draw before a run
from .faults import Crash, Plan, SlowDisk
from .ports import SimNode, Store


class Kind(IntEnum):
    """What can happen."""

    DELIVER = 0
    TICK = 1
    SYNCED = 2
    STORED = 3
    RESTART = 4
    WORK = 5
    SAMPLE = 6
    WRITTEN = 7
    # What follows happens in a world of whole nodes only.
    TELL = 8
    ASKED = 9
    GIVEN = 10
    GIVE_UP = 11
    KEPT = 12
    REPAIR = 13
    # Planned misfortunes that have a time of their own.
    STRIKE = 14


Event = tuple[int, int, Kind, int, int, object]  # time, sequence, kind, node, peer or incarnation, what


class Place:
    """A node with its disk, clock and what it is busy with."""

    __slots__ = (
        "armed",
        "boundary",
        "busy",
        "commits",
        "deadline",
        "disk",
        "full_until",
        "inbox",
        "incarnation",
        "is_gone",
        "jump_ms",
        "node",
        "paused_until",
        "saved",
        "slow",
        "tick_at",
        "up_since",
    )

    def __init__(self, index: int, plan: Plan) -> None:
        self.node: SimNode | None = None
        self.disk = SimDisk()
        self.incarnation = 0
        self.busy = False
        self.inbox: deque[Event] = deque()
        self.commits: deque[Store] = deque()  # final, on their way to the database; the first is being written
        self.tick_at = -1
        self.deadline: int | None = None  # for which that tick is, by the node's own clock
        crashes = [crash for crash in plan.crashes if crash.node == index]
        self.armed: list[Crash] = sorted(crashes, key=lambda crash: crash.at)
        self.boundary = self.armed[0].boundary if self.armed else 0
        self.up_since = 0
        self.is_gone = False  # it is not started any more
        self.jump_ms = 0  # what its wall clock is off by since its last crash, beside its skew
        self.paused_until = 0
        self.full_until = 0
        self.slow: list[SlowDisk] = [slow for slow in plan.slow_disks if slow.node == index]
        self.saved: tuple[list[bytes], list[Store]] = ([], [])  # what a backup took

    def slowness(self, time: int) -> int:
        """How much longer a sync takes than usual."""
        return sum(slow.extra for slow in self.slow if slow.since <= time < slow.until)
