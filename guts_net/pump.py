"""
The loop between the core and the world: gather events, let the node decide, perform in order.

Events that arrive while a log sync is under way are decided together afterwards, so that syncs
are shared under load (group commit) and nobody waits for a lone vote when idle.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never

import trio

from guts_core.errors import GutsError
from guts_core.node.effects import (
    CheckPack,
    CommitBlock,
    CompactLog,
    Disconnect,
    Effect,
    Log,
    Refuse,
    SendPeer,
    Stop,
)
from guts_core.node.events import Event, PeerConnected, PeerDisconnected, PeerSaid, Started, Ticked
from guts_core.node.node import Node
from guts_core.simplex.effects import Persist, ReportEquivocation
from guts_core.simplex.ports import Instant

from .journal import Journal
from .logs import Log as NodeLog
from .offload import Offload
from .peers import events as link_events
from .peers.limits import kind_in
from .peers.links import PeerNetwork
from .peers.outbox import Urgency
from .protocols import Clock
from .tally import Tally

# Events that wait to be decided; links and conversations wait (back-pressure) beyond it.
INBOX_EVENTS_MAX = 1_024
# Decided between two syncs at most: bounds how long the first vote of a batch waits.
BATCH_EVENTS_MAX = 256
# A log larger than this is rewritten with what a restart still needs.
JOURNAL_BYTES_MAX = 16 << 20


# The end of a message tells two votes apart (it is part of a signature): for who watches the order of things.
_MARK_BYTES = 8


Inbox: TypeAlias = tuple[
    trio.MemorySendChannel[Event | link_events.InboxEvent], trio.MemoryReceiveChannel[Event | link_events.InboxEvent]
]


def open_inbox() -> Inbox:
    """Where links and conversations put what happens, and the pump takes it."""
    return trio.open_memory_channel[Event | link_events.InboxEvent](INBOX_EVENTS_MAX)


class UnknownRules(GutsError):
    """The network moved on to rules that this build does not know; the node ends with that sentence."""

    code = "unknown-rules"


class Pump:
    """Feeds one Node and performs what it decides."""

    def __init__(
        self,
        node: Node,
        journal: Journal,
        network: PeerNetwork,
        clock: Clock,
        log: NodeLog,
        inbox: Inbox,
        *,
        commit: Callable[[CommitBlock], Awaitable[None]],
        check: Callable[[CheckPack], None],
        refuse: Callable[[Refuse], None],
        observe: Callable[[str, str], None],
        tally: Tally,
    ) -> None:
        self._node, self._journal, self._network, self._clock, self._log = node, journal, network, clock, log
        self._commit, self._check, self._refuse, self._observe = commit, check, refuse, observe
        self._tally = tally
        self._syncs = Offload()
        self.started = False  # the log is replayed
        self._send, self._receive = inbox
        self._held_back: str | None = None  # as it was told last
        self._rewritten = 0  # size of the log's last snapshot: while much has to stay, it is rewritten rarely

    async def put(self, event: Event) -> None:
        """Hand in an event; waits while the node is that far behind."""
        await self._send.send(event)

    async def run(self, records: tuple[bytes, ...]) -> None:
        """Replay the log, then go on until cancelled, or UnknownRules."""
        await self._perform(self._node.receive(Started(records), self._now()))
        self.started = True
        while True:
            events = await self._next()
            await self._perform(self._node.receive_all(events, self._now()))
            self._tell_held_back()
            if self._journal.size > max(JOURNAL_BYTES_MAX, 2 * self._rewritten):
                await self._compact()

    def _tell_held_back(self) -> None:
        held = self._node.engine.held_back
        if held != self._held_back:
            self._held_back = held
            self._log.warning("votes", reason=held or "votes are cast again")

    def _now(self) -> Instant:
        now = self._clock.now()
        return Instant(now.monotonic, now.wall, self._network.network_time_ms())

    async def _next(self) -> list[Event]:
        """At least one event, waiting until the node's deadline; then all that are there already."""
        deadline = self._deadline()
        events: list[Event] = []
        if self._receive.statistics().current_buffer_used:
            # Links have read nothing while the log was synced in place.
            await trio.lowlevel.checkpoint()
        self._take_waiting(events)
        if not events:
            with trio.CancelScope(deadline=deadline):
                events.append(self._event(await self._receive.receive()))
            self._take_waiting(events)
        if deadline <= trio.current_time():
            events.append(Ticked())
        return events

    def _take_waiting(self, events: list[Event]) -> None:
        while len(events) < BATCH_EVENTS_MAX:
            try:
                events.append(self._event(self._receive.receive_nowait()))
            except trio.WouldBlock:
                break

    def _event(self, event: Event | link_events.InboxEvent) -> Event:
        match event:
            case link_events.PeerSaid():
                return PeerSaid(event.index, event.data)
            case link_events.PeerConnected():
                self._log.info("peer_connected", peer=event.index)
                return PeerConnected(event.index)
            case link_events.PeerDisconnected():
                self._log.info("peer_disconnected", peer=event.index)
                return PeerDisconnected(event.index)
            case _:
                return event

    def _deadline(self) -> float:
        due = self._node.next_deadline()
        if due is None:
            return math.inf
        return trio.current_time() + (due - self._clock.monotonic_us()) / 1e6

    async def _perform(self, effects: list[Effect]) -> None:
        """Everything to persist first, one sync, then the rest in order: stronger than asked, and one wait."""
        records = [effect for effect in effects if isinstance(effect, Persist)]
        if records:
            self._journal.append([effect.record for effect in records])
            if any(effect.sync for effect in records):
                with self._tally.timed("log_syncs"):
                    await self._syncs.run(self._journal.sync)
        for effect in effects:
            match effect:
                case Persist() | CompactLog():
                    pass
                case SendPeer():
                    self._say(effect)
                case CommitBlock():
                    self._network.flush()  # what was said does not wait for the disk
                    await self._commit(effect)
                case CheckPack():
                    self._check(effect)
                case Refuse():
                    self._refuse(effect)
                case Disconnect():
                    self._log.warning("peer_fault", peer=effect.peer, reason=effect.reason, ban=effect.ban)
                    await self._network.disconnect(effect.peer, ban=effect.ban)
                case ReportEquivocation():
                    self._log.error("equivocation", signer=effect.first.signer, view=effect.first.view)
                case Log():
                    self._log.info(effect.event, **dict(effect.fields))
                case Stop():
                    raise UnknownRules(effect.sentence)
                case _:
                    assert_never(effect)
        if any(isinstance(effect, CompactLog) for effect in effects):
            await self._compact()
        self._network.flush()

    async def _compact(self) -> None:
        """Between two decisions, so that the snapshot holds exactly what was appended."""
        await trio.to_thread.run_sync(self._journal.rewrite, self._node.log_snapshot())
        self._rewritten = self._journal.size

    def _say(self, effect: SendPeer) -> None:
        self._observe("send", f"{kind_in(effect.data)}:{effect.data[-_MARK_BYTES:].hex()}")
        urgency = Urgency(effect.urgency)
        peers = sorted(self._network.connected) if effect.to is None else (effect.to,)
        for peer in peers:
            self._network.send(peer, effect.data, urgency, wake=False)
