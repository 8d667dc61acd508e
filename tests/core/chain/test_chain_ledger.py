"""The ledger: the same blocks give the same state everywhere, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from guts_core.chain.block import Block, header_of, tx_root
from guts_core.chain.commit import Commit
from guts_core.chain.genesis import chain_id, genesis_hash
from guts_core.chain.header import block_hash
from guts_core.chain.history import History
from guts_core.chain.judge import Judge, Room
from guts_core.chain.ledger import CLOCK_TOLERANCE_MS, Ledger
from guts_core.chain.standing import Where
from guts_core.chain.transaction import Item, Text, transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, Malformed
from guts_core.forge import queries
from guts_core.forge.actions import RemoveCollaborator, SetCollaborator
from guts_core.forge.params import TRANSACTION_BYTES_MAX, Params
from guts_core.forge.records import Role
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash, Root
from guts_core.simplex.messages import Certificate, Kind, Proposal
from guts_core.simplex.ports import Instant, Verdict
from tests.core.chain.chain_world import (
    HOUR,
    MAIN,
    TIME,
    Network,
    a_genesis,
    a_push,
    creation,
    flush,
    oid,
    repo_id,
    salt,
)


def test_all_start_from_the_same_state() -> None:
    """Height 0 is a function of the genesis file."""
    network = Network()

    heads = {ledger.head for ledger in network.ledgers}

    assert len(heads) == 1
    assert heads.pop().height == 0
    assert queries.account_by_name(network.ledgers[0].view(), "operator-2") is not None
    assert network.ledgers[0].final_point().block_hash == genesis_hash(chain_id(network.genesis))


def test_a_transaction_becomes_final_on_all() -> None:
    """From admission through propose, verify and finalize to one receipt and one root."""
    network = Network()
    alice = network.a_person("alice")

    signed = network.by_token(alice, creation("repo"))
    network.submit(signed, to=0)
    network.step()

    for index, ledger in enumerate(network.ledgers):
        standing = network.status(signed, index)
        assert (standing.where, standing.height, standing.index, standing.error) == (Where.FINAL, 2, 0, None)
        found = queries.repository_by_name(ledger.view(), "alice", "repo")
        assert found is not None
        assert found.id == repo_id(network.genesis, alice, "repo")
        assert found.created == network.now


def test_two_leaders_orders_give_one_state() -> None:
    """Whoever leads orders what it has; the others follow it, not their own mempool."""
    network = Network()
    alice, bob = network.a_person("alice"), network.a_person("bob")
    first, second = network.by_token(alice, creation("one")), network.by_token(bob, creation("two"))
    for to, signed in ((0, first), (0, second), (1, second), (1, first)):
        network.submit(signed, to=to)

    parent, at_zero, zero_body = network.propose(0)
    _, at_one, one_body = network.propose(1)

    assert at_zero.block_hash != at_one.block_hash
    assert network.verify(parent, at_zero, zero_body) == [Verdict.VALID] * 2
    assert network.verify(parent, at_one, one_body) == [Verdict.VALID] * 2
    network.finalize(at_one, one_body)
    assert [network.status(signed).index for signed in (first, second)] == [1, 0]
    assert not any(len(ledger.mempool) for ledger in network.ledgers)


def test_a_failed_transaction_leaves_nothing_but_its_price() -> None:
    """Its actions are atomic together, and a "no" is an answer that somebody paid for."""
    network = Network()
    alice = network.a_person("alice")
    before = queries.quota(network.ledgers[0].view(), alice.id)

    signed = network.by_token(alice, creation("fresh"), creation("fresh"))
    network.submit(signed)
    network.step()

    standing = network.status(signed)
    after = queries.quota(network.ledgers[1].view(), alice.id)
    assert (standing.where, standing.error) == (Where.FINAL, "name-taken")
    assert "fresh" in (standing.message or "")
    assert standing.receipt is not None
    assert standing.receipt.activities == ()
    assert queries.repository_by_name(network.ledgers[0].view(), "alice", "fresh") is None
    assert before is None
    assert after is not None
    assert after.transactions == 1


def test_the_sponsor_pays_for_a_registration() -> None:
    """The new account has nothing to pay with yet, and the one who vouches answers for it."""
    network = Network()
    sponsor = network.operator(0)

    alice = network.a_person("alice")

    view = network.ledgers[1].view()
    used = queries.quota(view, sponsor.id)
    assert used is not None
    assert used.transactions == 1
    assert queries.quota(view, alice.id) is None


def test_a_push_waits_for_its_witness() -> None:
    """Nothing is ordered that a quorum does not hold; then the pack is named for every holder."""
    network = Network()
    alice = network.a_person("alice")
    repo = repo_id(network.genesis, alice, "repo")
    signed = network.by_token(alice, creation("repo"), a_push(repo, MAIN, None, oid("one"), size=777))

    tx_id = network.submit(signed)
    assert not network.ledgers[0].has_work(network.ledgers[0].final_point())
    network.step()
    assert network.status(signed).where is Where.PENDING
    for ledger in network.ledgers:
        ledger.set_witness(tx_id, network.witness(tx_id))
        assert ledger.has_work(ledger.final_point())
    parent, proposal, body = network.propose()
    assert network.verify(parent, proposal, body) == [Verdict.VALID] * 2
    for ledger in network.ledgers:
        ledger.finalize(proposal, body, None)
    commit = flush(network.ledgers[0], network.stores[0])[0]

    assert network.status(signed).error is None
    assert [(pack.repo, pack.size) for pack in commit.packs] == [(repo, 777)]
    ref = queries.ref(network.ledgers[1].view(), repo, MAIN)
    assert ref is not None
    assert ref.oid == oid("one")


def test_of_two_pushes_to_one_ref_the_first_in_order_wins() -> None:
    """Compare-and-swap: the loser gets a definite "stale" in the same block."""
    network = Network()
    alice = network.a_person("alice")
    repo = repo_id(network.genesis, alice, "repo")
    network.submit(network.by_token(alice, creation("repo")))
    network.step()
    rivals = [network.by_token(alice, a_push(repo, MAIN, None, oid(name))) for name in ("one", "two")]
    for signed in rivals:
        tx_id = network.submit(signed)
        for ledger in network.ledgers:
            ledger.set_witness(tx_id, network.witness(tx_id))

    network.step()

    assert [network.status(signed).error for signed in rivals] == [None, "stale"]
    assert {network.status(signed).height for signed in rivals} == {3}


def test_a_body_is_bound_to_every_part_of_its_proposal() -> None:
    """An equivocating leader cannot offer one body under two ancestries (consensus.md 0, bug b)."""
    network = Network()
    alice = network.a_person("alice")
    network.submit(network.by_token(alice, creation("repo")), to=0)
    _, proposal, body = network.propose()
    block = from_bytes(Block, body)
    ledger = network.ledgers[1]

    assert ledger.is_bound(proposal, body)
    for wrong in (
        evolve(proposal, view=proposal.view + 1),
        evolve(proposal, parent_view=proposal.parent_view + 1),
        evolve(proposal, parent_hash=BlockHash(bytes(32))),
        evolve(proposal, block_hash=BlockHash(bytes(32))),
        evolve(proposal, epoch=1),
    ):
        assert not ledger.is_bound(wrong, body)
    signature = evolve(block.items[0].signed.signatures[0], signature=bytes(64))
    signed = evolve(block.items[0].signed, signatures=(signature, *block.items[0].signed.signatures[1:]))
    for items in ((), block.items * 2, (evolve(block.items[0], signed=signed),)):
        assert not ledger.is_bound(proposal, to_bytes(evolve(block, items=items)))
    assert not ledger.is_bound(proposal, body[:-1])
    assert not ledger.is_bound(proposal, b"")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rules", 1),
        ("chain_id", bytes(32)),
        ("epoch", 1),
        ("height", 7),
        ("tx_root", bytes(32)),
        ("state_root", bytes(32)),
        ("receipts_root", bytes(32)),
        ("history_root", bytes(32)),
        ("next_validators", bytes(32)),
        ("time", TIME),
    ],
)
def test_a_header_with_any_wrong_field_is_invalid(field: str, value: Any) -> None:
    """Every field is recomputed; a block is right as a whole or not at all."""
    network = Network()
    parent, proposal, body = network.propose()
    block = from_bytes(Block, body)
    header = evolve(block.header, **{field: value})
    forged = evolve(proposal, block_hash=block_hash(header), epoch=header.epoch)

    verdict = network.ledgers[1].verify(parent, forged, to_bytes(evolve(block, header=header)), network.instant)

    assert verdict is Verdict.INVALID
    assert network.ledgers[1].why_invalid


def test_another_state_root_of_a_quorum_halts_with_both_roots() -> None:
    """Two honest computations that differ: a bug or more than f faults, and going on makes it worse."""
    network = Network()
    parent, proposal, body = network.propose()
    block = from_bytes(Block, body)
    header = evolve(block.header, state_root=Root(bytes(31) + b"\x01"))
    forged, wrong = evolve(proposal, block_hash=block_hash(header)), to_bytes(evolve(block, header=header))

    with pytest.raises(Corrupt) as halted:
        network.ledgers[1].execute(parent, forged, wrong)
    with pytest.raises(Corrupt, match="state_root"):
        network.ledgers[1].finalize(forged, wrong, None)
    assert header.state_root.hex() in str(halted.value)
    assert block.header.state_root.hex() in str(halted.value)
    assert network.ledgers[1].head.height == 0


def test_a_header_from_the_future_is_unknown_never_invalid() -> None:
    """It may be our own clock that is wrong (consensus.md 10.2, case 9); replay never asks a clock."""
    network = Network()
    network.pass_time(HOUR)
    parent, proposal, body = network.propose()
    header_time = from_bytes(Block, body).header.time
    early = Instant(0, header_time - CLOCK_TOLERANCE_MS - 1)
    just = Instant(0, header_time - CLOCK_TOLERANCE_MS)

    assert network.ledgers[1].verify(parent, proposal, body, early) is Verdict.UNKNOWN
    assert network.ledgers[1].verify(parent, proposal, body, just) is Verdict.VALID
    fresh = Ledger(network.genesis, type(network.stores[0])(), Ed25519Verifier())
    assert fresh.execute(parent, proposal, body) is Verdict.VALID


def test_a_clock_set_back_stops_nobody() -> None:
    """A leader proposes its parent's time and a millisecond; followers an hour behind accept that."""
    network = Network()
    network.step()
    network.now -= HOUR
    before = network.ledgers[0].head.time

    parent, proposal, body = network.propose()

    assert network.verify(parent, proposal, body) == [Verdict.VALID] * 2
    network.finalize(proposal, body)
    assert network.ledgers[0].head.time == before + 1
    assert network.ledgers[0].next_time(network.now) == before + 2


