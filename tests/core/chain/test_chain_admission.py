"""What may not stand in a block at all, each reason by itself, told by its code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.admission import candidate_of, check_witness
from guts_core.chain.block import Block, tx_root
from guts_core.chain.genesis import chain_id
from guts_core.chain.header import block_hash
from guts_core.chain.inadmissible import (
    REFUSALS,
    BadForm,
    CannotPay,
    CredentialEnded,
    ExpiresTooLate,
    GatewayNotListed,
    Inadmissible,
    Replayed,
    TextMissing,
    TextUnexpected,
    TooLarge,
    TransactionExpired,
    UnknownAccount,
    UnknownCredential,
    WitnessMissing,
    WitnessWrong,
    WrongChain,
    WrongSignatures,
)
from guts_core.chain.standing import Where
from guts_core.chain.transaction import (
    TEXT_BYTES_MAX,
    Hand,
    Item,
    Signature,
    SignedTransaction,
    Text,
    Witness,
    transaction_id,
)
from guts_core.chain.verified import CachingVerifier
from guts_core.codec import Tag, from_bytes, to_bytes
from guts_core.errors import Refused
from guts_core.forge.actions import Erase, Register, RevokeCredential
from guts_core.forge.ids import credential_id
from guts_core.forge.params import EXPIRY_MS_MAX, Params
from guts_core.forge.records import Scope
from guts_core.identity import Ed25519Verifier
from guts_core.names import AccountId, ChainId, RepoId, TxId
from guts_core.simplex.ports import Verdict
from guts_core.simplex.quorum import FaultModel
from tests.core.chain.chain_world import (
    HOUR,
    MAIN,
    MINUTE,
    TIME,
    Network,
    Person,
    a_genesis,
    a_push,
    a_witness,
    creation,
    gateway,
    key,
    oid,
    repo_id,
    salt,
)


def refuse(network: Network, item: Item, expected: type[Inadmissible]) -> None:
    """The ledger does not admit it, and a block that holds it is invalid (or unknown, where only a text is missing)."""
    with pytest.raises(expected) as refused:
        network.ledgers[0].admit(item, network.instant)
    assert type(refused.value) is expected
    assert len(network.ledgers[0].mempool) == 0
    parent, proposal, body = network.propose(1)
    block = from_bytes(Block, body)
    header = evolve(block.header, tx_root=tx_root((item,)))
    forged = evolve(proposal, block_hash=block_hash(header))
    verdict = network.ledgers[0].verify(
        parent, forged, to_bytes(evolve(block, header=header, items=(item,))), network.instant
    )
    assert verdict is (Verdict.UNKNOWN if expected is TextMissing else Verdict.INVALID)
    if verdict is Verdict.INVALID:
        assert str(refused.value)[:20] in (network.ledgers[0].why_invalid or "")


def resigned(signed: SignedTransaction, *signatures: Signature) -> Item:
    """The transaction with other signatures."""
    return Item(SignedTransaction(signed.body, signatures), None, ())


def signature(signed: SignedTransaction, name: str, tag: Tag = Tag.SIGN_TX) -> Signature:
    """A genuine signature over the body by some key."""
    signer = key(name)
    return Signature(signer.public_key, signer.sign(tag, signed.body.chain_id, to_bytes(signed.body)))


def test_every_code_names_one_refusal() -> None:
    """The edges see codes alone."""
    assert len(REFUSALS) == 17
    assert all(code == refusal.code for code, refusal in REFUSALS.items())


def test_bad_J_03_a_transaction_of_another_network() -> None:
    """Every signed body names its chain."""
    network = Network()
    elsewhere = Network(a_genesis(params=Params(delta_ms=7)))
    signed = elsewhere.by_key(elsewhere.operator(0), creation("repo"))

    refuse(network, Item(signed, None, ()), WrongChain)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [(-1, TransactionExpired), (EXPIRY_MS_MAX + 1, ExpiresTooLate)],
)
def test_a_transaction_is_valid_for_an_hour_at_most(ends: int, expected: type[Inadmissible]) -> None:
    """The replay table keeps every id until it expires: the window bounds it."""
    network = Network()
    network.pass_time(1000)
    signed = network.by_key(network.operator(0), creation("repo"), expires=network.now + ends)

    refuse(network, Item(signed, None, ()), expected)


@pytest.mark.parametrize("ends", [0, EXPIRY_MS_MAX])
def test_both_ends_of_the_window_are_inside(ends: int) -> None:
    """The rule is t <= expires <= t + 1 h."""
    network = Network()
    network.pass_time(1000)
    signed = network.by_key(network.operator(0), creation("repo"), expires=network.now + ends)

    network.submit(signed)
    _, _, body = network.propose()

    assert len(from_bytes(Block, body).items) == 1


def test_a_replay_is_refused_until_it_expires_and_then_as_expired() -> None:
    """There is no moment between the two at which it could execute again."""
    network = Network()
    signed = network.by_key(network.operator(0), creation("repo"), expires=network.now + 5000)
    network.submit(signed)
    network.step()

    for _ in range(4):
        refuse(network, Item(signed, None, ()), Replayed)
        network.step()
    network.pass_time(1000)
    refuse(network, Item(signed, None, ()), TransactionExpired)


def test_nobody_and_nothing_of_that_name() -> None:
    """Unknown authors, sponsors, operators and credentials, and those of others."""
    network = Network()
    alice, bob = network.a_person("alice"), network.a_person("bob")
    nobody = Person("nobody", AccountId(bytes(32)), key("nobody"), key("credential of nobody"))
    borrowed = evolve(bob, id=alice.id)

    refuse(network, network.item(network.by_key(nobody, creation("repo"))), UnknownAccount)
    refuse(network, network.item(network.by_token(nobody, creation("repo"))), UnknownAccount)
    refuse(network, network.item(network.registration("carol", nobody)), UnknownAccount)
    refuse(
        network, network.item(network.by_token(evolve(alice, credential=key("x")), creation("r"))), UnknownCredential
    )
    refuse(network, network.item(network.by_token(borrowed, creation("repo"))), UnknownCredential)


def test_a_revoked_credential_ends_at_its_height() -> None:
    """Also for what was signed and waits already: the leader leaves it out, and the submitter hears why."""
    network = Network()
    alice = network.a_person("alice")
    waiting = network.by_token(alice, creation("repo"))
    network.submit(network.by_key(alice, RevokeCredential(credential_id(alice.credential.public_key))))
    network.submit(waiting)

    network.step()

    refused = network.status(waiting, 0)
    assert (refused.where.name, refused.error) == ("REFUSED", "credential-ended")
    refuse(network, network.item(network.by_token(alice, creation("other"))), CredentialEnded)


def test_a_credential_expires_by_block_time() -> None:
    """Not by anyone's clock."""
    network = Network()
    operator = network.operator(0)
    credential = key("short")
    ends = network.now + 5000
    create = compose.create_credential(
        chain_id(network.genesis), operator.id, credential, [Scope.REPO], ends, [gateway(0)]
    )
    network.submit(network.by_key(operator, create))
    network.step()
    person = evolve(operator, credential=credential)

    network.submit(network.by_token(person, creation("repo")))
    network.step()
    network.pass_time(3000)

    refuse(network, network.item(network.by_token(person, creation("late"))), CredentialEnded)


