"""
Twins, scripted: four validators, two unmodified processes of one of them, and who hears whom view by view.

Known mistakes of agreement protocols show within a handful of such views. A case is a number: it draws who is
twinned, who leads each scripted view, and how the five processes are split in it. After the script everybody
hears everybody, both twins at once, and blocks must become final. No crash, no loss, no disk: what these cases ask
is only whether two honest voices under one key can talk four nodes into a fork, and they ask it ten thousand times.
So nobody asks at its start what was heard of its key: a twin would hear of the other, and stop (F40).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from functools import cache
from hashlib import blake2b
from itertools import product
from struct import Struct

from attrs import define, field, frozen

from guts_core.errors import Corrupt, PeerFault
from guts_core.simplex.committee import Committee
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel

from .crypto import KeyRing
from .fates import dice
from .ledger import Broken, VoteLedger
from .links import view_in
from .ports import Accuse, Act, Say, Store
from .replica_node import CHAIN, DELTA_US, Reader, ReplicaNode

SIZE, PLACES = 4, 5
VIEWS_LEAST, VIEWS_MOST = 3, 5
# A view's split ends this long after the one before: long enough to give a view up in it, and to say it again.
SPLIT_US = 5 * DELTA_US
# By then everybody has a final block beyond the script: five turns of leaders of whom some were given up on.
_PATIENCE_US = 40 * DELTA_US
_DELAYS_US = (1_000, 5_000, 20_000)
_WALL_MS = 1_700_000_000_000
_KEYS = 0  # the seed of all cases' keys: who the validators are decides nothing
_HEAD = Struct(">QBI").pack


@cache
def splits() -> tuple[tuple[int, ...], ...]:
    """Every way to split five processes into at most three groups, as the group of each."""
    every = (sides for sides in product(range(3), repeat=PLACES))
    return tuple(sides for sides in every if _is_first_of_its_kind(sides))


def _is_first_of_its_kind(sides: tuple[int, ...]) -> bool:
    """Groups are numbered in the order in which they appear: another numbering is the same split."""
    return all(side <= max(sides[:at], default=-1) + 1 for at, side in enumerate(sides))


@frozen
class Case:
    """One script. Places 0 to 3 are the validators, place 4 is the second process of the twinned one."""

    number: int
    twin: int
    leaders: tuple[int, ...]  # by view, from the first
    sides: tuple[tuple[int, ...], ...]  # by view: the group of each place
    delays: tuple[int, ...]  # by sender's place and receiver's

    @property
    def ends_us(self) -> int:
        """When the last split is over."""
        return len(self.leaders) * SPLIT_US


@frozen
class Outcome:
    """What became of a case; ``problem`` None: every invariant held, and blocks became final after the script."""

    case: Case
    problem: str | None
    events: int
    simulated_us: int
    heights: tuple[int, ...]  # of honest nodes
    convictions: int  # by honest nodes, of the twinned key
    torn: int  # messages of one twin that reached some whom the other's did not
    trace: str


@define
class Played:
    """Many outcomes added up."""

    cases: int = 0
    events: int = 0
    simulated_us: int = 0
    blocks: int = 0
    torn: int = 0  # cases in which one twin reached some whom the other did not
    convicted: int = 0  # cases in which somebody honest convicted the twinned key
    splits: set[tuple[int, ...]] = field(factory=set)
    failures: list[Outcome] = field(factory=list)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """More of them."""
        for outcome in outcomes:
            self.cases += 1
            self.events += outcome.events
            self.simulated_us += outcome.simulated_us
            self.blocks += max(outcome.heights)
            self.torn += outcome.torn > 0
            self.convicted += outcome.convictions > 0
            self.splits.update(outcome.case.sides)
            self.failures += [outcome] if outcome.problem is not None else []


def case_of(number: int) -> Case:
    """The script of this number."""
    roll = dice(number, "twins")
    views = VIEWS_LEAST + number % (VIEWS_MOST - VIEWS_LEAST + 1)
    every = splits()
    return Case(
        number,
        twin=roll.randrange(SIZE),
        leaders=tuple(roll.randrange(SIZE) for _ in range(views)),
        sides=tuple(every[roll.randrange(len(every))] for _ in range(views)),
        delays=tuple(_DELAYS_US[roll.randrange(len(_DELAYS_US))] for _ in range(PLACES * PLACES)),
    )


def play(case: Case) -> Outcome:
    """Run it."""
    stage = _Stage(case)
    problem = None
    try:
        stage.run()
    except (Broken, Corrupt) as broken:
        problem = str(broken)
    return Outcome(
        case,
        problem,
        stage.events,
        stage.time,
        tuple(stage.nodes[place].height for place in stage.honest),
        stage.counts["convictions"],
        stage.counts["torn"],
        stage.trace.hexdigest(),
    )


class _Led(Committee):
    """Leaders of the first views as the script says."""

    leaders: tuple[int, ...] = ()

    def leader(self, view: int) -> int:
        """After the script, in turns."""
        return self.leaders[view - 1] if 0 < view <= len(self.leaders) else super().leader(view)


@cache
def _ring() -> KeyRing:
    return KeyRing(_KEYS, SIZE)


class _Stage:
    """One case while it is played."""

    def __init__(self, case: Case) -> None:
        self.case, self.time, self.events = case, 0, 0
        self.seats = (*range(SIZE), case.twin)
        self.honest = [place for place in range(SIZE) if place != case.twin]
        self.ledger = VoteLedger(SIZE, FaultModel.BYZANTINE, frozenset([case.twin]))
        self.counts: Counter[str] = Counter()
        self.trace = blake2b(digest_size=16)
        self._reader = Reader()
        self._heap: list[tuple[int, int, int, int, bytes]] = []
        self._sequence = 0
        self._beyond: set[int] = set()  # honest places with a final block of a view beyond the script
        ring = _ring()
        led = _Led(CHAIN, 0, ring.public_keys, FaultModel.BYZANTINE, ring)
        led.leaders = case.leaders
        self.nodes = [ReplicaNode(seat, ring, self._reader, [], [], recalls=False) for seat in self.seats]
        for node in self.nodes:
            node.engine._state.committee = led  # noqa: SLF001 -- who leads is scripted, and nothing else is

    def run(self) -> None:
        """Until everybody honest went beyond the script; raises Broken."""
        for place, node in enumerate(self.nodes):
            # Wishes differ, and so do the blocks of twins.
            node.replica.submit(b"wish %d" % place)
            self._perform(place, node.start(self._now(place)))
        last = self.case.ends_us + _PATIENCE_US
        while len(self._beyond) < len(self.honest):
            self._next()
            if self.time > last:
                heights = [self.nodes[place].height for place in self.honest]
                raise Broken(f"L1: no block beyond the script is final on every honest node: heights {heights}")

    def _next(self) -> None:
        """The next message, or whoever's patience ends before it comes."""
        dues = [(at, place) for place, node in enumerate(self.nodes) if (at := node.next_deadline()) is not None]
        due, waiting = min(dues, default=(1 << 62, 0))
        if self._heap and self._heap[0][0] <= due:
            self.time, _, receiver, sender, data = heapq.heappop(self._heap)
            self._note(receiver, data)
            self._hear(receiver, sender, data)
        else:
            self.time = max(self.time, due)
            self._note(waiting, b"")
            self._perform(waiting, self.nodes[waiting].tick(self._now(waiting)))

    def _hear(self, receiver: int, sender: int, data: bytes) -> None:
        try:
            acts = self.nodes[receiver].hear(self.seats[sender], data, self._now(receiver))
        except PeerFault as fault:
            raise Broken(f"process {receiver} refuses what unmodified process {sender} said: {fault}") from fault
        self._perform(receiver, acts)

    def _perform(self, place: int, acts: list[Act]) -> None:
        for act in acts:
            if isinstance(act, Say):
                self._say(place, act)
            elif isinstance(act, Store):
                self._store(place, act)
            elif isinstance(act, Accuse) and place in self.honest:
                if act.signer != self.case.twin:
                    raise Broken(f"L3: node {place} convicts honest node {act.signer}")
                self.counts["convictions"] += 1

    def _store(self, place: int, store: Store) -> None:
        """Disks are quick here."""
        node = self.nodes[place]
        if place in self.honest:
            self.ledger.final(place, store)
            if node.engine.final.view > len(self.case.leaders):
                self._beyond.add(place)
        self._perform(place, node.stored(store, self._now(place)))

    def _say(self, sender: int, say: Say) -> None:
        message = self.nodes[sender].read(say.data)
        view = self.nodes[sender].engine.view
        if message is not None:
            self.ledger.hear(message)
            view = view_in(message) or view
        own, delays = self.seats[sender], self.case.delays
        for receiver, seat in enumerate(self.seats):
            if seat == own or (say.to is not None and seat != say.to):
                continue
            if not self._reaches(view, sender, receiver):
                self.counts["torn"] += own == self.case.twin
                continue
            self._sequence += 1
            at = self.time + delays[sender * PLACES + receiver]
            heapq.heappush(self._heap, (at, self._sequence, receiver, sender, say.data))

    def _reaches(self, view: int, sender: int, receiver: int) -> bool:
        if not 0 < view <= len(self.case.sides) or self.time >= view * SPLIT_US:
            return True
        sides = self.case.sides[view - 1]
        return sides[sender] == sides[receiver]

    def _now(self, place: int) -> Instant:
        return Instant(self.time, _WALL_MS + self.time // 1000 + place)

    def _note(self, place: int, data: bytes) -> None:
        self.events += 1
        self.trace.update(_HEAD(self.time, place, len(data)) + data)
