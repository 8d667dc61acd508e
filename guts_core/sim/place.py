"""What can happen in a simulated world, where it happens."""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from .disk import SimDisk
from .fates import dice as dice  # noqa: PLC0414  # asked for here by those who draw before a run
from .faults import Crash
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


Event = tuple[int, int, Kind, int, int, object]  # time, sequence, kind, node, peer or incarnation, what


class Place:
    """A node with its disk, clock and what it is busy with."""

    __slots__ = ("armed", "boundary", "busy", "commits", "disk", "inbox", "incarnation", "node", "tick_at", "up_since")

    def __init__(self, crashes: list[Crash]) -> None:
        self.node: SimNode | None = None
        self.disk = SimDisk()
        self.incarnation = 0
        self.busy = False
        self.inbox: deque[Event] = deque()
        self.commits: deque[Store] = deque()  # final, on their way to the database; the first is being written
        self.tick_at = -1
        self.armed = crashes
        self.boundary = crashes[0].boundary if crashes else 0
        self.up_since = 0
