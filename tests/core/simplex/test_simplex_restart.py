"""Restarts: at every effect boundary, on the wrong log, on an older database."""

from __future__ import annotations

import pytest

from guts_core.errors import Corrupt
from guts_core.simplex.effects import Effect, Persist
from guts_core.simplex.journal import LogFloor, LogStart, LogVote, belongs, read, write
from guts_core.simplex.messages import Fetch, Kind, Message, Propose, SuppliedBlock, Supply, Vote
from tests.core.simplex.simplex_world import DELTA, HEARTBEAT, F, N, World, X


def history(world: World) -> list[tuple[int, Message]]:
    """Five views as peers would tell them: a block, a nullified view, blocks that finalize all."""
    first = world.block(1)
    second = world.block(2, first.proposal)
    fourth = world.block(4, second.proposal)
    said: list[tuple[int, Message]] = [(1, first), (2, world.vote(2, N, 1, first.proposal))]
    said += [(3, world.vote(3, N, 1, first.proposal)), (2, second)]
    said += [(1, world.vote(1, N, 2, second.proposal)), (3, world.vote(3, N, 2, second.proposal))]
    said += [(peer, world.vote(peer, X, 3)) for peer in (1, 2, 3)]
    said += [(3, world.certificate(F, 1, first.proposal)), (0, fourth)]
    return said


def cuts(world: World) -> int:
    """How many effects the whole history has."""
    return sum(len(world.hear(peer, message)) for peer, message in history(world) if peer != world.me)


def replay_until(world: World, boundary: int) -> list[Vote]:
    """Play the history, crash after this many effects; the votes that were said until then."""
    said: list[Vote] = []
    seen = 0
    durable: list[bytes] = list(world.log)
    pending: list[bytes] = []
    for peer, message in history(world):
        if peer == world.me:
            continue
        for effect in world.engine.receive(peer, message, world.now):
            if seen == boundary:
                world.log = durable
                return said
            seen += 1
            _perform(effect, durable, pending, said)
    world.log = durable
    return said


def _perform(effect: Effect, durable: list[bytes], pending: list[bytes], said: list[Vote]) -> None:
    if isinstance(effect, Persist):
        pending.append(effect.record)
        if effect.sync:
            durable += pending
            pending.clear()
        return
    message = getattr(effect, "message", None)
    if isinstance(message, Vote):
        said.append(message)
    if isinstance(message, Propose):
        said.append(message.vote)


def honest(votes: list[Vote]) -> None:
    """No two votes that one validator never casts together."""
    by_view: dict[tuple[Kind, int], set[object]] = {}
    for vote in votes:
        by_view.setdefault((vote.kind, vote.view), set()).add(vote.proposal)
    assert all(len(contents) == 1 for contents in by_view.values())
    assert not {view for kind, view in by_view if kind is X} & {view for kind, view in by_view if kind is F}


BOUNDARIES = cuts(World())


def test_the_history_is_long_enough_to_be_cut() -> None:
    assert BOUNDARIES > 20


@pytest.mark.parametrize("boundary", range(BOUNDARIES + 1))
def test_a_crash_at_any_effect_never_leads_to_a_contradicting_vote(boundary: int) -> None:
    """Unsynced records are lost; whatever left before the crash still holds after it."""
    world = World()
    said = replay_until(world, boundary)
    world.time += 10 * DELTA
    world.restart()
    other = World()
    other.author.submit(b"another history")
    for peer, message in history(other):
        if peer != world.me:
            world.hear(peer, message)
    world.wait(HEARTBEAT + 4 * DELTA)

    honest(said + world.votes_said())


def test_a_vote_before_the_crash_is_known_after_it() -> None:
    world = World()
    block = world.block(1)
    world.hear(1, block)
    world.restart()
    world.hear(1, world.block(1, word=b"changed my mind"))

    assert {block.proposal} == {vote.proposal for vote in world.votes_said(N)}


def finalized(views: int = 3) -> World:
    """A world in which this many views became final and the first is committed."""
    world = World()
    parent = world.engine.final
    for view in range(1, views + 1):
        block = world.block(view, parent)
        if view % 4 != world.me:
            world.hear(view % 4, block)
        world.hear(1, world.certificate(N, view, block.proposal), world.certificate(F, view, block.proposal))
        parent = block.proposal
        if view == 1:
            world.commit()
    return world


def test_finalized_blocks_that_were_not_committed_are_finalized_again() -> None:
    world = finalized()
    before = [final.block for final in world.replica.log]
    world.restart()

    assert before == [final.block for final in world.replica.log]
    assert world.engine.final.view == 3


