"""Transactions without packs, hostile peers, and the end of a build's rules."""

from __future__ import annotations

import pytest
from attrs import define, evolve

from guts_core.chain import compose
from guts_core.chain.admission import candidate_of
from guts_core.chain.block_cap import FLOOR_BYTES
from guts_core.chain.genesis import chain_id
from guts_core.chain.memory import MemoryStore
from guts_core.chain.mempool import PAYER_SHARE
from guts_core.chain.standing import Where
from guts_core.chain.transaction import Item, Text
from guts_core.codec import to_bytes
from guts_core.forge.actions import ProposeDecision
from guts_core.forge.decisions import ChangeRules
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.link.frames import MESSAGE_BYTES_MAX
from guts_core.names import AccountId, TxId
from guts_core.node.effects import CommitBlock, Disconnect, Refuse, SendPeer, Stop
from guts_core.node.events import Committed, PeerConnected, PeerDisconnected, PeerSaid, Ticked, TransactionSubmitted
from guts_core.node.messages import PEER_MESSAGES, Hello, Submit
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.effects import Persist
from guts_core.simplex.messages import Kind, Vote
from tests.core.chain.chain_world import HOUR, MINUTE, a_genesis, creation, key, salt
from tests.core.node.node_world import Seat, World


def test_a_transaction_is_final_everywhere_and_submitted_twice_is_one() -> None:
    """The same bytes may come again, from the same client or another, before and after."""
    world = World()
    signed = world.signed(creation("hello"))

    tx_id = world.submit(0, signed)
    world.submit(0, signed)
    world.submit(2, signed)
    world.pass_time(2000)
    world.submit(0, signed)
    world.submit(3, signed)
    world.pass_time(2000)

    assert [seat.wanted_of(Refuse) for seat in world.seats] == [[]] * 4
    assert {seat.node.ledger.transaction_status(tx_id).where for seat in world.seats} == {Where.FINAL}
    assert len(world.roots) == 1


def test_a_transaction_that_is_final_and_not_on_disk_yet_is_not_refused() -> None:
    """Its commit is the answer: "stands in the chain already" would tell the first client that it failed."""
    world = World(a_genesis(1), commits=False)
    signed = world.signed(creation("hello"))
    world.submit(0, signed)
    assert [commit.commit.height for commit in world.seats[0].wanted_of(CommitBlock)] == [1]
    assert world.heights == [0]

    world.submit(0, signed)

    assert world.seats[0].wanted_of(Refuse) == []


def test_a_refused_transaction_is_answered_and_leaves_nothing() -> None:
    """No waiter is left, nothing is sent on."""
    world = World()
    tx_id = world.submit(0, world.signed(creation("hello"), expires=world.now - MINUTE))

    (refuse,) = world.seats[0].wanted_of(Refuse)
    assert (refuse.tx_id, refuse.code) == (tx_id, "transaction-expired")
    assert not world.seats[0].node.knows(tx_id)
    assert world.seats[0].said_of(Submit) == []


def test_a_transaction_that_expires_while_it_waits_is_answered() -> None:
    """Definite: no later block can hold it."""
    world = World()
    world.cut = {1, 2, 3}
    tx_id = world.submit(0, world.signed(creation("hello"), expires=world.now + 5_000))
    world.pass_time(6_000)
    assert world.seats[0].wanted_of(Refuse) == []  # nobody can say so without a quorum
    world.cut = set()

    for _ in range(40):
        world.pass_time(1000)

    assert [(r.tx_id, r.code) for r in world.seats[0].wanted_of(Refuse)] == [(tx_id, "transaction-expired")]
    assert not world.seats[0].node.knows(tx_id)


def test_what_was_said_while_links_were_down_is_said_again() -> None:
    """A gateway keeps its clients' transactions until they are final."""
    world = World()
    world.cut = {0}
    tx_id = world.submit(0, world.signed(creation("hello")))
    world.settle()
    world.cut = set()

    world.pass_time(world.genesis.params.retry_ms * 3)

    assert {seat.node.ledger.transaction_status(tx_id).where for seat in world.seats} == {Where.FINAL}


