"""
The world: one heap of events, one virtual clock, nodes that exchange bytes alone (``consensus.md`` 7.2).

Acts of a node are performed in order; a synced write takes time, in which the node does nothing
else, and a crash at any write loses what was not synced and all that would have followed.
"""

from __future__ import annotations

import typing
from collections import Counter
from heapq import heappop, heappush

from guts_core.simplex.messages import Message

from . import holdings
from .deadlines import Deadlines, Strides
from .fates import Fates
from .faults import SECOND, Crash, Plan
from .ledger import Broken, Forked, VoteLedger
from .links import Carry, Links
from .lives import Lives
from .place import Event, Kind, Place
from .ports import Accuse, Act, Cast, Fault, Knock, Say, SimNode, Stall, Store, Taker, Write
from .workload import Words, Workload

# The most frequent ones named once: to look a member up by its class costs as much as a call (Python 3.11).
_DELIVER, _TICK, _SYNCED, _STORED, _WRITTEN = Kind.DELIVER, Kind.TICK, Kind.SYNCED, Kind.STORED, Kind.WRITTEN
# What happens to a node even while its process stands still.
_UNPAUSED = frozenset((Kind.WORK, Kind.SAMPLE, Kind.STRIKE, Kind.RESTART))
# Counting all that a node holds takes as long as ten events: a look at every fourth wish or so.
_LOOK_EVERY = 4
# One in so many commits rewrites the log from a snapshot.
_COMPACT_EVERY = 16
# What becomes final later than this before the end need not have reached everybody.
_SETTLE_US = 2 * SECOND
# How long a node is down that an adaptive adversary struck.
_KNOCKED_US = 200_000


