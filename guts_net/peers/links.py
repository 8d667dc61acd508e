"""
The links of one node to all others it knows (``consensus.md`` 6).

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

from guts_core.errors import Invalid, LimitExceeded, PeerFault
from guts_core.identity import KeyPair
from guts_core.link.frames import MESSAGE_BYTES_MAX
from guts_core.link.handshake import EPHEMERAL_BYTES, SKEW_WARNING_MS, Channel, Dialer, Listener, Session
from guts_core.names import ChainId, NodeId, RepoId
from guts_net.logs import Log
from guts_net.protocols import Transport
from guts_net.tcp import TcpTransport

from .bulk import ChunkAnswer, Exchange, LinkLost, Serve, ServeText, serve_no_text, serve_nothing
from .events import InboxEvent, PeerAddress, PeerConnected, PeerDisconnected, PeerSaid
from .limits import DEFAULT_LIMITS, REFUSALS_LOGGED, Allowance, Backoff, PeerLimits, TokenBucket
from .link import HANDSHAKE_SECONDS, Link, dial, welcome
from .outbox import Urgency

# 64 messages of 2 MiB are the most that waits for a consumer; a turn of agreement takes them all.
INBOX_MESSAGES = 64
# The smaller key's dial wins, so the other side gives it this much time before it dials too.
LARGER_KEY_WAITS_SECONDS = 0.2
CONNECT_SECONDS = 5.0
# A link that lived this long was a real one: the next dial starts without back-off.
LIVED_SECONDS = 1.0
CHUNK_SECONDS = 30.0

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
    ) -> None:
        """
        ``peers`` by validator index, this node's own among them or not; ``entropy(n)`` gives n random bytes.

        What is heard goes into ``deliver``, a bounded channel; without one it is read from ``inbox``.
        """
        self._identity, self._chain_id, self._entropy = identity, chain_id, entropy
        self._serve, self._serve_text, self._now_ms = serve, serve_text, now_ms
        self._limits = limits
        self._transport = transport or TcpTransport()
        self._peers = {index: peer for index, peer in peers.items() if index != me}
        self._index_of = {peer.node_id: index for index, peer in self._peers.items()}
        if len(self._index_of) != len(self._peers) or identity.public_key in self._index_of:
            raise Invalid("two peers have the same network key, or one has ours")
        self._slots = {(index, channel): _Slot() for index in self._peers for channel in Channel}
        self._banned_until: dict[int, float] = {}
        self._clock_offsets: dict[int, int] = {}  # a peer's clock minus our monotonic one, ms
        self._announced: set[int] = set()
        self._unflushed: dict[Link, None] = {}
        self._handshakes: dict[trio.CancelScope, None] = {}
        self._refusals_logged: TokenBucket | None = None
        self.counters: Counter[str] = Counter()
        self._inbox: trio.MemorySendChannel[InboxEvent]
        self.inbox: trio.MemoryReceiveChannel[InboxEvent]
        self._inbox, self.inbox = trio.open_memory_channel[InboxEvent](INBOX_MESSAGES)
        self._inbox = deliver or self._inbox

    @property
    def connected(self) -> frozenset[int]:
        """Peers whose control connection stands."""
        return frozenset(self._announced)

    def round_trip_us(self, index: int) -> int | None:
        """How long a ping to this peer takes there and back; None before the first answer."""
        link = self._slots[index, Channel.CONTROL].link
        return link.round_trip_us if link else None

    def clock_ms(self, index: int) -> int | None:
        """What a connected peer's clock shows now, milliseconds since 1970, as it told when it connected."""
        if index not in self._announced:
            return None
        return self._clock_offsets[index] + int(trio.current_time() * 1000)

    def network_time_ms(self) -> int:
        """
        Milliseconds since 1970 as most of this node and its peers believe: what clients' deadlines are reckoned from.

        Peers told their time when they connected; it is carried on by the monotonic clock, so that setting
        this machine's clock does not move it.
        """
        elapsed = int(trio.current_time() * 1000)
        told = [self._clock_offsets[index] + elapsed for index in sorted(self._announced)]
        ours = self._now_ms()
        believed = sorted([ours, *told])
        low, high = believed[(len(believed) - 1) // 2], believed[len(believed) // 2]
        return low if abs(low - ours) < abs(high - ours) else high

    def send(self, index: int, data: bytes, urgency: Urgency, *, wake: bool = True) -> None:
        """
        Queue a message for a peer. Never blocks; a peer that is not connected does not get it.

        Without ``wake`` it leaves with the next ``flush``, together with all that is queued until then.
        """
        if len(data) > MESSAGE_BYTES_MAX:
            raise LimitExceeded(f"a message of {len(data)} bytes; a frame carries {MESSAGE_BYTES_MAX}")
        link = self._slots[index, Channel.CONTROL].link
        if link is None:
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

    async def disconnect(self, index: int, ban: bool = False) -> None:
        """Close this peer's connections; a banned one is refused by identity for ``ban_seconds``."""
        if ban:
            self._ban(index)
        for channel in Channel:
            if link := self._slots[index, channel].link:
                link.close("banned" if ban else "disconnected by us")
        await trio.lowlevel.checkpoint()

    async def fetch_chunk(
        self, index: int, digest: bytes, chunk_index: int, seconds: float = CHUNK_SECONDS
    ) -> ChunkAnswer | None:
        """A chunk from this peer, unchecked; None if it has none or does not answer in time."""
        return await self._fetch(index, lambda exchange: exchange.fetch(digest, chunk_index), seconds)

    async def fetch_text(
        self, index: int, repo: RepoId, commitment: bytes, seconds: float = CHUNK_SECONDS
    ) -> bytes | None:
        """A text from this peer, unchecked; None if it does not hold it or does not answer in time."""
        return await self._fetch(index, lambda exchange: exchange.fetch_text(repo, commitment), seconds)

    async def _fetch(self, index: int, ask: Callable[[Exchange], Awaitable[T | None]], seconds: float) -> T | None:
        slot = self._slots[index, Channel.BULK]
        with trio.move_on_after(seconds):
            while True:
                await slot.occupied.wait()
                exchange = slot.exchange
                try:
                    if exchange:
                        return await ask(exchange)
                except LinkLost:
                    log.debug("bulk_link_lost", peer=self._peers[index].name)
                await trio.lowlevel.checkpoint()
        self.counters["chunks_timed_out"] += 1
        return None

    async def run(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Dial, accept and serve until cancelled; closes the listeners. Once per network."""
        self._refusals_logged = TokenBucket(REFUSALS_LOGGED, trio.current_time())
        async with self._inbox, trio.open_nursery() as nursery:
            for index, channel in self._slots:
                nursery.start_soon(self._keep_dialled, index, channel)
            task_status.started()
            await trio.serve_listeners(self._accept, list(listeners), handler_nursery=nursery)

    async def _keep_dialled(self, index: int, channel: Channel) -> None:
        slot, backoff = self._slots[index, channel], Backoff(self._entropy)
        waits = 0.0 if self._identity.public_key < self._peers[index].node_id else LARGER_KEY_WAITS_SECONDS
        while True:
            await slot.vacant.wait()
            await trio.sleep(waits)
            await trio.sleep_until(self._banned_until.get(index, 0.0))
            if not slot.vacant.is_set():
                backoff.reset()
                continue
            link = await self._dial(index, channel)
            if link:
                await self._attend(link)
                if trio.current_time() - link.since >= LIVED_SECONDS:
                    backoff.reset()
            await trio.sleep(backoff.next_seconds())

    async def _dial(self, index: int, channel: Channel) -> Link | None:
        peer = self._peers[index]
        dialer = Dialer(
            self._identity,
            self._chain_id,
            peer.node_id,
            channel,
            secret=self._entropy(EPHEMERAL_BYTES),
            now_ms=self._now_ms(),
        )
        self.counters["dials"] += 1
        stream: trio.abc.Stream | None = None
        session: Session | None = None
        try:
            with trio.fail_after(CONNECT_SECONDS):
                stream = await self._transport.connect(peer.address)
            session = await dial(stream, dialer)
            return self._established(index, stream, session)
        except (PeerFault, trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
            self.counters["dials_failed"] += 1
            log.debug("dial_failed", peer=peer.name, channel=channel.name.lower(), reason=str(error))
            return None
        finally:
            if stream and not session:
                await trio.aclose_forcefully(stream)

    async def _accept(self, stream: trio.abc.Stream) -> None:
        """One connection from outside, from its first byte to its end."""
        listener = Listener(
            self._identity,
            self._chain_id,
            self._admits,
            secret=self._entropy(EPHEMERAL_BYTES),
            now_ms=self._now_ms(),
        )
        self._make_room()
        session: Session | None = None
        with trio.CancelScope() as scope:
            self._handshakes[scope] = None
            try:
                session = await welcome(stream, listener)
            except (PeerFault, trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
                self._refused(str(error) or "too slow")
            finally:
                self._handshakes.pop(scope, None)
        if session:
            await self._attend(self._established(self._index_of[session.peer], stream, session))

    def _make_room(self) -> None:
        while len(self._handshakes) >= self._limits.handshakes:
            oldest = next(iter(self._handshakes))
            self._handshakes.pop(oldest)
            oldest.cancel()
            self._refused("its handshake was the oldest of too many")

    def _admits(self, node_id: NodeId) -> bool:
        index = self._index_of.get(node_id)
        return index is not None and self._banned_until.get(index, 0.0) <= trio.current_time()

    def _refused(self, reason: str) -> None:
        self.counters["handshakes_refused"] += 1
        if self._refusals_logged and self._refusals_logged.take(trio.current_time()):
            log.info("handshake_refused", reason=reason)

    def _established(self, index: int, stream: trio.abc.Stream, session: Session) -> Link:
        self._clock_offsets[index] = self._now_ms() + session.skew_ms - int(trio.current_time() * 1000)
        if abs(session.skew_ms) > SKEW_WARNING_MS:
            self.counters["clock_skews"] += 1
            log.warning("clock_skew", peer=self._peers[index].name, skew_ms=session.skew_ms)
        return Link(index, stream, session, self.counters, lambda: self._ban(index), self._limits.queue_bytes)

    async def _attend(self, link: Link) -> None:
        """Run a link to its end, if it is the one to keep."""
        slot = self._slots[link.index, link.session.channel]
        before = slot.link
        if before and not self._replaces(link, before):
            self.counters["links_superfluous"] += 1
            await link.abandon()
            return
        bulk = link.session.channel is Channel.BULK
        exchange = Exchange(link, self._serve, self.counters, self._serve_text) if bulk else None
        slot.take(link, exchange)
        try:
            if before:
                before.close("replaced by another connection")
                await before.finished.wait()
            await (self._run_bulk(link, exchange) if exchange else self._run_control(link))
        finally:
            slot.release(link)
            link.finished.set()
            await link.abandon()

    def _replaces(self, new: Link, old: Link) -> bool:
        """Simultaneous dials: the smaller key's wins. Otherwise the newer one: the peer lost the other."""
        if new.session.dialled == old.session.dialled or new.since - old.since > HANDSHAKE_SECONDS:
            return True
        return new.session.dialled == (self._identity.public_key < new.session.peer)

    async def _run_control(self, link: Link) -> None:
        index, allowance = link.index, Allowance(link.since)

        async def hear(message: bytes) -> None:
            if not allowance.permits(message, trio.current_time()):
                self.counters["messages_refused"] += 1
                return
            try:
                # The reader waits for the next bytes anyway: no turn of the loop for each message.
                self._inbox.send_nowait(PeerSaid(index, message))
            except trio.WouldBlock:
                await self._inbox.send(PeerSaid(index, message))

        self._announced.add(index)
        await self._inbox.send(PeerConnected(index))
        self._tell(link, "link_opened")
        try:
            await link.run(hear)
        finally:
            self._announced.discard(index)
            self._tell(link, "link_closed", reason=link.ending)
        await self._inbox.send(PeerDisconnected(index))

    async def _run_bulk(self, link: Link, exchange: Exchange) -> None:
        try:
            await link.run(exchange.hear, exchange.serve_asked, exchange.watch)
        finally:
            exchange.end()

    def _tell(self, link: Link, event: str, reason: str | None = None) -> None:
        peer = self._peers[link.index]
        log.info(event, peer=peer.name, index=link.index, dialled=link.session.dialled, reason=reason)

    def _ban(self, index: int) -> None:
        self.counters["bans"] += 1
        self._banned_until[index] = trio.current_time() + self._limits.ban_seconds
        log.warning("peer_banned", peer=self._peers[index].name, index=index, seconds=self._limits.ban_seconds)


class _Slot:
    """The place of one channel to one peer: at most one link at a time."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.exchange: Exchange | None = None
        self.vacant = trio.Event()
        self.vacant.set()
        self.occupied = trio.Event()

    def take(self, link: Link, exchange: Exchange | None) -> None:
        """This link is the one from now on."""
        if self.link is None:
            self.vacant = trio.Event()
        self.link, self.exchange = link, exchange
        self.occupied.set()

    def release(self, link: Link) -> None:
        """This link is over; if another took its place, that one stays."""
        if self.link is link:
            self.link = self.exchange = None
            self.occupied = trio.Event()
            self.vacant.set()
