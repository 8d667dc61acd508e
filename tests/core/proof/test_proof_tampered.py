"""Nothing can be shown that was not agreed: every way to lie with a proof is refused, with words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.chain.genesis import chain_id
from guts_core.chain.transaction import transaction_id
from guts_core.codec import decode, encode, from_bytes, kinds, to_bytes
from guts_core.forge import paths
from guts_core.names import Oid, RefName
from guts_core.proof import (
    ActivityQuestion,
    BadCertificate,
    BadChain,
    BadEpoch,
    BadPath,
    HeaderQuestion,
    HeadersQuestion,
    Incomplete,
    NotAProof,
    OtherNetwork,
    OtherQuestion,
    ProvenRef,
    ProvenTransaction,
    Question,
    RefQuestion,
    TransactionQuestion,
    UnknownVersion,
    network_of,
    verify,
)
from guts_core.proof.format import (
    HeadersAnswer,
    ProofFile,
    RefAnswer,
    RefsAnswer,
    TransactionAnswer,
)
from guts_core.proof.questions import about_ref
from guts_core.simplex.messages import Kind, Proposal
from guts_core.state.proof import AbsenceProof, BadProof
from tests.core.chain.chain_world import Network, a_genesis, creation, repo_id
from tests.core.proof.proof_cases import ALL, GONE, MAIN, altered, changed, genesis, proof_of, pushed, scene, turned
from tests.core.proof.proof_world import ProofNetwork, a_scene, certificate

# ---- what is false ----


def with_header(**fields: Any) -> Callable[[ProofFile], ProofFile]:
    return lambda file: altered(file, finality=altered(file.finality, header=altered(file.finality.header, **fields)))


def with_certificate(change: Callable[[Any], Any]) -> Callable[[ProofFile], ProofFile]:
    return lambda file: altered(file, finality=altered(file.finality, certificate=change(file.finality.certificate)))


def with_finality(**fields: Any) -> Callable[[ProofFile], ProofFile]:
    return lambda file: altered(file, finality=altered(file.finality, **fields))


def with_answer(change: Callable[[Any], Any]) -> Callable[[ProofFile], ProofFile]:
    return lambda file: altered(file, answer=change(file.answer))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (with_header(state_root=bytes(32)), BadCertificate, "not of header"),
        (with_header(height=7), BadCertificate, "not of header"),
        (with_header(time=1), BadCertificate, "not of header"),
        (with_header(chain_id=bytes(32)), OtherNetwork, "of network 0000"),
        (with_header(next_validators=bytes(32)), BadCertificate, "not of header"),
        (with_header(rules=1), BadCertificate, "not of header"),
        (with_header(rules=99), UnknownVersion, "of rules 99: this build knows rules 0, 1"),
        (with_header(epoch=1), BadEpoch, "is of epoch 1, the ends of epochs in the proof lead to epoch 0"),
        (with_certificate(lambda c: altered(c, kind=Kind.NOTARIZE)), BadCertificate, "to notarize"),
        (with_certificate(lambda c: altered(c, proposal=None)), BadCertificate, "not of header"),
        (with_certificate(lambda c: altered(c, view=c.view + 1)), BadCertificate, "does not hold"),
        (with_certificate(lambda c: altered(c, epoch=1)), BadCertificate, "epoch 1"),
        (
            with_certificate(lambda c: altered(c, signers=b"\x03", signatures=c.signatures[:2])),
            BadCertificate,
            "no quorum",
        ),
        (with_certificate(lambda c: altered(c, signers=b"\x0b")), BadCertificate, "did not sign"),
        (with_certificate(lambda c: altered(c, signers=b"\x13")), BadCertificate, "a signer 4"),
        (with_certificate(lambda c: altered(c, signers=b"\x07\x00")), BadCertificate, "bitmap"),
        (with_certificate(lambda c: altered(c, signatures=c.signatures[:1] * 3)), BadCertificate, "did not sign"),
        (lambda f: altered(f, network=bytes(32)), OtherNetwork, "of network 0000"),
    ],
)
def test_a_header_or_certificate_that_was_touched_is_refused(
    change: Callable[[ProofFile], ProofFile], error: type[BadProof], words: str
) -> None:
    """Every field of a header is under the hash that a quorum signed."""
    with pytest.raises(error, match=words):
        verify(changed(MAIN, change), genesis())


def test_a_quorum_of_notarizations_is_no_finality() -> None:
    """Signed by as many, for less: a notarized block may be given up."""
    network = scene().network

    def notarized(file: ProofFile) -> ProofFile:
        named = file.finality.certificate.proposal
        assert isinstance(named, Proposal)
        return with_certificate(lambda _: certificate(network, named, kind=Kind.NOTARIZE))(file)

    with pytest.raises(BadCertificate, match="only one to finalize"):
        verify(changed(MAIN, notarized), genesis())


def test_a_row_of_headers_must_hang_together() -> None:
    """From what is shown to what is certified, without a gap, and to nothing else."""
    network = ProofNetwork()
    a_scene(network)
    network.is_certifying = False
    network.step()
    network.step()
    network.is_certifying = True
    network.step()
    applied = network.ledgers[0].head.height
    question = HeadersQuestion(applied - 2, applied - 2)
    file = from_bytes(ProofFile, network.prove(question))
    assert len(file.finality.above) == 2
    first, last = file.finality.above

    for above in [(last,), (), (first,), (last, first), (first, altered(last, height=last.height + 1))]:
        with pytest.raises((BadChain, BadCertificate)):
            verify(to_bytes(altered(file, finality=altered(file.finality, above=above))), network.genesis)
    history = altered(file.finality, history=())
    with pytest.raises(BadChain, match="2 headers above"):
        verify(to_bytes(altered(file, finality=history)), network.genesis)


def test_a_way_through_the_history_must_lead_there() -> None:
    """Another header, a hash too many or too few, or one that was changed."""
    question = HeaderQuestion(2)
    file = from_bytes(ProofFile, proof_of(question))
    hashes = file.finality.history
    assert hashes

    wrong = [hashes[:-1], (*hashes, hashes[0]), (turned(hashes[0]), *hashes[1:]), hashes[::-1], ()]
    for tried in wrong:
        with pytest.raises(BadChain, match="history"):
            verify(changed(question, with_finality(history=tried)), genesis())
    with pytest.raises(BadChain, match="history"):
        verify(changed(question, with_header(height=3)), genesis())


def swap(**fields: Callable[[Any], Any]) -> Callable[[ProofFile], ProofFile]:
    return with_answer(
        lambda answer: altered(answer, **{name: change(getattr(answer, name)) for name, change in fields.items()})
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swap(ref=lambda found: altered(found, value=found.value[:-1] + b"\x00")), "ref refs/heads/main"),
        (swap(ref=lambda found: altered(found, walk=b"")), "ref refs/heads/main"),
        (swap(ref=lambda _: None), "has refs"),
        (swap(ref=lambda _: AbsenceProof((), None)), "not shown to be absent"),
        (swap(ref=lambda _: from_bytes(ProofFile, proof_of(GONE)).answer.ref), "not shown to be absent"),  # type: ignore[union-attr]  # a RefAnswer
        (swap(account=lambda found: altered(found, value=found.value[:-1] + b"\x00")), "account alice"),
        (swap(account=lambda found: altered(found, walk=found.walk[:-34])), "account alice"),
        (swap(account=lambda found: altered(found, walk=found.walk[:-1])), "each step has 34"),
        (swap(account=lambda found: altered(found, walk=b"\xff\xff" + found.walk[2:])), "account alice"),
        (swap(name=lambda found: altered(found, value=b"")), "alice/hello"),
        (swap(repository=lambda found: altered(found, value=found.value.replace(b"hello", b"other"))), "repository"),
        (swap(repository=lambda found: altered(found, walk=found.walk[:-34])), "repository alice/hello"),
    ],
)
def test_a_record_or_path_that_was_touched_is_refused(change: Callable[[ProofFile], ProofFile], words: str) -> None:
    """Names, repository and ref: each step of the way is under the state root."""
    with pytest.raises(BadPath, match=words):
        verify(changed(MAIN, change), genesis())


def test_a_ref_cannot_be_shown_in_place_of_another() -> None:
    """The subject of a proof is part of what is proven."""
    feature = from_bytes(ProofFile, proof_of(about_ref("alice", "hello", "feature"))).answer

    with pytest.raises(BadPath, match="refs/heads/main"):
        verify(changed(MAIN, lambda file: altered(file, answer=feature)), genesis())
    with pytest.raises(OtherQuestion, match="alice/hello@refs/heads/main, not alice/hello@refs/heads/gone"):
        verify(proof_of(MAIN), genesis(), GONE)
    with pytest.raises(BadPath):
        verify(changed(MAIN, lambda file: altered(file, question=GONE)), genesis())


def test_the_repository_of_another_cannot_be_shown() -> None:
    """One name further, in the same state, all of it true by itself."""
    network = ProofNetwork()
    one = a_scene(network)
    bob = network.a_person("bob")
    network.submit(network.by_token(bob, creation("hello2")))
    network.step()
    network.push(bob, repo_id(network.genesis, bob, "hello2"), "refs/heads/main")
    mine = from_bytes(ProofFile, network.prove(MAIN))
    theirs = from_bytes(ProofFile, network.prove(about_ref("bob", "hello2", "main")))
    assert isinstance(mine.answer, RefAnswer)
    assert isinstance(theirs.answer, RefAnswer)
    assert one.repo

    mixed = [
        theirs.answer,
        altered(mine.answer, repository=theirs.answer.repository, ref=theirs.answer.ref),
        altered(mine.answer, ref=theirs.answer.ref),
        altered(theirs.answer, account=mine.answer.account),
    ]
    for answer in mixed:
        with pytest.raises(BadPath):
            verify(to_bytes(altered(mine, answer=answer)), network.genesis)


@pytest.mark.parametrize(
    "change",
    [
        lambda refs: refs[1:],
        lambda refs: refs[:-1],
        lambda _refs: (),
        lambda refs: refs[::-1],
        lambda refs: (*refs, refs[-1]),
        lambda refs: (*refs, altered(refs[-1], name=RefName("refs/tags/v2"))),
        lambda refs: (altered(refs[0], oid=Oid(bytes(20))), *refs[1:]),
    ],
    ids=["first", "last", "all", "order", "twice", "added", "moved"],
)
def test_a_ref_that_is_left_out_or_added_is_noticed(change: Callable[[Any], Any]) -> None:
    """The complete set is complete, and in one order."""
    with pytest.raises(Incomplete):
        verify(changed(ALL, swap(refs=change)), genesis())


def test_refs_of_an_empty_repository_cannot_be_made_up() -> None:
    network = a_scene(refs=()).network
    some = from_bytes(ProofFile, proof_of(ALL)).answer
    value = from_bytes(ProofFile, proof_of(MAIN)).answer
    assert isinstance(some, RefsAnswer)
    assert isinstance(value, RefAnswer)
    every, one = (from_bytes(ProofFile, network.prove(question)) for question in (ALL, MAIN))

    with pytest.raises(Incomplete, match="has none"):
        verify(to_bytes(altered(every, answer=altered(every.answer, refs=some.refs))), network.genesis)
    with pytest.raises(BadPath, match="has no refs"):
        verify(to_bytes(altered(one, answer=altered(one.answer, ref=value.ref))), network.genesis)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (swap(index=lambda at: at + 1), BadPath),
        (swap(count=lambda count: count + 1), BadPath),
        (swap(witness=turned), BadPath),
        (swap(transaction_path=lambda path: (*path, bytes(32))), BadPath),
        (swap(receipt_path=lambda path: (*path, bytes(32))), BadPath),
        (swap(receipt=lambda found: altered(found, error="stale")), BadPath),
        (swap(receipt=lambda found: altered(found, activities=found.activities[1:])), BadPath),
        (swap(receipt=lambda found: altered(found, tx_id=turned(found.tx_id))), OtherQuestion),
        (swap(signed=lambda found: altered(found, body=altered(found.body, expires=1))), OtherQuestion),
        (swap(signed=lambda found: altered(found, signatures=found.signatures[:1])), BadPath),
        (swap(signed=lambda found: altered(found, signatures=found.signatures[::-1])), BadPath),
        (
            swap(
                signed=lambda found: altered(
                    found,
                    signatures=tuple(altered(one, signature=turned(one.signature)) for one in found.signatures),
                )
            ),
            BadPath,
        ),
    ],
)
def test_a_transaction_or_receipt_that_was_touched_is_refused(
    change: Callable[[ProofFile], ProofFile], error: type[BadProof]
) -> None:
    """Who signed, what they signed, where it stands and what became of it."""
    with pytest.raises(error):
        verify(changed(pushed(), change), genesis())


def test_the_receipt_of_a_refused_transaction_cannot_be_that_of_another() -> None:
    """Two of one block: each has its own."""
    network = ProofNetwork()
    alice = network.a_person("alice")
    made = [network.by_token(alice, creation("hello")), network.by_token(alice, creation("hello"))]
    for signed in made:
        network.submit(signed)
    network.step()
    files = [from_bytes(ProofFile, network.prove(TransactionQuestion(transaction_id(s.body)))) for s in made]
    good, bad = (file.answer for file in files)
    assert isinstance(good, TransactionAnswer)
    assert isinstance(bad, TransactionAnswer)

    for name in ("receipt", "receipt_path", "transaction_path", "index"):
        lie = altered(bad, **{name: getattr(good, name)})
        with pytest.raises((BadPath, OtherQuestion)):
            verify(to_bytes(altered(files[1], answer=lie)), network.genesis)


def test_headers_that_were_not_asked_for_are_refused() -> None:
    """More, fewer, others."""
    file = from_bytes(ProofFile, proof_of(HeadersQuestion(1, 3)))
    assert isinstance(file.answer, HeadersAnswer)
    one, two = file.answer.below

    for below in [(one,), (two,), (), (one, one), (two, one), (one, two, two)]:
        with pytest.raises((OtherQuestion, BadChain)):
            verify(to_bytes(altered(file, answer=HeadersAnswer(below))), genesis())


def test_an_answer_to_another_kind_of_question_is_refused() -> None:
    answers = [
        from_bytes(ProofFile, proof_of(question)).answer for question in (MAIN, ALL, pushed(), HeaderQuestion(1))
    ]
    for question in (MAIN, ALL, pushed(), HeaderQuestion(1)):
        own = from_bytes(ProofFile, proof_of(question)).answer
        for answer in (answer for answer in answers if type(answer) is not type(own)):
            with pytest.raises(OtherQuestion, match="answers another question"):
                verify(changed(question, lambda file, other=answer: altered(file, answer=other)), genesis())  # type: ignore[misc]  # bound in the loop


def test_a_proof_of_another_network_is_refused() -> None:
    """Its own validators vouch for it, and they are nobody here."""
    other = a_genesis(5)
    data = proof_of(MAIN)

    assert network_of(data) == chain_id(genesis())
    with pytest.raises(OtherNetwork, match="the genesis is of testnet"):
        verify(data, other)


def test_a_question_out_of_form_is_refused_also_when_it_stands_in_the_file() -> None:
    """One question, one form: or a byte of the file would be covered by nothing."""
    with pytest.raises(NotAProof, match="one form"):
        verify(changed(MAIN, lambda file: altered(file, question=RefQuestion("Alice", "hello", MAIN.ref))), genesis())
    at_nine = ActivityQuestion(pushed().tx_id, 9)
    with pytest.raises(OtherQuestion, match="none at place 9"):
        verify(changed(pushed(), lambda file: altered(file, question=at_nine)), genesis())


def test_versions_are_named() -> None:
    """A later build's file is not called damaged."""
    value = decode(proof_of(MAIN))
    assert isinstance(value, tuple)

    with pytest.raises(UnknownVersion, match="format version 1"):
        verify(encode((kinds.PROOF_FILE, 1, *value[2:])), genesis())
    with pytest.raises(NotAProof):
        verify(encode((kinds.FINALITY, *value[1:])), genesis())
    with pytest.raises(NotAProof):
        verify(encode((kinds.PROOF_FILE, 0, *value[2:], 1)), genesis())


