"""The edges of two rules about time: how long a view is waited for, and who is not waited for at all."""

from __future__ import annotations

import pytest

from guts_core.simplex.views import is_absent
from tests.core.simplex.simplex_world import DELTA, HEARTBEAT, F, N, World, X

ABSENT_AFTER = 2 * HEARTBEAT + 6 * DELTA
LEADER = 1  # of view 1


# ---- patience (1.6) ----


@pytest.mark.parametrize(
    ("failed", "thousandths"),
    [
        (0, 1000),
        (4, 1000),
        (5, 1500),
        (8, 1500),
        (9, 2250),
        (13, 3375),
        (17, 5062),
        (21, 7593),
        (25, 8000),
        (400, 8000),
    ],
)
def test_patience_after_so_many_views_without_finality(failed: int, thousandths: int) -> None:
    """One step for each turn of all four leaders; the last view but one may still become final by itself."""
    world = World()
    for view in range(1, failed + 1):
        world.hear(1, world.certificate(X, view))

    assert world.engine._state.delta * 1000 // DELTA == thousandths


def test_a_larger_network_takes_a_larger_turn() -> None:
    world = World(size=7)
    for view in range(1, 9):
        world.hear(1, world.certificate(X, view))
        assert (world.engine._state.delta > DELTA) == (view == 8)


def test_the_timers_are_those_of_the_patience_now() -> None:
    """Two for the leader's word, three for the votes on it."""
    world = World(me=3)
    for view in range(1, 10):
        world.hear(1, world.certificate(X, view))
    delta = world.engine._state.delta
    world.work(b"word")
    world.said.clear()
    world.wait(2 * delta - 1)
    assert world.votes_said() == []
    world.hear(2, world.justified(world.block(10), *(world.certificate(X, view) for view in range(1, 10))))
    assert [vote.kind for vote in world.votes_said()] == [N]
    world.wait(delta)
    assert [vote.kind for vote in world.votes_said()] == [N]

    world.wait(1)

    assert [vote.kind for vote in world.votes_said()] == [N, X]


def test_a_notarization_alone_resets_nothing() -> None:
    """Views that are notarized and never final are what too little patience looks like."""
    world = World()
    parent = world.engine.final
    for view in range(1, 6):
        block = world.block(view, parent)
        parent = block.proposal
        world.hear(1, world.certificate(N, view, parent))

    assert world.engine._state.delta == DELTA * 3 // 2


def test_finality_of_a_block_that_is_not_here_resets_it_too() -> None:
    """It shows that views are long enough: what is missing is fetched beside that."""
    world = World()
    for view in range(1, 6):
        world.hear(1, world.certificate(X, view))
    world.hear(1, world.certificate(F, 6, world.block(6).proposal))

    assert world.engine.final.view == 0
    assert world.engine._state.delta == DELTA


# ---- leaders that are away (rule 4) ----


def quiet(world: World, peers: tuple[int, ...], until: int) -> None:
    """Time passes up to a moment of the world's time, and these peers alone say something shortly before."""
    world.wait(until - 1 - world.time)
    for peer in peers:
        world.hear(peer, world.vote(peer, N, 1, world.block(1).proposal))
    world.wait(1)
    world._do(world.engine.tick(world.now))


def absent(world: World, leader: int = LEADER) -> bool:
    return is_absent(world.engine._state, leader)


@pytest.mark.parametrize("early", [True, False])
def test_who_was_never_heard_is_away_so_long_after_the_start(early: bool) -> None:
    world = World()
    quiet(world, (2, 3), world.time + ABSENT_AFTER - early)

    assert absent(world) != early
    assert not absent(world, 2)


def test_one_word_of_any_kind_brings_a_leader_back() -> None:
    world = World()
    quiet(world, (2, 3), world.time + ABSENT_AFTER)
    assert absent(world)

    world.hear(LEADER, world.vote(LEADER, F, 1, world.block(1).proposal))

    assert not absent(world)


@pytest.mark.parametrize(("lively", "away"), [((2, 3), True), ((2,), False), ((), False)])
def test_who_hears_less_than_a_quorum_may_be_the_one_that_is_away(lively: tuple[int, ...], away: bool) -> None:
    world = World()
    quiet(world, lively, world.time + ABSENT_AFTER)

    assert absent(world) == away


def test_nobody_is_away_to_himself() -> None:
    world = World(me=LEADER)
    quiet(world, (0, 2, 3), world.time + 10 * ABSENT_AFTER)

    assert not absent(world)


def test_a_view_of_one_that_is_away_is_passed_at_once_and_the_next_one_is_waited_for() -> None:
    world = World()
    world.hear(2, world.certificate(X, 4, signers=(0, 2, 3)))
    world.said.clear()
    world.time += ABSENT_AFTER
    for peer in (2, 3):
        world.hear(peer, world.vote(peer, N, 6, world.block(6).proposal))
    world._do(world.engine.tick(world.now))
    assert [(vote.kind, vote.view) for vote in world.votes_said(X)] == [(X, 5)]

    world.hear_votes(world.vote(signer, X, 5) for signer in (2, 3))

    assert world.engine.view == 6
    assert world.engine.leader == 2
    assert [vote.view for vote in world.votes_said(X)] == [5]


def test_a_proposal_is_judged_however_long_its_leader_was_silent() -> None:
    """It came, so its leader is here: rule 3 decides."""
    world = World()
    quiet(world, (2, 3), world.time + ABSENT_AFTER)
    skipped = [world.certificate(X, view, signers=(0, 2, 3)) for view in range(1, 5)]
    world.hear(2, skipped[-1])
    assert world.engine.leader == LEADER
    assert absent(world)
    world.said.clear()
    world.hear(LEADER, world.justified(world.block(5), *skipped))
    world._do(world.engine.tick(world.now))

    assert [(vote.kind, vote.view) for vote in world.votes_said()] == [(N, 5)]


def test_who_leads_does_not_depend_on_who_is_away() -> None:
    """A local rule only: nodes that disagree about it still agree on the leader."""
    one, other = World(), World()
    quiet(one, (2, 3), one.time + ABSENT_AFTER)

    assert absent(one)
    assert not absent(other)
    for view in range(1, 20):
        assert one.engine._state.committee.leader(view) == other.engine._state.committee.leader(view)
