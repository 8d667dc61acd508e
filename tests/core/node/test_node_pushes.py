"""A push between nodes: announced, checked, attested by a quorum of equal Avails, ordered, answered."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.transaction import Item, Witness, transaction_id
from guts_core.codec import to_bytes
from guts_core.forge import queries
from guts_core.forge.ids import repository_id
from guts_core.names import RepoId, TxId
from guts_core.node.attestation import EARLY_PER_SIGNER_MAX
from guts_core.node.effects import CheckPack, Disconnect, Log, Refuse
from guts_core.node.events import PackChecked, PeerSaid
from guts_core.node.messages import Announce, AvailSaid, Witnessed
from guts_core.node.pushes import DEFERRED_BYTES_PER_PEER_MAX
from guts_core.simplex.quorum import FaultModel
from tests.core.chain.chain_world import MAIN, a_genesis, a_push, a_witness, creation, oid, salt
from tests.core.chain.chain_world import key as a_key
from tests.core.node.node_world import World, an_avail

PACK = b"the bytes of a small pack"


def repo_of(world: World, name: str = "hello") -> RepoId:
    """The id of alice's repository with this name."""
    return repository_id(chain_id(world.genesis), world.alice, salt(name))


def a_world(validators: int = 4, **options: object) -> World:
    """A network with one repository."""
    world = World(a_genesis(validators), **options)  # type: ignore[arg-type]  # options of World
    world.a_repository()
    return world


def ref(world: World, index: int, name: str = MAIN) -> bytes | None:
    """Where a node sees a ref, finally."""
    found = queries.ref(world.seats[index].node.ledger.view(), repo_of(world), name)
    return None if found is None else found.oid


def announced(world: World, index: int, tx_id: TxId) -> bool:
    """Whether a node still tracks a push."""
    return world.seats[index].node.attestations.get(tx_id) is not None


def test_a_push_moves_the_ref_on_every_node() -> None:
    """The whole path, for each size of network."""
    for validators, model in ((1, FaultModel.BYZANTINE), (3, FaultModel.CRASH), (4, FaultModel.BYZANTINE)):
        world = World(a_genesis(validators, fault_model=model))
        world.a_repository()

        world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), pack=PACK)
        world.pass_time(2000)

        assert [ref(world, index) for index in range(validators)] == [oid("one")] * validators
        assert len(world.roots) == 1
        assert world.seats[0].wanted_of(Refuse) == []
        assert [len(seat.node.attestations) for seat in world.seats] == [0] * validators


def test_a_push_that_nobody_judged_is_checked_before_it_is_vouched_for() -> None:
    """Anyone may post a signed transaction: this node's Avail says that it looked at the pack, n = 1 above all."""
    world = a_world(1, checks_succeed=False)

    tx_id = world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), judged=None)
    world.pass_time(2000)

    assert ref(world, 0) is None
    assert [check.tx_id for check in world.seats[0].wanted_of(CheckPack)] == [tx_id]
    world.tell(0, PackChecked(tx_id, 0, 0, "blob-missing: no connected validator gave chunk 0"))
    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[0].wanted_of(Refuse)] == [(tx_id, "invalid")]
    assert not world.seats[0].node.knows(tx_id)


def test_an_unjudged_push_is_announced_once_its_check_succeeds() -> None:
    """A client that signs for itself may push what the node can fetch or holds already."""
    world = a_world(checks_succeed=False)
    tx_id = world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), judged=None)
    assert world.seats[0].said_of(Announce) == []

    world.tell(0, PackChecked(tx_id, 0, 0, None))

    assert [transaction_id(said.item.signed.body) for said in world.seats[0].said_of(Announce)] == [tx_id]
    assert [said.avail.tx_id for said in world.seats[0].said_of(AvailSaid)] == [tx_id]


def test_facts_judged_before_a_removal_are_judged_anew() -> None:
    """Between a gateway's look at the objects and its signature a ref may have been forced away."""
    world = a_world(checks_succeed=False)

    world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), judged=(0, 1))

    assert len(world.seats[0].wanted_of(CheckPack)) == 1
    assert world.seats[0].said_of(AvailSaid) == []


def pushed_to_one_of(world: World, pack: bytes | None = PACK) -> TxId:
    """A push at node 0 that others have not heard of yet."""
    tx_id = world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), pack=pack)
    world.queue.clear()
    return tx_id