def test_blocks_build_on_blocks_that_are_not_final() -> None:
    """Three generations execute in overlays; finalizing one branch drops the other."""
    network = Network()
    alice = network.a_person("alice")
    network.submit(network.by_token(alice, creation("one")))
    base, first, first_body = network.propose()
    network.verify(base, first, first_body)
    network.submit(network.by_token(alice, creation("two")))
    _, second, second_body = network.propose(parent=first)
    assert network.verify(first, second, second_body) == [Verdict.VALID] * 2
    _, rival, rival_body = network.propose(parent=base)
    assert network.verify(base, rival, rival_body) == [Verdict.VALID] * 2
    assert [len(from_bytes(Block, body).items) for body in (first_body, second_body, rival_body)] == [1, 1, 2]

    network.finalize(first, first_body, commit=False)
    network.finalize(second, second_body, commit=False)

    ledger = network.ledgers[0]
    assert ledger.verify(rival, evolve(rival, parent_view=rival.view), rival_body, network.instant) is Verdict.UNKNOWN
    assert queries.repository_by_name(ledger.view(), "alice", "two") is not None
    assert [commit.height for commit in flush(ledger, network.stores[0])] == [2, 3]
    assert queries.repository_by_name(ledger.view(), "alice", "one") is not None
    assert not ledger.has_work(ledger.final_point())


