"""What a proof shows, and what none can be made of."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from guts_core.chain import history
from guts_core.chain.genesis import chain_id
from guts_core.chain.history import history_of
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Conflict, Invalid, NotFound, Unavailable
from guts_core.forge.actions import DeleteRepository, RenameRepository
from guts_core.forge.activities import RefUpdated
from guts_core.names import BlockHash, RepoId, TxId
from guts_core.proof import (
    ActivityQuestion,
    BadPath,
    HeaderQuestion,
    HeadersQuestion,
    ProvenHeaders,
    ProvenRef,
    ProvenRefs,
    ProvenTransaction,
    Question,
    RefQuestion,
    TransactionQuestion,
    verify,
)
from guts_core.proof.format import (
    ProofFile,
    RefAnswer,
)
from guts_core.proof.prove import RUN_MAX
from guts_core.proof.questions import about_ref, about_refs, about_transaction
from guts_core.proof.source import KEPT_LEVEL, HistoryNodes, Source
from guts_core.simplex.quorum import FaultModel
from tests.core.chain.chain_world import a_genesis, creation, oid
from tests.core.proof.proof_cases import ALL, GONE, MAIN, genesis, proof_of, pushed, scene
from tests.core.proof.proof_world import REFS, ProofNetwork, Snapshot, a_scene

# ---- what is true ----


def test_a_ref_is_shown_with_who_signed() -> None:
    """The oid, the height and time at which it was so, and the names of those who vouch for it."""
    shown = verify(proof_of(MAIN), genesis(), MAIN)

    assert isinstance(shown.answer, ProvenRef)
    assert shown.answer.oid == oid("refs/heads/main")
    assert (shown.answer.repository.name, shown.answer.ref) == ("hello", "refs/heads/main")
    head = scene().network.ledgers[0].head
    assert (shown.height, shown.time, shown.final.block_hash) == (head.height, head.time, head.block_hash)
    assert shown.final.signers == ("node-0", "node-1", "node-2")
    assert (shown.final.validators, shown.final.quorum, shown.final.fault_model) == (4, 3, FaultModel.BYZANTINE)
    assert shown.final.words == "signed by 3 of 4 validators (node-0, node-1, node-2)"


@pytest.mark.parametrize("refs", [(), ("refs/heads/main",), REFS])
def test_absence_is_shown_of_one_ref_and_of_all(refs: tuple[str, ...]) -> None:
    """In a repository with no ref, one, or several; before it was anything, and beside what is there."""
    network = a_scene(refs=refs).network

    gone, every = (verify(network.prove(question), network.genesis, question).answer for question in (GONE, ALL))

    assert isinstance(gone, ProvenRef)
    assert gone.oid is None
    assert isinstance(every, ProvenRefs)
    assert [(ref.name, ref.oid) for ref in every.refs] == [(name, oid(name)) for name in sorted(refs)]


def test_a_transaction_is_shown_as_it_was_signed() -> None:
    """Its receipt at its place, and each of its activities by number."""
    question = pushed()
    shown = verify(proof_of(question), genesis(), question).answer
    second = verify(proof_of(ActivityQuestion(question.tx_id, 1)), genesis()).answer

    assert isinstance(shown, ProvenTransaction)
    assert shown.signed == scene().pushed
    assert shown.receipt.error is None
    assert isinstance(second, ProvenTransaction)
    assert second.activity == shown.receipt.activities[1]
    assert any(isinstance(activity, RefUpdated) for activity in shown.receipt.activities)


def test_one_of_several_transactions_of_a_block_is_shown() -> None:
    """With a path of some length on either side."""
    network = ProofNetwork()
    alice = network.a_person("alice")
    made = [network.by_token(alice, creation(f"repo{at}")) for at in range(5)]
    made.append(network.by_token(alice, creation("repo0")))
    for signed in made:
        network.submit(signed)
    network.step()

    for signed in made:
        question = TransactionQuestion(transaction_id(signed.body))
        shown = verify(network.prove(question), network.genesis, question).answer
        assert isinstance(shown, ProvenTransaction)
        assert shown.signed == signed
        assert shown.receipt.error == ("name-taken" if signed is made[-1] else None)


def test_headers_are_shown_in_a_row_or_through_the_history() -> None:
    """Every range, and every single one under the newest."""
    top = scene().network.ledgers[0].head.height
    rows = [(first, last) for first in range(1, top + 1) for last in range(first, top + 1)]

    for first, last in rows:
        shown = verify(proof_of(HeadersQuestion(first, last)), genesis()).answer
        assert isinstance(shown, ProvenHeaders)
        assert [header.height for header in shown.headers] == list(range(first, last + 1))
    for height in range(1, top + 1):
        single = verify(proof_of(HeaderQuestion(height)), genesis())
        assert isinstance(single.answer, ProvenHeaders)
        assert single.answer.headers[0].height == single.height == height
        assert single.final.certified_height == top


@pytest.mark.parametrize("uncertified", [0, 1, RUN_MAX, RUN_MAX + 1, 40])
def test_a_header_without_a_certificate_is_shown_by_those_above(uncertified: int) -> None:
    """A node that caught up has few certificates: by the row where that is short, else through the history."""
    network = ProofNetwork()
    scene_ = a_scene(network)
    network.is_certifying = False
    for _ in range(uncertified):
        network.step()
    network.is_certifying = True
    network.step()
    question = TransactionQuestion(transaction_id(scene_.pushed.body))
    network.is_certifying = False
    later = network.push(scene_.alice, scene_.repo, "refs/heads/later")
    for _ in range(uncertified):
        network.step()
    network.is_certifying = True
    network.step()

    data = network.prove(TransactionQuestion(transaction_id(later.body)))
    shown = verify(data, network.genesis)

    assert shown.final.certified_height - shown.height == uncertified + 1
    assert (from_bytes(ProofFile, data).finality.history is None) == (uncertified + 1 <= RUN_MAX)
    assert verify(network.prove(question), network.genesis).answer


def test_a_proof_is_made_while_blocks_wait_for_the_disk() -> None:
    """The state is of the applied height; the certificate may be of a block that is not on disk yet."""
    network = ProofNetwork()
    scene_ = a_scene(network)
    network.is_certifying = False
    network.step()
    applied = network.ledgers[0].head.height
    with pytest.raises(Unavailable, match="on its way"):
        network.prove(MAIN)
    network.is_committing = False
    network.step()
    network.is_certifying = True
    network.push(scene_.alice, scene_.repo, "refs/heads/later")

    shown = verify(network.prove(about_ref("alice", "hello", "later")), network.genesis)
    header = verify(network.prove(HeaderQuestion(1)), network.genesis)

    assert isinstance(shown.answer, ProvenRef)
    assert shown.answer.oid is None
    assert (shown.height, shown.final.certified_height) == (applied, applied + 2)
    assert header.final.certified_height == applied + 2


def test_a_former_name_leads_on_and_a_deleted_repository_is_gone() -> None:
    """What a name meant is in the proof: the record says what the repository is called, and whether it stands."""
    network = ProofNetwork()
    scene_ = a_scene(network)
    network.submit(network.by_key(scene_.alice, RenameRepository(scene_.repo, "Greetings")))
    network.step()

    renamed = verify(network.prove(MAIN), network.genesis).answer
    standing = from_bytes(ProofFile, network.prove(MAIN))
    network.submit(network.by_key(scene_.alice, DeleteRepository(scene_.repo, "Greetings")))
    network.step()

    assert isinstance(renamed, ProvenRef)
    assert renamed.repository.name == "Greetings"
    with pytest.raises(NotFound):
        network.prove(MAIN)
    assert _as_deleted(network, standing, scene_.repo)


def _as_deleted(network: ProofNetwork, standing: ProofFile, repo: RepoId) -> bool:
    """A node that lies shows the old name, which still leads to the deleted record: refused."""
    from guts_core.forge import paths
    from guts_core.proof import prove as prover

    source = network.source()
    root = prover._root(source)
    assert isinstance(standing.answer, RefAnswer)
    keys = (
        paths.account_name("alice"),
        paths.repository_name(standing_owner(network), "hello"),
        paths.repository(repo),
    )
    account, name, repository = (prover._lookup(source, root, key) for key in keys)
    answer = RefAnswer(account, name, repository, standing.answer.ref)
    lie = ProofFile(standing.network, MAIN, prover._state(source), answer)
    with pytest.raises(BadPath, match="was deleted"):
        verify(to_bytes(lie), network.genesis)
    return True


def standing_owner(network: ProofNetwork) -> Any:
    from guts_core.forge import queries

    account = queries.account_by_name(network.source(), "alice")
    assert account is not None
    return account.id


def test_crash_mode_is_said_to_be_one_operators_word() -> None:
    """Two of three signatures are no Byzantine agreement, and nobody shall take them for one."""
    network = ProofNetwork(a_genesis(3, fault_model=FaultModel.CRASH), signers=(0, 1))
    network.a_person("alice")
    shown = verify(network.prove(HeaderQuestion(1)), network.genesis)

    assert shown.final.quorum == 2
    assert (
        shown.final.words == "signed by 2 of 3 validators (node-0, node-1); agreed by one operator's majority, not BFT"
    )


def test_a_long_history_is_hashed_once() -> None:
    """What was folded is kept, across snapshots: the next path reads a few runs of headers, not all of them."""

    class Long(Snapshot):
        """A thousand headers without blocks."""

        hashes: ClassVar = [BlockHash(at.to_bytes(32, "big")) for at in range(1, 1100)]
        read = 0

        def height(self) -> int:
            return len(self.hashes)

        def header_hashes(self, first: int, count: int) -> list[bytes]:
            Long.read += count
            return list(self.hashes[first - 1 : first - 1 + count])

    chain, nodes = chain_id(genesis()), HistoryNodes()
    whole = history_of([BlockHash(chain), *Long.hashes])
    reads = []
    for at in (5, 6, 1023, 1024, 1099):
        before = Long.read
        way = history.path(Source(chain, Long(), (), nodes).history_node, whole.count, at)
        reads.append(Long.read - before)
        assert history.verify(whole.root, whole.count, at, Long.hashes[at - 1], way)

    assert reads[0] > 1000
    # Two runs of 256 beside the way, and the small mountains at the end.
    assert max(reads[1:]) <= 2 * (1 << KEPT_LEVEL) + 76


# ---- what cannot be asked ----


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (RefQuestion("Alice", "hello", "refs/heads/main"), Invalid),
        (RefQuestion("alice", "hello", "main"), Invalid),
        (about_ref("alice", "nothing", "main"), NotFound),
        (about_refs("nobody", "hello"), NotFound),
        (TransactionQuestion(TxId(bytes(32))), NotFound),
        (HeadersQuestion(1, 99), NotFound),
        (HeadersQuestion(1, 257), Invalid),
        (HeadersQuestion(2, 1), Invalid),
        (HeaderQuestion(0), Invalid),
        (HeaderQuestion(99), NotFound),
    ],
)
def test_what_has_no_answer_is_refused(question: Question, error: type[Exception]) -> None:
    """With words, by the node that is asked."""
    with pytest.raises(error):
        scene().network.prove(question)


def test_a_receipt_has_so_many_activities() -> None:
    with pytest.raises(Invalid, match="none at place 99"):
        scene().network.prove(ActivityQuestion(pushed().tx_id, 99))


def test_nothing_is_proven_before_the_first_block_or_of_another_repository() -> None:
    """The state at height 0 has no header; a name that changed hands is asked for again."""
    with pytest.raises(Unavailable, match="genesis"):
        ProofNetwork().prove(MAIN)
    with pytest.raises(Conflict, match="another repository"):
        scene().network.prove(MAIN, RepoId(bytes(32)))


@pytest.mark.parametrize("digits", ["", "00", "z" * 64, "0" * 63, "0" * 66])
def test_a_transaction_is_asked_for_by_64_digits(digits: str) -> None:
    with pytest.raises(Invalid, match="64 hexadecimal digits"):
        about_transaction(digits)
