"""What a peer can make an engine hold, and what quorums are."""

from __future__ import annotations

import pytest

from guts_core.errors import Invalid
from guts_core.simplex import bounds
from guts_core.simplex.budget import RATES, Rate, Sort
from guts_core.simplex.effects import Send
from guts_core.simplex.engine import Rule
from guts_core.simplex.messages import Certificate, Fetch, Kind, SuppliedBlock, Supply
from guts_core.simplex.quorum import FaultModel, faults_tolerated, quorum
from tests.core.simplex.simplex_world import DELTA, HEARTBEAT, RETRY, F, N, World, X


@pytest.mark.parametrize(
    ("n", "byzantine", "crash"),
    [
        (1, 1, 1),
        (2, 2, 2),
        (3, 3, 2),
        (4, 3, 3),
        (5, 4, 3),
        (6, 5, 4),
        (7, 5, 4),
        (10, 7, 6),
        (31, 21, 16),
        (100, 67, 51),
    ],
)
def test_quorums(n: int, byzantine: int, crash: int) -> None:
    assert byzantine == quorum(n, FaultModel.BYZANTINE)
    assert crash == quorum(n, FaultModel.CRASH)
    assert n - byzantine == faults_tolerated(n, FaultModel.BYZANTINE)


@pytest.mark.parametrize("n", range(1, 60))
def test_two_byzantine_quorums_share_an_honest_validator(n: int) -> None:
    q = quorum(n, FaultModel.BYZANTINE)
    assert 2 * q - n > (n - 1) // 3
    assert 2 * quorum(n, FaultModel.CRASH) > n


def test_no_validators_have_no_quorum() -> None:
    with pytest.raises(Invalid, match="0 validators"):
        quorum(0, FaultModel.BYZANTINE)


@pytest.mark.parametrize("view", [1 + bounds.FUTURE_VIEWS_MAX + 1, 10**6, 2**64 - 1])
def test_votes_far_ahead_are_dropped(view: int) -> None:
    world = World()
    world.hear(3, world.vote(3, X, view))
    assert world.engine.held["rounds"] == 0


def test_votes_and_proposals_of_one_peer_are_bounded() -> None:
    world = World()
    for view in range(1, 60):
        world.hear(3, world.vote(3, X, view))
        for word in (b"a", b"b", b"c"):
            if view % 4 == 3:
                world.hear(3, world.block(view, word=word))

    held = world.engine.held
    assert held["rounds"] <= bounds.FUTURE_VIEWS_MAX + 1
    assert bounds.FUTURE_VIEWS_MAX >= held["blocks"] > 0
    assert len(Kind) >= held["evidence"] > 0


def test_votes_of_views_long_past_are_let_go() -> None:
    """Only a run without finality holds rounds at all; of those the votes go, nullifications stay."""
    world = World()
    for view in range(1, 100):
        world.hear_votes(world.vote(signer, X, view) for signer in (1, 2, 3))

    assert world.engine.view == 100
    assert world.engine.held["rounds"] == 99
    assert world.engine.held["votes"] <= 4 * (bounds.VOTES_KEPT_VIEWS + 1)


def test_finality_lets_go_of_rounds_and_blocks() -> None:
    world = World()
    parent = world.engine.final
    for view in range(1, 30):
        block = world.block(view, parent)
        if view % 4:
            world.hear(view % 4, block)
        else:
            world.hear(1, world.certificate(X, view))
            continue
        world.hear(1, world.certificate(N, view, block.proposal), world.certificate(F, view, block.proposal))
        parent = block.proposal
        world.commit()

    assert {"rounds", "votes", "blocks", "block_bytes", "anchors", "uncommitted", "evidence"} == {
        name for name, count in world.engine.held.items() if count == 0
    }


