"""
The prover: answers a question from one snapshot of a chain (``format`` says what an answer is made of).

State proofs are of the applied height. What is final above it and not on disk yet lends its headers and
certificates, so that a proof can be made while blocks go on.
"""

from __future__ import annotations

from typing import assert_never

from guts_core.chain import history, merkle
from guts_core.chain.block import Block, header_of, item_leaf, witness_hash
from guts_core.chain.commit import StoredBlock
from guts_core.chain.header import Header
from guts_core.chain.receipt import Receipt
from guts_core.chain.trail import EpochStep
from guts_core.chain.transaction import transaction_id
from guts_core.codec import Tag, digest, from_bytes, to_bytes
from guts_core.errors import Conflict, Invalid, LimitExceeded, NotFound, Unavailable
from guts_core.forge import paths, queries
from guts_core.forge.records import Account, Repository
from guts_core.names import RepoId, Root, TxId
from guts_core.simplex.messages import Certificate
from guts_core.state.keys import tree_key, tree_prefix
from guts_core.state.proof import AbsenceProof, Step
from guts_core.state.prover import prove_absence, prove_complete, prove_inclusion

from .format import (
    ABOVE_MAX,
    EPOCHS_MAX,
    PROOF_BYTES_MAX,
    Answer,
    Finality,
    HeadersAnswer,
    Lookup,
    PacksAnswer,
    ProofFile,
    RefAnswer,
    RefsAnswer,
    TransactionAnswer,
)
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
from .repository import PARTING_BITS, refs_root
from .source import Source

# Headers take 270 bytes, a way through the history some 700: further up than this it is shorter.
RUN_MAX = 4
assert RUN_MAX <= ABOVE_MAX


def prove(source: Source, question: Question, repo: RepoId | None = None) -> bytes:
    """
    The proof file that answers a question; raises Refused or Unavailable where there is none.

    With ``repo``, the names in the question must still lead to that repository: whoever asks was
    judged by it.
    """
    check_form(question)
    if source.height() == 0:
        raise Unavailable("no block is final yet: the state is that of the genesis file")
    finality, answer = _proven(source, question, repo)
    data = to_bytes(ProofFile(source.chain_id, question, finality, answer))
    if len(data) > PROOF_BYTES_MAX:
        raise LimitExceeded(f"the proof has {len(data)} bytes, more than {PROOF_BYTES_MAX}: ask for refs one by one")
    return data


def _proven(source: Source, question: Question, repo: RepoId | None) -> tuple[Finality, Answer]:
    match question:
        case RefQuestion():
            return _state(source), _ref(source, question, repo)
        case RefsQuestion():
            return _state(source), _refs(source, question, repo)
        case PacksQuestion():
            return _state(source), _packs(source, question, repo)
        case TransactionQuestion() | ActivityQuestion():
            return _transaction(source, question)
        case HeadersQuestion(first, last):
            final = _finality(source, last)
            below = tuple(_header(source.block(height)) for height in range(first, last))
            return final, HeadersAnswer(below)
        case HeaderQuestion(height):
            newest = source.newest_certified()
            certified = newest if newest is not None and newest.height >= height else None
            return _finality(source, height, certified), HeadersAnswer(())
        case _:
            assert_never(question)


# ---- why it is final ----


def _state(source: Source) -> Finality:
    return _finality(source, source.height())


def _finality(source: Source, height: int, under: StoredBlock | None = None) -> Finality:
    """Why the block of this height is final: by the certified block ``under`` which it lies, or the nearest."""
    header = _header(source.block(height))
    certified = under or source.certified_from(height)
    if certified is None or certified.certificate is None:
        return _by_end_of_epoch(source, header)
    run = certified.height - height <= (0 if under else RUN_MAX)
    headers = range(height + 1 if run else certified.height, certified.height + 1)
    certificate = from_bytes(Certificate, certified.certificate)
    return Finality(
        epochs=_epochs(source, certificate.epoch),
        header=header,
        above=tuple(_header(source.block(above)) for above in headers),
        history=None if run else history.path(source.history_node, certified.height, height),
        certificate=certificate,
    )


def _by_end_of_epoch(source: Source, header: Header) -> Finality:
    """By the empty blocks above the last one of its epoch, while no block of the next is certified."""
    end = source.epoch_end(header.epoch)
    between = range(header.height + 1, end.header.height + 1) if end else ()
    if end is None or len(between) + len(end.children) > ABOVE_MAX:
        raise Unavailable(f"the certificate of block {header.height} is on its way to this node; ask again in a moment")
    return Finality(
        epochs=_epochs(source, header.epoch),
        header=header,
        above=(*(_header(source.block(above)) for above in between), *end.children),
        history=None,
        certificate=end.certificate,
    )