def test_only_a_listed_gateway_speaks_for_a_credential() -> None:
    """A node must have been given the token; one that was not cannot put itself in, nor be left out."""
    network = Network()
    alice = network.a_person("alice", gateways=(1,))
    by_other = network.by_token(alice, creation("repo"))
    body = compose.by_credential(
        chain_id(network.genesis),
        alice.id,
        alice.credential.public_key,
        None,
        Hand.RELAYED,
        [creation("repo")],
        network.now + HOUR,
        salt("local"),
    )
    by_nobody = compose.sign_with_credential(body, alice.credential, None)

    refuse(network, network.item(by_other), GatewayNotListed)
    refuse(network, network.item(by_nobody), GatewayNotListed)


def test_a_credential_without_gateways_signs_locally_only() -> None:
    """A node that was handed it cannot use it."""
    network = Network()
    alice = network.a_person("alice", gateways=())
    body = compose.by_credential(
        chain_id(network.genesis),
        alice.id,
        alice.credential.public_key,
        None,
        Hand.RELAYED,
        [creation("repo")],
        network.now + HOUR,
        salt("local"),
    )
    local = compose.sign_with_credential(body, alice.credential, None)

    refuse(network, network.item(network.by_token(alice, creation("repo"))), GatewayNotListed)
    network.submit(local)
    network.step()
    assert network.status(local).error is None


