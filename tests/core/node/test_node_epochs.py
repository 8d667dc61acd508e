"""Whole nodes go from epoch to epoch: seats come, go and change their keys, and nobody votes twice (2.4)."""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.memory import MemoryStore
from guts_core.codec import kinds, to_bytes
from guts_core.forge import epochs
from guts_core.forge.actions import Action, ProposeDecision, VoteDecision
from guts_core.forge.decisions import Change, RemoveValidator
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.node.effects import CommitBlock
from guts_core.node.events import Event, PeerConnected, PeerSaid, Started
from guts_core.node.messages import Hello
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.effects import Persist
from guts_core.simplex.journal import LogStart, LogVote, epoch_of, read
from guts_core.simplex.messages import Kind
from tests.core.chain.chain_world import MINUTE, a_genesis, creation, key, salt
from tests.core.node.node_world import Seat, World, records_of

EPOCH_MS = 10_000


def a_world(validators: int = 4) -> World:
    """Epochs of ten seconds, a block each second at least."""
    return World(a_genesis(validators, Params(epoch_ms=EPOCH_MS, heartbeat_ms=1000)))


def follower(genesis: Genesis, index: int) -> Seat:
    """A node that the network does not know yet."""
    store = MemoryStore()
    config = NodeConfig(genesis, None, key(f"vote {index}"), Ed25519Verifier(), node_signer=key(f"node {index}"))
    return Seat(Node(config, store), store)


def join(world: World, seat: Seat) -> int:
    """It is linked to all the others, by the next free number."""
    world.seats.append(seat)
    index = len(world.seats) - 1
    world.tell(index, Started(()))
    for peer in range(index):
        world.tell(index, PeerConnected(peer))
        world.tell(peer, PeerConnected(index))
    world.settle()
    return index


def act(world: World, operator: int, action: Action, at: int = 0) -> None:
    """An operator does something, brought to one node."""
    world._salts += 1
    author = world.genesis.accounts[operator].id
    body = compose.by_account(
        chain_id(world.genesis), author, (action,), world.now + MINUTE, salt(f"act {world._salts}")
    )
    world.submit(at, compose.sign_with_account_key(body, key(f"operator {operator}")))
    world.pass_time(100)


def decide(world: World, change: Change, number: int = 1) -> None:
    """All operators approve; the next block ends the epoch."""
    act(world, 0, ProposeDecision(change, now=True))
    for operator in range(1, len(world.genesis.accounts)):
        act(world, operator, VoteDecision(number, approve=True))


def epoch(world: World, index: int) -> int:
    """Where a node stands."""
    return world.seats[index].node.engine.epoch


def votes_in(log: Sequence[bytes], number: int) -> list[LogVote]:
    """Own votes of one epoch."""
    return [one for one in records_of(log, LogVote, kinds.LOG_VOTE) if one.vote.epoch == number]


def test_epochs_pass_and_the_chain_goes_on() -> None:
    world = a_world()

    world.pass_time(3 * EPOCH_MS + 3000)

    assert {epoch(world, index) for index in range(4)} == {3}
    assert len(world.roots) == 1
    store = world.seats[0].store
    assert [store.epoch_end(number) is not None for number in range(4)] == [True, True, True, False]
    world.a_repository()


def test_a_single_validator_goes_on_too() -> None:
    world = a_world(1)
    world.pass_time(EPOCH_MS)
    world.a_repository("first")
    assert epoch(world, 0) == 1

    world.restart(0)
    world.a_repository("second")

    assert epoch(world, 0) == 1
    assert world.seats[0].node.seat == 0


def test_a_laggard_catches_up_over_five_epochs() -> None:
    """Each end is told by whoever is asked, and the blocks below it follow."""
    world = a_world()
    world.cut = {3}
    world.pass_time(6 * EPOCH_MS)
    assert (epoch(world, 3), world.seats[3].store.height()) == (0, 0)
    assert epoch(world, 0) >= 5

    world.cut = set()
    world.pass_time(5000)

    assert epoch(world, 3) == epoch(world, 0)
    assert len(set(world.heights)) == 1


