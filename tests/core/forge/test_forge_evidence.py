"""Evidence: two votes that speak for themselves, recorded once (J12)."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import Refused
from guts_core.forge import queries
from guts_core.forge.actions import ProposeDecision
from guts_core.forge.activities import EvidenceRecorded
from guts_core.forge.decisions import RemoveValidator
from guts_core.forge.evidence import BadEvidence, EvidenceKnown, EvidenceTooOld, contradict
from guts_core.forge.operators import NotSeated
from guts_core.forge.params import EVIDENCE_EPOCHS
from guts_core.forge.seats import KeyConvicted
from guts_core.names import ChainId
from guts_core.simplex.messages import Kind, Vote
from tests.core.forge.forge_world import BOB
from tests.core.forge.governance_world import OPERATORS, Council, a_vote, evidence, joining

N, X, F = Kind.NOTARIZE, Kind.NULLIFY, Kind.FINALIZE
PAIRS = [
    (a_vote(N, 1), a_vote(N, 2)),
    (a_vote(F, 1), a_vote(F, 2)),
    (a_vote(X, None), a_vote(F, 1)),
    (a_vote(F, 1), a_vote(X, None)),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_each_contradiction_is_recorded_and_takes_nothing(pair: tuple[Vote, Vote]) -> None:
    """Whether the validator goes is for the operators to decide."""
    world = Council(4)

    assert world.run(OPERATORS[1].id, evidence(*pair)) == (EvidenceRecorded(0, 0, 0),)

    (conviction,) = queries.convictions(world.state)
    assert (conviction.first, conviction.second, conviction.reporter) == (*pair, OPERATORS[1].id)
    assert world.numbers == [0, 1, 2, 3]


def test_bad_J12_a_seat_is_convicted_once_an_epoch() -> None:
    world = Council(4)
    world.run(OPERATORS[1].id, evidence(*PAIRS[0]))

    world.assert_refused(OPERATORS[2].id, evidence(*PAIRS[1]), kind=EvidenceKnown, words="against n0 in epoch 0")
    world.turn()
    other = evidence(a_vote(F, 1, epoch=1), a_vote(X, None, epoch=1))
    assert world.run(OPERATORS[2].id, other) == (EvidenceRecorded(1, 0, 0),)


FOREIGN = ChainId(b"\x08" * 32)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (a_vote(N, 1), a_vote(X, None), "an honest validator may have cast both"),
        (a_vote(N, 1), a_vote(F, 2), "an honest validator may have cast both"),
        (a_vote(N, 1), a_vote(N, 1), "an honest validator may have cast both"),
        (a_vote(X, None), a_vote(X, None), "an honest validator may have cast both"),
        (a_vote(N, 1), a_vote(N, 2, view=6), "an honest validator may have cast both"),
        (a_vote(N, 1), a_vote(N, 2, seat=1), "an honest validator may have cast both"),
        (a_vote(N, 1), a_vote(N, 2, epoch=1), "an honest validator may have cast both"),
        (a_vote(N, 1, chain=FOREIGN), a_vote(N, 2, chain=FOREIGN), "not a vote of that seat on this network"),
        (a_vote(N, 1), evolve(a_vote(N, 2), signature=bytes(64)), "not a vote of that seat on this network"),
        (evolve(a_vote(N, 1), proposal=None), a_vote(N, 2), "not a vote of that seat on this network"),
        (a_vote(N, 1, epoch=1), a_vote(N, 2, epoch=1), "votes of epoch 1; this is epoch 0"),
        (a_vote(N, 1, seat=4), a_vote(N, 2, seat=4), "none of them is 4"),
    ],
)
def test_bad_J12_what_honest_validators_do_and_what_nobody_signed_is_no_evidence(
    first: Vote, second: Vote, words: str
) -> None:
    """Notarizing a block and then giving its view up is what the protocol asks for."""
    Council(4).assert_refused(OPERATORS[1].id, evidence(first, second), kind=BadEvidence, words=words)


def test_evidence_counts_for_two_epochs_after_its_own_also_against_who_left() -> None:
    """Seats are those of the epoch of the votes."""
    world = Council(4)
    world.decide(RemoveValidator(0))
    world.turn(EVIDENCE_EPOCHS)
    assert world.numbers == [1, 2, 3]
    late = Council(4)
    late.turn(EVIDENCE_EPOCHS + 1)

    assert world.run(OPERATORS[1].id, evidence(*PAIRS[0])) == (EvidenceRecorded(0, 0, 0),)
    late.assert_refused(OPERATORS[1].id, evidence(*PAIRS[0]), kind=EvidenceTooOld, words="votes of epoch 0")


def test_who_has_no_seat_reports_nothing() -> None:
    Council(4).assert_refused(BOB.id, evidence(*PAIRS[0]), kind=NotSeated, words="reported by validators")


def test_a_convicted_key_does_not_come_back() -> None:
    world = Council(4)
    world.run(OPERATORS[1].id, evidence(*PAIRS[0]))
    again = ProposeDecision(joining("again", vote="vote n0"), now=False)

    world.assert_refused(OPERATORS[1].id, again, kind=KeyConvicted, words="contradicting votes in epoch 0")
    world.turn(EVIDENCE_EPOCHS + 1)
    world.assert_refused(OPERATORS[1].id, again, kind=Refused, words="belongs to a node")


def test_the_order_of_the_two_does_not_matter() -> None:
    assert all(contradict(first, second) and contradict(second, first) for first, second in PAIRS)
