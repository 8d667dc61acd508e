"""Texts beside blocks: proposed and voted for with them, kept and supplied without, erased from both."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.block import Block
from guts_core.chain.commit import Commit, ListedText, TextName
from guts_core.chain.genesis import chain_id
from guts_core.chain.inadmissible import (
    BadForm,
    CannotPay,
    Inadmissible,
    WrongSignatures,
)
from guts_core.chain.texts import file_of, name_in, read_text, without_texts
from guts_core.chain.transaction import TEXT_BYTES_MAX, Item, SignedTransaction, Text
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import DescribeRepository, Erase
from guts_core.forge.params import Params
from guts_core.forge.records import TextState
from guts_core.names import RepoId
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import Network, Person, a_genesis, creation, flush, repo_id, salt

WORDS, MORE = Text(salt("words"), "what this is about"), Text(salt("more"), "and this")


def offered(*texts: Text) -> tuple[Network, Proposal, Proposal, Block]:
    """A block of Alice's repositories, one for each text, proposed and not yet judged by ledger 1."""
    network = Network()
    alice = network.a_person("alice")
    for at, text in enumerate(texts):
        network.submit(network.by_token(alice, creation(f"repo-{at}", text)), text, to=0)
    network.pass_time(1000)
    parent, proposal, body = network.propose()
    return network, parent, proposal, from_bytes(Block, body)


def with_texts(block: Block, *texts: tuple[Text, ...]) -> bytes:
    """The same block whose items carry these texts instead."""
    return to_bytes(
        evolve(block, items=tuple(evolve(i, texts=carried) for i, carried in zip(block.items, texts, strict=True)))
    )


def final(network: Network, proposal: Proposal, body: bytes, ledger: int = 1) -> Commit:
    network.ledgers[ledger].finalize(proposal, body, None)
    [commit] = flush(network.ledgers[ledger], network.stores[ledger])
    return commit


def described() -> tuple[Network, Person, RepoId]:
    """Alice's repository with a description, final everywhere."""
    network = Network()
    alice = network.a_person("alice")
    network.submit(network.by_token(alice, creation("repo", WORDS)), WORDS)
    network.step()
    return network, alice, repo_id(network.genesis, alice, "repo")


def test_a_text_rides_beside_and_is_committed_to() -> None:
    """State and chain hold what it hashes to; the commit hands the words over, to be kept as a file."""
    network, parent, proposal, block = offered(WORDS)
    body = to_bytes(block)

    verdict = network.ledgers[1].verify(parent, proposal, body, network.instant)
    commit = final(network, proposal, body)

    found = queries.repository_by_name(network.ledgers[1].view(), "alice", "repo-0")
    assert found is not None
    assert (verdict, found.description) == (Verdict.VALID, WORDS.commitment)
    assert commit.texts == (ListedText(TextName(found.id, WORDS.commitment), to_bytes(WORDS)),)
    assert commit.erased == ()
    stored = network.stores[1].block_at(2)
    assert stored is not None
    for kept in (stored.body, commit.body):
        assert b"what this is about" not in kept
        assert WORDS.salt not in kept
        assert from_bytes(Block, kept).header == block.header


def test_a_voter_without_a_text_cannot_tell_and_does_not_vote() -> None:
    """A vote says that this disk has the text; silence is no "no", for the text may be on its way."""
    network, parent, proposal, block = offered(WORDS, MORE)
    ledger = network.ledgers[1]

    for carried in (((), ()), ((WORDS,), ()), ((), (MORE,))):
        lacking = with_texts(block, *carried)
        assert ledger.is_bound(proposal, lacking)
        assert ledger.verify(parent, proposal, lacking, network.instant) is Verdict.UNKNOWN
    assert ledger.verify(parent, proposal, to_bytes(block), network.instant) is Verdict.VALID
    assert ledger.verify(parent, proposal, with_texts(block, (), ()), network.instant) is Verdict.UNKNOWN