def test_signatures_are_exactly_the_required_ones_in_order() -> None:
    """One too few, one too many, another order, another key, another purpose: none will do."""
    network = Network()
    alice = network.a_person("alice")
    signed = network.by_token(alice, creation("repo"))
    own, gate = signed.signatures
    owned = network.by_key(alice, creation("repo"))

    for wrong in (
        resigned(signed, own),
        resigned(signed, own, gate, gate),
        resigned(signed, gate, own),
        resigned(signed, own, signature(signed, "node 1", Tag.SIGN_GATEWAY)),
        resigned(signed, own, signature(signed, "node 0", Tag.SIGN_TX)),
        resigned(signed, signature(signed, "alice"), gate),
        resigned(signed, evolve(own, signature=bytes(64)), gate),
        resigned(signed, own, evolve(gate, signature=own.signature)),
        resigned(owned, signature(owned, "credential of alice")),
        resigned(owned, signature(owned, "bob")),
        resigned(owned, signature(owned, "alice"), signature(owned, "alice")),
    ):
        refuse(network, wrong, WrongSignatures)
    network.submit(signed)


def test_a_registration_is_signed_by_the_new_key_and_the_sponsor() -> None:
    """Nobody is registered without their key, and nobody vouches without knowing."""
    network = Network()
    signed = network.registration("alice", network.operator(0))
    own, sponsor = signed.signatures

    for wrong in (
        resigned(signed, own),
        resigned(signed, sponsor, own),
        resigned(signed, own, signature(signed, "operator 1")),
        resigned(signed, signature(signed, "mallory"), sponsor),
    ):
        refuse(network, wrong, WrongSignatures)
    network.submit(signed)


def an_erasure(operators: tuple[AccountId, ...]) -> Erase:
    """A text taken down by these operators together."""
    return Erase(RepoId(bytes(32)), bytes(32), operators)


@pytest.mark.parametrize(
    "shape",
    [
        lambda _, a: [creation("repo"), Register("x", key("x").public_key, salt("x"), a.id)],
        lambda _, a: [Register("x", key("x").public_key, salt("x"), a.id)],
        lambda _, a: [creation("repo"), an_erasure((a.id,))],
        lambda _, __: [an_erasure((AccountId(bytes(32)),))],
        lambda n, a: [an_erasure(tuple(sorted((a.id, n.operator(1).id), reverse=True)))],
        lambda _, a: [an_erasure((a.id, a.id))],
        lambda n, a: [a_push(repo_id(n.genesis, a, name), MAIN, None, oid("one")) for name in ("one", "two")],
    ],
)
def test_actions_that_do_not_belong_together(shape: Callable[[Network, Person], list[object]]) -> None:
    """A foreign Register, governance in company or unsorted, two pushes under one Avail."""
    network = Network()
    operator = network.operator(0)
    signed = network.by_key(operator, *shape(network, operator))  # type: ignore[arg-type]  # actions

    refuse(network, network.item(signed), BadForm)


def test_a_text_matches_a_commitment_exactly() -> None:
    """Too few, too many, twice, or another one."""
    network = Network()
    alice = network.a_person("alice")
    text, other = Text(salt("a"), "a"), Text(salt("b"), "a")
    signed = network.by_token(alice, creation("repo", text))

    refuse(network, Item(signed, None, ()), TextMissing)
    refuse(network, Item(signed, None, (other,)), TextUnexpected)
    refuse(network, Item(signed, None, (text, other)), TextUnexpected)
    refuse(network, Item(signed, None, (text, text)), TextUnexpected)
    network.submit(signed, text)


