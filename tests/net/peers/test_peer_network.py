"""Networks find each other, carry what they are given, and survive bad neighbours."""

from __future__ import annotations

import os
from itertools import permutations

import pytest
import trio
from attrs import evolve

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Invalid, LimitExceeded
from guts_core.identity import KeyPair
from guts_core.link.frames import MESSAGE_BYTES_MAX, Lane
from guts_core.link.handshake import Channel, Dialer, Syn
from guts_core.names import NodeId
from guts_net.peers import PeerAddress, PeerNetwork, Urgency
from guts_net.peers import link as link_module
from guts_net.peers import links as links_module
from guts_net.peers.limits import PeerLimits
from tests.net.peers.peers_world import (
    CHAIN,
    OTHER_CHAIN,
    STRANGER,
    VOTE,
    Node,
    Villain,
    a_town,
    key,
    round_trip,
    wait_hung_up,
)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_find_each_other_whoever_starts_first(order: tuple[int, int]) -> None:
    async with a_town(2) as town:
        nodes = {index: await town.start(index) for index in order}
        await nodes[0].wait_peers({1})
        await nodes[1].wait_peers({0})

        await round_trip(nodes[0], nodes[1], b"hello")
        await round_trip(nodes[1], nodes[0], b"hello")


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
async def test_four_find_each_other_whatever_the_order(order: tuple[int, ...]) -> None:
    async with a_town(4) as town:
        nodes = {index: await town.start(index) for index in order}
        for node in nodes.values():
            await node.wait_peers({0, 1, 2, 3} - {node.index})

        for a in nodes.values():
            for b in nodes.values():
                if a is not b:
                    await round_trip(a, b, bytes([a.index, b.index]))


async def test_one_that_was_killed_comes_back() -> None:
    """The others notice both, and go on among themselves meanwhile."""
    async with a_town(3) as town:
        zero, one, two = await town.start_all()
        await one.stop()
        await zero.wait_peers({2})
        await two.wait_peers({0})
        await round_trip(zero, two, b"meanwhile")

        again = await town.start(1)

        await again.wait_peers({0, 2})
        await zero.wait_peers({1, 2})
        await round_trip(zero, again, b"back")
        await round_trip(two, again, b"back")


async def test_order_is_kept_and_everything_arrives() -> None:
    """Many messages put in one turn share frames: a system call costs the same for all."""
    async with a_town(2) as town:
        zero, one = await town.start_all()
        before = zero.network.counters["frames_sent"]
        messages = [VOTE + str(number).encode() for number in range(2000)]
        for message in messages:
            zero.network.send(1, message, Urgency.VOTE)

        assert await one.wait_said(0, 2000) == messages
        assert zero.network.counters["frames_sent"] - before <= 50  # with pings of a slow machine


async def test_a_large_message_arrives_whole_and_a_too_large_one_is_our_mistake() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        largest = VOTE + os.urandom(MESSAGE_BYTES_MAX - len(VOTE))
        zero.network.send(1, largest, Urgency.PROPOSAL)

        assert await one.wait_said(0, 1) == [largest]
        with pytest.raises(LimitExceeded):
            zero.network.send(1, largest + b"x", Urgency.PROPOSAL)


async def test_votes_overtake_what_is_less_urgent() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        for urgency in reversed(Urgency):
            zero.network.send(1, VOTE + bytes([urgency]), urgency)

        assert await one.wait_said(0, 4) == [VOTE + bytes([urgency]) for urgency in Urgency]


async def test_sending_to_someone_absent_is_counted_and_forgotten() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        zero.network.send(1, VOTE, Urgency.VOTE)

        assert zero.network.counters["messages_unsent"] == 1
        assert zero.network.connected == frozenset()
        assert zero.network.round_trip_us(1) is None


async def test_the_round_trip_is_measured() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        await round_trip(zero, one, b"pongs were before this")

        assert 0 < (zero.network.round_trip_us(1) or 0) < 5_000_000


async def test_garbage_is_refused_and_nobody_else_notices() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff", b"\x00\x00", b"\x00\x04abcd", os.urandom(5000)):
            stream = await town.connect(0)
            await stream.send_all(garbage)
            await wait_hung_up(stream)

        await round_trip(zero, one, b"still here")
        assert zero.network.counters["handshakes_refused"] == 5
        assert zero.connects == [1]