def test_one_that_claims_a_far_epoch_does_not_keep_a_node_from_its_own() -> None:
    """It is asked now and then, as nobody can tell; agreement and catching up go on."""
    world = a_world()
    index = join(world, follower(world.genesis, 4))
    for peer in range(4):
        world.tell(peer, PeerSaid(index, to_bytes(Hello(9, 9, 10**6))))
    world.settle()
    world.cut = {3}
    world.pass_time(2 * EPOCH_MS)
    world.cut = set()
    world.pass_time(5000)

    assert epoch(world, 3) == epoch(world, 0) >= 2
    assert len(set(world.heights)) == 1


def test_a_node_that_follows_gets_a_seat_and_votes() -> None:
    """It executes what is final, forwards what it is given, and begins to vote with the epoch that seats it."""
    world = a_world()
    index = join(world, follower(world.genesis, 4))
    world.pass_time(3500)
    assert world.seats[4].store.height() == world.seats[0].store.height() > 0
    tx_id = world.submit(index, world.signed(creation("forwarded")))
    world.pass_time(2000)
    assert world.seats[0].store.receipt(tx_id) is not None
    assert votes_in(world.seats[4].log, 0) == []

    candidate = compose.add_validator(
        chain_id(world.genesis), "node-4", world.genesis.accounts[0].id, key("vote 4"), key("node 4")
    )
    decide(world, candidate)
    world.pass_time(3000)

    node = world.seats[4].node
    assert [seat.number for seat in epochs.current(node.ledger.view()).seats] == [0, 1, 2, 3, 4]
    assert (node.seat, node.index) == (4, 4)
    assert votes_in(world.seats[4].log, 1) != []
    assert world.seats[0].node.quorum == 4
    world.cut = {0}
    height = world.seats[1].store.height()
    world.pass_time(5000)
    assert world.seats[4].store.height() > height  # a quorum of five needs the new one now


def test_a_removed_validator_follows_without_votes() -> None:
    world = a_world()

    decide(world, RemoveValidator(1))
    world.pass_time(3000)

    assert {epoch(world, index) for index in range(4)} == {1}
    assert [world.seats[index].node.seat for index in range(4)] == [0, None, 1, 2]
    assert votes_in(world.seats[1].log, 1) == []
    before = world.heights
    world.pass_time(3000)
    assert len(set(world.heights)) == 1
    assert world.heights > before
    assert all(not seat.node.engine.halted for seat in world.seats)


def test_a_rotated_vote_key_signs_from_the_next_epoch_on() -> None:
    """Both keys lie beside the node; the seat says which one votes."""
    world = a_world()
    old, new = key("vote 1"), key("another vote 1")
    store = world.seats[1].store
    config = NodeConfig(world.genesis, 1, old, Ed25519Verifier(), vote_signers=(new,), node_signer=key("node 1"))
    seat = Seat(Node(config, store), store, log=list(world.seats[1].log))
    world.seats[1] = seat
    world.tell(1, Started(tuple(seat.log)))
    world.connect(1)
    world.pass_time(1000)

    act(world, 1, compose.rotate_seat(chain_id(world.genesis), 1, new, None))
    world.pass_time(2 * EPOCH_MS)

    starts = records_of(seat.log, LogStart, kinds.LOG_START)
    keys = {start.epoch: start.public_key for start in starts}
    assert keys[0] == old.public_key
    assert keys[1] == new.public_key
    assert votes_in(seat.log, 1) != []
    assert len(set(world.heights)) == 1


def test_a_vote_key_that_came_while_the_node_ran_signs_from_the_next_epoch_on() -> None:
    """Nobody starts a node again because its key was rotated."""
    world = a_world()
    old, new = key("vote 1"), key("another vote 1")
    store, found = world.seats[1].store, list[KeyPair]()
    config = NodeConfig(world.genesis, 1, old, Ed25519Verifier(), find_signers=lambda: found)
    seat = Seat(Node(config, store), store, log=list(world.seats[1].log))
    world.seats[1] = seat
    world.tell(1, Started(tuple(seat.log)))
    world.connect(1)
    world.pass_time(1000)

    found.append(new)
    act(world, 1, compose.rotate_seat(chain_id(world.genesis), 1, new, None))
    world.pass_time(2 * EPOCH_MS)

    assert seat.node.seat == 1
    assert votes_in(seat.log, 1) != []
    assert len(set(world.heights)) == 1


