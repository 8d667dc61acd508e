"""The ten edge cases of agreement, each given, when, then."""

from __future__ import annotations

import pytest

from guts_core.sim.replica import GENESIS
from guts_core.simplex.effects import Send
from guts_core.simplex.engine import Rule
from guts_core.simplex.journal import LogVote
from guts_core.simplex.messages import Fetch, Propose, SuppliedBlock, Supply, Vote
from tests.core.simplex import simplex_world
from tests.core.simplex.simplex_world import DELTA, HEARTBEAT, RETRY, F, N, World, X


def supply_for(world: World, *blocks: Propose) -> Supply:
    return Supply((), tuple(SuppliedBlock(block.proposal, block.body) for block in blocks))


def test_a_notarization_before_its_proposal_moves_on_and_fetches_the_block() -> None:
    world = World()
    block = world.block(1)
    world.hear(2, world.certificate(N, 1, block.proposal))
    assert world.engine.view == 2
    assert world.votes_said(F) == []

    world.wait(DELTA)
    asked = [send for send in world.said if isinstance(send.message, Fetch) and send.message.want]
    assert [(block.proposal.block_hash,)] == [send.message.want for send in asked if isinstance(send.message, Fetch)]
    assert asked[0].to is not None
    world.hear(asked[0].to, supply_for(world, block))

    assert [block.proposal] == [vote.proposal for vote in world.votes_said(F)]


def test_a_notarization_after_an_own_nullify_gets_no_finalize_vote() -> None:
    world = World()
    block = world.block(1)
    world.wait(HEARTBEAT + 2 * DELTA)
    assert [vote.view for vote in world.votes_said(X)] == [1]

    world.hear(1, block)
    world.hear(2, world.certificate(N, 1, block.proposal))
    child = world.block(2, block.proposal)
    world.hear(2, child)
    world.hear(2, world.certificate(N, 2, child.proposal), world.certificate(F, 2, child.proposal))

    assert world.engine.view == 3
    assert 1 not in [vote.view for vote in world.votes_said(F)]
    assert [block.proposal, child.proposal] == [final.block.proposal for final in world.replica.log]


@pytest.mark.parametrize("on_block", [True, False])
def test_where_a_view_was_both_notarized_and_nullified_either_parent_is_accepted(on_block: bool) -> None:
    world = World()
    block = world.block(1)
    world.hear(1, block)
    world.hear(2, world.certificate(N, 1, block.proposal), world.certificate(X, 1))

    child = world.block(2, block.proposal if on_block else GENESIS)
    world.hear(2, child)

    assert child.proposal in [vote.proposal for vote in world.votes_said(N)]


def test_a_leader_prefers_the_block_where_a_view_was_both() -> None:
    world = World(me=2)
    block = world.block(1)
    world.hear(1, block)
    world.hear(3, world.certificate(X, 1), world.certificate(N, 1, block.proposal))

    world.work(b"something to do")

    proposed = [m for m in world.messages() if isinstance(m, Propose)]
    assert [block.proposal.block_hash] == [m.proposal.parent_hash for m in proposed]


def test_a_finalization_from_the_future_jumps_and_syncs_before_voting() -> None:
    """View and chain are two needs: the view follows at once, votes only when the parent is executed."""
    world = World()
    blocks = [world.block(1)]
    for view in range(2, 6):
        blocks.append(world.block(view, blocks[-1].proposal))
    world.hear(1, world.certificate(F, 4, blocks[3].proposal))
    assert (world.engine.view, world.engine.final.view) == (5, 0)
    world.hear(1, world.justified(blocks[4], world.certificate(N, 4, blocks[3].proposal)))
    assert world.votes_said(N) == []

    world.wait(DELTA)
    asked = [send for send in world.said if isinstance(send.message, Fetch) and send.message.want]
    assert asked[-1].to is not None
    world.hear(asked[-1].to, supply_for(world, *reversed(blocks[:4])))

    assert world.engine.final.view == 4
    assert [blocks[4].proposal] == [vote.proposal for vote in world.votes_said(N)]


def test_a_leader_that_crashed_before_sending_offers_the_same_block_again() -> None:
    world = World(me=1)
    world.work(b"first")
    first = [m for m in world.messages() if isinstance(m, Propose)]
    world.said.clear()

    world.restart()
    world.work(b"second")

    again = [m for m in world.messages() if isinstance(m, Propose)]
    assert len(first) == 1
    assert [first[0].proposal] == [m.proposal for m in again]
    assert first[0].body == again[0].body


def test_a_nullify_that_was_logged_but_not_sent_is_sent_after_restart_and_bars_finalize() -> None:
    world = World()
    world.wait(HEARTBEAT + 2 * DELTA)
    world.restart()
    assert [vote.view for vote in world.votes_said(X)] == [1]
    world.said.clear()

    world.wait(RETRY)
    assert [vote.view for vote in world.votes_said(X)] == [1]
    block = world.block(1)
    world.hear(1, block)
    world.hear(2, world.certificate(N, 1, block.proposal))
    world.restart()

    assert world.votes_said(F) == []
    assert world.votes_said(N) == []


