"""Evidence goes into the chain by itself, once; pushes under way outlive the end of an epoch."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.memory import MemoryStore
from guts_core.chain.standing import Where
from guts_core.codec import Tag, encode, to_value
from guts_core.forge import queries
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash
from guts_core.node.messages import AvailSaid
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.messages import Kind, Proposal, Vote
from tests.core.chain.chain_world import MAIN, a_push, key, oid
from tests.core.node.node_world import Seat, World
from tests.core.node.test_node_epochs import EPOCH_MS, a_world, epoch
from tests.core.node.test_node_pushes import PACK, repo_of


class Speaking(World):
    """Nodes that hold their network keys, and so can report."""

    def new_seat(self, index: int, store: MemoryStore) -> Seat:
        """As a running node is made."""
        config = NodeConfig(
            self.genesis, index, key(f"vote {index}"), Ed25519Verifier(), node_signer=key(f"node {index}")
        )
        return Seat(Node(config, store), store)


def a_vote(world: World, signer: int, kind: Kind, proposal: Proposal | None, view: int) -> Vote:
    """As validator ``signer`` would sign it in epoch 0."""
    body = encode((int(kind), 0, view, None if proposal is None else to_value(proposal)))
    signature = key(f"vote {signer}").sign(Tag.SIGN_VOTE, chain_id(world.genesis), body)
    return Vote(kind, 0, view, proposal, signer, signature)


def test_two_votes_that_contradict_each_other_stand_on_record_once() -> None:
    """Whoever sees them reports them; the first report that is ordered counts, and nobody goes on."""
    world = Speaking(a_world().genesis)
    world.pass_time(1500)
    view = world.seats[0].node.engine.view
    one = Proposal(0, view, view - 1, BlockHash(bytes(32)), BlockHash(b"1" * 32))
    for said in (one, evolve(one, block_hash=BlockHash(b"2" * 32))):
        for target in (0, 1):
            world.say(3, target, a_vote(world, 3, Kind.NOTARIZE, said, view))
    assert world.seats[0].node.equivocations == 1

    world.pass_time(8000)

    found = queries.conviction(world.seats[2].node.ledger.view(), 0, 3)
    assert found is not None
    assert (found.number, {found.first.signer, found.second.signer}) == (3, {3})
    assert [len(seat.node.reports) for seat in world.seats] == [0, 0, 0, 0]
    height = world.heights[0]
    world.restart(0)
    world.pass_time(3000)
    assert len(world.seats[0].node.reports) == 0
    assert world.heights[0] > height


def test_a_push_under_way_outlives_the_end_of_its_epoch() -> None:
    """Its witness is void with the epoch: who holds the pack says so again, and the gateway collects anew."""
    world = a_world()
    world.a_repository()
    world.pass_time(EPOCH_MS - 2500)
    signed = world.signed(a_push(repo_of(world), MAIN, None, oid("one")))
    world.checks_succeed = False  # nobody has looked at the pack before the epoch ends
    tx_id = world.submit(0, signed, pack=PACK)
    world.pass_time(3000)
    assert epoch(world, 0) == 1
    assert world.seats[0].node.ledger.transaction_status(tx_id).where is Where.PENDING
    assert {said.avail.epoch for said in world.seats[0].said_of(AvailSaid)} == {0, 1}

    world.checks_succeed = True
    for index, seat in enumerate(world.seats):
        for check in [effect for effect in seat.wanted if type(effect).__name__ == "CheckPack"]:
            world._perform(index, check)
    world.settle()
    world.pass_time(3000)

    standing = world.seats[0].node.ledger.transaction_status(tx_id)
    assert (standing.where, standing.error) == (Where.FINAL, None)