def test_a_body_with_a_text_that_nothing_asks_for_is_not_the_block() -> None:
    """Whoever supplies a final block could otherwise have any words stored, or have the block called invalid."""
    network, parent, proposal, block = offered(WORDS, MORE)
    ledger = network.ledgers[1]
    foreign = Text(salt("foreign"), "an advertisement")

    for carried in (
        ((WORDS, foreign), (MORE,)),  # one more
        ((foreign,), (MORE,)),  # another
        ((evolve(WORDS, text="changed"),), (MORE,)),
        ((WORDS, WORDS), (MORE,)),  # twice
        ((WORDS, MORE), ()),  # at the transaction beside
        ((foreign,), ()),
    ):
        body = with_texts(block, *carried)
        assert not ledger.is_bound(proposal, body)
        assert ledger.verify(parent, proposal, body, network.instant) is Verdict.INVALID


def test_a_final_block_without_texts_executes_and_commits_to_the_same_state() -> None:
    """Execution reads no text, so a node that was away, or comes after an erasure, follows all the same."""
    network, parent, proposal, block = offered(WORDS, MORE)
    bare, partly = with_texts(block, (), ()), with_texts(block, (), (MORE,))
    assert network.ledgers[1].execute(parent, proposal, bare) is Verdict.VALID

    full = final(network, proposal, to_bytes(block), ledger=0)
    lacking = final(network, proposal, partly, ledger=1)

    assert network.ledgers[0].head == network.ledgers[1].head
    assert full.body == lacking.body == bare
    assert full.records == lacking.records
    assert [listed.data for listed in full.texts] == [to_bytes(WORDS), to_bytes(MORE)]
    assert [listed.data for listed in lacking.texts] == [None, to_bytes(MORE)]
    assert [listed.name for listed in full.texts] == [listed.name for listed in lacking.texts]


def test_lagging_peers_are_supplied_without_texts() -> None:
    """They ask for texts apart, and are told which are erased: a supplied block never brings words back."""
    network, _, proposal, block = offered(WORDS)
    ledger, bare = network.ledgers[0], with_texts(block, ())
    ledger.finalize(proposal, to_bytes(block), None)

    waiting = ledger.block(proposal.block_hash)
    flush(ledger, network.stores[0])
    stored = ledger.block(proposal.block_hash)

    assert waiting is not None
    assert stored is not None
    assert (waiting.body, stored.body) == (bare, bare)
    assert network.ledgers[1].is_bound(proposal, stored.body)


def test_the_text_of_a_refused_transaction_is_kept_nowhere() -> None:
    """What the state does not list, no node has a reason to hold."""
    network, alice, _ = described()
    other = Text(salt("other"), "of a repository whose name is taken")
    network.submit(network.by_token(alice, creation("repo", other)), other)
    network.pass_time(1000)
    _, proposal, body = network.propose()

    commit = final(network, proposal, body)

    assert from_bytes(Block, body).items[0].texts == (other,)
    assert commit.texts == ()
    assert b"whose name is taken" not in commit.body


def test_an_erased_text_is_told_by_the_commit_and_the_chain_goes_on() -> None:
    """The same on every node; the block that set it still hashes to its header."""
    network, alice, repo = described()
    before = network.stores[1].block_at(2)
    network.submit(network.by_token(alice, Erase(repo, WORDS.commitment, ())))
    network.pass_time(1000)
    parent, proposal, body = network.propose()
    assert network.verify(parent, proposal, body) == [Verdict.VALID] * 2

    commit = final(network, proposal, body)

    assert commit.erased == (TextName(repo, WORDS.commitment),)
    assert commit.texts == ()
    record = queries.text(network.ledgers[1].view(), repo, WORDS.commitment)
    assert record is not None
    assert record.state is TextState.ERASED
    assert before == network.stores[1].block_at(2)


def test_a_text_erased_by_the_block_that_brings_it_is_never_listed() -> None:
    network, alice, repo = described()
    network.submit(network.by_token(alice, DescribeRepository(repo, MORE.commitment)), MORE)
    network.submit(network.by_token(alice, Erase(repo, MORE.commitment, ())))
    network.pass_time(1000)
    _, proposal, body = network.propose()

    commit = final(network, proposal, body)

    assert len(from_bytes(Block, body).items) == 2
    assert (commit.texts, commit.erased) == ((), (TextName(repo, MORE.commitment),))


# ---- the operators' decision ----


