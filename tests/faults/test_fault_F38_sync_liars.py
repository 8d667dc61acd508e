"""
Peers that lie about height, certificates or bodies to a node that catches up (F38, CVE-2025-24371).

Whole nodes over several epochs. What the liars' nodes say to the newcomer is changed on its way, so that
each of its questions gets the lie that fits it; only what a quorum signed may move the newcomer, and
the target is the highest that is proven. One honest peer is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from attrs import define, evolve, field

from guts_core.codec import to_bytes
from guts_core.node.effects import Disconnect
from guts_core.node.events import PeerConnected, PeerSaid
from guts_core.node.messages import PEER_MESSAGES, Hello, PeerMessage
from guts_core.simplex.messages import Certificate, Fetch, SuppliedBlock, Supply
from tests.core.chain.chain_world import a_genesis
from tests.core.node.node_world import World
from tests.core.node.test_node_epochs import EPOCH_MS, a_world, epoch, follower, join

FAR = 1 << 40
NEWCOMER = 4

Lie = Callable[[PeerMessage, list[Supply]], Iterable[PeerMessage]]


def unsigned(certificate: Certificate) -> Certificate:
    """Of a view far above, by nobody."""
    named = certificate.proposal
    above = None if named is None else evolve(named, view=FAR, parent_view=FAR - 1)
    return evolve(certificate, view=FAR, proposal=above, signatures=(bytes(64),) * len(certificate.signatures))


def claims_more(said: PeerMessage, _seen: list[Supply]) -> Iterable[PeerMessage]:
    """A height, a view and an epoch that nobody reached, and certificates that nobody signed."""
    yield Hello(FAR, FAR, 1 << 30)
    yield Fetch(FAR, FAR, (), 1 << 30)
    match said:
        case Supply():
            yield Supply(tuple(map(unsigned, said.certificates)), said.blocks)
        case Certificate():
            yield unsigned(said)


def claims_less(_said: PeerMessage, seen: list[Supply]) -> Iterable[PeerMessage]:
    """Less than it said before, and the oldest true answer that it ever gave."""
    yield Hello(1, 1, 0)
    yield from seen[:1]


def claims_nothing(said: PeerMessage, _seen: list[Supply]) -> Iterable[PeerMessage]:
    """It never had anything."""
    yield Hello(0, 0, 0)
    if isinstance(said, Supply):
        yield Supply((), ())


def shows_other_bodies(said: PeerMessage, _seen: list[Supply]) -> Iterable[PeerMessage]:
    """True certificates, with the body of one block under the name of another."""
    if not isinstance(said, Supply):
        yield said
        return
    bodies = [block.body for block in said.blocks]
    turned = bodies[1:] + bodies[:1] if len(bodies) > 1 else [body[:-1] + b"\xff" for body in bodies]
    blocks = (SuppliedBlock(block.proposal, body) for block, body in zip(said.blocks, turned, strict=True))
    yield Supply(said.certificates, tuple(blocks))


LIES: dict[str, Lie] = {
    "more": claims_more,
    "other bodies": shows_other_bodies,
    "less": claims_less,
    "nothing": claims_nothing,
}


@define
class Lied(World):
    """A world in which what some nodes say to the newcomer is changed."""

    liars: frozenset[int] = frozenset()
    lie: Lie = claims_nothing
    told: int = 0
    seen: list[Supply] = field(factory=list)

    def settle(self) -> None:
        """Carry everything, and lies in place of what liars say to the newcomer."""
        while self.queue:
            source, target, data = self.queue.popleft()
            if source in self.cut or target in self.cut:
                continue
            if target != NEWCOMER or source not in self.liars:
                self.tell(target, PeerSaid(source, data))
                continue
            said = PEER_MESSAGES.from_bytes(data)
            if isinstance(said, Supply):
                self.seen.append(said)
            for changed in self.lie(said, self.seen):
                self.told += changed != said
                self.tell(target, PeerSaid(source, to_bytes(changed)))

    def assert_is_prefix(self) -> None:
        """What the newcomer has is what the honest have."""
        mine, theirs = self.seats[NEWCOMER].store, self.seats[0].store
        for height in range(1, mine.height() + 1):
            found, honest = mine.block_at(height), theirs.block_at(height)
            assert found is not None
            assert honest is not None
            assert (found.block_hash, found.body) == (honest.block_hash, honest.body)

    def assert_arrives(self) -> None:
        """While the others go on, the newcomer follows: who has nothing for it costs the time of one question."""
        self.pass_time(10_000)
        proven = self.seats[0].store.height()
        self.pass_time(15_000)
        assert self.seats[NEWCOMER].store.height() >= proven
        assert epoch(self, NEWCOMER) >= 4

    def reasons(self) -> set[str]:
        """Why the newcomer ended links."""
        return {one.reason for one in self.seats[NEWCOMER].wanted_of(Disconnect)}


def a_world_of_three_epochs() -> Lied:
    """Four nodes that went on for a while; a fifth comes, whom nobody has told anything yet."""
    plain = a_world()
    world = Lied(a_genesis(4, plain.genesis.params))
    world.pass_time(3 * EPOCH_MS + 2000)
    assert epoch(world, 0) == 3
    return world


@pytest.mark.parametrize("honest", [0, 2])
def test_fault_F38_a_follower_that_all_but_one_lie_to_ends_where_the_honest_one_is(honest: int) -> None:
    """Heights are claimed without certificates, then lower ones, then none; then one peer tells the truth."""
    world = a_world_of_three_epochs()
    world.liars = frozenset(range(4))
    world.lie = claims_more
    join(world, follower(world.genesis, NEWCOMER))
    node = world.seats[NEWCOMER].node
    moved = []
    for lie in LIES.values():
        world.lie, before = lie, world.told
        world.pass_time(5000)
        assert world.told > before
        world.assert_is_prefix()
        assert node.engine.final.view <= world.seats[0].node.engine.final.view
        newest = node.engine.finalization
        assert newest is None or newest.view < FAR
        moved.append(world.seats[NEWCOMER].store.height())

    world.liars = frozenset(range(4)) - {honest}
    world.lie = claims_nothing
    world.assert_arrives()

    assert moved[0] == 0
    world.assert_is_prefix()
    assert any("did not sign" in reason for reason in world.reasons()), world.reasons()


@pytest.mark.parametrize("name", sorted(LIES))
def test_fault_F38_each_lie_alone_neither_stops_nor_misleads_a_follower(name: str) -> None:
    """Three lie all the time; the fourth is asked in its turn, and that is enough."""
    world = a_world_of_three_epochs()
    world.liars, world.lie = frozenset((1, 2, 3)), LIES[name]

    join(world, follower(world.genesis, NEWCOMER))
    world.assert_arrives()

    assert world.told > 0
    world.assert_is_prefix()


def test_fault_F38_heights_that_are_only_said_count_for_nothing() -> None:
    """One validator and any number of followers claim a height: nobody takes itself to be behind for that."""
    world = a_world()
    world.pass_time(3000)
    strangers = range(10, 20)
    world.cut = set(strangers)
    for peer in strangers:
        world.tell(0, PeerConnected(peer))
        world.say(peer, 0, Hello(FAR, FAR, 0))

    world.say(1, 0, Hello(FAR, FAR, 0))
    world.pass_time(1000)

    assert world.seats[0].node.behind <= 1
    assert len(set(world.heights)) == 1
    world.a_repository()