def _epochs(source: Source, epoch: int) -> tuple[EpochStep, ...]:
    """The ends of all epochs before this one."""
    if epoch > EPOCHS_MAX:
        raise LimitExceeded(f"{epoch} epochs ended on this network, and a proof walks over at most {EPOCHS_MAX}")
    steps = [source.epoch_end(one) for one in range(epoch)]
    if None in steps:
        raise Unavailable(f"how epoch {steps.index(None)} ended is not known at this node; ask another")
    return tuple(step for step in steps if step is not None)


def _header(block: StoredBlock) -> Header:
    return header_of(block.body)


# ---- what the state says ----


def _ref(source: Source, question: RefQuestion, repo: RepoId | None) -> RefAnswer:
    root = _root(source)
    account, name, found = _names(source, question.owner, question.name, repo)
    shown, refs = _repository(source, root, account, name, found)
    key = paths.ref(found.id, question.ref)
    ref: Lookup | AbsenceProof | None = None
    if source.get(key) is not None:
        whole = _lookup(source, root, key)
        ref = Lookup.of(whole.value, _below(whole.steps))
    elif refs is not None:
        absence = prove_absence(source.tree, root, tree_key(key))
        ref = AbsenceProof(_below(absence.steps), absence.end)
    return RefAnswer(*shown, ref)


def _refs(source: Source, question: RefsQuestion | PacksQuestion, repo: RepoId | None) -> RefsAnswer:
    account, name, found = _names(source, question.owner, question.name, repo)
    shown, _ = _repository(source, _root(source), account, name, found)
    return RefsAnswer(*shown, tuple(queries.refs(source, found.id)))


def _packs(source: Source, question: PacksQuestion, repo: RepoId | None) -> PacksAnswer:
    _, _, found = _names(source, question.owner, question.name, repo)
    walk = prove_complete(source.tree, _root(source), tree_prefix(paths.packs(found.id)))
    return PacksAnswer(_refs(source, question, repo), tuple(queries.packs(source, found.id)), walk)


def _root(source: Source) -> Root:
    return Root(_header(source.block(source.height())).state_root)


def _names(source: Source, owner: str, name: str, repo: RepoId | None) -> tuple[Account, str, Repository]:
    account = queries.account_by_name(source, owner)
    found = None if account is None else queries.repository_of(source, account.id, name)
    if account is None or found is None:
        raise NotFound(f"there is no repository {owner}/{name}")
    if repo is not None and found.id != repo:
        raise Conflict(f"{owner}/{name} is another repository now; ask again")
    return account, name, found


def _repository(
    source: Source, root: Root, account: Account, name: str, found: Repository
) -> tuple[tuple[Lookup, Lookup, Lookup], Root | None]:
    """The three lookups that lead to a repository, and the root of its refs."""
    repository = _lookup(source, root, paths.repository(found.id))
    shown = (
        _lookup(source, root, paths.account_name(account.name)),
        _lookup(source, root, paths.repository_name(account.id, name)),
        repository,
    )
    return shown, refs_root(repository.steps)


def _lookup(source: Source, root: Root, key: bytes) -> Lookup:
    value = source.get(key)
    if value is None:
        raise NotFound("there is no such record")
    return Lookup.of(value, prove_inclusion(source.tree, root, tree_key(key)).steps)


def _below(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps below the node where the refs part from their repository."""
    return tuple(step for step in steps if step.bits > PARTING_BITS)


# ---- what a block holds ----


def _transaction(
    source: Source, question: TransactionQuestion | ActivityQuestion
) -> tuple[Finality, TransactionAnswer]:
    tx_id = TxId(question.tx_id)
    stored = source.receipt(tx_id)
    if stored is None:
        raise NotFound(f"no block here holds transaction {tx_id.hex()}")
    receipt = from_bytes(Receipt, stored.receipt)
    if isinstance(question, ActivityQuestion) and question.index >= len(receipt.activities):
        raise Invalid(f"the receipt has {len(receipt.activities)} activities, none at place {question.index}")
    items = from_bytes(Block, source.block(stored.height).body).items
    leaves = [item_leaf(item) for item in items]
    told = [digest(Tag.RECEIPT, _receipt(source, transaction_id(item.signed.body))) for item in items]
    answer = TransactionAnswer(
        signed=items[stored.index].signed,
        witness=witness_hash(items[stored.index].witness),
        receipt=receipt,
        index=stored.index,
        count=len(items),
        transaction_path=merkle.path(leaves, stored.index),
        receipt_path=merkle.path(told, stored.index),
    )
    return _finality(source, stored.height), answer


def _receipt(source: Source, tx_id: TxId) -> bytes:
    found = source.receipt(tx_id)
    assert found is not None, "a committed block's receipts are committed with it"
    return found.receipt