def test_a_transaction_is_executed_once_on_each_branch() -> None:
    """What an unfinalized ancestor holds is left out; what a dropped branch held is proposed again."""
    network = Network()
    alice = network.a_person("alice")
    signed = network.by_token(alice, creation("repo"))
    network.submit(signed)
    base, first, first_body = network.propose()
    network.verify(base, first, first_body)

    _, child, child_body = network.propose(parent=first)
    assert from_bytes(Block, child_body).items == ()
    assert network.verify(first, child, child_body) == [Verdict.VALID] * 2
    _, rival, rival_body = network.propose(parent=base)
    network.verify(base, rival, rival_body)
    network.finalize(rival, rival_body)

    assert len(from_bytes(Block, rival_body).items) == 1
    assert network.status(signed).height == 2


def test_a_replayed_transaction_makes_its_block_invalid() -> None:
    """In the same block, in an unfinalized ancestor, in the finalized chain before and after it is on disk."""
    network = Network()
    alice = network.a_person("alice")
    signed = network.by_token(alice, creation("repo"))
    network.submit(signed)
    parent, proposal, body = network.propose()
    item = from_bytes(Block, body).items[0]
    network.verify(parent, proposal, body)

    def judged(base: Proposal) -> Verdict:
        _, empty, empty_body = network.propose(1, parent=base)
        block = from_bytes(Block, empty_body)
        forged, forged_body = forge(block, (*block.items, item), empty)
        return network.ledgers[1].verify(base, forged, forged_body, network.instant)

    assert judged(parent) is Verdict.INVALID  # with itself beside it
    assert "stands in the chain" in (network.ledgers[1].why_invalid or "")
    assert judged(proposal) is Verdict.INVALID
    network.finalize(proposal, body, commit=False)
    assert judged(proposal) is Verdict.INVALID
    for ledger, store in zip(network.ledgers, network.stores, strict=True):
        flush(ledger, store)
    assert judged(proposal) is Verdict.INVALID
    assert "stands in the chain" in (network.ledgers[1].why_invalid or "")


