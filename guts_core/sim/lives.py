"""
The lives of simulated nodes: they start, crash, stand still, lose their disks or find older ones, and start again.

What ends a node for good is said by the plan; what a node refuses with words (a log that rotted, or that is lost) is
such an end too, and one that it must not survive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from heapq import heappush
from struct import Struct
from typing import Any

from guts_core.errors import Corrupt, PeerFault
from guts_core.simplex.engine import Rule
from guts_core.simplex.ports import Instant

from .fates import Drawn, Fates
from .faults import Crash, FullDisk, Loss, Pause, Plan, Restore, Rot
from .ledger import Broken
from .place import Event, Kind, Place
from .ports import Act, Cast, Fault, SimNode

# What a trace says of an event before its data: the time, what happened, to whom, and how many bytes follow.
_HEAD = Struct(">QHHI").pack
# A hash is told many small pieces at once.
_UNTRACED_MAX = 256
# How long an operator takes to put a disk right, and a machine to start again after its power failed.
_REPAIR_US = 100_000
_FIRST, _SECOND = 0, 1  # a restore has two times: that of the copy, and that of its return


class Lives:
    """The clock, the heap of events, and who is alive."""

    def __init__(self, seed: int, plan: Plan, cast: Cast, size: int, fates: Fates | None) -> None:
        self.plan, self.cast, self.size = plan, cast, size
        self.time = 0
        self.faults: Counter[str] = Counter()
        self.fired: Counter[Rule] = Counter()
        # Of each node whose rules are watched (``_applied``), the counts that its process keeps.
        self._rules_of: list[list[int]] = [[]] * size
        self.fates = fates or Drawn(seed, plan)
        self.liars = cast.villains  # whoever is not expected to keep the rules
        self._shows = [clock.shows for clock in plan.clocks]
        self.places = [Place(index, plan) for index in range(size)]
        self._heap: list[Event] = []
        self._sequence = 0
        self._trace = blake2b(digest_size=16)
        self._traced = 0  # events that the hash was told
        self._untraced: list[tuple[int, Kind, int, bytes]] = []  # and those that it has still to be told

    @property
    def honest(self) -> list[int]:
        """Who is expected to keep the rules."""
        return [index for index in range(self.size) if index not in self.liars]

    @property
    def trace(self) -> str:
        """A hash over every event so far."""
        self._tell_trace()
        return self._trace.hexdigest()

    @property
    def events(self) -> int:
        """How many there were."""
        return self._traced + len(self._untraced)

    def _push(self, time: int, kind: Kind, node: int, number: int, what: object) -> None:
        self._sequence += 1
        heappush(self._heap, (time, self._sequence, kind, node, number, what))

    def _note(self, kind: Kind, index: int, data: bytes) -> None:
        untraced = self._untraced
        untraced.append((self.time, kind, index, data))
        if len(untraced) == _UNTRACED_MAX:
            self._tell_trace()

    def _tell_trace(self) -> None:
        told = [_HEAD(time, kind, index, len(data)) + data for time, kind, index, data in self._untraced]
        self._trace.update(b"".join(told))
        self._traced += len(told)
        self._untraced.clear()

    def _now(self, index: int) -> Instant:
        jump_ms = self.places[index].jump_ms
        return self._shows[index](self.time, jump_ms if jump_ms and self.time < self.plan.chaos_us else 0)

    def _step(self, index: int, call: Callable[..., list[Act]], arguments: tuple[Any, ...]) -> None:
        place, rules = self.places[index], self._rules_of[index]
        before = rules[:]
        try:
            acts = call(*arguments, self._now(index) if place.jump_ms else self._shows[index](self.time, 0))
        except PeerFault as fault:
            self._refuses(index, Fault(arguments[0], str(fault)))
        except Corrupt as error:
            self._halts(index, error)
        else:
            if acts:
                self._perform(index, acts)
            else:
                self._arm_tick(index, place)
        if rules != before:
            self._applied(index, arguments, before, rules)

    def _applied(self, index: int, arguments: tuple[Any, ...], before: list[int], after: list[int]) -> None:
        """A watched node applied rules to this; how often it had applied each until then, and now."""
        raise NotImplementedError

    def _arm_tick(self, index: int, place: Place) -> None:
        raise NotImplementedError

    def _perform(self, index: int, acts: list[Act]) -> None:
        raise NotImplementedError

    def _refuses(self, index: int, act: Fault) -> None:
        raise NotImplementedError

    def _halts(self, index: int, error: Corrupt) -> None:
        """A contradiction in what a node knows: to stop is right where more lie than agreement bears."""
        if not self.plan.is_beyond and index not in self.liars:
            raise Broken(f"node {index} halted: {error}") from error
        self.faults["halted with words"] += 1
        self._end(index)

    # ---- starts ----

    def _boot(self, index: int) -> None:
        place = self.places[index]
        if place.is_gone:
            return
        try:
            node = self.cast.make(index, place.disk.records(), list(place.disk.stored))
        except Corrupt as error:
            self._refused_to_start(index, error)
            return
        place.node, place.busy, place.tick_at, place.deadline = node, False, -1, None
        place.up_since = self.time
        self._note(Kind.RESTART, index, b"")
        try:
            acts = node.start(self._now(index))
        except Corrupt as error:
            self._refused_to_start(index, error)
            return
        self._perform(index, acts)

    def _refused_to_start(self, index: int, error: Corrupt) -> None:
        if index not in self.plan.gone and index not in self.liars and not self.plan.is_beyond:
            raise Broken(f"node {index} cannot start again: {error}") from error
        self.faults["refused its disk"] += 1
        self._end(index)

    def _end(self, index: int) -> None:
        """For good."""
        place = self.places[index]
        if place.node is not None:
            self._crash(index, place)
        place.is_gone = True

    # ---- crashes ----

    def _crashes_here(self, index: int, place: Place) -> bool:
        crash = place.armed[0]
        if self.time < crash.at:
            return False
        if place.boundary > 0:
            place.boundary -= 1
            return False
        place.armed = place.armed[1:]
        place.boundary = place.armed[0].boundary if place.armed else 0
        self._crash(index, place)
        self._come_back(index, place, crash)
        return True

    def _come_back(self, index: int, place: Place, crash: Crash) -> None:
        if crash.jump_ms:
            self.faults["clock jumped"] += 1
            place.jump_ms = crash.jump_ms
        down = min(crash.down, max(0, self.plan.chaos_us - self.time))
        self._push(self.time + down, Kind.RESTART, index, 0, None)

    def _crash(self, index: int, place: Place) -> None:
        """The process ends; what was not synced is gone."""
        assert place.node is not None
        self.faults["crashed"] += 1
        before, torn = place.disk.lost, place.disk.torn
        self._note(Kind.TICK, index, b"crash")
        place.disk.crash(self.fates, index)
        self.faults["unsynced lost"] += place.disk.lost - before
        self.faults["torn"] += place.disk.torn - torn
        self._count(place.node)
        place.node, place.busy, place.tick_at, place.deadline = None, False, -1, None
        place.inbox.clear()
        place.commits.clear()
        place.incarnation += 1

    def _count(self, node: SimNode) -> None:
        """The rules that a process applied, at its end."""
        self.fired.update({Rule(number): times for number, times in enumerate(node.fired) if times})

    def _fails_to_write(self, index: int, place: Place) -> bool:
        """Whether a full disk ends the process here."""
        if self.time >= place.full_until:
            return False
        self.faults["disk full"] += 1
        self._crash(index, place)
        self._push(place.full_until, Kind.RESTART, index, 0, None)
        return True

    # ---- planned misfortunes ----

    def _plan_strikes(self) -> None:
        plan = self.plan
        for crash in plan.crashes:
            if crash.at < plan.chaos_us:
                self._push(plan.chaos_us - 1, Kind.STRIKE, crash.node, _FIRST, crash)
        for pause in plan.pauses:
            self._push(pause.at, Kind.STRIKE, pause.node, _FIRST, pause)
        for loss in plan.losses:
            self._push(loss.at, Kind.STRIKE, loss.node, _FIRST, loss)
        for full in plan.full_disks:
            self._push(full.since, Kind.STRIKE, full.node, _FIRST, full)
        for rot in plan.rots:
            self._push(rot.at, Kind.STRIKE, rot.node, _FIRST, rot)
        for restore in plan.restores:
            self._push(max(0, restore.at - restore.age), Kind.STRIKE, restore.node, _FIRST, restore)
            self._push(restore.at, Kind.STRIKE, restore.node, _SECOND, restore)

    def _strike(self, index: int, number: int, what: object) -> None:
        place = self.places[index]
        match what:
            case Crash():
                self._crashes_at_last(index, place, what)
            case Pause():
                self.faults["stood still"] += place.node is not None
                place.paused_until = self.time + what.length
            case Loss():
                self.faults["lost for good"] += 1
                self._end(index)
            case FullDisk():
                place.full_until = what.until
            case Rot():
                self._rots(index, place, what)
            case Restore() if number == _FIRST:
                place.saved = place.disk.copy()
            case Restore():
                self._puts_back(index, place, what)
            case _:
                raise AssertionError(what)

    def _crashes_at_last(self, index: int, place: Place, crash: Crash) -> None:
        """A crash that waited for a write in vain happens before the heal: after it nobody may forget a wish."""
        if crash not in place.armed:
            return
        place.armed = [other for other in place.armed if other != crash]
        place.boundary = place.armed[0].boundary if place.armed else 0
        if place.node is not None:
            self._crash(index, place)
            self._come_back(index, place, crash)

    def _off(self, index: int, place: Place) -> None:
        """Switch a machine off for as long as an operator needs; one that is down already comes back by itself."""
        if place.node is not None:
            self._crash(index, place)
            self._push(self.time + _REPAIR_US, Kind.RESTART, index, 0, None)

    def _rots(self, index: int, place: Place, rot: Rot) -> None:
        if place.is_gone:
            return
        self._off(index, place)
        if not place.disk.rot(rot.bit):
            self._end(index)
            return
        self.faults["rotten log"] += 1
        try:
            place.disk.records()
        except Corrupt:
            return
        raise Broken(f"I11: node {index} reads a log in which a bit has turned")

    def _puts_back(self, index: int, place: Place, restore: Restore) -> None:
        if place.is_gone or not place.disk.stored:
            return
        self._off(index, place)
        log, stored = place.saved
        self.faults[f"put back: {restore.what}"] += 1
        if restore.what == "log":
            place.disk.put_back([], None)
        elif restore.what == "database":
            place.disk.put_back(None, stored)
        else:
            place.disk.put_back(log, stored)
