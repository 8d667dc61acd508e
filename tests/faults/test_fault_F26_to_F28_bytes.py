"""F26 to F28: what is replayed, repeated, changed or half closed on the way ends a connection, and nothing else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import define

from guts_cli.chaos.roads import Roads
from guts_core.names import NodeId
from guts_net.peers import PeerAddress, PeerNetwork, PeerSaid, Urgency, link, links
from guts_net.protocols import Transport
from guts_net.tcp import TcpTransport
from tests.net.peers.peers_world import CHAIN, VOTE, key
from tests.net.world import wait_until
from tests.ports import free_ports

# Waits between dials double while links are short-lived: more would take long and show no more.
ROUNDS = 5
MESSAGES = 40


@define(eq=False)
class Pair:
    """Two nodes' links, every byte of which goes through proxies."""

    roads: Roads
    networks: tuple[PeerNetwork, PeerNetwork]
    heard: tuple[list[bytes], list[bytes]]
    ports: list[int]

    async def wait_linked(self) -> None:
        """Both ways, both channels."""
        await wait_until(
            lambda: all(network.connected for network in self.networks) and self.roads.connections(0, 1) == 2
        )

    async def say(self, text: bytes) -> None:
        """Both say it to each other until both heard it: a connection that breaks may take a message along."""
        wanted = VOTE + text

        async def until_heard(me: int, other: int) -> None:
            while wanted not in self.heard[other]:
                self.networks[me].send(other, wanted, Urgency.VOTE)
                await trio.sleep(0.02)

        with trio.fail_after(180):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(until_heard, 0, 1)
                nursery.start_soon(until_heard, 1, 0)


class Tape(trio.abc.Stream):
    """A connection, and every byte that went through it."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self.sent, self.received = bytearray(), bytearray()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the connection does."""
        await self._inner.send_all(data)
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        """The same."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The same."""
        data = await self._inner.receive_some(max_bytes)
        self.received += data
        return data

    async def aclose(self) -> None:
        """The same."""
        await self._inner.aclose()