def test_waiting_transactions_travel_in_messages_that_a_frame_carries() -> None:
    """Ten descriptions of 250 kB wait when a link opens: one message of all would end the process."""
    world = World()
    world.cut = {0}
    for number in range(10):
        text = Text(salt(f"text {number}"), "x" * 250_000)
        world.submit(0, world.signed(creation(f"r{number}", text)), text)

    for again in ("greeting", "retry"):
        if again == "greeting":
            effects = world.tell(0, PeerConnected(1))
        else:
            world.now += world.genesis.params.retry_ms
            effects = world.tell(0, Ticked())
        sizes = [len(effect.data) for effect in effects if hasattr(effect, "data")]
        assert max(sizes) <= MESSAGE_BYTES_MAX, again
        assert sum(sizes) > 2_000_000, again


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 100, to_bytes(Hello(1, 1))[:-1], b"\x82\x18\xff\x01"])
def test_bytes_that_no_honest_node_writes_end_the_link(data: bytes) -> None:
    """And change nothing."""
    world = World()

    effects = world.tell(0, PeerSaid(1, data))

    assert [type(effect) for effect in effects] == [Disconnect]


def test_a_vote_with_a_bad_signature_bans_its_sender() -> None:
    """Links are authenticated: nobody else could have sent it."""
    world = World()
    vote = Vote(Kind.NULLIFY, 0, world.seats[0].node.engine.view, None, 1, bytes(64))

    (effect,) = world.say(1, 0, vote)

    assert isinstance(effect, Disconnect)
    assert (effect.peer, effect.ban) == (1, True)


def test_peers_submit_only_what_may_be() -> None:
    """A peer's view may differ by a block: what is refused here is dropped without blame."""
    world = World()
    bad = Item(world.signed(creation("hello"), expires=world.now + 3 * HOUR), None, ())
    good = Item(world.signed(creation("hello")), None, ())

    effects = world.say(1, 0, Submit((bad, good)))

    assert [effect for effect in effects if isinstance(effect, Disconnect)] == []
    assert len(world.seats[0].node.ledger.mempool) == 1


def test_a_follower_without_a_seat_hears_and_votes_nothing() -> None:
    """``index`` None: it keeps up, attests nothing, and passes its clients' wishes on."""
    world = World()
    follower = Node(NodeConfig(world.genesis, None, key("follower"), Ed25519Verifier()), MemoryStore())
    item = Item(world.signed(creation("hello")), None, ())

    effects = follower.receive(TransactionSubmitted(item, None), world.instant)

    sent = [effect for effect in effects if hasattr(effect, "data")]
    assert len(sent) == 1
    assert [effect for effect in effects if isinstance(effect, Persist)] == []


def test_unknown_rules_stop_the_node_once_with_a_sentence() -> None:
    """A build that meets rules it does not know must not guess; again so after each start (F51)."""
    world = World(a_genesis(1, Params(epoch_ms=10_000, heartbeat_ms=1000)))
    operator = (world.genesis.accounts[0].id, key("operator 0"))
    change = ProposeDecision(ChangeRules(7, 0), now=False)
    body = compose.by_account(chain_id(world.genesis), operator[0], (change,), world.now + MINUTE, salt("rules"))
    signed = compose.sign_with_account_key(body, operator[1])
    world.submit(0, signed)
    world.pass_time(11_000)
    world.submit(0, world.signed(creation("the first of the new epoch")))
    world.pass_time(2_000)

    (stop,) = world.seats[0].wanted_of(Stop)
    assert "install a build" in stop.sentence

    world.restart(0)

    assert len(world.seats[0].wanted_of(Stop)) == 1


def test_a_peer_that_comes_back_is_greeted_and_counted_once() -> None:
    """``connected`` is what a status tells."""
    world = World()

    world.tell(0, PeerDisconnected(2))
    assert world.seats[0].node.connected == {1, 3}
    world.tell(0, PeerConnected(2))

    assert world.seats[0].node.connected == {1, 2, 3}