def test_the_log_tells_of_the_new_epoch_before_the_database_holds_its_beginning() -> None:
    """So a log that is older than its database is known for what it is."""
    world = a_world()
    world.pass_time(EPOCH_MS - 500)
    seen: list[tuple[int, str]] = []
    original = World.tell

    def watched(self: World, index: int, event: Event) -> object:
        effects = original(self, index, event)
        for effect in effects:
            if index == 0 and isinstance(effect, Persist) and isinstance(_engine_record(effect.record), LogStart):
                assert effect.sync
                seen.append((self.seats[0].store.height(), "start"))
                order = [type(one).__name__ for one in effects]
                assert order.index("Persist") < order.index("CommitBlock")
        return effects

    World.tell = watched  # type: ignore[assignment, method-assign]  # for this test
    try:
        world.pass_time(3000)
    finally:
        World.tell = original  # type: ignore[method-assign]  # as it was

    assert len(seen) == 1


def test_a_crash_at_every_effect_of_a_turn_loses_nothing_and_votes_nothing_twice() -> None:
    """Each prefix of what the turn orders is a disk that a power cut may leave behind."""
    cuts = _effects_of_a_turn()
    assert cuts == 3  # the proof that the epoch is over, the start of the next, the block
    for cut in range(cuts + 1):
        world, log, commits = _cut_at(cut)
        seat = world.seats[0]
        for commit in commits:
            seat.store.commit(commit.commit)
        seat.log = log
        world.restart(0)
        world.pass_time(4000)

        assert epoch(world, 0) == 1, cut
        assert len(set(world.heights)) == 1, cut
        cast: dict[tuple[int, int, Kind], LogVote] = {}
        for one in records_of(world.seats[0].log, LogVote, kinds.LOG_VOTE):
            place = one.vote.epoch, one.vote.view, one.vote.kind
            assert cast.setdefault(place, one) == one, cut


def _engine_record(data: bytes) -> object:
    return read(data) if data[2] != kinds.LOG_ATTESTED else None


def _world_before_the_turn() -> World:
    world = a_world()
    world.pass_time(EPOCH_MS - 300)
    return world


def _effects_of_a_turn() -> int:
    _, log, commits = _cut_at(None)
    return len(log) + len(commits)


def _cut_at(cut: int | None) -> tuple[World, list[bytes], list[CommitBlock]]:
    """Run until node 0 turns; of that step's writes, in order, so many happened. All of them: None."""
    world = _world_before_the_turn()
    found: list[list[Persist | CommitBlock]] = []
    seat = world.seats[0]
    receive = seat.node.receive
    before: list[int] = []

    def watched(event: Event, now: object) -> object:
        effects = receive(event, now)  # type: ignore[arg-type]  # passed through
        writes = [effect for effect in effects if isinstance(effect, Persist | CommitBlock)]
        turned = [
            one for one in writes if isinstance(one, Persist) and isinstance(_engine_record(one.record), LogStart)
        ]
        if turned and not found:
            found.append(writes)
            before.append(len(seat.log))
            world.cut = {0}
            return []
        return [] if found else effects

    seat.node.receive = watched  # type: ignore[method-assign, assignment]  # the disk stops in the middle of a step
    world.pass_time(2000)
    (writes,) = found
    writes = writes if cut is None else writes[:cut]
    world.cut = set()
    log = [one.record for one in writes if isinstance(one, Persist)]
    commits = [one for one in writes if isinstance(one, CommitBlock)]
    return world, (log if cut is None else seat.log[: before[0]] + log), commits


def test_records_of_the_log_name_their_epoch() -> None:
    world = a_world()
    world.pass_time(EPOCH_MS + 2000)

    assert {epoch_of(read(data)) for data in world.seats[0].log} == {0, 1}
    snapshot = [read(data) for data in world.seats[0].node.log_snapshot()]
    assert [one.epoch for one in snapshot if isinstance(one, LogStart)] == [1]
    world.seats[0].log = world.seats[0].node.log_snapshot()
    world.restart(0)
    world.pass_time(2000)
    assert len(set(world.heights)) == 1
