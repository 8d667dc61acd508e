"""
The links of one node to all others it knows (``consensus.md`` 6). Whom it knows changes while it runs.

Two connections to each peer, control and bulk. Both sides dial; when both succeed at the same time,
the connection that the smaller network key dialled stays, on both sides. A connection that is older
than a handshake can take gives way to a new one: whoever dials again has lost it, restarted perhaps.

Nothing here knows what a message means: agreement reads ``inbox`` and calls ``send``. A consumer
that stops reading stops the readers, and with them, in the end, the peers.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import trio

from guts_core.errors import LimitExceeded, PeerFault
from guts_core.identity import KeyPair
from guts_core.link.frames import MESSAGE_BYTES_MAX
from guts_core.link.handshake import EPHEMERAL_BYTES, SKEW_WARNING_MS, Channel, Dialer, Listener, Session
from guts_core.names import ChainId, NodeId, RepoId
from guts_net.logs import Log
from guts_net.protocols import Transport
from guts_net.tcp import TcpTransport

from . import bulk
from .bulk import ChunkAnswer, Exchange, LinkLost, Serve, ServeText, serve_no_text, serve_nothing
from .clocks import PeerClocks
from .events import Ear, InboxEvent, PeerAddress, PeerConnected, PeerDisconnected, PeerSaid
from .handshakes import Handshakes
from .limits import DEFAULT_LIMITS, Allowance, Backoff, PeerLimits, kind_in
from .link import HANDSHAKE_SECONDS, Link, dial
from .outbox import Urgency
from .precedence import Precedence
from .roster import Peer, Roster

# 64 messages of 2 MiB are the most that waits for a consumer; a turn of agreement takes them all.
INBOX_MESSAGES = 64
# The smaller key's dial wins, so the other side gives it this much time before it dials too.
LARGER_KEY_WAITS_SECONDS = 0.2
CONNECT_SECONDS = 5.0
# A link that lived this long was a real one: the next dial starts without back-off.
LIVED_SECONDS = 1.0
CHUNK_SECONDS = 30.0

# No key of a past epoch.
NOBODY: Mapping[NodeId, int] = {}

log = Log("peers")

T = TypeVar("T")


def wall_ms() -> int:
    """Milliseconds since 1970 by this machine's clock."""
    return time.time_ns() // 1_000_000


