"""Real networks on loopback sockets, and one that speaks the handshake and then says what it likes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from guts_core.identity import KeyPair
from guts_core.link.frames import Lane, Opener, Piece, Sealer, join_pieces, split_pieces
from guts_core.link.handshake import Channel, Dialer, Listener, Session
from guts_core.names import ChainId, NodeId
from guts_net.peers import PeerAddress, PeerConnected, PeerDisconnected, PeerNetwork, PeerSaid, Urgency
from guts_net.peers.bulk import Serve, ServeText, serve_no_text, serve_nothing
from guts_net.peers.limits import DEFAULT_LIMITS
from guts_net.peers.link import dial, welcome

CHAIN = ChainId(b"c" * 32)
OTHER_CHAIN = ChainId(b"x" * 32)
STRANGER = KeyPair(b"\xee" * 32)
# Kind VOTE (21) with eight fields: the rate limits look no further.
VOTE = b"\x88\x15\x00"
# Everything here happens within milliseconds; this only turns a hang into a failure.
PATIENCE_SECONDS = 90.0


def key(index: int) -> KeyPair:
    """The network key of this node."""
    return KeyPair(bytes([index + 1]) * 32)


class Town:
    """Places for ``size`` nodes: addresses are fixed, nodes come and go."""

    def __init__(self, size: int, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._listeners: dict[int, trio.SocketListener] = {}
        self._addresses: dict[int, PeerAddress] = {}
        self._streams: list[trio.SocketStream] = []
        self.size = size
        self.limits = DEFAULT_LIMITS

    def close(self) -> None:
        """Leave nothing open."""
        for listener in self._listeners.values():
            listener.socket.close()
        for stream in self._streams:
            stream.socket.close()

    async def survey(self) -> None:
        """Take a free port for each node, and listen: connections wait until the node runs."""
        for index in range(self.size):
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            address = f"127.0.0.1:{listener.socket.getsockname()[1]}"
            self._listeners[index] = listener
            self._addresses[index] = PeerAddress(NodeId(key(index).public_key), f"node-{index}", (address,))

    async def start(
        self,
        index: int,
        serve: Serve = serve_nothing,
        chain: ChainId = CHAIN,
        serve_text: ServeText = serve_no_text,
        peers: dict[int, PeerAddress] | None = None,
    ) -> Node:
        """Run a node at its place, which knows all others unless it is told whom."""
        if index not in self._listeners:
            port = self._port(index)
            (self._listeners[index],) = await trio.open_tcp_listeners(port, host="127.0.0.1")
        network = PeerNetwork(
            key(index),
            chain,
            self._addresses if peers is None else peers,
            index,
            os.urandom,
            serve=serve,
            serve_text=serve_text,
            limits=self.limits,
        )
        node = Node(index, network)
        await self._nursery.start(node.run, self._listeners.pop(index))
        return node

    async def start_all(self) -> list[Node]:
        """Run all nodes and wait until each is connected to each."""
        nodes = [await self.start(index) for index in range(self.size)]
        for node in nodes:
            await node.wait_peers(set(range(self.size)) - {node.index})
        return nodes

    def address(self, index: int) -> PeerAddress:
        """Where a node is."""
        return self._addresses[index]

    def _port(self, index: int) -> int:
        return int(self._addresses[index].addresses[0].rpartition(":")[2])

    async def connect(self, index: int) -> trio.SocketStream:
        """A bare connection to a node."""
        stream = await trio.open_tcp_stream("127.0.0.1", self._port(index))
        self._streams.append(stream)
        return stream

    async def impersonate(self, me: KeyPair, index: int, channel: Channel = Channel.CONTROL) -> Villain:
        """A finished handshake with a node under this key."""
        stream = await self.connect(index)
        dialer = Dialer(
            me, CHAIN, self._addresses[index].node_id, channel, secret=os.urandom(32), now_ms=1_700_000_000_000
        )
        return Villain(stream, await dial(stream, dialer))

    async def answer_as(self, index: int) -> Villain:
        """Take the place of a node that others dial, until its control connection stands."""
        while True:
            stream = await self._listeners[index].accept()
            self._streams.append(stream)
            listener = Listener(key(index), CHAIN, lambda _: True, secret=os.urandom(32), now_ms=1_700_000_000_000)
            session = await welcome(stream, listener)
            if session.channel is Channel.CONTROL:
                return Villain(stream, session)


@asynccontextmanager
async def a_town(size: int) -> AsyncIterator[Town]:
    """A town whose nodes end with the block."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            town = Town(size, nursery)
            try:
                await town.survey()
                yield town
            finally:
                nursery.cancel_scope.cancel()
                town.close()


