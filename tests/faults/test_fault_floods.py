"""One validator with a valid key, and strangers without one, say as much as they can: bounds hold, three go on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import define

from guts_core.chain.genesis import chain_id
from guts_core.chain.transaction import Avail, Item
from guts_core.codec import Tag, encode, to_bytes, to_value
from guts_core.identity import KeyPair
from guts_core.link.chunks import ChunkWanted
from guts_core.link.frames import Lane, Opener, Piece, Sealer, join_pieces
from guts_core.link.handshake import Channel, Dialer, Session
from guts_core.names import BlockHash, ChainId, NodeId, TxId
from guts_core.node.attestation import EARLY_PER_SIGNER_MAX, GROUP_ALL
from guts_core.node.messages import AvailSaid, Submit
from guts_core.simplex import bounds
from guts_core.simplex.messages import Fetch, Kind, Proposal, Propose, SuppliedBlock, Supply, Vote
from guts_net.handle import RunningNode
from guts_net.peers.bulk import CREDIT_CHUNKS
from guts_net.peers.link import dial
from tests.core.chain import chain_world
from tests.net.world import World, a_commit, found, push, wait_until

# The one that floods sits last; the other three are a quorum of four.
VILLAIN = 3
FLOOD_MESSAGES = 5_000
FRAME_MESSAGES = 50
PATIENCE_SECONDS = 180.0
MIB = 1 << 20


@define
class Flooder:
    """A finished handshake under a validator's own network key."""

    stream: trio.SocketStream
    session: Session
    _sealer: Sealer

    async def say(self, messages: list[bytes]) -> None:
        """In good frames, as fast as the node takes them."""
        for at in range(0, len(messages), FRAME_MESSAGES):
            pieces = [Piece(Lane.SAID, message) for message in messages[at : at + FRAME_MESSAGES]]
            await self.stream.send_all(self._sealer.seal(join_pieces(pieces)))

    async def listen(self) -> None:
        """Take what the node says, so that it has no reason to hang up."""
        opener = Opener(self.session.receive_key)
        while data := await self.stream.receive_some(1 << 16):
            opener.feed(data)


@asynccontextmanager
async def flooded(world: World, node: int, channel: Channel = Channel.CONTROL) -> AsyncIterator[Flooder]:
    """A link to a node under the villain's key."""
    seat = world.seats[VILLAIN]
    listener = NodeId(world.seats[node].keys["node"].public_key)
    dialer = Dialer(seat.keys["node"], chain_id(world.genesis), listener, channel, secret=os.urandom(32), now_ms=0)
    stream = await trio.open_tcp_stream("127.0.0.1", world.seats[node].port)
    async with stream:
        session = await dial(stream, dialer)
        yield Flooder(stream, session, Sealer(session.send_key))


@asynccontextmanager
async def three_of_four(path: Path) -> AsyncIterator[tuple[World, list[RunningNode]]]:
    """The honest ones, running; the fourth seat's keys are the villain's."""
    world = found(path, 4)
    full = world.seats
    world.seats = full[:VILLAIN]
    with trio.fail_after(PATIENCE_SECONDS):
        async with world.running() as nodes:
            world.seats = full
            assert (await world.give_credential(nodes[0])).error is None
            yield world, nodes