class Recorder(TcpTransport):
    """Dials as ever, and keeps a tape of each connection."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []

    async def connect(self, address: str) -> trio.abc.Stream:
        """A recorded one."""
        self.tapes.append(Tape(await super().connect(address)))
        return self.tapes[-1]


@asynccontextmanager
async def a_pair(transport: Transport | None = None) -> AsyncIterator[Pair]:
    """Linked, and taken down whatever happens; with a transport for the second, whose dials win."""
    ports = free_ports(2)
    async with trio.open_nursery() as nursery:
        roads = Roads([f"127.0.0.1:{port}" for port in ports], seed=3)
        await nursery.start(roads.run)

        def network(me: int) -> PeerNetwork:
            other = 1 - me
            address = PeerAddress(NodeId(key(other).public_key), f"node-{other}", (roads.address(me, other),))
            chosen = transport if me else None
            return PeerNetwork(key(me), CHAIN, {other: address}, me, os.urandom, transport=chosen)

        pair = Pair(roads, (network(0), network(1)), ([], []), ports)
        for me, running in enumerate(pair.networks):
            await nursery.start(running.run, await trio.open_tcp_listeners(ports[me], host="127.0.0.1"))
            nursery.start_soon(_listen, running, pair.heard[me])
        await pair.wait_linked()
        yield pair
        nursery.cancel_scope.cancel()


async def _listen(network: PeerNetwork, heard: list[bytes]) -> None:
    async for event in network.inbox:
        heard += [event.data] if isinstance(event, PeerSaid) else []


def open_files() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/dev/fd").iterdir()))


async def test_fault_F26_bytes_that_come_twice_end_the_connection_and_are_heard_once() -> None:
    """A nonce is used once: of a repeated frame the second is no frame, and the next connection has other keys."""
    async with a_pair() as pair:
        await pair.say(b"before")
        pair.heard[1].clear()
        pair.roads.way(0, 1).repeat_next()
        for number in range(MESSAGES):
            pair.networks[0].send(1, VOTE + b"%d" % number, Urgency.VOTE)
        await wait_until(lambda: pair.roads.counters()["connections"] > 2)
        await pair.wait_linked()

        # What is sent again below is sent on purpose; of what was said once, nothing came twice.
        said_once = [message for message in pair.heard[1] if message.removeprefix(VOTE).isdigit()]
        assert len(said_once) == len(set(said_once))
        await pair.say(b"after")


async def test_fault_F26_a_recorded_connection_is_no_connection() -> None:
    """Every byte of a whole session, told again by a stranger while it stands and after it: nothing of it is heard."""
    recorder = Recorder()
    async with a_pair(recorder) as pair:
        await pair.say(b"before")
        network, tapes = pair.networks[0], list(recorder.tapes)
        assert len(tapes) >= 2  # control and bulk; said was in one of them
        assert max(len(tape.sent) for tape in tapes) > 300
        pair.heard[0].clear()
        for _ in range(2):
            for tape in tapes:
                refused = network.counters["handshakes_refused"]
                await _play(bytes(tape.sent), pair.ports[0])
                await wait_until(lambda refused=refused: network.counters["handshakes_refused"] > refused)  # type: ignore[misc]  # binds now
            assert pair.heard[0] == []
            assert network.connected == {1}
            assert network.counters["bans"] == 0
            before = pair.roads.counters()["connections"]
            pair.roads.reset(0, 1)  # another time, against the session after it
            await wait_until(lambda before=before: pair.roads.counters()["connections"] >= before + 2)  # type: ignore[misc]  # binds now
            await pair.wait_linked()
        await pair.say(b"still here")


async def test_fault_F26_a_recorded_answer_is_no_answer() -> None:
    """Who dials hears the other half of an old session at the other's address: it takes nobody for that other."""
    recorder = Recorder()
    async with a_pair(recorder) as pair:
        await pair.say(b"before")
        answers = [bytes(tape.received) for tape in recorder.tapes]
    played = 0

    async def answer(stream: trio.SocketStream) -> None:
        nonlocal played
        with suppress(trio.BrokenResourceError):
            await stream.send_all(answers[played % len(answers)])
            played += 1
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        (liar,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        place = f"127.0.0.1:{liar.socket.getsockname()[1]}"
        other = PeerAddress(NodeId(key(0).public_key), "node-0", (place,))
        again = PeerNetwork(key(1), CHAIN, {0: other}, 1, os.urandom)
        await nursery.start(again.run, await trio.open_tcp_listeners(0, host="127.0.0.1"))
        await wait_until(lambda: again.counters["dials_failed"] >= 2 * len(answers) and played >= len(answers))

        assert again.connected == set()
        nursery.cancel_scope.cancel()


async def _play(recorded: bytes, port: int) -> None:
    """One side of a connection, as it was."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(recorded)
            while await stream.receive_some():
                pass


async def test_fault_F27_a_changed_byte_ends_the_connection_before_anything_is_heard() -> None:
    """Wherever it is: nothing but what was said is heard, nobody is banned, and the link comes back."""
    async with a_pair() as pair:
        for number in range(ROUNDS):
            source, target = number % 2, 1 - number % 2
            before = pair.roads.counters()["connections"]
            pair.roads.way(source, target).corrupt_next(at=-1 - number)
            pair.networks[source].send(target, VOTE + b"said %d" % number, Urgency.VOTE)
            await wait_until(lambda before=before: pair.roads.counters()["connections"] > before)  # type: ignore[misc]  # binds now
            await pair.wait_linked()
            await pair.say(b"round %d" % number)

        said = {VOTE + word % number for number in range(ROUNDS) for word in (b"said %d", b"round %d")}
        assert {message for heard in pair.heard for message in heard} <= said
        assert pair.roads.counters()["corrupted"] == ROUNDS
        assert [network.counters["bans"] for network in pair.networks] == [0, 0]


async def test_fault_F27_a_changed_length_does_not_swallow_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings go on arriving inside of what is taken for one large frame: they are no sign of life."""
    monkeypatch.setattr(link, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(link, "PING_SECONDS", 0.1)
    async with a_pair() as pair:
        before = pair.roads.counters()["connections"]
        pair.roads.way(0, 1).corrupt_next(at=1)  # the middle byte of the length: up to 32 KiB more
        await wait_until(lambda: pair.roads.counters()["connections"] > before, 10)
        await pair.wait_linked()

        await pair.say(b"after")


async def test_fault_F28_resets_half_open_connections_and_simultaneous_dials_leave_no_file_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One end goes without a word, both are reset inside a frame, both dial at once: two connections remain."""
    monkeypatch.setattr(links, "HANDSHAKE_SECONDS", 0.2)  # how long two dials may be simultaneous
    async with a_pair() as pair:
        await pair.say(b"before")
        before = open_files()
        for number in range(ROUNDS):
            connections = pair.roads.counters()["connections"]
            for _ in range(MESSAGES):
                pair.networks[0].send(1, VOTE + bytes(1000), Urgency.VOTE)
            (pair.roads.reset if number % 2 else pair.roads.half_open)(0, 1)
            await wait_until(lambda connections=connections: pair.roads.counters()["connections"] > connections)  # type: ignore[misc]  # binds now
            await pair.wait_linked()
            await pair.say(b"round %d" % number)

        # What is going to be closed is, once both sides have dialled anew.
        await wait_until(lambda: open_files() <= before)