def test_a_long_chain_is_fetched_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times more than may be held at once: the walk back remembers places, the way forward asks again."""
    monkeypatch.setattr("guts_core.simplex.catchup.SYNC_BLOCKS_MAX", 100)
    monkeypatch.setitem(RATES, Sort.QUESTION, Rate(1000, 1 << 20))  # the clock of the other one stands
    old, new = World(me=1), World(me=0)
    parent = old.engine.final
    for view in range(1, 1001):
        block = old.block(view, parent)
        old.replica.execute(parent, block.proposal, block.body)
        old.replica.finalize(block.proposal, block.body, None)
        parent = block.proposal
    new.hear(1, new.certificate(F, 1000, parent))
    most = 0
    for _ in range(200):
        asked = [send.message for send in new.said if isinstance(send.message, Fetch)]
        new.said.clear()
        if new.engine.final.view == 1000:
            break
        for question in asked or [Fetch(0, 0, ())]:
            answers = old.engine.receive(0, question, old.now)
            for send in answers:
                assert isinstance(send, Send)
                assert isinstance(send.message, Supply)
                new.hear(1, send.message)
                most = max(most, new.engine.held["blocks"])
        new.wait(RETRY)

    assert new.engine.final.view == 1000
    assert len(new.replica.log) == 1000
    assert most <= 170


def test_answers_are_bounded() -> None:
    world = World(me=1)
    parent = world.engine.final
    for view in range(1, 200):
        block = world.block(view, parent)
        world.replica.execute(parent, block.proposal, block.body)
        world.replica.finalize(block.proposal, block.body, None)
        parent = block.proposal
    effects = world.hear(3, Fetch(0, 0, (parent.block_hash,) * 4))
    answers = [effect.message for effect in effects if isinstance(effect, Send)]

    assert [len(answer.blocks) for answer in answers if isinstance(answer, Supply)] == [64]


def test_help_is_rationed() -> None:
    """A peer that repeats an old vote gets one answer per half retry time."""
    world = World()
    world.hear(2, world.certificate(X, 1))
    world.said.clear()
    for _ in range(10):
        world.hear(3, world.vote(3, X, 1))
    assert world.engine.fired[Rule.HELP] == 1
    assert [send.to for send in world.said if isinstance(send.message, Certificate)] == [3]
    world.wait(RETRY)

    world.hear(3, world.vote(3, X, 1))

    assert world.engine.fired[Rule.HELP] == 2


def test_patience_grows_without_finality_and_never_beyond_eight_times() -> None:
    world = World()
    state = world.engine._state
    assert state.delta == DELTA
    for view in range(1, 80):
        world.hear(1, world.certificate(X, view))
    assert state.delta == 8 * DELTA

    block = world.block(81)
    world.hear(1, world.certificate(N, 81, block.proposal), world.certificate(F, 81, block.proposal))

    assert state.delta == DELTA


def test_an_idle_leader_waits_for_work_or_the_heartbeat() -> None:
    idle, busy = World(me=1), World(me=1)
    idle.wait(HEARTBEAT - 1)
    assert idle.engine.fired[Rule.PROPOSE] == 0
    idle.wait(1)
    assert idle.engine.fired[Rule.PROPOSE] == 1

    busy.wait(HEARTBEAT // 2)
    busy.work(b"word")

    assert busy.engine.fired[Rule.PROPOSE] == 1


def test_known_work_makes_a_dead_leader_cost_two_deltas() -> None:
    world = World()
    world.wait(HEARTBEAT // 2)
    world.work(b"word")
    world.wait(2 * DELTA - 1)
    assert world.votes_said() == []

    world.wait(1)

    assert [vote.kind for vote in world.votes_said()] == [X]


def test_a_single_validator_is_silent_until_there_is_work() -> None:
    world = World(me=0, size=1)
    assert world.engine.next_deadline() is None

    world.work(b"word")

    assert len(world.replica.log) == 1
    assert world.engine.next_deadline() is None
    assert world.said == []


def test_a_notarized_block_behind_a_nullified_view_is_followed_at_once() -> None:
    """Acknowledged work must not wait for the heartbeat to become final."""
    world = World(me=3)
    block = world.block(1)
    world.hear(1, block)
    world.hear(2, world.certificate(N, 1, block.proposal))

    world.hear(2, world.certificate(X, 2))

    assert world.engine.fired[Rule.PROPOSE] == 1


def test_a_notarized_block_that_does_not_become_final_is_followed_soon() -> None:
    world = World(me=2)
    block = world.block(1)
    world.hear(1, block)
    world.hear(3, world.certificate(N, 1, block.proposal))
    assert world.engine.fired[Rule.PROPOSE] == 0

    world.wait(2 * DELTA)

    assert world.engine.fired[Rule.PROPOSE] == 1


def test_a_leader_silent_for_long_is_passed_at_once() -> None:
    world = World(me=0)
    world.time += 4 * HEARTBEAT
    for view in range(1, 4):
        world.hear_votes(world.vote(signer, X, view) for signer in (2, 3))
        world.hear(2, world.certificate(X, view, signers=(0, 2, 3)))
    world.hear(2, world.certificate(X, 4, signers=(0, 2, 3)))
    heard = world.engine._state.heard
    heard[1] = heard[2] - 10 * HEARTBEAT
    world.said.clear()

    world._do(world.engine.tick(world.now))

    assert [(vote.kind, vote.view) for vote in world.votes_said()] == [(X, 5)]


def test_supplied_blocks_that_nobody_wanted_are_not_held() -> None:
    world = World()
    blocks = [world.block(view) for view in (1, 2, 3)]
    world.hear(2, Supply((), tuple(SuppliedBlock(block.proposal, block.body) for block in blocks)))

    assert world.engine.held["blocks"] == 0


def test_answers_that_take_longer_than_a_block_still_bring_a_node_nearer() -> None:
    """Once real: each newer finalization replaced the goal, and every answer about the one before was thrown away."""
    old, new = World(me=1), World(me=0)
    parent = old.engine.final
    final = []
    for view in range(1, 9):
        block = old.block(view, parent)
        old.replica.execute(parent, block.proposal, block.body)
        old.replica.finalize(block.proposal, block.body, None)
        parent = block.proposal
        final.append(parent)
    new.hear(1, new.certificate(F, 4, final[3]))
    new.wait(RETRY)
    (question,) = [send.message for send in new.said if isinstance(send.message, Fetch) and send.message.want]

    for proposal in final[4:]:
        new.hear(1, new.certificate(F, proposal.view, proposal))
    asked = [send.to for send in new.said if isinstance(send.message, Fetch) and send.message.want]
    for send in old.engine.receive(0, question, old.now):
        assert isinstance(send, Send)
        assert isinstance(send.message, Supply)
        new.hear(asked[-1] or 0, send.message)

    assert new.engine.final.view == 4
    assert new.engine.held["anchors"] == 1
