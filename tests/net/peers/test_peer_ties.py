"""One link per pair and channel: which of two connections stays, decided alike on both sides."""

from __future__ import annotations

import pytest
import trio

from guts_core.link.handshake import Channel, Session
from guts_net.peers import Urgency
from guts_net.peers import links as links_module
from tests.net.peers.peers_world import VOTE, Node, a_town, key, wait_hung_up


@pytest.mark.parametrize(("me", "peer"), [(0, 1), (1, 0)])
async def test_a_newer_connection_of_the_same_peer_takes_over(me: int, peer: int) -> None:
    """A peer that lost power dials again; the old connection is dead and we cannot know it."""
    async with a_town(2) as town:
        node = await town.start(me)
        first = await town.impersonate(key(peer), me)
        await node.wait_peers({peer})
        second = await town.impersonate(key(peer), me)
        await node.wait(lambda: node.connects == [peer, peer])
        await wait_hung_up(first.stream)

        await second.say(VOTE)
        assert await node.wait_said(peer, 1) == [VOTE]


# Which of two keys is smaller decides who keeps which connection.
SMALLER, LARGER = sorted((0, 1), key=lambda index: key(index).public_key)


async def test_of_two_at_once_the_smaller_key_keeps_the_one_it_dialled() -> None:
    async with a_town(2) as town:
        smaller = await town.start(SMALLER)
        dialled = await town.answer_as(LARGER)
        await smaller.wait_peers({LARGER})
        superfluous = await town.impersonate(key(LARGER), SMALLER)
        await wait_hung_up(superfluous.stream)

        await dialled.say(VOTE)
        assert await smaller.wait_said(LARGER, 1) == [VOTE]
        assert smaller.connects == [LARGER]


async def test_of_two_at_once_the_larger_key_gives_up_the_one_it_dialled() -> None:
    async with a_town(2) as town:
        larger = await town.start(LARGER)
        dialled = await town.answer_as(SMALLER)
        await larger.wait_peers({SMALLER})
        kept = await town.impersonate(key(SMALLER), LARGER)
        await wait_hung_up(dialled.stream)

        await kept.say(VOTE)
        assert await larger.wait_said(SMALLER, 1) == [VOTE]


async def test_a_dial_against_an_old_connection_wins_whoever_dials(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not simultaneous any more: the peer has lost the old one, or it would not dial."""
    monkeypatch.setattr(links_module, "HANDSHAKE_SECONDS", 0.0)
    async with a_town(2) as town:
        smaller = await town.start(SMALLER)
        dialled = await town.answer_as(LARGER)
        await smaller.wait_peers({LARGER})
        newer = await town.impersonate(key(LARGER), SMALLER)
        await wait_hung_up(dialled.stream)

        await newer.say(VOTE)
        assert await smaller.wait_said(LARGER, 1) == [VOTE]


async def test_simultaneous_dials_leave_one_connection_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the larger key's patience both dials always meet; one link per pair and channel remains."""
    monkeypatch.setattr(links_module, "LARGER_KEY_WAITS_SECONDS", 0.0)
    async with a_town(4) as town:
        nodes = await town.start_all()
        for a in nodes:
            for b in nodes:
                if a is not b:
                    await settled(a, b)
        await links_agree(nodes)


async def settled(a: Node, b: Node) -> None:
    """One round trip; a message may be lost with the connection that gave way, so it is said until it arrives."""
    while VOTE not in b.said.get(a.index, []):
        a.network.send(b.index, VOTE, Urgency.VOTE)
        with trio.move_on_after(0.05):
            await b.wait(lambda: VOTE in b.said.get(a.index, []))


async def links_agree(nodes: list[Node]) -> None:
    for a in nodes:
        for b in nodes:
            if a.index < b.index:
                for channel in Channel:
                    mine, theirs = (await session_of(a, b, channel), await session_of(b, a, channel))
                    assert mine.send_key == theirs.receive_key
                    assert mine.dialled != theirs.dialled


async def session_of(a: Node, b: Node, channel: Channel) -> Session:
    peer = a.network._roster.get(b.index)
    assert peer
    slot = peer.slots[channel]
    await slot.occupied.wait()
    assert slot.link
    return slot.link.session
