"""What a node still knows after a power cut: from its log, its database, and nothing else."""

from __future__ import annotations

from guts_core.chain.transaction import Item
from guts_core.codec import kinds, to_bytes
from guts_core.forge.actions import RefUpdate
from guts_core.node.attestation import Attested, live_attestations
from guts_core.node.effects import CommitBlock, SendPeer
from guts_core.node.events import Committed, PeerSaid, TransactionSubmitted
from guts_core.node.messages import AvailSaid
from guts_core.simplex import journal
from guts_core.simplex.effects import Persist
from guts_core.simplex.journal import LogVote
from guts_core.simplex.messages import Vote
from tests.core.chain.chain_world import MAIN, a_genesis, a_push, creation, oid
from tests.core.node.node_world import World, records_of
from tests.core.node.test_node_pushes import PACK, a_world, pushed_to_one_of, repo_of


def promises(log: list[bytes]) -> list[Attested]:
    """Those in a log."""
    return records_of(log, Attested, kinds.LOG_ATTESTED)


def test_fault_F02_a_promise_stands_in_the_log_before_anyone_hears_it() -> None:
    """What was said to be held is not swept at the next start."""
    world = a_world()
    push = Item(world.signed(a_push(repo_of(world), MAIN, None, oid("one"))), None, ())

    effects = world.tell(0, TransactionSubmitted(push, PACK, (0, 0)))

    promised = [isinstance(e, Persist) and e.sync and e.record[2] == kinds.LOG_ATTESTED for e in effects].index(True)
    said = [isinstance(e, SendPeer) and kinds.AVAIL_SAID in e.data[1:3] for e in effects].index(True)
    assert promised < said


def test_fault_F02_promises_outlive_a_restart_and_a_rewritten_log() -> None:
    """Until the transaction can be in no block any more."""
    world = a_world()
    tx_id = pushed_to_one_of(world)
    (promise,) = [a for a in promises(world.seats[0].log) if a.tx_id == tx_id]

    world.cut = {0}
    world.restart(0)
    assert world.seats[0].node.attested() == [promise]
    world.seats[0].log = world.seats[0].node.log_snapshot()
    world.restart(0)

    assert world.seats[0].node.attested() == [promise]
    assert live_attestations(world.seats[0].log, promise.expires) == [promise]
    assert live_attestations(world.seats[0].log, promise.expires + 1) == []


def test_a_promise_is_kept_until_the_block_that_outdates_it_is_on_disk() -> None:
    """A block that is final and not written may call the pack in again after a restart."""
    world = World(a_genesis(1))
    world.a_repository()
    world.commits = False
    push = a_push(repo_of(world), MAIN, None, oid("one"))
    world.submit(0, world.signed(push, expires=world.now + 2000), pack=PACK)
    world.pass_time(5000)
    world.submit(0, world.signed(creation("later")))
    seat = world.seats[0]
    assert len(seat.node.attested()) == 1

    for commit in seat.wanted_of(CommitBlock):
        seat.store.commit(commit.commit)
        world.tell(0, Committed(commit.commit.height))
    world.submit(0, world.signed(creation("later still")))

    assert seat.node.attested() == []


def test_fault_F03_no_conflicting_vote_after_restarts_with_rewritten_logs() -> None:
    """All votes of all lives of one validator, with its log rewritten between them."""
    world = World()
    votes: list[Vote] = []
    for life in range(6):
        world.submit(life % 4, world.signed(creation(f"r{life}")))
        for _ in range(3 + life):
            if world.queue:
                source, target, data = world.queue.popleft()
                world.tell(target, PeerSaid(source, data))
        votes += [record.vote for record in records_of(world.seats[1].log, LogVote, kinds.LOG_VOTE)]
        if life % 2:
            world.seats[1].log = world.seats[1].node.log_snapshot()
        world.restart(1)
        world.pass_time(3000)
    votes += [record.vote for record in records_of(world.seats[1].log, LogVote, kinds.LOG_VOTE)]

    assert len(votes) > 10
    by_place: dict[tuple[int, int], set[object]] = {}
    for vote in votes:
        by_place.setdefault((vote.kind, vote.view), set()).add(to_bytes(vote))
    assert {place: len(said) for place, said in by_place.items() if len(said) > 1} == {}
    assert len(world.roots) == 1


def test_fault_F05_a_push_whose_answer_was_lost_stands_and_repeats_without_effect() -> None:
    """The gateway dies before it answers; the client asks another node for the same."""
    world = a_world()
    push: RefUpdate = a_push(repo_of(world), MAIN, None, oid("one"))
    world.submit(0, world.signed(push), pack=PACK)
    world.settle()
    world.restart(0)
    world.pass_time(5000)

    again = world.submit(1, world.signed(push), pack=PACK)
    world.pass_time(5000)

    for seat in world.seats:
        standing = seat.node.ledger.transaction_status(again)
        assert standing.error is None
        assert standing.receipt is not None
    assert len(world.roots) == 1


def test_a_node_that_was_away_catches_up_and_votes_again() -> None:
    """Blocks come from peers; its own log says what it promised before."""
    world = a_world()
    world.cut = {3}
    for number in range(5):
        world.submit(0, world.signed(creation(f"r{number}")))
        world.pass_time(5000)
    assert world.heights[3] < world.heights[0]
    world.cut = set()

    world.restart(3)
    world.pass_time(5000)

    assert len(set(world.heights)) == 1
    assert len(world.roots) == 1


def test_the_engine_never_sees_records_of_other_rooms() -> None:
    """One log holds votes and promises; each room reads its own."""
    world = a_world()
    pushed_to_one_of(world)
    log = world.seats[0].log

    theirs = [data for data in log if not journal.belongs(data)]

    assert [type(promise) for promise in promises(log)] == [Attested] * len(theirs)
    assert theirs
    assert world.seats[0].said_of(AvailSaid)