@define
class SmallWorld(World):
    """Nodes with room for a few transactions."""

    def new_seat(self, index: int, store: MemoryStore) -> Seat:
        """One transaction of each of twenty accounts."""
        signer = key(f"vote {index}")
        config = NodeConfig(self.genesis, index, signer, Ed25519Verifier(), mempool_transactions=PAYER_SHARE)
        return Seat(Node(config, store), store)


def test_a_node_with_little_room_left_refuses_its_own_clients_and_hears_its_peers() -> None:
    """They come again; nothing that the client of another node was told "accepted" of is thrown away for them."""
    world = SmallWorld()
    world.cut = {1, 2, 3}
    ledger, item = world.seats[0].node.ledger, Item(world.signed(creation("hello")), None, ())
    filler = candidate_of(Item(world.signed(creation("filler")), None, ()), ledger.network)
    for number in range(PAYER_SHARE * 4 // 5):
        name = bytes((number,)) * 32
        ledger.mempool.add(evolve(filler, tx_id=TxId(name)), AccountId(name), 0)

    own = world.submit(0, item.signed)
    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[0].wanted_of(Refuse)] == [(own, "busy")]
    assert not ledger.is_pending(own)
    world.say(1, 0, Submit((item,)))

    assert ledger.is_pending(own)


def test_a_leader_whose_view_is_nullified_proposes_less_when_it_learns_of_it() -> None:
    """Its block reached nobody; what waited stands in another one, and nobody else changes its habits."""
    world = World()
    leader = world.seats[0].node.engine.leader
    other = (leader + 1) % len(world.seats)
    world.cut = {leader}
    lost = world.submit(leader, world.signed(creation("lost")))
    kept = world.submit(other, world.signed(creation("kept")))
    world.pass_time(5_000)
    caps = [seat.node.ledger.block_cap for seat in world.seats]
    assert len(set(caps)) == 1  # it knows of nothing final yet
    world.cut = set()

    world.pass_time(10_000)

    caps = [seat.node.ledger.block_cap for seat in world.seats]
    most = world.genesis.params.block_bytes_max
    assert FLOOR_BYTES < caps.pop(leader) < most
    assert set(caps) == {most}
    assert {seat.node.ledger.transaction_status(one).where for seat in world.seats for one in (lost, kept)} == {
        Where.FINAL
    }


def test_transactions_go_on_after_many_blocks_are_final_and_unwritten() -> None:
    """Agreement does not wait for the disk; the disk's reports come in order, later."""
    world = World(a_genesis(1), commits=False)
    ids = [world.submit(0, world.signed(creation(f"r{number}"))) for number in range(5)]
    commits = world.seats[0].wanted_of(CommitBlock)
    assert [commit.commit.height for commit in commits] == [1, 2, 3, 4, 5]

    for commit in commits:
        world.seats[0].store.commit(commit.commit)
        world.tell(0, Committed(commit.commit.height))

    assert [world.seats[0].store.receipt(tx_id) is not None for tx_id in ids] == [True] * 5


def test_what_clients_bring_together_is_passed_on_as_one() -> None:
    """Under load a message for each would cost every node more than the transaction itself."""
    world = World()
    items = [Item(world.signed(creation(f"r{number}")), None, ()) for number in range(3)]
    events = [TransactionSubmitted(item, None) for item in items]

    effects = world.seats[0].node.receive_all(events, world.instant)

    sent = [PEER_MESSAGES.from_bytes(effect.data) for effect in effects if isinstance(effect, SendPeer)]
    assert [Submit(tuple(items))] == [message for message in sent if isinstance(message, Submit)]


def test_what_waits_long_is_said_again_ever_more_rarely() -> None:
    """In a network whose blocks are full, saying everything again is what it can bear least."""
    world = World()
    world.cut = {0}
    world.submit(0, world.signed(creation("waits")))
    retry_ms = world.genesis.params.retry_ms

    before = len(world.seats[0].said_of(Submit))
    for _ in range(40):
        world.now += retry_ms
        world.tell(0, Ticked())

    # After 1 retry, and 2, 4, 8 and 16 more; after 16 more again it is not yet time.
    assert len(world.seats[0].said_of(Submit)) - before == 5