class Node:
    """A network and what came out of its inbox."""

    def __init__(self, index: int, network: PeerNetwork) -> None:
        self.index, self.network = index, network
        self.peers: set[int] = set()
        self.said: dict[int, list[bytes]] = {}
        self.connects: list[int] = []
        self._changed = trio.Condition()
        self._reading = trio.Event()
        self._reading.set()
        self._scope = trio.CancelScope()
        self._stopped = trio.Event()

    async def run(
        self, listener: trio.SocketListener, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run the network and read its inbox."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen)
                await nursery.start(self.network.run, [listener])
                task_status.started()
        self._stopped.set()

    async def stop(self) -> None:
        """End everything, as a killed process does."""
        self._scope.cancel()
        await self._stopped.wait()

    async def _listen(self) -> None:
        async for event in self.network.inbox:
            await self._reading.wait()
            match event:
                case PeerConnected(index):
                    assert index not in self.peers, "connected twice"
                    self.peers.add(index)
                    self.connects.append(index)
                case PeerDisconnected(index):
                    self.peers.remove(index)
                case PeerSaid(index, data):
                    assert index in self.peers, "spoke before it was there"
                    self.said.setdefault(index, []).append(data)
            async with self._changed:
                self._changed.notify_all()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not read the inbox inside this block."""
        self._reading = trio.Event()
        try:
            yield
        finally:
            self._reading.set()

    async def wait(self, until: Callable[[], bool]) -> None:
        """Until this holds after some event."""
        async with self._changed:
            while not until():
                await self._changed.wait()

    async def wait_peers(self, peers: set[int]) -> None:
        """Until exactly these are connected."""
        await self.wait(lambda: self.peers == peers == self.network.connected)

    async def wait_said(self, peer: int, count: int) -> list[bytes]:
        """The first ``count`` messages of a peer."""
        await self.wait(lambda: len(self.said.get(peer, [])) >= count)
        return self.said[peer]


async def round_trip(asker: Node, answerer: Node, token: bytes) -> None:
    """One vote there and one back, told apart from others by its token."""
    asker.network.send(answerer.index, VOTE + token, Urgency.VOTE)
    await answerer.wait(lambda: VOTE + token in answerer.said.get(asker.index, []))
    answerer.network.send(asker.index, VOTE + b"re:" + token, Urgency.VOTE)
    await asker.wait(lambda: VOTE + b"re:" + token in asker.said.get(answerer.index, []))


class Villain:
    """Someone who holds a network key and does not follow the protocol."""

    def __init__(self, stream: trio.SocketStream, session: Session) -> None:
        self.stream = stream
        self._sealer, self._opener = Sealer(session.send_key), Opener(session.receive_key)
        self._heard: deque[bytes] = deque()

    async def say(self, *messages: bytes, lane: Lane = Lane.SAID) -> None:
        """Messages in one good frame."""
        await self.stream.send_all(self._sealer.seal(join_pieces(Piece(lane, message) for message in messages)))

    async def hear(self) -> bytes:
        """The next message."""
        while not self._heard:
            data = await self.stream.receive_some(1 << 16)
            assert data, "the node hung up"
            for plain in self._opener.feed(data):
                self._heard.extend(message for lane, message in split_pieces(plain) if lane is Lane.SAID)
        return self._heard.popleft()


async def wait_hung_up(stream: trio.SocketStream) -> None:
    """Until the node closes this connection."""
    try:
        while await stream.receive_some(1 << 16):
            pass
    except trio.BrokenResourceError:
        return


def serving(find: Callable[[bytes, int], bytes | None]) -> Serve:
    """A server of chunks from a plain function; the path is the digest itself."""

    async def serve(digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        await trio.lowlevel.checkpoint()
        data = find(digest, index)
        return None if data is None else (data, (digest,))

    return serve
