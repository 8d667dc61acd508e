"""
The verifier: a proof file and a genesis in, what is proven out. It needs nothing else, and trusts neither
the file nor who gave it.
"""

from __future__ import annotations

from typing import Any, TypeVar, assert_never

from guts_core.chain import merkle
from guts_core.chain.block import leaf_over
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import Header
from guts_core.chain.transaction import Signature, Transaction, transaction_id
from guts_core.codec import Tag, decode, digest, from_bytes, kinds, to_bytes
from guts_core.errors import Invalid, Malformed
from guts_core.forge.activities import Activity
from guts_core.forge.records import Repository
from guts_core.identity import verify as signature_holds
from guts_core.names import ChainId, Root

from .faults import BadPath, NotAProof, OtherNetwork, OtherQuestion, UnknownVersion
from .finality import check_finality, check_parents
from .format import PROOF_BYTES_MAX, HeadersAnswer, PacksAnswer, ProofFile, RefAnswer, RefsAnswer, TransactionAnswer
from .questions import (
    ActivityQuestion,
    HeaderQuestion,
    HeadersQuestion,
    PacksQuestion,
    Question,
    RefQuestion,
    RefsQuestion,
    TransactionQuestion,
    check_form,
)
from .repository import check_packs, check_ref, check_refs, check_repository
from .verified import Checkpoint, Proven, ProvenHeaders, ProvenPacks, ProvenRef, ProvenRefs, ProvenTransaction, Verified

T = TypeVar("T")


def verify(
    data: bytes, genesis: Genesis, question: Question | None = None, known: Checkpoint | None = None
) -> Verified:
    """
    What the proof file shows, on the word of this genesis's validators; raises BadProof for what is false.

    With a question, the file must answer exactly that. Without, read which one it answers from the result.
    With the checkpoint of an earlier result, no other history is believed that leads there or beyond, be it
    signed by whoever held keys long ago.
    """
    file = _read(data)
    if file.network != chain_id(genesis):
        raise OtherNetwork(
            f"the proof is of network {file.network.hex()}, the genesis is of {genesis.name}, {chain_id(genesis).hex()}"
        )
    if question is not None and file.question != question:
        raise OtherQuestion(f"the proof answers {file.question}, not {question}")
    try:
        check_form(file.question)
    except Invalid as error:
        raise NotAProof(f"the question of the proof cannot be asked: {error}") from error
    final = check_finality(file.finality, genesis, known)
    return Verified(file.question, _answer(file), final)


def network_of(data: bytes) -> ChainId:
    """The network that a proof file says it is of, to look up a genesis by; raises NotAProof. Nothing is checked."""
    return ChainId(_read(data).network)


def _read(data: bytes) -> ProofFile:
    if len(data) > PROOF_BYTES_MAX:
        raise NotAProof(f"{len(data)} bytes: a proof has at most {PROOF_BYTES_MAX}")
    try:
        return from_bytes(ProofFile, data)
    except Malformed as error:
        raise _unreadable(data, error) from error


def _unreadable(data: bytes, error: Malformed) -> NotAProof | UnknownVersion:
    try:
        value: Any = decode(data)
    except Malformed:
        return NotAProof(f"these {len(data)} bytes are no proof: {error}")
    if isinstance(value, tuple) and value[:1] == (kinds.PROOF_FILE,) and value[1:2] != (0,):
        return UnknownVersion(f"a proof of format version {value[1] if value[1:] else '?'}; this build reads version 0")
    return NotAProof(f"these {len(data)} bytes are no proof: {error}")


def _answer(file: ProofFile) -> Proven:
    question, answer, header = file.question, file.answer, file.finality.header
    match question:
        case RefQuestion():
            shown = _of(RefAnswer, answer)
            repository = check_repository(Root(header.state_root), question.owner, question.name, shown)
            oid = check_ref(repository, shown.repository.steps, question.ref, shown.ref)
            return ProvenRef(repository, question.ref, oid)
        case RefsQuestion():
            listed = _of(RefsAnswer, answer)
            return ProvenRefs(_refs(question, listed, header), listed.refs)
        case PacksQuestion():
            whole = _of(PacksAnswer, answer)
            repository = _refs(question, whole.refs, header)
            check_packs(Root(header.state_root), repository, whole.packs, whole.walk)
            return ProvenPacks(repository, whole.refs.refs, whole.packs)
        case TransactionQuestion() | ActivityQuestion():
            return _transaction(question, _of(TransactionAnswer, answer), header)
        case HeadersQuestion(first, last):
            return _headers((*_of(HeadersAnswer, answer).below, header), first, last)
        case HeaderQuestion(height):
            return _headers((*_of(HeadersAnswer, answer).below, header), height, height)
        case _:
            assert_never(question)


def _refs(question: RefsQuestion | PacksQuestion, listed: RefsAnswer, header: Header) -> Repository:
    repository = check_repository(Root(header.state_root), question.owner, question.name, listed)
    check_refs(repository, listed.repository.steps, listed.refs)
    return repository


def _of(cls: type[T], answer: object) -> T:
    if not isinstance(answer, cls):
        raise OtherQuestion(f"a {type(answer).__name__} answers another question")
    return answer


def _headers(headers: tuple[Header, ...], first: int, last: int) -> ProvenHeaders:
    if (headers[0].height, headers[-1].height) != (first, last):
        raise OtherQuestion(f"the proof shows headers {headers[0].height} to {headers[-1].height}")
    check_parents(headers)
    return ProvenHeaders(headers)


def _transaction(
    question: TransactionQuestion | ActivityQuestion, answer: TransactionAnswer, header: Header
) -> ProvenTransaction:
    signed, receipt = answer.signed, answer.receipt
    tx_id = transaction_id(signed.body)
    if (tx_id, receipt.tx_id) != (question.tx_id, question.tx_id):
        raise OtherQuestion(f"the proof shows transaction {tx_id.hex()} with the receipt of {receipt.tx_id.hex()}")
    for at, signature in enumerate(signed.signatures):
        _check_signature(signed.body, at, signature)
    leaf = leaf_over(tx_id, signed.signatures, answer.witness)
    if not merkle.verify(header.tx_root, answer.count, answer.index, leaf, answer.transaction_path):
        raise BadPath(f"the transaction does not stand at place {answer.index} of block {header.height}")
    told = digest(Tag.RECEIPT, to_bytes(receipt))
    if not merkle.verify(header.receipts_root, answer.count, answer.index, told, answer.receipt_path):
        raise BadPath(f"the receipt is not the one of place {answer.index} of block {header.height}")
    return ProvenTransaction(signed, receipt, answer.index, _activity(question, receipt.activities))


def _check_signature(body: Transaction, at: int, signature: Signature) -> None:
    """Who signed did: the block's validators checked it as well, and this asks for no trust in them."""
    is_gateway = body.via is not None and at == 1
    tag = Tag.SIGN_GATEWAY if is_gateway else Tag.SIGN_TX
    if not signature_holds(signature.public_key, tag, body.chain_id, to_bytes(body), signature.signature):
        raise BadPath(f"key {signature.public_key.hex()} did not sign that transaction")


def _activity(question: TransactionQuestion | ActivityQuestion, activities: tuple[Activity, ...]) -> Activity | None:
    if isinstance(question, TransactionQuestion):
        return None
    if question.index >= len(activities):
        raise OtherQuestion(f"the receipt has {len(activities)} activities, none at place {question.index}")
    return activities[question.index]