class Words:
    """What the villain says, all of it well formed and signed with its own vote key where it need be."""

    def __init__(self, world: World) -> None:
        self.chain: ChainId = chain_id(world.genesis)
        self.key: KeyPair = world.seats[VILLAIN].keys["vote"]

    def vote(self, kind: Kind, view: int, proposal: Proposal | None) -> Vote:
        """A vote of its own."""
        body = encode((int(kind), 0, view, None if proposal is None else to_value(proposal)))
        return Vote(kind, 0, view, proposal, VILLAIN, self.key.sign(Tag.SIGN_VOTE, self.chain, body))

    def proposal(self, view: int, number: int) -> Proposal:
        """Of a block that nobody has."""
        return Proposal(0, view, view - 1, BlockHash(bytes(32)), BlockHash(number.to_bytes(32, "big")))

    def votes_of_far_views(self, view: int) -> Iterator[bytes]:
        """Each of another view, from the next to the last there is."""
        for number in range(FLOOD_MESSAGES):
            far = view + 1 + number * number if number % 2 else 2**63 + number
            yield to_bytes(self.vote(Kind.NULLIFY, far, None))

    def contradicting_votes(self, view: int) -> Iterator[bytes]:
        """All of the views just ahead, each for another block."""
        for number in range(FLOOD_MESSAGES):
            near = view + 1 + number % bounds.FUTURE_VIEWS_MAX
            yield to_bytes(self.vote(Kind.NOTARIZE, near, self.proposal(near, number)))

    def proposals(self, view: int) -> Iterator[bytes]:
        """For the views that it leads, with bodies that are none."""
        for number in range(FLOOD_MESSAGES // 50):
            led = view + 1 + (VILLAIN - view - 1) % 4 + 4 * (number % 3)
            proposal = self.proposal(led, number)
            yield to_bytes(Propose(proposal, bytes(10_000), (), self.vote(Kind.NOTARIZE, led, proposal)))

    def avails(self, _view: int) -> Iterator[bytes]:
        """About pushes that nobody announced."""
        for number in range(FLOOD_MESSAGES):
            avail = Avail(self.chain, 0, GROUP_ALL, TxId(number.to_bytes(32, "big")), 0, 0)
            signature = self.key.sign(Tag.SIGN_AVAIL, self.chain, to_bytes(avail))
            yield to_bytes(AvailSaid(avail, VILLAIN, signature))

    def questions(self, view: int) -> Iterator[bytes]:
        """For everything since the beginning, again and again."""
        for number in range(FLOOD_MESSAGES // 2):
            yield to_bytes(Fetch(0, max(view - number % 50, 0), (BlockHash(number.to_bytes(32, "big")),)))

    def answers(self, view: int) -> Iterator[bytes]:
        """To nothing, but for the first few, which are empty; the others are large, and no blocks at all."""
        for _ in range(bounds.ASKED_MAX):
            yield to_bytes(Supply((), ()))
        block = SuppliedBlock(self.proposal(view + 1, 0), bytes(MIB // FRAME_MESSAGES))
        yield from [to_bytes(Supply((), (block,)))] * (FLOOD_MESSAGES // 5)

    def transactions(self, _view: int) -> Iterator[bytes]:
        """Of people whom this network does not know."""
        stranger = chain_world.Network()
        person = stranger.a_person("alice")
        for number in range(FLOOD_MESSAGES // 10):
            signed = stranger.by_token(person, chain_world.creation(f"r{number}"))
            yield to_bytes(Submit((Item(signed, None, ()),)))


FLOODS: dict[str, Callable[[Words, int], Iterator[bytes]]] = {
    "votes of far views": Words.votes_of_far_views,
    "contradicting votes": Words.contradicting_votes,
    "proposals": Words.proposals,
    "avails": Words.avails,
    "questions": Words.questions,
    "answers": Words.answers,
    "transactions": Words.transactions,
}


def within_bounds(node: RunningNode) -> None:
    """What one villain can make a node hold, however much it says."""
    held, core = node._node.engine.held, node._node
    assert held["rounds"] <= 2 * bounds.FUTURE_VIEWS_MAX + bounds.VOTES_KEPT_VIEWS, held
    assert held["votes"] <= 3 * 4 * held["rounds"], held
    assert held["blocks"] <= 2 * bounds.FUTURE_VIEWS_MAX, held
    assert held["block_bytes"] <= 4 * MIB, held
    assert held["evidence"] <= len(Kind), held
    assert sum(len(early) for early in core.attestations._early.values()) <= EARLY_PER_SIGNER_MAX
    assert len(core.attestations) <= 1
    assert len(core.ledger.mempool) <= 1


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_one_validator_stays_within_bounds_and_three_go_on(tmp_path: Path, flood: str) -> None:
    """The first node is flooded; a push through it, and one through another, are final all the same."""
    async with three_of_four(tmp_path) as (world, nodes):
        messages = list(FLOODS[flood](Words(world), nodes[0]._node.engine.view))
        async with trio.open_nursery() as nursery:
            said = trio.Event()
            nursery.start_soon(keep_flooding, world, messages, said)
            for number in (0, 1):
                report = await push(nodes[number], world, f"hello{number}", a_commit(tmp_path / f"work{number}"))
                assert [ref.error for ref in report.refs] == [None]
                within_bounds(nodes[0])
            await said.wait()
            within_bounds(nodes[0])
            nursery.cancel_scope.cancel()
        goal = nodes[0]._node.ledger.head.height
        await wait_until(lambda: all(node._node.ledger.head.height >= goal for node in nodes))


async def keep_flooding(world: World, messages: list[bytes], said: trio.Event) -> None:
    """All of it once; a node that hangs up, or bans, has ended the flood as well."""
    try:
        async with flooded(world, 0) as flooder, trio.open_nursery() as nursery:
            nursery.start_soon(flooder.listen)
            await flooder.say(messages)
            said.set()
            await trio.sleep_forever()
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        said.set()


async def test_a_flood_of_questions_for_chunks_ends_the_bulk_link_alone(tmp_path: Path) -> None:
    """More than the credit at once is a fault; what is served is served one at a time."""
    async with three_of_four(tmp_path) as (world, nodes):
        async with flooded(world, 0, Channel.BULK) as flooder:
            wanted = [to_bytes(ChunkWanted(number, bytes(32), 0)) for number in range(100 * CREDIT_CHUNKS)]
            with trio.move_on_after(PATIENCE_SECONDS):
                try:
                    await flooder.say(wanted)
                    await flooder.listen()
                except trio.BrokenResourceError:
                    pass
        report = await push(nodes[0], world, "hello", a_commit(tmp_path / "work"))
        assert [ref.error for ref in report.refs] == [None]


@pytest.mark.parametrize("words", [b"", b"\x00", b"\x01\x2c" + bytes(100), b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n"])
async def test_strangers_at_the_door_of_nodes_keep_nobody_out(tmp_path: Path, words: bytes) -> None:
    """More connections than may shake hands at once, which say nothing or nonsense: validators still get through."""
    async with three_of_four(tmp_path) as (world, nodes):
        strangers: list[trio.SocketStream] = []
        try:
            for _ in range(300):
                stranger = await trio.open_tcp_stream("127.0.0.1", world.seats[0].port)
                strangers.append(stranger)
                if words:
                    await stranger.send_all(words)
            assert len(nodes[0]._network._handshakes) <= nodes[0].settings.peers.handshakes
            report = await push(nodes[0], world, "hello", a_commit(tmp_path / "work"))
            assert [ref.error for ref in report.refs] == [None]
            async with flooded(world, 0):
                await wait_until(lambda: VILLAIN in nodes[0]._network.connected)
        finally:
            for stranger in strangers:
                await trio.aclose_forcefully(stranger)


async def test_handshakes_again_and_again_under_one_key_hold_one_link(tmp_path: Path) -> None:
    """Each new one takes the place of the one before: nothing piles up."""
    async with three_of_four(tmp_path) as (world, nodes):
        for _ in range(100):
            async with flooded(world, 0):
                pass
        async with flooded(world, 0):
            await wait_until(lambda: VILLAIN in nodes[0]._network.connected)
        report = await push(nodes[0], world, "hello", a_commit(tmp_path / "work"))
        assert [ref.error for ref in report.refs] == [None]
        await wait_until(lambda: nodes[0]._network.connected == {1, 2})