def forge(block: Block, items: tuple[Item, ...], proposal: Proposal) -> tuple[Proposal, bytes]:
    """The block with other transactions under a header that names them."""
    header = evolve(block.header, tx_root=tx_root(items))
    return evolve(proposal, block_hash=block_hash(header)), to_bytes(evolve(block, header=header, items=items))


def test_a_ledger_stands_up_again_from_its_store() -> None:
    """Head, root, history and replay set survive; the next block is the same as without the restart."""
    network = Network()
    alice = network.a_person("alice")
    signed = network.by_token(alice, creation("repo"))
    network.submit(signed)
    network.step()

    again = Ledger(network.genesis, network.stores[1], Ed25519Verifier())

    assert again.head == network.ledgers[0].head
    assert again.final_point() == network.ledgers[0].final_point()
    assert again.transaction_status(transaction_id(signed.body)).height == 2
    network.ledgers[1] = again
    network.step()
    assert network.ledgers[0].head == again.head


def test_commits_come_at_least_once_and_count_once() -> None:
    """After a crash the engine delivers again what its log remembers: applied heights change nothing."""
    network = Network()
    network.a_person("alice")
    network.step()
    again = Ledger(network.genesis, network.stores[1], Ed25519Verifier())
    head = again.head

    for proposal, body in network.bodies:
        again.finalize(proposal, body, None)
    for commit in [*again.take_commits()]:
        network.stores[1].commit(commit)

    assert again.head == head
    assert again.take_commits() == []


def test_a_crash_between_final_and_disk_loses_nothing() -> None:
    """The engine's log holds the bodies above the store; executing them again gives the same commits."""
    network = Network()
    alice = network.a_person("alice")
    network.submit(network.by_token(alice, creation("repo")))
    parent, proposal, body = network.propose()
    network.verify(parent, proposal, body)
    for ledger in network.ledgers:
        ledger.finalize(proposal, body, None)
    lost: list[Commit] = network.ledgers[1].take_commits()

    again = Ledger(network.genesis, network.stores[1], Ed25519Verifier())
    again.finalize(proposal, body, None)

    assert again.take_commits() == lost
    assert again.head == network.ledgers[0].head