def test_a_witness_needs_a_quorum_of_equal_avails() -> None:
    """Validators a block apart saw other counters; what they say does not add up."""
    world = a_world()
    tx_id = pushed_to_one_of(world)

    world.say(1, 0, an_avail(world, 1, tx_id))
    world.say(2, 0, an_avail(world, 2, tx_id, removals=1))
    assert world.seats[0].said_of(Witnessed) == []
    world.say(3, 0, an_avail(world, 3, tx_id))

    (witnessed,) = world.seats[0].said_of(Witnessed)
    assert witnessed.witness.signers == bytes((0b1011,))


def test_a_validator_that_lagged_answers_again_and_counts() -> None:
    """The newest Avail of each validator is its word."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    world.say(1, 0, an_avail(world, 1, tx_id))
    world.say(2, 0, an_avail(world, 2, tx_id, objects_epoch=9))

    world.say(2, 0, an_avail(world, 2, tx_id))

    assert len(world.seats[0].said_of(Witnessed)) == 1


def test_a_forged_avail_does_not_block_and_its_sender_is_banned() -> None:
    """Only the holder of the link could have sent it."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    forged = evolve(an_avail(world, 1, tx_id), signature=bytes(64))

    world.say(1, 0, forged)
    world.say(2, 0, an_avail(world, 2, tx_id))
    bans = [(effect.peer, effect.ban) for effect in world.seats[0].wanted_of(Disconnect)]
    assert bans == [(1, True)]
    assert world.seats[0].said_of(Witnessed) == []
    world.say(3, 0, an_avail(world, 3, tx_id))

    assert len(world.seats[0].said_of(Witnessed)) == 1


@pytest.mark.parametrize("what", ["another's name", "another group", "no validator"])
def test_an_avail_that_no_honest_validator_says_ends_the_link(what: str) -> None:
    """Nothing of it is kept: a group may be two million characters long."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    said = {
        "another's name": evolve(an_avail(world, 2, tx_id), signer=2),
        "another group": an_avail(world, 1, tx_id, group="x" * 100_000),
        "no validator": evolve(an_avail(world, 1, tx_id), signer=9),
    }[what]

    peer = 9 if what == "no validator" else 1
    effects = world.tell(0, PeerSaid(peer, to_bytes(said)))

    assert [type(effect) for effect in effects] == [Disconnect]
    own = world.seats[0].node.attestations.get(tx_id)
    assert own is not None
    assert set(own.avails) == {0}


def test_avails_that_overtake_their_announcement_count() -> None:
    """Links are not synchronised with each other."""
    world = a_world(checks_succeed=False)
    tx_id = pushed_to_one_of(world)
    (announce,) = world.seats[0].said_of(Announce)

    for index in (0, 2):
        world.say(index, 1, an_avail(world, index, tx_id))
    world.say(0, 1, announce)
    world.tell(1, PackChecked(tx_id, 0, 0, None))

    node = world.seats[1].node
    known = node.attestations.get(tx_id)
    assert known is not None
    assert known.witness is not None


def test_a_flood_of_early_avails_takes_nothing_from_others() -> None:
    """One validator's invented pushes wait in its own small room."""
    world = a_world(checks_succeed=False)
    tx_id = pushed_to_one_of(world)
    (announce,) = world.seats[0].said_of(Announce)
    genuine = an_avail(world, 3, tx_id)
    for number in range(EARLY_PER_SIGNER_MAX + 10):
        invented = TxId(salt(f"invented {number}"))
        world.say(3, 1, evolve(genuine, avail=evolve(genuine.avail, tx_id=invented)))

    for index in (0, 2):
        world.say(index, 1, an_avail(world, index, tx_id))
    world.say(0, 1, announce)

    known = world.seats[1].node.attestations.get(tx_id)
    assert known is not None
    assert set(known.avails) == {0, 2}


def test_a_wrong_witness_ends_the_link_and_the_true_one_still_counts() -> None:
    """Whoever passes a witness on has made it or checked it."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    avail = an_avail(world, 0, tx_id).avail
    true = a_witness(avail, (1, 2, 3), 4)

    world.say(1, 0, Witnessed(tx_id, Witness(avail, true.signers, (bytes(64),) * 3)))
    assert [(e.peer, e.ban) for e in world.seats[0].wanted_of(Disconnect)] == [(1, True)]
    world.say(2, 0, Witnessed(tx_id, true))

    known = world.seats[0].node.attestations.get(tx_id)
    assert known is None or known.witness == true


def test_an_announcement_a_block_early_is_looked_at_again() -> None:
    """A gateway may have seen the repository's block before this node."""
    world = a_world()
    world.cut.add(3)
    world.submit(0, world.signed(creation("later")))
    world.pass_time(20_000)
    world.checks_succeed = False
    world.submit(0, world.signed(a_push(repo_of(world, "later"), MAIN, None, oid("one"))), pack=PACK)
    announce = world.seats[0].said_of(Announce)[-1]
    tx_id = transaction_id(announce.item.signed.body)
    world.cut.clear()
    world.queue.clear()

    world.say(0, 3, announce)
    assert not announced(world, 3, tx_id)
    assert not world.seats[3].node.ledger.is_pending(tx_id)
    world.cut = {0}  # the gateway says nothing again
    world.submit(1, world.signed(creation("time goes on")))
    world.pass_time(5_000)

    assert world.heights[3] == world.heights[1]
    assert [check.tx_id for check in world.seats[3].wanted_of(CheckPack)] == [tx_id]


