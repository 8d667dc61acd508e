"""One node that joins and peers of any character, on a virtual clock, with one seed for what is not decided."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from random import Random
from typing import Protocol

from attrs import define, evolve, field

from guts_core.errors import Malformed
from guts_core.identity import Ed25519Verifier
from guts_core.names import Root
from guts_core.state.view import Pair
from guts_core.sync.machine import PIECE_NAME, StateSync
from guts_core.sync.messages import Answer, Question
from guts_core.sync.orders import Ask, Build, Drop, Forget, Install, Keep, Order
from guts_core.sync.rebuilding import Rebuilding
from tests.core.sync.sync_world import Chain


class Server(Protocol):
    """Anybody who can be asked."""

    def reply(self, question: Question) -> Answer | None:
        """What it answers, with the question's number; None: nothing."""


class Crashed(Exception):
    """The joining node stopped here."""


@define
class Joining:
    """The node that joins, with what it keeps across crashes, and the network around it."""

    chain: Chain
    servers: Mapping[int, Server]
    seed: int = 0
    crash_at: int | None = None  # after so many orders
    now: int = 0
    kept: dict[str, bytes] = field(factory=dict)
    dropped: dict[int, str] = field(factory=dict)
    installed: list[Pair] | None = None
    orders: int = 0
    room_bytes: int | None = None
    _dice: Random = field(init=False)
    _coming: list[tuple[int, int, int, Answer]] = field(factory=list)
    _built: list[Pair] | None = None

    def __attrs_post_init__(self) -> None:
        self._dice = Random(self.seed)  # noqa: S311  # a test draws, nobody is to be kept from guessing

    def run(self, seconds: int = 600) -> StateSync:
        """From a start to the installed state, or until the time is over."""
        sync = StateSync(self.chain.genesis, Ed25519Verifier(), sorted(self.kept.items()))
        sync.room_bytes = self.room_bytes
        self._coming.clear()
        for peer in self.servers:
            self._perform(sync, sync.came(peer, self.now))
        self._perform(sync, sync.tick(self.now))
        end = self.now + seconds * 1_000_000
        while self.installed is None and self.now < end:
            self._step(sync)
        return sync

    def _step(self, sync: StateSync) -> None:
        deadline = sync.next_deadline()
        if self._coming and (deadline is None or self._coming[0][0] <= deadline):
            at, _, peer, answer = heappop(self._coming)
            self.now = max(self.now, at)
            self._perform(sync, sync.heard(peer, answer, self.now))
            return
        self.now = max(self.now + 1000, deadline or 0)
        self._perform(sync, sync.tick(self.now))

    def _perform(self, sync: StateSync, orders: list[Order]) -> None:
        for order in orders:
            self.orders += 1
            if self.orders == self.crash_at:
                raise Crashed
            match order:
                case Ask():
                    self._ask(order.peer, order.question)
                case Drop():
                    self.dropped[order.peer] = order.reason
                case Keep():
                    self.kept[order.name] = order.data
                case Forget():
                    self.kept = {name: data for name, data in self.kept.items() if name.startswith("1-")}
                case Build():
                    self._perform(sync, sync.built(self._build(), self.now))
                case Install():
                    self.installed = self._built

    def _ask(self, peer: int, question: Question) -> None:
        answer = self.servers[peer].reply(question)
        if answer is not None:
            at = self.now + self._dice.randrange(1_000, 50_000)
            heappush(self._coming, (at, self._dice.getrandbits(32), peer, answer))

    def _build(self) -> Root | None:
        pages: dict[bytes, bytes | None] = {}
        rebuilding = Rebuilding(pages.get)
        self._built = []
        try:
            for name in sorted(self.kept):
                if name.startswith(PIECE_NAME):
                    written = rebuilding.take(self.kept[name])
                    pages.update(written.pages)
                    self._built += written.records
        except Malformed:
            return None
        return rebuilding.root


def numbered(answer: Answer, question: Question) -> Answer:
    """The answer with the question's number."""
    return evolve(answer, number=question.number)