class World(Lives):
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
        super().__init__(seed, plan, cast, size, fates)
        self.ledger = ledger
        ledger.excuse(self.liars)
        self.links = Links(plan, self.fates, ledger.quorum, self.faults)
        self._carry: Carry = self.links.carry
        self._others = [[other for other in range(size) if other != index] for index in range(size)]
        self._workload = workload or Words()
        self.refused: Counter[int] = Counter()  # by sender: messages that honest nodes refused
        self.accused: Counter[int] = Counter()  # by signer: contradictions that honest nodes reported
        self.struck: Counter[int] = Counter()  # by adversary: nodes it knocked out, quorums it held back
        self.verdict = "held"  # or "detected", "halted": of runs beyond the bound
        # Honest nodes that no misfortune takes away for good.
        self._steady = [index for index in self.honest if index not in plan.gone]
        self._clients = self.fates.dice("workload")
        self._end_us = plan.chaos_us + plan.heal_us
        self._sample = 0  # blocks that everybody must have at the end
        self._wishes: list[bytes] = []
        self._asked: dict[bytes, int] = {}  # wishes since the heal that are not final yet, and since when
        self.took: list[int] = []  # how long wishes took since then, us
        self.strides = Strides()
        self.resumed: dict[int, int] = {}  # how long after the heal a node had its first block, us
        self._due: list[bytes] = []
        self._said: tuple[Message | None, int] = None, -1  # by whom

    def run(self) -> None:
        """All of it; raises Broken at the first broken invariant."""
        try:
            self._run()
        except Forked as fork:
            if not self.plan.is_beyond or len(self.ledger.guilty) < 2 * self.ledger.quorum - self.size:
                raise
            self.verdict = f"detected: {fork}"
        for place in self.places:
            if place.node is not None:
                self._count(place.node)
        if not self.plan.is_beyond:
            self._judge()
        elif self.faults["halted with words"] and self.verdict == "held":
            self.verdict = "halted"

    def _run(self) -> None:
        self._plan_strikes()
        for index in range(self.size):
            self._boot(index)
        self._push(self.plan.work_us, Kind.WORK, 0, 0, None)
        self._push(self._end_us - _SETTLE_US, Kind.SAMPLE, 0, 0, None)
        heap, happen, end = self._heap, self._happen, self._end_us
        while heap and heap[0][0] <= end:
            event = heappop(heap)
            self.time = event[0]
            happen(event)

    # ---- events ----

    def _happen(self, event: Event) -> None:
        _, _, kind, index, number, what = event
        place = self.places[index]
        if place.paused_until > self.time and kind not in _UNPAUSED:
            # Whatever reaches a process that stands still reaches it when it goes on.
            self._push(place.paused_until, kind, index, number, what)
        elif kind is _DELIVER:
            node = place.node
            if node is None or place.busy:
                self._reach(index, place, event)
            else:
                self._handle(index, node, event)
                if place.inbox:
                    self._catch_up(index)
        elif kind is _TICK and number == place.tick_at:
            self._reach(index, place, event)
        elif kind is _TICK:
            pass  # another one was set since
        elif kind is _SYNCED:
            if number == place.incarnation:
                place.disk.sync()
                place.busy = False
                self._note(kind, index, b"")
                self._perform(index, typing.cast("list[Act]", what))
                if place.inbox:
                    self._catch_up(index)
        elif kind is _WRITTEN:
            if number == place.incarnation:
                self._written(index, place, typing.cast("Store", what))
        elif kind is _STORED:
            self._reach(index, place, event)
        elif kind is Kind.WORK:
            self._wish()
        elif kind is Kind.RESTART:
            if place.node is None:
                self._boot(index)
        elif kind is Kind.SAMPLE:
            self._sample = len(self.ledger.chain)
            self._due = list(self._wishes)
        elif kind is Kind.STRIKE:
            self._strike(index, number, what)
        elif kind > Kind.TELL:
            self._beside(event)
        else:
            self._reach(index, place, event)

    def _reach(self, index: int, place: Place, event: Event) -> None:
        """Something for a node itself: now, when it is no longer busy, or never."""
        if place.node is None:
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
        if kind is _DELIVER:
            self._note(_DELIVER, index, what)  # type: ignore[arg-type]  # the bytes that somebody said
            self._step(index, node.hear, (number, what))
            return
        place = self.places[index]
        if kind is _TICK:
            if number == place.tick_at:
                self._tick(index, place, node)
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

    # ---- acts ----

    def _perform(self, index: int, acts: list[Act]) -> None:
        place = self.places[index]
        anywhere = place.armed and place.armed[0].anywhere
        for at, act in enumerate(acts):
            if anywhere and self._crashes_here(index, place):
                return
            if isinstance(act, Say):
                self._say(index, act)
            elif isinstance(act, Write):
                if place.full_until and self._fails_to_write(index, place):
                    return
                place.disk.write(act.record)
                if place.armed and not anywhere and self._crashes_here(index, place):
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
            elif isinstance(act, Knock | Stall):
                self._adapt(index, act)
            else:
                self._other(index, act)
                if place.node is None:
                    return  # it wrote a pack, and that was its last write
        self._arm_tick(index, place)

    def _sync_after(self, index: int, place: Place, rest: list[Act]) -> None:
        place.busy = True
        delay = self.fates.sync(index)
        if place.slow:
            slowness = place.slowness(self.time)
            self.faults["slow sync"] += slowness > 0
            delay += slowness
        self._push(self.time + delay, _SYNCED, index, place.incarnation, rest)

    def _arm_tick(self, index: int, place: Place) -> None:
        """A deadline that moved away is looked at again when the old one comes: most do, with every view."""
        assert place.node is not None
        deadline = place.node.next_deadline()
        if deadline == place.deadline:
            return
        place.deadline = deadline
        if deadline is None:
            return
        at = max(self.time, self.plan.clocks[index].true(deadline))
        if place.tick_at < 0 or at < place.tick_at:
            place.tick_at = at
            self._push(at, _TICK, index, at, None)

    def _tick(self, index: int, place: Place, node: SimNode) -> None:
        place.tick_at = -1
        if place.deadline is None:
            return
        at = self.plan.clocks[index].true(place.deadline)
        if at > self.time:
            place.tick_at = at
            self._push(at, _TICK, index, at, None)
            return
        place.deadline = None
        self._note(Kind.TICK, index, b"")
        self._step(index, node.tick, ())

    def _stores(self, index: int, store: Store) -> None:
        if index not in self.liars:
            known = len(self.ledger.chain)
            self.ledger.final(index, store)
            if self.time >= self.plan.chaos_us:
                if store.height > known:
                    self.strides.final(store.view, self.ledger.certificates)
                self.resumed.setdefault(index, self.time - self.plan.chaos_us)
                for content in self._asked.keys() & store.contents:
                    self.took.append(self.time - self._asked.pop(content))
        place = self.places[index]
        place.commits.append(store)
        if len(place.commits) == 1:
            self._commit_next(index, place)

    def _commit_next(self, index: int, place: Place) -> None:
        delay = self.fates.commit(index, len(place.commits))
        self._push(self.time + delay, _WRITTEN, index, place.incarnation, place.commits[0])

    def _written(self, index: int, place: Place, store: Store) -> None:
        """The database holds a block; its node hears of it when it comes to that."""
        assert place.node is not None
        self._note(_WRITTEN, index, store.block_hash)
        place.disk.store(store)
        place.node.written(store)
        place.commits.popleft()
        if place.commits:
            self.faults["final before the last commit ended"] += 1
            self._commit_next(index, place)
        self._push(self.time, _STORED, index, place.incarnation, store)

    def _refuses(self, index: int, act: Fault) -> None:
        if act.peer not in self.liars and index not in self.liars:
            raise Broken(f"node {index} refuses what honest node {act.peer} said: {act.reason}")
        self.refused[act.peer] += 1

    def _accuse(self, index: int, act: Accuse) -> None:
        if index in self.liars:
            return
        if act.signer not in self.liars:
            raise Broken(f"L3: node {index} convicts honest node {act.signer}")
        self.accused[act.signer] += 1

    def _say(self, index: int, say: Say) -> None:
        to, data = say.to, say.data
        message = self.cast.read(data)
        # The same words of the same node to one peer after another are one saying.
        if message is not None and (message is not self._said[0] or index != self._said[1]):
            self._said = message, index
            if index not in self.liars or self.cast.is_signed(message):
                self.ledger.hear(message)
        carry, time, heap, sequence = self._carry, self.time, self._heap, self._sequence
        for receiver in self._others[index] if to is None else (to,) if to != index else ():
            for delay in carry(time, index, receiver, data, message):
                sequence += 1
                heappush(heap, (time + delay, sequence, _DELIVER, receiver, index, data))
        self._sequence = sequence

    def _adapt(self, index: int, act: Knock | Stall) -> None:
        """An adversary that watches acts on others: on one process at a time, and only while things go wrong."""
        if self.time >= self.plan.chaos_us or act.node in self.liars:
            return
        place = self.places[act.node]
        if isinstance(act, Stall):
            self.links.stall(act.node, act.view, act.hold)
            self.struck[index] += 1
        elif all(one.node is not None for one in self.places):
            self.faults["knocked out"] += 1
            self.struck[index] += 1
            self._crash(act.node, place)
            self._come_back(act.node, place, Crash(act.node, self.time, 0, _KNOCKED_US))

    def _wish(self) -> None:
        self._push(self.time + 1 + int(self._clients.random() * 2 * self.plan.work_us), Kind.WORK, 0, 0, None)
        honest = self._steady
        index = honest[int(self._clients.random() * len(honest))]
        place = self.places[index]
        if place.node is None or place.busy or place.paused_until > self.time:
            return  # a client whose node does not answer comes again later
        # Before the network heals a crash may forget a wish; after it none may be lost.
        is_calm = self.time >= self.plan.chaos_us
        wish = self._workload.due(self.ledger.is_final) if is_calm else self._workload.early()
        if wish is None:
            return
        if is_calm:
            self._wishes.append(wish)
            self._asked.setdefault(wish, self.time)
        if self.events % _LOOK_EVERY == 0:
            holdings.look_at(index, place.node, self.faults)
        self._note(Kind.WORK, index, wish)
        self._step(index, typing.cast("Taker", place.node).submit, (wish,))

    # ---- the end ----

    def _judge(self) -> None:
        for index in self._steady:
            node = self.places[index].node
            if node is None:
                raise Broken(f"L1: node {index} is still down at the end")
            if node.height < self._sample:
                raise Broken(f"L1: node {index} has {node.height} blocks, {self._sample} were final long before")
            holdings.judge(index, node)
        self._judge_times()
        lost = [word for word in self._due if not self.ledger.is_final(word)]
        if lost:
            raise Broken(f"L2: {self._named(lost[0])}, one of {len(lost)} wishes, is not final at the end")

    def _judge_times(self) -> None:
        """L1 and L2: how soon after the heal, after how many views, and how soon after it was wished for."""
        bounds = Deadlines.of(self.size, lossy=self.plan.loss_per_mille > 0)
        if self.strides.longest > bounds.views:
            raise Broken(f"L1: {self.strides.longest} views passed after the heal from one block to the next")
        if self.plan.heal_us <= bounds.resume_us:
            return
        # Who is alone has no heartbeat, and owes a block only to a wish: that is L2.
        for index in self._steady if self.size > 1 else ():
            took = self.resumed.get(index, self.plan.heal_us)
            if took > bounds.resume_us and (index in self.resumed or self._sample):
                raise Broken(f"L1: node {index} had its first block {took} us after the heal")
        if self.took and max(self.took) > bounds.wish_us:
            raise Broken(f"L2: a wish took {max(self.took)} us after the heal")

    def _named(self, wish: bytes) -> str:
        return wish.decode("utf-8", "replace")