def test_genesis_reaches_the_store_with_block_one() -> None:
    """The store of a new node is empty; afterwards it holds every record that the ledger shows."""
    network = Network()
    assert network.stores[0].height() == 0

    network.step()

    view, store = network.ledgers[0].view(), network.stores[0]
    assert queries.account_by_name(store, "operator-0") == queries.account_by_name(view, "operator-0")
    assert queries.account_by_name(store, "operator-0") is not None
    assert store.meta("state_root") == network.ledgers[0].head.state_root


def test_committed_blocks_are_not_remembered() -> None:
    """Below the head nothing is needed, whether a block was committed as the head or after it: no list grows."""
    network = Network()
    alice = network.a_person("alice")
    for number in range(5):
        network.submit(network.by_token(alice, creation(f"repo{number}")), to=0)
        network.step()

    assert [len(ledger._branches) for ledger in network.ledgers] == [1] * len(network.ledgers)


def test_the_store_of_another_network_is_refused() -> None:
    """Mixing up two data directories must not look like a new beginning."""
    network = Network()
    network.step()

    with pytest.raises(Corrupt, match="genesis file"):
        Ledger(a_genesis(params=Params(delta_ms=7)), network.stores[0], Ed25519Verifier())


def test_peers_that_lag_get_blocks_and_certificates() -> None:
    """From memory before they are on disk and from the store afterwards."""
    network = Network()
    parent, proposal, body = network.propose()
    network.verify(parent, proposal, body)
    certificate = Certificate(Kind.FINALIZE, 0, proposal.view, proposal, b"\x07", (bytes(64),) * 3)
    ledger = network.ledgers[0]
    ledger.finalize(proposal, body, certificate)

    for _ in range(2):
        supplied = ledger.block(BlockHash(proposal.block_hash))
        assert supplied is not None
        assert (supplied.proposal, supplied.body) == (proposal, body)
        assert ledger.finalization(proposal.view) == certificate
        assert ledger.finalization(proposal.view + 1) is None
        assert ledger.final_certificate() == certificate
        flush(ledger, network.stores[0])
    assert ledger.block(BlockHash(bytes(32))) is None
    assert Ledger(network.genesis, network.stores[0], Ed25519Verifier()).final_certificate() == certificate


def test_an_idle_leader_proposes_an_empty_block() -> None:
    """The heartbeat: the engine decides when, the ledger always can."""
    network = Network()

    _, _, body = network.propose()

    assert from_bytes(Block, body).items == ()
    assert not network.ledgers[0].has_work(network.ledgers[0].final_point())
    nowhere = Proposal(0, 9, 8, BlockHash(bytes(32)), BlockHash(b"\x01" * 32))
    assert network.ledgers[0].propose(nowhere, 10, network.instant) is None


def test_an_expired_transaction_ends_with_a_definite_answer() -> None:
    """It can be asked for as long as anyone may still wait for it."""
    network = Network()
    alice = network.a_person("alice")
    repo = repo_id(network.genesis, alice, "repo")
    signed = network.by_token(alice, creation("repo"), a_push(repo, MAIN, None, oid("one")), expires=network.now + 5000)
    network.submit(signed)

    for _ in range(6):
        network.step()

    standing = network.status(signed)
    assert (standing.where, standing.error) == (Where.EXPIRED, "transaction-expired")
    assert len(network.ledgers[0].mempool) == 0


def test_what_an_overlay_removed_is_gone_though_the_disk_still_has_it() -> None:
    """A record deleted in a block that is not on disk yet must not shine through from below."""
    network = Network()
    alice, bob = network.a_person("alice"), network.a_person("bob")
    repo = repo_id(network.genesis, alice, "repo")
    network.submit(network.by_token(alice, creation("repo"), SetCollaborator(repo, bob.id, Role.WRITE)))
    network.step()
    network.submit(network.by_token(alice, RemoveCollaborator(repo, bob.id)))

    parent, proposal, body = network.propose()
    network.verify(parent, proposal, body)
    network.finalize(proposal, body, commit=False)

    for ledger, store in zip(network.ledgers, network.stores, strict=True):
        assert queries.collaborator(store, repo, bob.id) is not None
        assert queries.collaborator(ledger.view(), repo, bob.id) is None
        assert list(queries.collaborators(ledger.view(), repo)) == []
        flush(ledger, store)
        assert queries.collaborator(store, repo, bob.id) is None


