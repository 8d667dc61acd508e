"""Peers come, go, move, change their keys and are guests while a network runs."""

from __future__ import annotations

import pytest
import trio

from guts_core.identity import KeyPair
from guts_core.names import NodeId
from guts_net.peers import PeerAddress, Urgency
from guts_net.peers.limits import PeerLimits
from guts_net.peers.roster import BANS_MAX, GUEST_NUMBERS, Roster
from tests.net.peers.peers_world import STRANGER, VOTE, a_town, key, round_trip, serving, wait_hung_up

DIGEST = b"d" * 32


def peer(index: int, *addresses: str, node: KeyPair | None = None, is_validator: bool = True) -> PeerAddress:
    """A node by its number."""
    owner = node or key(index)
    return PeerAddress(NodeId(owner.public_key), f"node-{index}", addresses, is_validator)


async def test_a_peer_that_is_added_is_dialled_and_one_that_is_removed_is_hung_up_on() -> None:
    """The state took in a node, and let one go."""
    async with a_town(3) as town:
        zero, one, two = await town.start_all()
        places = {number: town.address(number) for number in (1, 2)}
        zero.network.set_peers({1: places[1]}, 0)
        await zero.wait_peers({1})
        await round_trip(zero, one, b"stays")
        zero.network.set_peers(places, 0)

        await zero.wait_peers({1, 2})
        await round_trip(zero, two, b"again")


async def test_fault_F28_one_without_an_address_is_accepted_and_not_dialled() -> None:
    """Where it is, is found out later; that it may come is state."""
    async with a_town(2) as town:
        zero = await town.start(0)
        zero.network.set_peers({1: peer(1)}, 0)
        one = await town.start(1)
        await zero.wait_peers({1})

        await round_trip(zero, one, b"came by itself")
        assert zero.network.counters["dials"] <= 2  # of its first moment, before it was told


async def test_a_peer_is_found_at_the_second_of_its_addresses_and_where_it_moved() -> None:
    """Whoever waits to dial again does not wait when an address is new."""
    async with a_town(2) as town:
        zero = await town.start(0)
        right = town.address(1).addresses[0]
        zero.network.set_peers({1: peer(1, "127.0.0.1:1", "nowhere.invalid")}, 0)
        while zero.network.counters["dials_failed"] < 8:
            await trio.lowlevel.checkpoint()
        one = await town.start(1, peers={0: peer(0)})
        zero.network.set_peers({1: peer(1, "127.0.0.1:1", right)}, 0)

        await zero.wait_peers({1})
        assert one.network.counters["dials"] == 0


async def test_a_rotated_key_keeps_the_number_and_the_old_one_is_let_in_for_a_while() -> None:
    """It restarts with its new key when its operator is ready."""
    async with a_town(2) as town:
        zero = await town.start(0)
        old, new = key(1), KeyPair(b"\x77" * 32)
        former = {NodeId(old.public_key): 1}
        zero.network.set_peers({1: peer(1, node=new)}, 0, former=former)
        with_old = await town.impersonate(old, 0)
        await zero.wait_peers({1})
        with_new = await town.impersonate(new, 0)
        await wait_hung_up(with_old.stream)
        await zero.wait_peers({1})
        zero.network.set_peers({1: peer(1, node=new)}, 0)

        with pytest.raises(trio.BrokenResourceError):
            await town.impersonate(old, 0)
        await with_new.say(VOTE)
        await zero.wait_said(1, 1)


async def test_guests_are_taken_where_anybody_may_follow_but_only_a_few() -> None:
    """Under numbers that no state gives; a guest that becomes a member comes back under its own."""
    async with a_town(2) as town:
        town.limits = PeerLimits(guests=2)
        zero = await town.start(0)
        places = {1: town.address(1)}
        zero.network.set_peers(places, 0, guests=True)
        guests = [KeyPair(bytes([200 + i]) * 32) for i in range(3)]
        first = await town.impersonate(guests[0], 0)
        await town.impersonate(guests[1], 0)
        await zero.wait_peers({GUEST_NUMBERS, GUEST_NUMBERS + 1})
        with pytest.raises(trio.BrokenResourceError):
            await town.impersonate(guests[2], 0)
        assert zero.network.connected_validators == frozenset()
        zero.network.set_peers({**places, 9: peer(9, node=guests[0], is_validator=False)}, 0, guests=True)
        await wait_hung_up(first.stream)
        await town.impersonate(guests[0], 0)
        await zero.wait_peers({9, GUEST_NUMBERS + 1})
        zero.network.set_peers(places, 0)

        await zero.wait_peers(set())
        with pytest.raises(trio.BrokenResourceError):
            await town.impersonate(STRANGER, 0)


async def test_guests_are_served_after_members() -> None:
    """A stranger's request waits while a member's is being served."""
    open_door, served = trio.Event(), list[int]()
    find = serving(lambda digest, _: digest)

    async def serve(digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        if index == 1:
            await open_door.wait()
        served.append(index)
        return await find(digest, index)

    async with a_town(3) as town, trio.open_nursery() as nursery:
        zero = await town.start(0, serve)
        zero.network.set_peers({1: town.address(1)}, 0, guests=True)
        one, guest = await town.start(1), await town.start(2)
        await zero.wait(lambda: {1} < zero.peers)
        nursery.start_soon(one.network.fetch_chunk, 0, DIGEST, 1)
        while not zero.network._precedence._first:
            await trio.lowlevel.checkpoint()
        nursery.start_soon(guest.network.fetch_chunk, 0, DIGEST, 2)
        while zero.network._precedence._one_by_one.statistics().owner is None:
            await trio.lowlevel.checkpoint()
        assert served == []
        open_door.set()

        while len(served) < 2:
            await trio.lowlevel.checkpoint()
        assert served == [1, 2]


async def test_a_message_to_a_number_that_is_nobodys_is_counted_and_forgotten() -> None:
    async with a_town(1) as town:
        zero = await town.start(0)
        zero.network.send(77, VOTE, Urgency.VOTE)
        await zero.network.disconnect(77)

        assert zero.network.counters["messages_unsent"] == 1
        assert await zero.network.fetch_chunk(77, DIGEST, 0) is None
        assert zero.network.round_trip_us(77) is None


async def test_bans_of_strangers_are_bounded() -> None:
    """A new key costs nothing, so remembering them must not cost much."""
    roster = Roster(NodeId(key(0).public_key), 10)
    for number in range(BANS_MAX + 10):
        node = NodeId(number.to_bytes(32, "big"))
        roster.set({1: PeerAddress(node, "n", ())}, {}, guests=False)
        roster.ban(1, trio.current_time() + 60)

    assert len(roster._banned_until) == BANS_MAX
    assert not roster.admits(NodeId((BANS_MAX + 9).to_bytes(32, "big")))