def test_what_no_later_block_can_mend_is_not_kept_for_it() -> None:
    """A refused announcement leaves nothing: neither in the mempool nor among those to be looked at again."""
    world = a_world()
    signed = world.signed(a_push(repo_of(world), MAIN, None, oid("one")), expires=world.now - 1)

    effects = world.say(1, 0, Announce(Item(signed, None, ()), PACK))

    assert [type(effect) for effect in effects] == [Log]
    assert len(world.seats[0].node.ledger.mempool) == 0
    assert world.say(1, 0, Announce(Item(signed, None, ()), PACK)) == []  # said once a second


def test_announcements_to_be_looked_at_again_are_bounded_for_each_peer() -> None:
    """One validator's early announcements do not crowd out another's, nor fill the memory."""
    world = a_world()
    strange = repo_of(world, "unheard of")
    large = bytes(60_000)

    kept = 0
    for number in range(DEFERRED_BYTES_PER_PEER_MAX // len(large) + 10):
        signed = world.signed(a_push(strange, MAIN, None, oid(f"{number}")))
        world.say(1, 0, Announce(Item(signed, None, ()), large))
        kept = len(world.seats[0].node.pushes.deferred)
    assert kept * len(large) <= DEFERRED_BYTES_PER_PEER_MAX
    signed = world.signed(a_push(strange, MAIN, None, oid("another's")))
    world.say(2, 0, Announce(Item(signed, None, ()), large))

    assert len(world.seats[0].node.pushes.deferred) == kept + 1
    assert len(world.seats[0].node.ledger.mempool) == 0


def test_a_stale_own_push_is_answered_at_once() -> None:
    """Two clients of two gateways push to one branch: the block that takes one refuses the other."""
    world = a_world(checks_succeed=False)
    loser = world.submit(1, world.signed(a_push(repo_of(world), MAIN, None, oid("loser"))), pack=PACK)
    world.settle()
    world.checks_succeed = True

    world.submit(0, world.signed(a_push(repo_of(world), MAIN, None, oid("winner"))), pack=PACK)
    world.pass_time(2000)

    assert [ref(world, index) for index in range(4)] == [oid("winner")] * 4
    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[1].wanted_of(Refuse)] == [(loser, "stale")]
    assert [announced(world, index, loser) for index in range(4)] == [False] * 4
    assert [seat.node.ledger.is_pending(loser) for seat in world.seats] == [False] * 4


def test_a_check_that_failed_for_what_may_pass_is_tried_again() -> None:
    """A pack that was nowhere to be had may come; one vote less would leave the push without a quorum."""
    world = a_world(checks_succeed=False)
    tx_id = pushed_to_one_of(world, pack=None)
    (announce,) = world.seats[0].said_of(Announce)
    world.say(0, 1, announce)
    world.tell(1, PackChecked(tx_id, 0, 0, "unavailable: nobody has it", may_pass=True))
    assert world.say(0, 1, announce) == []

    world.now += world.genesis.params.retry_ms
    effects = world.say(0, 1, announce)

    assert [type(effect) for effect in effects] == [CheckPack]


def test_a_check_that_failed_for_good_is_not_repeated() -> None:
    """A manifest that says something false stays false; pulling its pack again is what a flooder wants."""
    world = a_world(checks_succeed=False)
    tx_id = pushed_to_one_of(world, pack=None)
    (announce,) = world.seats[0].said_of(Announce)
    world.say(0, 1, announce)
    world.tell(1, PackChecked(tx_id, 0, 0, "the updates are not what their manifest says"))

    world.now += 60_000

    assert world.say(0, 1, announce) == []