async def test_another_chain_is_refused() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        one = await town.start(1, chain=OTHER_CHAIN)
        while zero.network.counters["handshakes_refused"] + one.network.counters["handshakes_refused"] < 4:
            await trio.lowlevel.checkpoint()

        assert zero.network.connected == one.network.connected == frozenset()
        assert zero.connects == one.connects == []


async def test_an_unknown_identity_is_refused() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        with pytest.raises(trio.BrokenResourceError):
            await town.impersonate(STRANGER, 0)

        await round_trip(zero, one, b"still here")
        assert zero.network.counters["handshakes_refused"] == 1


async def test_a_replayed_first_message_does_not_displace_the_real_peer() -> None:
    """Whoever recorded a Syn of node 1 can send it again, and gets an answer that is of no use."""
    async with a_town(2) as town:
        zero, one = await town.start_all()
        dialer = Dialer(key(1), CHAIN, NodeId(key(0).public_key), Channel.CONTROL, secret=b"r" * 32, now_ms=0)
        for _ in range(3):
            stream = await town.connect(0)
            await stream.send_all(len(dialer.syn).to_bytes(2, "big") + dialer.syn)
            assert await stream.receive_some(2)
            await stream.send_all(b"\x00\x27" + bytes(39))
            await wait_hung_up(stream)

        await round_trip(zero, one, b"same link")
        assert (zero.connects, one.connects) == ([1], [0])


async def test_a_forged_signature_is_refused() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        syn = from_bytes(
            Syn, Dialer(STRANGER, CHAIN, NodeId(key(0).public_key), Channel.CONTROL, secret=b"r" * 32, now_ms=0).syn
        )
        forged = to_bytes(evolve(syn, dialer=NodeId(key(1).public_key)))
        stream = await town.connect(0)
        await stream.send_all(len(forged).to_bytes(2, "big") + forged)
        await wait_hung_up(stream)

        await round_trip(zero, one, b"same link")


async def test_slow_handshakes_do_not_keep_anyone_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that say nothing, or one byte, hold no place: the oldest gives way (F29)."""
    monkeypatch.setattr(link_module, "HANDSHAKE_SECONDS", 3600.0)
    async with a_town(2) as town:
        town.limits = PeerLimits(handshakes=8)
        zero = await town.start(0)
        idle = [await town.connect(0) for _ in range(30)]
        for stream in idle[::2]:
            await stream.send_all(b"\x00")
        one = await town.start(1)
        await one.wait_peers({0})

        await round_trip(zero, one, b"hello")
        for stream in idle[:20]:
            await wait_hung_up(stream)


async def test_a_handshake_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "HANDSHAKE_SECONDS", 0.05)
    async with a_town(1) as town:
        zero = await town.start(0)
        stream = await town.connect(0)
        await wait_hung_up(stream)

        assert zero.network.counters["handshakes_refused"] == 1


async def test_a_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half open: the machine at the other end is gone and nobody told us (F28)."""
    monkeypatch.setattr(link_module, "IDLE_SECONDS", 0.1)
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1})
        await wait_hung_up(villain.stream)

        await zero.wait_peers(set())


async def test_a_changed_frame_ends_the_link_but_bans_nobody() -> None:
    """Anyone on the way can change bytes; if that banned the peer, it would be a weapon (F27)."""
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1})
        await villain.stream.send_all(b"\x00\x00\x20" + bytes(32))
        await wait_hung_up(villain.stream)
        await zero.wait_peers(set())

        one = await town.start(1)
        await zero.wait_peers({1})
        await round_trip(zero, one, b"the real one")


async def test_an_oversize_frame_is_refused_by_its_length() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1})
        await villain.stream.send_all(b"\xff\xff\xff")
        await wait_hung_up(villain.stream)

        await zero.wait_peers(set())
        assert zero.network.counters["bans"] == 0


