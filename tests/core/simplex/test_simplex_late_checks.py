"""Signatures of votes are checked when something follows from them: no more than that, and never less."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import BadSignature
from guts_core.simplex.evidence import OPPOSITE
from guts_core.simplex.messages import Kind, Proposal, Propose, Vote
from guts_core.simplex.tally import Tally
from tests.core.simplex.simplex_world import F, N, World, X

NOBODYS = bytes(64)
WITHOUT_THE_LEADER = (2, 3, 4, 5, 6)  # of view 1 among seven; with this node, six


def forged(vote: Vote) -> Vote:
    """The same words, not signed by whom they name."""
    return evolve(vote, signature=NOBODYS)


def proposal_of(world: World, kind: Kind, word: bytes = b"word") -> Proposal | None:
    return None if kind is X else world.block(1, word=word).proposal


def test_votes_are_checked_together_when_they_may_be_a_quorum() -> None:
    world = World(size=7)
    world.hear_votes(world.vote(signer, X, 1) for signer in (2, 3, 4, 5))
    assert world.ring.checks == 0

    world.hear(6, world.vote(6, X, 1))

    assert (world.engine.view, world.ring.checks) == (2, 5)


def test_only_as_many_are_checked_as_an_own_vote_leaves() -> None:
    world = World(size=7)
    world.wait(2_000_000)  # its patience ends
    assert [vote.kind for vote in world.votes_said()] == [X]

    world.hear_votes(world.vote(signer, X, 1) for signer in (2, 3, 4, 5))

    assert (world.engine.view, world.ring.checks) == (2, 4)


def test_votes_after_their_certificate_are_never_checked() -> None:
    world = World(size=7)
    world.hear_votes(world.vote(signer, X, 1) for signer in WITHOUT_THE_LEADER)
    checks = world.ring.checks

    world.hear(1, forged(world.vote(1, X, 1)))

    assert (world.ring.checks, world.blamed) == (checks, [])


@pytest.mark.parametrize("kind", list(Kind))
def test_a_forged_vote_is_dropped_its_sender_blamed_and_the_next_one_completes(kind: Kind) -> None:
    world = World(size=7)
    block = proposal_of(world, kind)
    world.hear(2, forged(world.vote(2, kind, 1, block)))
    world.hear_votes(world.vote(signer, kind, 1, block) for signer in (3, 4, 5, 6))
    assert (world.engine.view, world.blamed) == (1, [2])

    world.hear(2, world.vote(2, kind, 1, block))

    assert world.engine.view == 2
    assert world.blamed == [2]
    checks = world.ring.checks
    world.engine.check_certificate(world.engine._state.round(1).certificates[kind])
    assert world.ring.checks == checks + 5


@pytest.mark.parametrize("at", range(6))
def test_a_forger_delays_nobody_whenever_it_speaks(at: int) -> None:
    """The honest ones are a quorum by themselves."""
    world = World(size=7)
    votes = [world.vote(signer, F, 1, world.block(1).proposal) for signer in (1, 3, 4, 5, 6)]
    votes.insert(at, forged(world.vote(2, F, 1, world.block(1).proposal)))
    world.hear_votes(votes)

    assert world.engine.view == 2
    assert world.blamed == ([2] if at < 5 else [])


@pytest.mark.parametrize("kind", list(Kind))
def test_a_forged_vote_does_not_keep_the_place_of_the_genuine_one(kind: Kind) -> None:
    """The same words with another signature: one of the two is checked, and what is genuine stays."""
    world = World(size=7)
    block = proposal_of(world, kind)
    genuine = world.vote(2, kind, 1, block)
    world.hear(2, forged(genuine), genuine)
    assert world.ring.checks == 1
    world.hear(2, evolve(genuine, signature=bytes([1] * 64)))  # it is known that he said this: no need to look
    assert world.ring.checks == 1

    world.hear_votes(world.vote(signer, kind, 1, block) for signer in (3, 4, 5, 6))

    assert (world.engine.view, world.blamed) == (2, [])


def test_a_forgery_after_a_genuine_vote_is_refused_and_changes_nothing() -> None:
    world = World(size=7)
    genuine = world.vote(2, X, 1)
    world.hear(2, genuine)
    with pytest.raises(BadSignature):
        world.hear(2, forged(genuine))

    world.hear_votes(world.vote(signer, X, 1) for signer in (3, 4, 5, 6))

    assert (world.engine.view, world.blamed) == (2, [])


@pytest.mark.parametrize("first", [N, F])
def test_nobody_is_convicted_by_a_vote_that_was_forged(first: Kind) -> None:
    """It stood here first; the genuine one, of other words, takes its place."""
    world = World(size=7)
    block, other = world.block(1, word=b"a").proposal, world.block(1, word=b"b").proposal
    world.hear(2, forged(world.vote(2, first, 1, block)), world.vote(2, first, 1, other))
    assert world.engine.evidence() == []
    assert world.blamed == [2]

    world.hear_votes(world.vote(signer, first, 1, other) for signer in (3, 4, 5, 6))

    assert world.engine.view == 2


@pytest.mark.parametrize("kind", [X, F])
def test_a_forged_opposite_convicts_nobody_either(kind: Kind) -> None:
    world = World(size=7)
    opposite = OPPOSITE[kind]
    world.hear(2, forged(world.vote(2, opposite, 1, proposal_of(world, opposite))))
    world.hear(2, world.vote(2, kind, 1, proposal_of(world, kind)))

    assert (world.engine.evidence(), world.blamed) == ([], [2])
    assert world.engine.held["votes"] == 1


def test_a_forgery_cannot_frame_whoever_is_named() -> None:
    """The held vote is genuine, the second is not: refused, and no trace of it."""
    world = World()
    block, other = world.block(1, word=b"a").proposal, world.block(1, word=b"b").proposal
    world.hear(3, world.vote(3, N, 1, block))
    with pytest.raises(BadSignature):
        world.hear(3, forged(world.vote(3, N, 1, other)))

    assert world.engine.evidence() == []
    assert world.engine.held["votes"] == 1


def test_contradictions_that_come_after_a_certificate_are_evidence_all_the_same() -> None:
    """Both votes of the liar are one too many."""
    world = World(size=7)
    block = world.block(1).proposal
    world.hear_votes(world.vote(signer, F, 1, block) for signer in WITHOUT_THE_LEADER)
    assert world.engine.view == 2

    world.hear(1, world.vote(1, F, 1, block), world.vote(1, X, 1))

    assert [(first.kind, second.kind) for first, second in world.engine.evidence()] == [(F, X)]


def test_what_was_not_checked_vouches_for_no_certificate() -> None:
    """Held votes spare checks only if they were checked themselves."""
    world = World()
    lie = forged(world.vote(3, X, 1))
    world.hear(3, lie)
    honest = world.certificate(X, 1)
    with pytest.raises(BadSignature):
        world.hear(2, evolve(honest, signatures=(*honest.signatures[:2], lie.signature)))

    assert world.engine.view == 1


def test_a_leader_that_gives_up_is_followed_once_its_signature_was_checked() -> None:
    world = World()
    with pytest.raises(BadSignature):
        world.hear(1, forged(world.vote(1, X, 1)))
    assert world.votes_said() == []
    assert world.engine.held["rounds"] == 0

    world.hear(1, world.vote(1, X, 1))

    assert [vote.kind for vote in world.votes_said()] == [X]


def test_nobody_votes_for_what_its_leader_has_not_signed() -> None:
    world = World()
    block = world.block(1)
    with pytest.raises(BadSignature):
        world.hear(1, evolve(block, vote=forged(block.vote)))
    assert (world.votes_said(), world.engine.held["blocks"]) == ([], 0)

    world.hear(1, forged(block.vote), block)  # the vote alone came first: the proposal shows a better one

    assert [vote.kind for vote in world.votes_said()] == [N]


def test_a_proposal_that_a_quorum_signed_needs_no_signature_of_its_leader() -> None:
    world = World(size=7)
    block = world.block(1)
    world.hear_votes(world.vote(signer, N, 1, block.proposal) for signer in WITHOUT_THE_LEADER)
    checks = world.ring.checks

    world.hear(1, Propose(block.proposal, block.body, (), block.vote))

    assert world.ring.checks == checks == 5
    assert [vote.kind for vote in world.votes_said()] == [F]


def test_one_signer_fills_one_place_whatever_it_sends() -> None:
    world = World()
    genuine = world.vote(3, X, 1)
    world.hear(3, forged(genuine))
    for number in range(1, 100):
        with pytest.raises(BadSignature):
            world.hear(3, evolve(genuine, signature=number.to_bytes(64, "big")))

    assert world.engine.held["votes"] == 1


def test_a_checked_vote_takes_the_place_of_an_unchecked_one_and_no_other_does() -> None:
    tally = Tally()
    assert tally.add(1, None, b"a", checked=False) == 1
    assert tally.add(1, None, b"b", checked=False) == 1
    assert tally.of(1) == (None, b"a")
    assert tally.unchecked(None) == [(1, b"a")]
    assert tally.add(1, None, b"b", checked=True) == 1
    assert tally.add(1, None, b"c", checked=True) == 1

    assert (tally.signatures(None), tally.unchecked(None)) == ([(1, b"b")], [])
    tally.forget()
    assert (len(tally), tally.is_checked(1)) == (0, False)
