"""
The world: one heap of events, one virtual clock, nodes that exchange bytes alone (``consensus.md`` 7.2).

Acts of a node are performed in order; a synced write takes time, in which the node does nothing
else, and a crash at any write loses what was not synced and all that would have followed.
"""

from __future__ import annotations

import heapq
import typing
from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from guts_core.errors import Corrupt, PeerFault
from guts_core.simplex.engine import Rule
from guts_core.simplex.ports import Instant

from .fates import Drawn, Fates
from .faults import SECOND, Plan
from .ledger import Broken, VoteLedger
from .place import Event, Kind, Place
from .ports import Accuse, Act, Cast, Fault, Say, SimNode, Store, Taker, Write
from .workload import Words, Workload

_EPOCH_MS = 1_700_000_000_000
# One in so many commits rewrites the log from a snapshot.
_COMPACT_EVERY = 16
# What becomes final later than this before the end need not have reached everybody.
_SETTLE_US = 2 * SECOND


class World:
    """One run."""

    def __init__(
        self,
        seed: int,
        plan: Plan,
        cast: Cast,
        size: int,
        ledger: VoteLedger,
        workload: Workload | None = None,
        fates: Fates | None = None,
    ) -> None:
        self.plan, self.cast, self.size, self.ledger = plan, cast, size, ledger
        self._workload = workload or Words()
        self.time = 0
        self.events = 0
        self.faults: Counter[str] = Counter()
        self.fired: Counter[Rule] = Counter()
        self.refused: Counter[int] = Counter()  # by sender: messages that honest nodes refused
        self.accused: Counter[int] = Counter()  # by signer: contradictions that honest nodes reported
        self._heap: list[Event] = []
        self._sequence = 0
        self.fates = fates or Drawn(seed, plan)
        self._clients = self.fates.dice("workload")
        self._trace = blake2b(digest_size=16)
        self._end = plan.chaos_us + plan.heal_us
        self._sample = 0  # blocks that everybody must have at the end
        self._wishes: list[bytes] = []
        self._due: list[bytes] = []
        crashes = {index: [crash for crash in plan.crashes if crash.node == index] for index in range(size)}
        self.places = [Place(sorted(crashes[index], key=lambda crash: crash.at)) for index in range(size)]

    @property
    def honest(self) -> list[int]:
        """Who is expected to keep the rules."""
        return [index for index in range(self.size) if index not in self.cast.villains]

    @property
    def trace(self) -> str:
        """A hash over every event so far."""
        return self._trace.hexdigest()

    def run(self) -> None:
        """All of it; raises Broken at the first broken invariant."""
        for index in range(self.size):
            self._boot(index)
        self._push(self.plan.work_us, Kind.WORK, 0, 0, None)
        self._push(self._end - _SETTLE_US, Kind.SAMPLE, 0, 0, None)
        heap = self._heap
        while heap and heap[0][0] <= self._end:
            event = heapq.heappop(heap)
            self.time = event[0]
            self._happen(event)
        for place in self.places:
            if place.node is not None:
                self.fired += place.node.fired
        self._judge()

    # ---- events ----

    def _push(self, time: int, kind: Kind, node: int, number: int, what: object) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (time, self._sequence, kind, node, number, what))

    def _happen(self, event: Event) -> None:
        _, _, kind, index, number, what = event
        place = self.places[index]
        if kind is Kind.SYNCED:
            if number == place.incarnation:
                place.disk.sync()
                place.busy = False
                self._note(kind, index, b"")
                self._perform(index, typing.cast("list[Act]", what))
                self._catch_up(index)
        elif kind is Kind.RESTART:
            self._boot(index)
        elif kind is Kind.WORK:
            self._wish()
        elif kind is Kind.SAMPLE:
            self._sample = len(self.ledger.chain)
            self._due = list(self._wishes)
        elif kind is Kind.WRITTEN:
            if number == place.incarnation:
                self._written(index, place, typing.cast("Store", what))
        elif kind > Kind.TELL:
            self._beside(event)
        elif place.node is None:
            self.faults["fell on a dead node"] += 1
        elif place.busy:
            place.inbox.append(event)
        else:
            self._handle(index, place.node, event)
            if place.inbox:
                self._catch_up(index)

    def _catch_up(self, index: int) -> None:
        place = self.places[index]
        while place.inbox and not place.busy and place.node is not None:
            self._handle(index, place.node, place.inbox.popleft())

    def _handle(self, index: int, node: SimNode, event: Event) -> None:
        _, _, kind, _, number, what = event
        place = self.places[index]
        if kind is Kind.TICK:
            if number != place.tick_at:
                return
            place.tick_at = -1
            self._note(kind, index, b"")
            self._step(index, node.tick, ())
        elif kind is Kind.DELIVER:
            assert isinstance(what, bytes)
            self._note(kind, index, what)
            self._step(index, node.hear, (number, what))
        elif number != place.incarnation:
            return
        elif kind is Kind.TELL:
            self._tell(index, what)
        else:
            assert isinstance(what, Store)
            self._note(kind, index, what.block_hash)
            self._step(index, node.stored, (what,))
            if what.height % _COMPACT_EVERY == 0 and not place.busy and place.node is not None:
                place.disk.replace(node.snapshot())
                self.faults["log compacted"] += 1

    def _beside(self, event: Event) -> None:
        """What the other threads of a process do, whatever its node is busy with."""
        raise NotImplementedError

    def _tell(self, index: int, what: object) -> None:
        """What else a node is told."""
        raise NotImplementedError

    def _other(self, index: int, act: Act) -> None:
        """What else a node does."""
        raise NotImplementedError

    def _note(self, kind: Kind, index: int, data: bytes) -> None:
        self.events += 1
        self._trace.update(b"%d %d %d " % (self.time, kind, index))
        self._trace.update(data)

    def _now(self, index: int) -> Instant:
        clock = self.plan.clocks[index]
        return Instant(clock.monotonic(self.time), _EPOCH_MS + self.time // 1000 + clock.wall_ms)

    def _step(self, index: int, call: Callable[..., list[Act]], arguments: tuple[Any, ...]) -> None:
        try:
            acts = call(*arguments, self._now(index))
        except PeerFault as fault:
            self._refuses(index, Fault(arguments[0], str(fault)))
            return
        except Corrupt as error:
            raise Broken(f"node {index} halted: {error}") from error
        self._perform(index, acts)

    # ---- acts ----

    def _perform(self, index: int, acts: list[Act]) -> None:
        place = self.places[index]
        for at, act in enumerate(acts):
            if isinstance(act, Say):
                self._say(index, act)
            elif isinstance(act, Write):
                place.disk.write(act.record)
                if place.armed and self._crashes_here(index, place):
                    return
                if act.sync:
                    self._sync_after(index, place, acts[at + 1 :])
                    return
            elif isinstance(act, Store):
                self._stores(index, act)
            elif isinstance(act, Accuse):
                self._accuse(index, act)
            elif isinstance(act, Fault):
                self._refuses(index, act)
            else:
                self._other(index, act)
                if place.node is None:
                    return  # it wrote a pack, and that was its last write
        self._arm_tick(index, place)

    def _sync_after(self, index: int, place: Place, rest: list[Act]) -> None:
        place.busy = True
        self._push(self.time + self.fates.sync(index), Kind.SYNCED, index, place.incarnation, rest)

    def _arm_tick(self, index: int, place: Place) -> None:
        assert place.node is not None
        deadline = place.node.next_deadline()
        if deadline is None:
            place.tick_at = -1
            return
        at = max(self.time, self.plan.clocks[index].true(deadline))
        if at != place.tick_at:
            place.tick_at = at
            self._push(at, Kind.TICK, index, at, None)

    def _stores(self, index: int, store: Store) -> None:
        if index not in self.cast.villains:
            self.ledger.final(index, store)
        place = self.places[index]
        place.commits.append(store)
        if len(place.commits) == 1:
            self._commit_next(index, place)

    def _commit_next(self, index: int, place: Place) -> None:
        delay = self.fates.commit(index, len(place.commits))
        self._push(self.time + delay, Kind.WRITTEN, index, place.incarnation, place.commits[0])

    def _written(self, index: int, place: Place, store: Store) -> None:
        """The database holds a block; its node hears of it when it comes to that."""
        assert place.node is not None
        self._note(Kind.WRITTEN, index, store.block_hash)
        place.disk.store(store)
        place.node.written(store)
        place.commits.popleft()
        if place.commits:
            self.faults["final before the last commit ended"] += 1
            self._commit_next(index, place)
        self._push(self.time, Kind.STORED, index, place.incarnation, store)

    def _refuses(self, index: int, act: Fault) -> None:
        if act.peer not in self.cast.villains and index not in self.cast.villains:
            raise Broken(f"node {index} refuses what honest node {act.peer} said: {act.reason}")
        self.refused[act.peer] += 1

    def _accuse(self, index: int, act: Accuse) -> None:
        if index in self.cast.villains:
            return
        if act.signer not in self.cast.villains:
            raise Broken(f"L3: node {index} convicts honest node {act.signer}")
        self.accused[act.signer] += 1

    def _say(self, index: int, say: Say) -> None:
        message = self.cast.read(say.data)
        if message is not None and (index not in self.cast.villains or self.cast.is_signed(message)):
            self.ledger.hear(message)
        for receiver in range(self.size) if say.to is None else (say.to,):
            if receiver != index:
                self._carry(index, receiver, say.data)

    def _carry(self, sender: int, receiver: int, data: bytes) -> None:
        """Take a message along a link, which may lose, delay and double it."""
        if self.time < self.plan.chaos_us:
            for partition in self.plan.partitions:
                if partition.cuts(self.time, sender, receiver):
                    self.faults["cut off"] += 1
                    return
        delays = self.fates.carry(self.time, sender, receiver, len(data))
        for delay in delays:
            self._push(self.time + delay, Kind.DELIVER, receiver, sender, data)
        if len(delays) != 1:
            self.faults["duplicated" if delays else "lost"] += 1
        elif delays[0] > self.plan.delay_us[1]:
            self.faults["late"] += 1

    # ---- the life of nodes ----

    def _boot(self, index: int) -> None:
        place = self.places[index]
        try:
            node = self.cast.make(index, place.disk.records(), list(place.disk.stored))
        except Corrupt as error:
            raise Broken(f"node {index} cannot start again: {error}") from error
        place.node, place.busy, place.tick_at, place.up_since = node, False, -1, self.time
        self._note(Kind.RESTART, index, b"")
        self._step(index, node.start, ())

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
        down = min(crash.down, max(0, self.plan.chaos_us - self.time))
        self._push(self.time + down, Kind.RESTART, index, 0, None)
        return True

    def _crash(self, index: int, place: Place) -> None:
        """The process ends; what was not synced is gone."""
        assert place.node is not None
        self.faults["crashed"] += 1
        before, torn = place.disk.lost, place.disk.torn
        self._note(Kind.TICK, index, b"crash")
        place.disk.crash(self.fates, index)
        self.faults["unsynced lost"] += place.disk.lost - before
        self.faults["torn"] += place.disk.torn - torn
        self.fired += place.node.fired
        place.node, place.busy, place.tick_at = None, False, -1
        place.inbox.clear()
        place.commits.clear()
        place.incarnation += 1

    def _wish(self) -> None:
        self._push(self.time + 1 + int(self._clients.random() * 2 * self.plan.work_us), Kind.WORK, 0, 0, None)
        index = self.honest[int(self._clients.random() * len(self.honest))]
        place = self.places[index]
        if place.node is None or place.busy:
            return  # a client whose node does not answer comes again later
        # Before the network heals a crash may forget a wish; after it none may be lost.
        is_calm = self.time >= self.plan.chaos_us
        wish = self._workload.due(self.ledger.is_final) if is_calm else self._workload.early()
        if wish is None:
            return
        if is_calm:
            self._wishes.append(wish)
        self._note(Kind.WORK, index, wish)
        self._step(index, typing.cast("Taker", place.node).submit, (wish,))

    # ---- the end ----

    def _judge(self) -> None:
        for index in self.honest:
            node = self.places[index].node
            if node is None:
                raise Broken(f"L1: node {index} is still down at the end")
            if node.height < self._sample:
                raise Broken(f"L1: node {index} has {node.height} blocks, {self._sample} were final long before")
            for name, most in _HELD_MAX.items():
                if node.held.get(name, 0) > most:
                    raise Broken(f"I11: node {index} holds {node.held[name]} {name}")
        lost = [word for word in self._due if not self.ledger.is_final(word)]
        if lost:
            raise Broken(f"L2: {self._named(lost[0])}, one of {len(lost)} wishes, is not final at the end")

    def _named(self, wish: bytes) -> str:
        return wish.decode("utf-8", "replace")


# After the heal nothing may have piled up: a few live views, and what their votes are.
_HELD_MAX = {"rounds": 64, "votes": 2_000, "blocks": 128, "anchors": 4, "uncommitted": 64}
