"""What no quorum signed is no certificate, whatever it looks like."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import evolve

from guts_core.codec import Tag, encode, to_value
from guts_core.errors import Malformed, PeerFault
from guts_core.names import ChainId
from guts_core.simplex.messages import Certificate, Kind, Propose, SuppliedBlock, Supply
from tests.core.simplex.simplex_world import F, N, World, X

Forgery = Callable[[World, Certificate], Certificate]


def repeated_signer(_: World, honest: Certificate) -> Certificate:
    one = honest.signatures[0]
    return evolve(honest, signatures=(one, one, one))


def one_signature_short(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=bytes([0b0110]), signatures=honest.signatures[:2])


def fewer_signatures_than_signers(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signatures=honest.signatures[:2])


def long_bitmap(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=honest.signers + b"\0")


def empty(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=b"\0", signatures=())


def signer_beyond_the_last(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=bytes([0b1000110]))


def shifted_signers(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, signers=bytes([0b0111]))


def another_kind(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, kind=F)


def another_view(world: World, honest: Certificate) -> Certificate:
    assert honest.proposal is not None
    return evolve(honest, view=2, proposal=evolve(honest.proposal, view=2))


def another_block(world: World, honest: Certificate) -> Certificate:
    return evolve(honest, proposal=world.block(1, word=b"other").proposal)


def another_chain(world: World, honest: Certificate) -> Certificate:
    body = encode((int(N), 0, 1, to_value(honest.proposal)))
    foreign = ChainId(bytes(32))
    signatures = [world.ring.signer(signer).sign(Tag.SIGN_VOTE, foreign, body) for signer in (1, 2, 3)]
    return evolve(honest, signatures=tuple(signatures))


def another_purpose(world: World, honest: Certificate) -> Certificate:
    body = encode((int(N), 0, 1, to_value(honest.proposal)))
    signatures = [world.ring.signer(signer).sign(Tag.SIGN_TX, ChainId(bytes(32)), body) for signer in (1, 2, 3)]
    return evolve(honest, signatures=tuple(signatures))


def without_a_block(_: World, honest: Certificate) -> Certificate:
    return evolve(honest, proposal=None)


def block_of_another_view(world: World, honest: Certificate) -> Certificate:
    return evolve(honest, proposal=world.block(2).proposal)


FORGERIES = [
    repeated_signer,
    one_signature_short,
    fewer_signatures_than_signers,
    long_bitmap,
    empty,
    signer_beyond_the_last,
    shifted_signers,
    another_kind,
    another_view,
    another_block,
    another_chain,
    another_purpose,
    without_a_block,
    block_of_another_view,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forged_certificate_is_refused_and_leaves_no_trace(forge: Forgery) -> None:
    world = World()
    honest = world.certificate(N, 1, world.block(1).proposal)

    with pytest.raises(PeerFault):
        world.hear(3, forge(world, honest))

    assert world.engine.view == 1
    assert world.engine.held["rounds"] == 0
    world.hear(3, honest)
    assert world.engine.view == 2


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_votes_verified_before_do_not_make_a_forgery_pass(forge: Forgery) -> None:
    """The cache of verified votes matches signer, content and signature, never less."""
    world = World()
    block = world.block(1)
    world.hear_votes([world.vote(signer, N, 1, block.proposal) for signer in (1, 2)])

    with pytest.raises(PeerFault):
        world.hear(3, forge(world, world.certificate(N, 1, block.proposal)))

    assert world.engine.view == 1


def test_one_vote_said_five_times_counts_once() -> None:
    world = World()
    vote = world.vote(3, X, 1)
    world.hear(3, *[vote] * 5)

    assert world.engine.view == 1
    assert world.engine.held["votes"] == 1


@pytest.mark.parametrize("kind", list(Kind))
def test_a_signature_counts_for_no_other_kind(kind: Kind) -> None:
    for other in set(Kind) - {kind}:
        world = World(size=7)
        block = world.block(1).proposal
        named = None if other is X else block
        replayed = evolve(world.vote(2, kind, 1, None if kind is X else block), kind=other, proposal=named)
        world.hear(2, replayed)
        world.hear_votes(world.vote(signer, other, 1, named) for signer in (3, 4, 5, 6))
        assert (world.engine.view, world.blamed) == (1, [2])


def test_a_vote_in_anothers_name_is_refused() -> None:
    world = World()
    with pytest.raises(Malformed, match="peer 3 brought a vote of seat 2"):
        world.hear(3, world.vote(2, X, 1))


def test_a_body_that_its_hash_does_not_name_is_refused() -> None:
    world = World()
    block, other = world.block(1), world.block(1, word=b"other")
    with pytest.raises(Malformed, match="not the one its hash names"):
        world.hear(1, Propose(block.proposal, other.body, (), block.vote))
    assert world.engine.held["blocks"] == 0


def test_a_proposal_of_a_validator_that_does_not_lead_is_refused() -> None:
    world = World()
    block = world.block(1)
    stolen = Propose(block.proposal, block.body, (), world.vote(2, N, 1, block.proposal))
    with pytest.raises(Malformed, match="does not lead"):
        world.hear(2, stolen)


def test_a_block_that_skips_a_view_without_its_nullification_gets_no_vote() -> None:
    """The skipping leader: a recent parent is no justification."""
    world = World()
    first = world.block(1)
    world.hear(1, first)
    world.hear(2, world.certificate(N, 1, first.proposal))
    world.said.clear()

    world.hear(2, world.block(2))

    assert [vote for vote in world.votes_said(N) if vote.view == 2] == []


def test_an_answer_that_was_not_asked_for_is_not_read() -> None:
    world = World()
    block = world.block(1)
    answer = Supply((world.certificate(X, 1),), (SuppliedBlock(block.proposal, block.body),))
    world.hear(1, Supply((), ()))  # the one answer that the question at the start allows
    world.hear(1, answer)

    assert world.engine.view == 1
    world.hear(2, answer)
    assert world.engine.view == 2


@pytest.mark.parametrize(("first", "second"), [(N, N), (F, F), (X, F), (F, X)])
def test_contradicting_votes_are_reported_once_and_kept_through_a_restart(first: Kind, second: Kind) -> None:
    world = World()
    blocks = {False: world.block(1).proposal, True: world.block(1, word=b"other").proposal}
    votes = [
        world.vote(3, kind, 1, None if kind is X else blocks[late]) for late, kind in ((False, first), (True, second))
    ]
    world.hear(3, *votes, *votes)
    assert [tuple(votes)] == world.engine.evidence()
    assert len(world.reported) == 1

    world.restart()

    assert [tuple(votes)] == world.engine.evidence()


def test_a_notarize_and_a_nullify_of_one_view_are_no_offence() -> None:
    world = World()
    world.hear(3, world.vote(3, N, 1, world.block(1).proposal), world.vote(3, X, 1))
    assert world.engine.evidence() == []