def test_a_block_larger_than_the_cap_is_invalid() -> None:
    """The cap is a parameter of the network, not a habit of leaders."""
    small, large = TRANSACTION_BYTES_MAX + (16 << 10), 1 << 20
    network = Network(a_genesis(params=Params(block_bytes_max=small)))
    operator = network.operator(0)
    texts = [Text(salt(str(at)), "x" * 200_000) for at in range(4)]
    for at, text in enumerate(texts):
        network.submit(network.by_key(operator, creation(f"repo-{at}", text)), text)
    leader, parent = network.ledgers[0], network.ledgers[0].final_point()
    roomy = evolve(leader.network, params=evolve(leader.network.params, block_bytes_max=large))
    base = evolve(leader._head, network=roomy)
    turns = leader.mempool.turns([], large)
    built = Judge(roomy, leader._branches).build(base, 1, network.now + 1, turns, Room(large), is_child=False)
    assert small < len(built.body) < large

    verdict = network.ledgers[1].verify(parent, built.block.proposal, built.body, network.instant)

    assert verdict is Verdict.INVALID
    assert f"at most {small}" in (network.ledgers[1].why_invalid or "")


def test_a_final_block_beside_the_finalized_chain_halts() -> None:
    """Two finalized histories: more than the tolerated number are faulty, and this node does not choose."""
    network = Network()
    base, first, first_body = network.propose()
    network.verify(base, first, first_body)
    _, child, child_body = network.propose(parent=first)
    network.verify(first, child, child_body)
    _, rival, rival_body = network.propose(parent=base)
    network.verify(base, rival, rival_body)

    with pytest.raises(Corrupt, match="not the finalized block before it"):
        network.ledgers[0].finalize(child, child_body, None)
    network.finalize(first, first_body)
    with pytest.raises(Corrupt, match="cannot be executed"):
        network.ledgers[0].finalize(rival, rival_body, None)
    assert network.ledgers[0].head == network.ledgers[1].head


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("state_root", bytes(32), "state root"),
        ("history", History(1, (bytes(32),)).to_bytes(), "headers"),
        ("history", b"", "history"),
    ],
)
def test_a_store_that_does_not_hang_together_is_not_started_from(name: str, value: bytes, words: str) -> None:
    """A half-restored backup, say: told at the start, with what differs."""
    network = Network()
    network.step()
    network.stores[0]._meta[name] = value

    with pytest.raises(Corrupt, match=words):
        Ledger(network.genesis, network.stores[0], Ed25519Verifier())


def test_what_the_tip_holds_is_no_work_until_the_tip_is_abandoned() -> None:
    """The idle rule: no empty block beside one that is about to be final, and no stall after a lost view."""
    network = Network()
    network.submit(network.by_key(network.operator(0), creation("repo")))
    base, proposal, body = network.propose()
    network.verify(base, proposal, body)

    for ledger in network.ledgers:
        assert not ledger.has_work(proposal)
        assert ledger.has_work(base)
    network.submit(network.by_key(network.operator(1), creation("other")))
    assert network.ledgers[1].has_work(proposal)


def test_a_header_is_read_without_the_transactions_below_it() -> None:
    """Proofs of many headers and every read look at headers alone; what is no block is no header."""
    network = Network()
    network.submit(network.by_key(network.operator(0), creation("hello")))
    network.step()
    [(_, body)] = network.bodies
    header = from_bytes(Block, body).header

    assert header_of(body) == header
    assert header_of(body[:-100]) == header  # nothing behind the header was looked at
    for wrong in (b"", b"\x00" + body[1:], body[1:]):
        with pytest.raises(Malformed):
            header_of(wrong)