def test_an_item_fits_into_a_block_with_its_texts() -> None:
    """What can never be proposed is refused at once, with the number: room for a witness is set aside."""
    network = Network()
    alice = network.a_person("alice")
    sizes = [TEXT_BYTES_MAX] * 3 + [TEXT_BYTES_MAX - 6 * 1024]
    texts = [Text(salt(str(at)), "x" * size) for at, size in enumerate(sizes)]
    signed = network.by_token(alice, *[creation(f"repo-{at}", text) for at, text in enumerate(texts)])

    refuse(network, Item(signed, None, tuple(texts)), TooLarge)


def test_who_cannot_pay_is_left_out() -> None:
    """Spam is held by quotas: the transaction beyond is no receipt but no block either."""
    network = Network(a_genesis(params=Params(quota_transactions=2)))
    operator = network.operator(1)
    for name in ("one", "two"):
        network.submit(network.by_key(operator, creation(name)))
        network.step()

    refuse(network, network.item(network.by_key(operator, creation("three"))), CannotPay)
    network.pass_time(HOUR)
    network.submit(network.by_key(operator, creation("three")))
    network.step()
    assert network.ledgers[0].head.height == 3


def test_a_quota_binds_within_one_block_too() -> None:
    """A leader stops where the payer's window ends, and every voter checks it."""
    network = Network(a_genesis(params=Params(quota_transactions=2)))
    operator = network.operator(1)
    signed = [network.by_key(operator, creation(f"repo-{at}")) for at in range(3)]
    for one in signed:
        network.submit(one)

    network.step()

    assert [network.status(one).where.name for one in signed] == ["FINAL", "FINAL", "REFUSED"]


def test_what_its_payer_cannot_pay_is_no_work() -> None:
    """Else each leader would follow an empty block by the next one; in the next window it is proposed."""
    network = Network(a_genesis(params=Params(quota_transactions=1, quota_window_ms=10 * MINUTE)))
    operator, ledger = network.operator(1), network.ledgers[0]
    paid, over, late = (
        network.by_key(operator, creation(f"repo-{minutes}"), expires=TIME + minutes * MINUTE) for minutes in (8, 9, 30)
    )
    for one in (paid, over, late):
        network.submit(one)

    network.step()

    assert not ledger.has_work(ledger.final_point())
    standing = network.status(over)
    assert (standing.where, standing.error) == (Where.REFUSED, CannotPay.code)
    assert network.status(late).where is Where.PENDING
    network.pass_time(10 * MINUTE - 3000)
    network.step()
    assert not ledger.has_work(ledger.final_point())
    network.step()
    assert ledger.has_work(ledger.final_point())
    network.step()
    assert network.status(late).where is Where.FINAL


def pushed(network: Network) -> Item:
    """A push of an operator that creates its repository."""
    operator = network.operator(0)
    repo = repo_id(network.genesis, operator, "repo")
    return network.item(network.by_key(operator, creation("repo"), a_push(repo, MAIN, None, oid("one"))))


def test_a_witness_is_a_quorum_of_equal_avails() -> None:
    """Every part of it is checked; a wrong one makes the block invalid."""
    network = Network()
    item = pushed(network)
    tx_id = transaction_id(item.signed.body)
    good = network.witness(tx_id)
    elsewhere = evolve(good.avail, chain_id=ChainId(bytes(32)))

    def with_witness(witness: Witness) -> Item:
        return evolve(item, witness=witness)

    for wrong in (
        network.witness(tx_id, signers=(0, 1)),
        network.witness(TxId(bytes(32))),
        network.witness(tx_id, epoch=1),
        network.witness(tx_id, group="some"),
        a_witness(elsewhere, (0, 1, 2), 4),
        evolve(good, signatures=good.signatures[:2]),
        evolve(good, signatures=(*good.signatures, good.signatures[0])),
        evolve(good, signatures=(good.signatures[0],) * 3),
        evolve(good, signers=b"\x0d"),
        evolve(good, signers=b"\x17"),
        evolve(good, signers=b"\x07\x00"),
        evolve(good, signers=b""),
        evolve(good, avail=evolve(good.avail, removals=1)),
    ):
        refuse(network, with_witness(wrong), WitnessWrong)
    network.ledgers[0].admit(with_witness(good), network.instant)
    assert network.ledgers[0].has_work(network.ledgers[0].final_point())