def by_operators(network: Network, repo: RepoId, *indexes: int, signers: tuple[int, ...] = ()) -> SignedTransaction:
    """An Erase that lists these operators and that others may have signed."""
    people = [network.operator(index) for index in indexes]
    keys = [network.operator(index) for index in signers or indexes]
    pairs = [(person.id, signer.key) for person, signer in zip(people, keys, strict=True)]
    ends = network.now + 60_000
    return compose.erase_by_operators(chain_id(network.genesis), repo, WORDS.commitment, pairs, ends, salt("decision"))


def test_the_operators_erase_what_they_all_signed() -> None:
    """Co-signed like a change of rules: each key in the order of the list."""
    network, _, repo = described()
    signed = by_operators(network, repo, 0, 1, 2)

    network.submit(signed)
    network.step()

    record = queries.text(network.ledgers[0].view(), repo, WORDS.commitment)
    assert network.status(signed).error is None
    assert record is not None
    assert record.state is TextState.ERASED


def test_too_few_operators_are_told_so_on_the_record() -> None:
    network, _, repo = described()
    signed = by_operators(network, repo, 0, 1)

    network.submit(signed)
    network.step()

    assert network.status(signed).error == "too-few-operators"


def test_an_operator_is_not_signed_for_by_another() -> None:
    network, _, repo = described()
    listed = by_operators(network, repo, 0, 1, 2)
    short = SignedTransaction(listed.body, listed.signatures[:2])

    assert_refused(network, by_operators(network, repo, 0, 1, 2, signers=(0, 1, 1)), WrongSignatures)
    assert_refused(network, short, WrongSignatures)


@pytest.mark.parametrize("company", [True, False])
def test_a_decision_of_the_operators_stands_alone_and_in_order(company: bool) -> None:
    """Their signatures are about this text and nothing that rides along."""
    network, alice, repo = described()
    ids = tuple(sorted(network.operator(index).id for index in (0, 1, 2)))
    author = next(p for p in map(network.operator, (0, 1, 2)) if p.id == ids[0])
    act = Erase(repo, WORDS.commitment, ids if company else ids[::-1])
    actions = (act, creation("more")) if company else (act,)

    assert_refused(network, network.by_key(author, *actions), BadForm)
    assert_refused(network, network.by_token(alice, Erase(repo, WORDS.commitment, ids)), BadForm)
    assert_refused(network, network.by_key(alice, Erase(repo, WORDS.commitment, ids)), BadForm)


def assert_refused(network: Network, signed: SignedTransaction, kind: type[Inadmissible]) -> None:
    with pytest.raises(kind):
        network.ledgers[0].admit(Item(signed, None, ()), network.instant)


# ---- what they cost, and where they lie ----


def test_a_text_is_paid_for_as_if_it_were_the_longest() -> None:
    """Execution must not depend on having it, and an account must not fill disks for nothing."""
    network = Network(a_genesis(params=Params(quota_bytes=3 * TEXT_BYTES_MAX)))
    operator = network.operator(0)
    for name, text in (("a", WORDS), ("b", MORE)):
        network.submit(network.by_key(operator, creation(name, text)), text)
        network.step()
    third = Text(salt("third"), "short")

    with pytest.raises(CannotPay):
        network.submit(network.by_key(operator, creation("c", third)), third)


def test_a_body_without_texts_is_stored_as_it_is() -> None:
    _, _, _, block = offered(WORDS)
    bare = with_texts(block, ())

    assert without_texts(to_bytes(block)) == (bare, {WORDS.commitment: to_bytes(WORDS)})
    assert without_texts(bare) == (bare, {})


def test_a_file_of_a_text_is_named_so_that_it_is_found_again() -> None:
    """And nothing else in that directory is taken for one."""
    name = TextName(RepoId(b"\xce" * 32), WORDS.commitment)
    path = file_of(name)
    directory, file = path.split("/")

    assert directory == WORDS.commitment.hex()[:2]
    assert name_in(file) == name
    for wrong in ("", "-", file + ".new", file.upper(), file[:-1], file.replace("-", "_"), "g" * 64 + file[64:]):
        assert name_in(wrong) is None


def test_a_damaged_text_is_no_text() -> None:
    data = to_bytes(WORDS)

    assert read_text(data, WORDS.commitment) == WORDS
    for wrong in (b"", data[:-1], data + b"\0", data.replace(b"what", b"that"), to_bytes(MORE)):
        assert read_text(wrong, WORDS.commitment) is None