def test_a_compacted_log_restores_the_same_engine() -> None:
    world = finalized()
    world.wait(HEARTBEAT + 2 * DELTA)  # this validator leads view 4, and proposes or gives up
    before = (world.engine.view, world.engine.final, world.engine.evidence())
    records = world.engine.snapshot_records()
    kinds = [type(read(record)) for record in records]
    assert [LogStart, LogFloor] == kinds[:2]
    assert all(belongs(record) for record in records)
    votes = {entry.vote for entry in world.written() if isinstance(entry, LogVote) and entry.vote.view > 3}
    assert votes

    world.restart(records)

    assert before == (world.engine.view, world.engine.final, world.engine.evidence())
    assert votes == {entry.vote for entry in map(read, records) if isinstance(entry, LogVote)}


def test_compaction_lets_go_of_what_is_committed() -> None:
    world = finalized()
    before = len(world.engine.snapshot_records())
    world.commit()

    assert world.engine.held["uncommitted"] == 0
    assert before > len(world.engine.snapshot_records())


def test_a_database_older_than_the_floor_is_replayed_from_the_log() -> None:
    """F08: while the log still holds the blocks, nobody need be asked."""
    world = finalized()
    world.commit()
    before = [final.block for final in world.durable]
    world.durable.clear()
    world.restart()
    world.commit()

    assert [final.block for final in world.durable] == before


def test_a_database_older_than_the_floor_is_caught_up_and_nothing_is_voted_below() -> None:
    """F08: lost commits are fetched again; votes up to the floor may be forgotten, so none is cast there."""
    world = finalized()
    world.commit()
    said = world.votes_said()
    floor, top = world.engine.final.view, world.engine.final
    blocks = [final.block for final in world.durable]
    assert floor == 3
    world.durable.clear()
    world.restart(world.engine.snapshot_records())
    assert (world.engine.final.view, world.engine.view) == (0, floor + 1)

    other = World()
    for view in range(1, floor + 1):
        changed = other.block(view, word=b"another history")
        world.hear(1, world.certificate(N, view, blocks[view - 1].proposal))
        if view % 4 != world.me:
            world.hear(view % 4, changed)
    world.wait(2 * DELTA)
    assert [vote for vote in world.votes_said() if vote.view <= floor and vote not in said] == []

    asked = [(send.to, send.message) for send in world.said if isinstance(send.message, Fetch) and send.message.want]
    assert asked, "the lost blocks are asked for"
    assert asked[-1][0] is not None
    world.hear(asked[-1][0], Supply((), tuple(SuppliedBlock(b.proposal, b.body) for b in reversed(blocks))))
    assert world.engine.final == top


def test_a_floor_that_was_told_once_is_told_again_after_another_compaction() -> None:
    """Restarted on an old database, compacted before it caught up, restarted again: still no vote below."""
    world = finalized()
    world.commit()
    world.durable.clear()
    world.restart()
    world.restart(world.engine.snapshot_records())

    assert world.engine.view == 4
    floor = world.written()[1]
    assert isinstance(floor, LogFloor)
    assert floor.final.view == 3


def test_a_lone_validator_with_a_database_older_than_the_floor_stops() -> None:
    """Nobody else has what it lost."""
    world = World(size=1)
    world.work(b"work")
    world.commit()
    assert world.durable
    world.durable.clear()
    with pytest.raises(Corrupt, match="no other validator has what it lost"):
        world.restart()


def test_an_empty_log_over_a_chain_is_refused() -> None:
    world = finalized()
    with pytest.raises(Corrupt, match="must not vote again"):
        world.restart([])


def test_a_log_of_another_validator_is_refused() -> None:
    other = World(me=2)
    with pytest.raises(Corrupt, match="another chain, epoch or key"):
        World().restart(other.log)


def test_a_log_that_contradicts_itself_is_refused() -> None:
    """Two own notarize votes of one view: the key was used elsewhere."""
    world = World()
    mine = [world.vote(0, N, 1, world.block(1, word=word).proposal) for word in (b"a", b"b")]
    with pytest.raises(Corrupt, match="two own votes of view 1"):
        world.restart([*world.log, *[write(LogVote(vote)) for vote in mine]])


def test_a_finalized_block_that_computes_to_another_state_halts_the_engine() -> None:
    """Two honest computations differ, or more than f lie: going on would make it worse."""
    world = World()
    wrong = world.page(1, world.engine.final, (b"word",), b"\x01" * 32)
    world.hear(1, wrong)
    assert [vote.kind for vote in world.votes_said()] == [X]

    with pytest.raises(Corrupt, match="another state"):
        world.hear(2, world.certificate(F, 1, wrong.proposal))

    assert world.engine.halted is not None
    assert world.engine.next_deadline() is None
    with pytest.raises(Corrupt, match="another state"):
        world.engine.tick(world.now)


def test_records_of_other_rooms_are_told_apart() -> None:
    world = World()
    assert all(belongs(record) for record in world.log)
    assert not belongs(b"\x83\x18\xcd\x00\x00")
    assert not belongs(b"")
    with pytest.raises(Corrupt, match="not what was written"):
        read(b"\x83\x18\xcd\x00\x00")