def test_pushes_that_failed_make_room_for_new_ones() -> None:
    """Ten thousand false manifests of one gateway do not shut it out until they expire."""
    world = a_world(checks_succeed=False)
    node = world.seats[0].node
    share = node.attestations._share = 3
    items = [
        Item(world.signed(a_push(repo_of(world), f"refs/heads/b{n}", None, oid(f"{n}"))), None, ())
        for n in range(share + 2)
    ]
    for item in items[:share]:
        world.say(1, 0, Announce(item, PACK))
    assert world.say(1, 0, Announce(items[share], PACK)) == []
    first = transaction_id(items[0].signed.body)
    world.tell(0, PackChecked(first, 0, 0, "the updates are not what their manifest says"))

    effects = world.say(1, 0, Announce(items[share], PACK))

    assert [type(effect) for effect in effects] == [CheckPack]
    assert len(node.attestations) == share
    assert not node.ledger.is_pending(first)
    assert [type(e) for e in world.say(2, 0, Announce(items[share + 1], PACK))] == [CheckPack]


def test_clients_of_one_node_are_bounded_with_words() -> None:
    """Inline packs wait in memory until their push is final."""
    world = a_world()
    world.seats[0].node.attestations._share = 1
    pushed_to_one_of(world)

    tx_id = world.submit(0, world.signed(a_push(repo_of(world), "refs/heads/b", None, oid("b"))), pack=PACK)

    (refuse,) = world.seats[0].wanted_of(Refuse)
    assert (refuse.tx_id, refuse.code) == (tx_id, "limit-exceeded")
    assert "try again" in refuse.message


def test_an_account_has_so_many_bytes_on_their_way_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs that no block lists yet are held on the account's word alone, at its gateway and everywhere else."""
    world = a_world()
    first = pushed_to_one_of(world)
    world.say(0, 3, world.seats[0].said_of(Announce)[-1])
    flying = world.seats[0].node.attestations.in_flight(world.alice)
    assert flying > 0
    second = world.signed(a_push(repo_of(world), "refs/heads/b", None, oid("b")))

    announce = Announce(Item(second, None, ()), PACK)
    with monkeypatch.context() as patched:
        patched.setattr("guts_core.node.pushes.IN_FLIGHT_BYTES_MAX", flying)
        tx_id = world.submit(0, second, pack=PACK)
        world.say(1, 3, announce)

    (refuse,) = world.seats[0].wanted_of(Refuse)
    assert (refuse.tx_id, refuse.code) == (tx_id, "limit-exceeded")
    assert str(flying) in refuse.message
    assert announced(world, 3, tx_id) is False
    assert announced(world, 3, first) is True


def test_a_push_whose_first_words_were_lost_is_announced_again() -> None:
    """Retries: until a quorum said that it holds the pack, and then the witness until it is final."""
    world = a_world()
    pushed_to_one_of(world)

    for _ in range(4):
        world.pass_time(world.genesis.params.retry_ms)

    assert [ref(world, index) for index in range(4)] == [oid("one")] * 4


def test_announcing_what_needs_no_witness_ends_the_link() -> None:
    """Other transactions come as Submit."""
    world = a_world()
    item = Item(world.signed(creation("other")), None, ())

    effects = world.say(1, 0, Announce(item, None))

    assert [type(effect) for effect in effects] == [Disconnect]


def test_another_may_announce_a_gateways_push_and_changes_nothing() -> None:
    """The transaction is signed; who passes it on does not matter."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    (announce,) = world.seats[0].said_of(Announce)

    world.say(2, 0, announce)  # to the gateway itself
    world.say(2, 1, announce)
    world.settle()
    world.pass_time(2000)

    assert [ref(world, index) for index in range(4)] == [oid("one")] * 4
    assert tx_id not in {refuse.tx_id for refuse in world.seats[0].wanted_of(Refuse)}


def test_a_push_that_expires_is_answered() -> None:
    """Definite words, once a block says that its time is over."""
    world = a_world(checks_succeed=False)
    signed = world.signed(a_push(repo_of(world), MAIN, None, oid("one")), expires=world.now + 5_000)
    tx_id = world.submit(0, signed, pack=PACK)
    world.settle()

    world.pass_time(6_000)
    world.submit(1, world.signed(creation("time goes on")))
    world.pass_time(2_000)

    assert [(refuse.tx_id, refuse.code) for refuse in world.seats[0].wanted_of(Refuse)] == [
        (tx_id, "transaction-expired")
    ]
    assert [announced(world, index, tx_id) for index in range(4)] == [False] * 4
    assert not world.seats[0].node.knows(tx_id)


def test_keys_of_this_world_are_the_genesis_keys() -> None:
    """Avails made by hand are genuine because seat i signs with vote key i."""
    world = World()

    assert [entry.vote_key for entry in world.genesis.validators] == [a_key(f"vote {i}").public_key for i in range(4)]