class PeerNetwork:
    """Keeps connections to all peers, and carries messages and chunks over them."""

    def __init__(
        self,
        identity: KeyPair,
        chain_id: ChainId,
        peers: Mapping[int, PeerAddress],
        me: int | None,
        entropy: Callable[[int], bytes],
        *,
        serve: Serve = serve_nothing,
        serve_text: ServeText = serve_no_text,
        now_ms: Callable[[], int] = wall_ms,
        deliver: trio.MemorySendChannel[InboxEvent] | None = None,
        transport: Transport | None = None,
        limits: PeerLimits = DEFAULT_LIMITS,
        ear: Ear | None = None,
    ) -> None:
        """
        ``peers`` by node number, this node's own among them or not; ``entropy(n)`` gives n random bytes.

        What is heard goes into ``deliver``, a bounded channel; without one it is read from ``inbox``.
        """
        self._identity, self._chain_id, self._entropy = identity, chain_id, entropy
        self._serve, self._serve_text, self._now_ms = serve, serve_text, now_ms
        self._limits = limits
        self._transport = transport or TcpTransport()
        self.ear, self.serve_state = ear, bulk.serve_no_state
        self._roster = Roster(NodeId(identity.public_key), limits.guests)
        self._precedence = Precedence()
        self._nursery: trio.Nursery | None = None
        self._clocks = PeerClocks(now_ms)
        self._announced: set[int] = set()
        self._unflushed: dict[Link, None] = {}
        self.counters: Counter[str] = Counter()
        self._handshakes = Handshakes(limits.handshakes, self.counters)
        self._inbox: trio.MemorySendChannel[InboxEvent]
        self.inbox: trio.MemoryReceiveChannel[InboxEvent]
        self._inbox, self.inbox = trio.open_memory_channel[InboxEvent](INBOX_MESSAGES)
        self._inbox = deliver or self._inbox
        self.set_peers(peers, me)

    def set_peers(
        self,
        peers: Mapping[int, PeerAddress],
        me: int | None,
        *,
        former: Mapping[NodeId, int] = NOBODY,
        guests: bool = False,
    ) -> None:
        """
        Whom to know from now on: dial those with addresses, accept all, hang up on the rest.

        ``former`` are keys of past epochs, with the numbers of their nodes: accepted, not dialled. With
        ``guests`` strangers are accepted too, a few, under numbers of their own.
        """
        others = {number: peer for number, peer in peers.items() if number != me}
        for link in self._roster.set(others, former, guests=guests):
            link.close("no peer any more, or under another key")
        self._dial_new()

    def _dial_new(self) -> None:
        for peer in self._roster:
            if self._nursery and peer.addresses and not peer.is_dialled:
                peer.is_dialled = True
                for channel in Channel:
                    self._nursery.start_soon(self._keep_dialled, peer, channel)

    @property
    def connected(self) -> frozenset[int]:
        """Peers whose control connection stands."""
        return frozenset(self._announced)

    @property
    def connected_validators(self) -> frozenset[int]:
        """Those of them that vote in this epoch."""
        return frozenset(index for index in self._announced if (peer := self._roster.get(index)) and peer.is_validator)

    def _link(self, index: int, channel: Channel) -> Link | None:
        peer = self._roster.get(index)
        return peer.slots[channel].link if peer else None

    def round_trip_us(self, index: int) -> int | None:
        """How long a ping to this peer takes there and back; None before the first answer."""
        link = self._link(index, Channel.CONTROL)
        return link.round_trip_us if link else None

    def clock_ms(self, index: int) -> int | None:
        """What a connected peer's clock shows now, milliseconds since 1970, as it told when it connected."""
        return self._clocks.shows(index) if index in self._announced else None

    def network_time_ms(self) -> int:
        """Milliseconds since 1970 as most validators and this node believe: clients' deadlines are reckoned from it."""
        return self._clocks.common(self.connected_validators)

    def send(self, index: int, data: bytes, urgency: Urgency, *, wake: bool = True) -> None:
        """Queue a message; who is not connected does not get it. Without ``wake`` it leaves with the next ``flush``."""
        if len(data) > MESSAGE_BYTES_MAX:
            raise LimitExceeded(f"a message of {len(data)} bytes; a frame carries {MESSAGE_BYTES_MAX}")
        if (link := self._link(index, Channel.CONTROL)) is None:
            self.counters["messages_unsent"] += 1
            return
        self.counters["messages_sent"] += 1
        link.put(data, urgency, wake=wake)
        if not wake:
            self._unflushed[link] = None

    def flush(self) -> None:
        """Write what was queued without waking."""
        while self._unflushed:
            self._unflushed.popitem()[0].flush()

    def hang_up(self, index: int, reason: str, *, ban: bool = False) -> None:
        """Close this peer's connections; a banned one is refused by identity for ``ban_seconds``."""
        if ban:
            self._ban(index)
        for link in peer.links if (peer := self._roster.get(index)) else ():
            link.close(reason)

    async def disconnect(self, index: int, ban: bool = False) -> None:
        """The same, letting others run."""
        self.hang_up(index, "banned" if ban else "disconnected by us", ban=ban)
        await trio.lowlevel.checkpoint()

    async def fetch_chunk(
        self, index: int, digest: bytes, chunk_index: int, seconds: float = CHUNK_SECONDS
    ) -> ChunkAnswer | None:
        """A chunk from this peer, unchecked; None if it has none or does not answer in time."""
        return await self.exchange(index, lambda exchange: exchange.fetch(digest, chunk_index), seconds)

    async def fetch_text(
        self, index: int, repo: RepoId, commitment: bytes, seconds: float = CHUNK_SECONDS
    ) -> bytes | None:
        """A text from this peer, unchecked; None if it does not hold it or does not answer in time."""
        return await self.exchange(index, lambda exchange: exchange.fetch_text(repo, commitment), seconds)

    async def exchange(self, index: int, ask: Callable[[Exchange], Awaitable[T | None]], seconds: float) -> T | None:
        """What this peer's bulk connection gives, or the next one if that is lost; None if it takes longer."""
        peer = self._roster.get(index)
        if peer is None:
            return None
        slot = peer.slots[Channel.BULK]
        with trio.move_on_after(seconds):
            while True:
                await slot.occupied.wait()
                exchange = slot.exchange
                try:
                    if exchange:
                        return await ask(exchange)
                except LinkLost:
                    log.debug("bulk_link_lost", peer=peer.name)
                await trio.lowlevel.checkpoint()
        self.counters["chunks_timed_out"] += 1
        return None

    async def run(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Dial, accept and serve until cancelled; closes the listeners. Once per network."""
        async with self._inbox, trio.open_nursery() as nursery:
            self._nursery = nursery
            self._dial_new()
            task_status.started()
            await trio.serve_listeners(self._accept, list(listeners), handler_nursery=nursery)

    async def _keep_dialled(self, peer: Peer, channel: Channel) -> None:
        slot, backoff = peer.slots[channel], Backoff(self._entropy)
        while True:
            await slot.vacant.wait()
            if peer.address is None or not peer.addresses:
                await peer.wait_moved()
                continue
            node_id = peer.address.node_id  # it may be another one, or nobody, after these sleeps
            await trio.sleep(0.0 if self._identity.public_key < node_id else LARGER_KEY_WAITS_SECONDS)
            await trio.sleep_until(self._roster.banned_until(node_id))
            if not slot.vacant.is_set():
                backoff.reset()
                continue
            link = await self._dial(peer, channel)
            if link:
                await self._attend(peer, link)
                if trio.current_time() - link.since >= LIVED_SECONDS:
                    backoff.reset()
            with trio.move_on_after(backoff.next_seconds()):
                await peer.wait_moved()
                backoff.reset()

    async def _dial(self, peer: Peer, channel: Channel) -> Link | None:
        """A link by the first address that leads to the peer."""
        address, slot = peer.address, peer.slots[channel]
        for place in peer.addresses:
            if address is None or not slot.vacant.is_set():
                return None
            link = await self._dial_at(peer, address.node_id, place, channel)
            # Of two connections one tells the same.
            if self.ear and channel is Channel.CONTROL:
                self.ear.dialled(peer.number, place, found=link is not None)
            if link:
                return link
        return None

    async def _dial_at(self, peer: Peer, node_id: NodeId, place: str, channel: Channel) -> Link | None:
        dialer = Dialer(
            self._identity,
            self._chain_id,
            node_id,
            channel,
            secret=self._entropy(EPHEMERAL_BYTES),
            now_ms=self._now_ms(),
        )
        self.counters["dials"] += 1
        stream: trio.abc.Stream | None = None
        session: Session | None = None
        try:
            with trio.fail_after(CONNECT_SECONDS):
                stream = await self._transport.connect(place)
            session = await dial(stream, dialer)
            return self._established(peer, stream, session)
        except (PeerFault, trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
            self.counters["dials_failed"] += 1
            log.debug("dial_failed", peer=peer.name, at=place, channel=channel.name.lower(), reason=str(error))
            return None
        finally:
            if stream and not session:
                await trio.aclose_forcefully(stream)

    async def _accept(self, stream: trio.abc.Stream) -> None:
        """One connection from outside, from its first byte to its end."""
        listener = Listener(
            self._identity,
            self._chain_id,
            self._roster.admits,
            secret=self._entropy(EPHEMERAL_BYTES),
            now_ms=self._now_ms(),
        )
        session = await self._handshakes.welcome(stream, listener)
        if session is None:
            return
        peer = self._roster.welcome(session.peer)
        if peer is None:
            self._handshakes.refused("it has no place here any more")
            await trio.aclose_forcefully(stream)
            return
        await self._attend(peer, self._established(peer, stream, session))

    def _established(self, peer: Peer, stream: trio.abc.Stream, session: Session) -> Link:
        self._clocks.told(number := peer.number, session.skew_ms)
        if abs(session.skew_ms) > SKEW_WARNING_MS:
            self.counters["clock_skews"] += 1
            log.warning("clock_skew", peer=peer.name, skew_ms=session.skew_ms)
        return Link(number, stream, session, self.counters, lambda: self._ban(number), self._limits.queue_bytes)

    async def _attend(self, peer: Peer, link: Link) -> None:
        """Run a link to its end, if it is the one to keep."""
        if not self._roster.is_of(link.session.peer, peer):  # while it shook hands, the state changed
            await link.abandon()
            return
        slot = peer.slots[link.session.channel]
        before = slot.link
        if before and not self._replaces(link, before):
            self.counters["links_superfluous"] += 1
            await link.abandon()
            return
        exchange = self._exchange(peer, link) if link.session.channel is Channel.BULK else None
        slot.take(link, exchange)
        try:
            if before:
                before.close("replaced by another connection")
                await before.finished.wait()
            await (self._run_bulk(link, exchange) if exchange else self._run_control(peer, link))
        finally:
            slot.release(link)
            self._roster.leave(link.session.peer)
            if peer.is_guest:
                self._clocks.forget(peer.number)
            link.finished.set()
            await link.abandon()

    def _exchange(self, peer: Peer, link: Link) -> Exchange:
        guest, wrap = peer.is_guest, self._precedence.wrap
        serve, serve_text = wrap(self._serve, guest=guest), wrap(self._serve_text, guest=guest)
        return Exchange(link, serve, self.counters, serve_text, wrap(self.serve_state, guest=guest))

    def _replaces(self, new: Link, old: Link) -> bool:
        """Simultaneous dials: the smaller key's wins. Otherwise the newer one: the peer lost the other."""
        if new.session.dialled == old.session.dialled or new.since - old.since > HANDSHAKE_SECONDS:
            return True
        return new.session.dialled == (self._identity.public_key < new.session.peer)

    async def _run_control(self, peer: Peer, link: Link) -> None:
        index, allowance = link.index, Allowance(link.since)

        async def hear(message: bytes) -> None:
            if not allowance.permits(message, trio.current_time()):
                self.counters["messages_refused"] += 1
                return
            if self.ear and kind_in(message) in self.ear.kinds:
                self.ear.heard(index, message)
                return
            try:
                # The reader waits for the next bytes anyway: no turn of the loop for each message.
                self._inbox.send_nowait(PeerSaid(index, message))
            except trio.WouldBlock:
                await self._inbox.send(PeerSaid(index, message))

        self._announced.add(index)
        await self._inbox.send(PeerConnected(index))
        self._tell(peer, link, "link_opened")
        if self.ear:
            self.ear.linked(index)
        try:
            await link.run(hear)
        finally:
            self._announced.discard(index)
            self._tell(peer, link, "link_closed", reason=link.ending)
            if self.ear:
                self.ear.unlinked(index)
        await self._inbox.send(PeerDisconnected(index))

    async def _run_bulk(self, link: Link, exchange: Exchange) -> None:
        try:
            await link.run(exchange.hear, exchange.serve_asked, exchange.watch)
        finally:
            exchange.end()

    def _tell(self, peer: Peer, link: Link, event: str, reason: str | None = None) -> None:
        log.info(event, peer=peer.name, index=peer.number, dialled=link.session.dialled, reason=reason)

    def _ban(self, index: int) -> None:
        self.counters["bans"] += 1
        self._roster.ban(index, trio.current_time() + self._limits.ban_seconds)
        log.warning("peer_banned", index=index, seconds=self._limits.ban_seconds)