def test_a_second_proposal_is_evidence_and_the_first_can_still_be_finalized() -> None:
    world = World()
    first, second = world.block(1), world.block(1, word=b"another")
    world.hear(1, first)
    world.hear(1, second)
    assert [(first.vote, second.vote)] == [(pair.first, pair.second) for pair in world.reported]

    world.hear(2, world.certificate(N, 1, first.proposal))

    assert [first.proposal] == [vote.proposal for vote in world.votes_said(F)]
    assert [first.proposal] == [vote.proposal for vote in world.votes_said(N)]


def test_a_certificate_of_another_epoch_changes_nothing() -> None:
    """Whoever speaks in another epoch is not at fault: it is asked what happened, and nothing of it counts here."""
    world = World()
    honest = world.certificate(X, 900)
    votes = [world.vote(signer, X, 900, epoch=1) for signer in (1, 2, 3)]
    foreign = type(honest)(X, 1, 900, None, honest.signers, tuple(vote.signature for vote in votes))

    effects = world.hear(1, foreign)

    assert [send.message for send in effects if isinstance(send, Send)] == [Fetch(0, 1, (), 0)]
    assert world.hear(1, foreign) == []
    assert world.engine.held["rounds"] == 0
    assert world.engine.view == 1


def test_a_proposal_from_the_clocks_future_meets_silence_not_a_nullify() -> None:
    """It may be our clock that is wrong: the timer decides, and a clock that catches up votes."""
    world = World()
    late = world.block(1, wall=world.now.wall + 10_050)
    world.hear(1, late)
    assert world.votes_said() == []

    world.wait(DELTA)

    assert [vote.kind for vote in world.votes_said()] == [N]


def test_a_proposal_far_in_the_clocks_future_times_out() -> None:
    world = World()
    world.hear(1, world.block(1, wall=world.now.wall + 11_000))
    world.wait(2 * DELTA)
    assert world.votes_said() == []

    world.wait(DELTA)

    assert [vote.kind for vote in world.votes_said()] == [X]


def test_an_own_vote_that_completes_a_quorum_travels_in_the_certificate() -> None:
    world = World()
    block = world.block(1)
    world.hear_votes([block.vote, world.vote(2, N, 1, block.proposal)])
    world.said.clear()

    world.hear(1, block)

    assert [vote.kind for vote in world.votes_said() if vote.view == 1 and vote.kind is F] == [F]
    to_voters = {send.to for send in world.said if isinstance(send.message, Vote) and send.message.kind is N}
    to_others = {send.to for send in world.said if getattr(send.message, "signers", None)}
    assert {1, 2} == to_voters
    assert {3} == to_others


def test_an_invalid_proposal_is_nullified_at_once() -> None:
    world = World()
    first = world.block(1, word=b"once")
    world.hear(1, first)
    world.hear(2, world.certificate(N, 1, first.proposal))
    world.hear(2, world.page(2, first.proposal, (b"once",), bytes(32)))

    assert [vote.view for vote in world.votes_said(X)] == [2]
    assert world.engine.fired[Rule.NULLIFY] == 1


def test_every_vote_is_on_disk_with_its_body_before_it_is_said() -> None:
    world = World()
    block = world.block(1)
    effects = world.hear(1, block)
    names = [type(effect).__name__ for effect in effects]

    assert names == ["Persist", "Persist", "Send"]
    assert [getattr(effect, "sync", None) for effect in effects[:2]] == [False, True]
    logged = [entry.vote for entry in world.written() if isinstance(entry, LogVote)]
    assert world.votes_said() == logged
    assert [vote.kind for vote in logged] == [N]


def test_what_the_application_cannot_tell_yet_is_asked_again_within_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A block of a leader whose clock is just beyond what is tolerated is voted for when it is not any more.

    Although a question to a peer is under way, which is waited for longer than a view.
    """
    monkeypatch.setattr(simplex_world, "RETRY", 4 * DELTA)
    world = World()
    first = world.block(1)
    world.hear(3, world.certificate(N, 1, first.proposal, (1, 2, 3)))
    world.wait(DELTA // 2 + 1_000)
    asked = [send.to for send in world.said if isinstance(send.message, Fetch) and send.message.want]
    assert asked[-1] is not None
    second = world.block(2, first.proposal, wall=world.now.wall + 10_040)
    world.hear(2, second)
    world.hear(asked[-1], supply_for(world, first))

    world.wait(3 * DELTA + 10_000)

    assert [vote.kind for vote in world.votes_said() if vote.view == 2][:1] == [N]
