"""The ledger that sees everything: each invariant broken once, and the words for it."""

from __future__ import annotations

import pytest

from guts_core.names import BlockHash
from guts_core.sim.ledger import Broken, Forked, VoteLedger
from guts_core.sim.ports import Store
from guts_core.simplex.messages import Certificate, Kind, Proposal, Vote
from guts_core.simplex.quorum import FaultModel

GENESIS = BlockHash(bytes(32))


def block(view: int, parent: int = 0, name: int = 1, epoch: int = 0, parent_hash: bytes | None = None) -> Proposal:
    """A block whose hash tells view and name."""
    below = parent_hash or (bytes([parent, 1]) * 16 if parent else GENESIS)
    return Proposal(epoch, view, parent, BlockHash(below), BlockHash(bytes([view, name]) * 16))


def ledger(*villains: int, size: int = 4) -> VoteLedger:
    return VoteLedger(size, FaultModel.BYZANTINE, frozenset(villains))


def vote(kind: Kind, view: int, signer: int, proposal: Proposal | None = None, epoch: int = 0) -> Vote:
    return Vote(kind, epoch, view, proposal, signer, bytes(64))


def certificate(kind: Kind, view: int, proposal: Proposal | None, *signers: int, epoch: int = 0) -> Certificate:
    bits = sum(1 << signer for signer in signers).to_bytes(1, "little")
    return Certificate(kind, epoch, view, proposal, bits, (bytes(64),) * len(signers))


def test_I1_two_votes_of_one_kind_in_a_view() -> None:
    book = ledger()
    book.hear(vote(Kind.NOTARIZE, 1, 2, block(1)))

    with pytest.raises(Broken, match="I1: node 2 cast two notarize votes in view 1"):
        book.hear(vote(Kind.NOTARIZE, 1, 2, block(1, name=2)))


def test_I2_nullify_and_finalize() -> None:
    book = ledger()
    book.hear(certificate(Kind.NOTARIZE, 1, block(1), 0, 1, 2))
    book.hear(vote(Kind.NULLIFY, 1, 3))

    with pytest.raises(Broken, match="I2: node 3"):
        book.hear(vote(Kind.FINALIZE, 1, 3, block(1)))


def test_I3_finalizing_what_no_quorum_notarized() -> None:
    book = ledger()
    book.hear(certificate(Kind.NOTARIZE, 1, block(1), 0, 1))

    with pytest.raises(Broken, match="I3: node 0 finalizes in view 1"):
        book.hear(vote(Kind.FINALIZE, 1, 0, block(1)))


def test_I4_a_child_of_nothing_and_a_view_passed_over() -> None:
    with pytest.raises(Broken, match="I4: node 1 voted in view 2 for a child of no notarized block"):
        ledger().hear(vote(Kind.NOTARIZE, 2, 1, block(2, 1)))
    with pytest.raises(Broken, match="I4: node 1 voted in view 2 though view 1 was not nullified"):
        ledger().hear(vote(Kind.NOTARIZE, 2, 1, block(2)))


def test_I5_and_I6_take_liars_and_these_are_convicted() -> None:
    book = ledger(2, 3)
    book.hear(certificate(Kind.NOTARIZE, 1, block(1), 0, 2, 3))
    with pytest.raises(Forked, match="I5: two blocks have a notarize quorum in view 1"):
        book.hear(certificate(Kind.NOTARIZE, 1, block(1, name=2), 1, 2, 3))
    assert {2, 3} == book.guilty

    book = ledger(2, 3)
    book.hear(certificate(Kind.NOTARIZE, 1, block(1), 0, 2, 3))
    book.hear(certificate(Kind.FINALIZE, 1, block(1), 0, 2, 3))
    with pytest.raises(Forked, match="I6: view 1 is both nullified and finalized"):
        book.hear(certificate(Kind.NULLIFY, 1, None, 1, 2, 3))
    assert {2, 3} == book.guilty


def test_I7_I8_I9_one_chain_one_state_each_thing_once() -> None:
    one = Store(1, BlockHash(b"1" * 32), b"root", (b"wish",), None)
    book = ledger()
    book.final(0, one)
    book.final(1, one)

    with pytest.raises(Forked, match="I7: node 1 finalized another block at height 1"):
        book.final(1, Store(1, BlockHash(b"2" * 32), b"root", (), None))
    with pytest.raises(Broken, match="I8: node 1 computed another state at height 1"):
        book.final(1, Store(1, BlockHash(b"1" * 32), b"toor", (), None))
    with pytest.raises(Broken, match="I7: node 1 finalized height 3 above a gap"):
        book.final(1, Store(3, BlockHash(b"3" * 32), b"root", (), None))
    with pytest.raises(Broken, match=r"I9: .* is final twice, again at height 2"):
        book.final(1, Store(2, BlockHash(b"2" * 32), b"root", (b"wish",), None))


def test_epochs_have_quorums_and_seats_of_their_own() -> None:
    """Epoch 1 has the nodes 7, 5 and 0, of which all three must sign; its first block stands on one of epoch 0."""
    book = ledger()
    book.hear(certificate(Kind.NOTARIZE, 1, block(1), 0, 1, 2))
    book.turn(1, (7, 5, 0), FaultModel.BYZANTINE)
    first = block(2, 1, epoch=1)
    book.hear(certificate(Kind.NOTARIZE, 2, first, 0, 1, 2, epoch=1))

    assert book.voters(Kind.NOTARIZE, 1, 2, first.block_hash) == [7, 5, 0]
    assert book.voters(Kind.NOTARIZE, 0, 2, first.block_hash) == []
    with pytest.raises(Broken, match="I1: node 5 cast two"):
        book.hear(vote(Kind.NOTARIZE, 2, 1, block(2, 1, name=2, epoch=1), epoch=1))
    book.hear(certificate(Kind.NULLIFY, 3, None, 0, 1, epoch=1))
    with pytest.raises(Broken, match=r"I4: node 7 .* though view 3 was not nullified"):
        book.hear(vote(Kind.NOTARIZE, 4, 0, block(4, 2, epoch=1), epoch=1))


def test_votes_of_an_epoch_that_is_not_count_for_nothing() -> None:
    book = ledger()
    book.hear(vote(Kind.NOTARIZE, 9, 1, block(9, 8, epoch=3), epoch=3))

    assert book.votes == 0