@pytest.mark.parametrize("data", [b"", b"\x00", b"not found", proof_of(MAIN)[:-1], proof_of(MAIN) + b"\x00"])
def test_bytes_that_are_no_proof_are_refused(data: bytes) -> None:
    """Too few, too many, or something else."""
    with pytest.raises(NotAProof, match="are no proof"):
        verify(data, genesis())
    with pytest.raises(NotAProof):
        network_of(data)


def test_a_proof_beyond_all_bounds_is_not_even_read() -> None:
    with pytest.raises(NotAProof, match="at most"):
        verify(bytes((16 << 20) + 1), genesis())


QUESTIONS = [MAIN, GONE, ALL, HeadersQuestion(1, 2), HeaderQuestion(1), pushed(), ActivityQuestion(pushed().tx_id, 0)]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
def test_no_byte_of_a_proof_can_be_changed(question: Question) -> None:
    """Each byte of each kind of proof, one after the other: nothing in a file is only decoration."""
    proof = proof_of(question)

    for at in range(len(proof)):
        for bits in (0x01, 0x20):
            with pytest.raises(BadProof):
                verify(proof[:at] + bytes((proof[at] ^ bits,)) + proof[at + 1 :], genesis(), question)


@given(st.sampled_from(QUESTIONS), st.data())
def test_no_byte_becomes_another(question: Question, data: st.DataObject) -> None:
    """Any byte, to any other; or some bytes left out, or put in."""
    proof = proof_of(question)
    at = data.draw(st.integers(0, len(proof) - 1))
    new = data.draw(st.binary(max_size=3).filter(lambda new: new != proof[at : at + 1]))

    with pytest.raises(BadProof):
        verify(proof[:at] + new + proof[at + 1 :], genesis(), question)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
def test_a_file_that_is_read_without_a_question_can_at_most_tell_another_truth(question: Question) -> None:
    """One absence may show that of a neighbour: the question in the file is then that one, and the answer true."""
    proof = proof_of(question)
    source = scene().network.source()

    for at in range(len(proof)):
        try:
            shown = verify(proof[:at] + bytes((proof[at] ^ 1,)) + proof[at + 1 :], genesis())
        except BadProof:
            continue
        assert shown.question != question
        if isinstance(shown.answer, ProvenRef):
            assert shown.answer.oid is None
            assert source.get(paths.ref(scene().repo, shown.answer.ref)) is None
        else:
            assert isinstance(shown.answer, ProvenTransaction)
            assert isinstance(shown.question, ActivityQuestion)
            assert shown.answer.activity == shown.answer.receipt.activities[shown.question.index]


def test_the_world_of_these_tests_is_the_chains_own() -> None:
    """What is certified here is what ledgers agree on without certificates."""
    plain = Network()
    plain.a_person("alice")

    assert plain.ledgers[0].head.height == 1
    assert scene().network.ledgers[0].head.height > 1