def test_a_push_without_a_witness_waits_and_may_not_stand_in_a_block() -> None:
    """It is admitted to wait; a block that holds it is invalid."""
    network = Network()
    item = pushed(network)
    tx_id = network.ledgers[0].admit(item, network.instant)

    with pytest.raises(WitnessMissing):
        check_witness(candidate_of(item, network.ledgers[0].network), network.ledgers[0].network)
    with pytest.raises(WitnessWrong):
        network.ledgers[0].set_witness(tx_id, network.witness(tx_id, signers=(3,)))
    assert not network.ledgers[0].has_work(network.ledgers[0].final_point())


def test_what_needs_no_witness_carries_none() -> None:
    """Else a leader could hang bytes of its choice on other people's transactions."""
    network = Network()
    signed = network.by_key(network.operator(0), creation("repo"))
    witness = network.witness(transaction_id(signed.body))

    refuse(network, Item(signed, witness, ()), WitnessWrong)


@pytest.mark.parametrize(
    ("validators", "fault_model", "needed"),
    [
        (1, FaultModel.BYZANTINE, 1),
        (3, FaultModel.BYZANTINE, 3),
        (3, FaultModel.CRASH, 2),
        (9, FaultModel.BYZANTINE, 7),
    ],
)
def test_the_quorum_is_that_of_the_network(validators: int, fault_model: FaultModel, needed: int) -> None:
    """The same formula as for votes, also past eight validators."""
    network = Network(a_genesis(validators, fault_model=fault_model))
    item = pushed(network)
    tx_id = network.ledgers[0].admit(item, network.instant)

    with pytest.raises(WitnessWrong):
        network.ledgers[0].set_witness(tx_id, network.witness(tx_id, range(needed - 1)))
    network.ledgers[0].set_witness(tx_id, network.witness(tx_id, range(validators - needed, validators)))
    assert network.ledgers[0].has_work(network.ledgers[0].final_point())


def test_a_rehearsal_says_no_before_a_byte_is_pulled() -> None:
    """A stale push is told so at once, and the rehearsal changes nothing."""
    network = Network()
    alice = network.a_person("alice")
    repo = repo_id(network.genesis, alice, "repo")
    network.submit(network.by_token(alice, creation("repo")))
    network.step()
    ledger = network.ledgers[0]
    before = ledger.head

    ledger.rehearse(network.item(network.by_token(alice, a_push(repo, MAIN, None, oid("one")))))
    with pytest.raises(Refused) as stale:
        ledger.rehearse(network.item(network.by_token(alice, a_push(repo, MAIN, oid("zero"), oid("one")))))

    assert stale.value.code == "stale"
    assert ledger.head == before
    assert len(ledger.mempool) == 0


class Counting:
    """The real verifier, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """As Verifier.verify."""
        self.asked += 1
        return Ed25519Verifier().verify(public_key, tag, chain_id, body, signature)


def test_a_signature_is_verified_once_and_only_good_ones_are_remembered() -> None:
    """Bad ones are cheap to make: they must neither evict the good nor become good."""
    counting = Counting()
    caching = CachingVerifier(counting, most=2)
    signer, chain = key("signer"), ChainId(bytes(32))
    good = {body: signer.sign(Tag.SIGN_TX, chain, body) for body in (b"a", b"b", b"c")}

    def ask(body: bytes, signature: bytes, tag: Tag = Tag.SIGN_TX) -> bool:
        return caching.verify(signer.public_key, tag, chain, body, signature)

    assert [ask(b"a", good[b"a"]) for _ in range(3)] == [True] * 3
    assert counting.asked == 1
    assert not ask(b"a", good[b"b"])
    assert not ask(b"b", good[b"a"])
    assert not ask(b"a", good[b"a"], Tag.SIGN_GATEWAY)
    assert not ask(b"a", b"")
    assert counting.asked == 4
    assert ask(b"b", good[b"b"])
    assert ask(b"c", good[b"c"])
    assert ask(b"a", good[b"a"])
    assert counting.asked == 7