async def test_what_no_honest_node_says_bans_it() -> None:
    async with a_town(3) as town:
        zero, two = await town.start(0), await town.start(2)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1, 2})
        await villain.say(b"a ping of another size", lane=Lane.PING)
        await wait_hung_up(villain.stream)
        await zero.wait_peers({2})

        with pytest.raises(trio.BrokenResourceError):
            await town.impersonate(key(1), 0)
        assert zero.network.counters["bans"] == 1
        await round_trip(zero, two, b"others stay")


async def test_a_banned_peer_stays_out_until_the_ban_ends() -> None:
    """A bad signature on a direct link is the peer's own; agreement asks for this."""
    async with a_town(3) as town:
        town.limits = PeerLimits(ban_seconds=0.3)
        zero, one, two = await town.start_all()
        started = trio.current_time()
        await zero.network.disconnect(1, ban=True)
        await zero.wait_peers({2})
        await one.wait_peers({2})
        await round_trip(zero, two, b"others stay")

        await zero.wait_peers({1, 2})
        assert trio.current_time() - started >= 0.3


async def test_a_peer_that_was_disconnected_may_come_back_at_once() -> None:
    async with a_town(2) as town:
        zero, one = await town.start_all()
        await zero.network.disconnect(1)
        await zero.wait(lambda: zero.connects == [1, 1])

        await one.wait(lambda: one.connects == [0, 0])
        await round_trip(zero, one, b"again")


async def test_messages_too_often_are_dropped_and_then_end_the_link() -> None:
    """A peer cannot buy more of our time than its share."""
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1})
        await say_until_hung_up(villain, [b"\x82\x18\xa4"] * 10_000)

        await zero.wait_peers(set())
        assert zero.network.counters["messages_refused"] >= 4_000
        assert len(zero.said[1]) < 6_000


async def say_until_hung_up(villain: Villain, flood: list[bytes]) -> None:
    try:
        while True:
            await villain.say(*flood)
    except trio.BrokenResourceError:
        return


async def test_a_peer_that_takes_no_votes_is_reset_and_transactions_are_dropped() -> None:
    """Its kernel buffers fill, then our queue; nothing grows without end and no vote is lost silently."""
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0)
        await zero.wait_peers({1})
        for _ in range(20):
            zero.network.send(1, bytes(1 << 20), Urgency.TRANSACTION)
        assert zero.network.counters["messages_dropped"] >= 12
        for _ in range(9):
            zero.network.send(1, bytes(1 << 20), Urgency.VOTE)

        await zero.wait_peers(set())
        assert zero.network.counters["links_reset_full"] == 1
        await wait_hung_up(villain.stream)


async def test_a_consumer_that_stops_reading_stops_the_peer_and_loses_nothing() -> None:
    """Back-pressure through the bounded inbox, TCP and the sender's queue."""
    async with a_town(2) as town:
        zero, one = await town.start_all()
        with one.paused():
            for number in range(500):
                zero.network.send(1, VOTE + number.to_bytes(4, "big") + bytes(4000), Urgency.VOTE)
            await inbox_filled(zero, one)
        said = await one.wait_said(0, 500)

        assert [int.from_bytes(message[3:7], "big") for message in said] == list(range(500))


async def inbox_filled(zero: Node, one: Node) -> None:
    """Until the inbox of the paused one is full."""
    while one.network.inbox.statistics().current_buffer_used < links_module.INBOX_MESSAGES:
        await trio.lowlevel.checkpoint()
    assert zero.network.connected == {one.index}


async def test_a_wrong_clock_is_counted_and_tolerated() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        await town.impersonate(key(1), 0)
        await zero.wait_peers({1})

        assert zero.network.counters["clock_skews"] == 1


def test_two_peers_cannot_have_one_key() -> None:
    twin = PeerAddress(NodeId(key(1).public_key), "twin", ("127.0.0.1:1",))
    with pytest.raises(Invalid, match="same network key"):
        PeerNetwork(key(0), CHAIN, {1: twin, 2: twin}, 0, os.urandom)


def test_a_follower_may_not_be_in_the_list_under_another_number() -> None:
    mirror = PeerAddress(NodeId(key(0).public_key), "mirror", ("127.0.0.1:1",))
    with pytest.raises(Invalid, match="has ours"):
        PeerNetwork(KeyPair(b"\x01" * 32), CHAIN, {1: mirror}, None, os.urandom)
