"""F41: a stolen vote key is out within minutes. F42: two quorums that contradict each other end a node with words."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_cli.checkup import look_at_node
from guts_cli.commands.node_status import _of_directory
from guts_cli.outcomes import EXIT_CODES
from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import Tag, encode, from_bytes, to_bytes, to_value
from guts_core.errors import Corrupt, ForkSeen, Unavailable
from guts_core.forge.actions import ProposeDecision, VoteDecision
from guts_core.forge.decisions import EndEpoch, RemoveValidator
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash
from guts_core.node.events import Started
from guts_core.node.node import Node, NodeConfig
from guts_core.sim.fates import dice
from guts_core.sim.faults import SECOND, Plan
from guts_core.sim.scenario import Scenario
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Message, Proposal, Propose
from guts_net.runtime import open_node
from tests.core.chain.chain_world import a_genesis, key
from tests.core.node.node_world import Seat, World
from tests.core.node.test_node_epochs import act, decide, epoch, votes_in
from tests.core.simplex.simplex_world import F, N, X
from tests.core.simplex.simplex_world import World as Engine
from tests.faults.test_fault_floods import flooded
from tests.net.world import World as Forge
from tests.net.world import found, status

DAY_MS, MINUTE_MS = 86_400_000, 60_000
STOLEN = 1
SEEDS_ASKED_MAX = 200
BLOCK = "two quorums contradict each other in view {}: one"


def an_idle_network() -> World:
    """Four validators with the usual day-long epochs, nobody at work; the new key lies beside the stolen one."""
    world = World(a_genesis(4, Params(epoch_ms=DAY_MS)))
    store = world.seats[STOLEN].store
    keys = (key("after the theft"),)
    config = NodeConfig(
        world.genesis, STOLEN, key(f"vote {STOLEN}"), Ed25519Verifier(), vote_signers=keys, node_signer=key("node 1")
    )
    seat = Seat(Node(config, store), store, log=list(world.seats[STOLEN].log))
    world.seats[STOLEN] = seat
    world.tell(STOLEN, Started(tuple(seat.log)))
    world.connect(STOLEN)
    world.pass_time(20 * MINUTE_MS)
    return world


def until_the_next_epoch(world: World, since: int) -> int:
    """How long it took, in ms of the network's clocks, from the first transaction on."""
    while {epoch(world, index) for index in range(4)} != {1}:
        world.pass_time(100)
        assert world.now - since < 10 * MINUTE_MS
    return world.now - since


def test_fault_F41_a_stolen_vote_key_is_rotated_out_in_far_under_ten_minutes() -> None:
    """Its operator rotates the seat, all end the epoch: from then on the key counts for nothing."""
    world = an_idle_network()
    since, stolen, new = world.now, key(f"vote {STOLEN}"), key("after the theft")
    act(world, STOLEN, compose.rotate_seat(chain_id(world.genesis), STOLEN, new, None))
    decide(world, EndEpoch())
    took = until_the_next_epoch(world, since)

    assert took < MINUTE_MS
    assert all(stolen.public_key not in seat.node.vote_keys for seat in world.seats)
    assert all(new.public_key in seat.node.vote_keys for seat in world.seats)
    world.pass_time(MINUTE_MS)
    world.a_repository()
    assert votes_in(world.seats[STOLEN].log, 1) != []


def test_fault_F41_the_others_take_a_stolen_key_out_without_its_operator() -> None:
    """A thief may hold the account too: five of seven operators are enough, and the seat goes with the next block."""
    world = World(a_genesis(7, Params(epoch_ms=DAY_MS)))
    world.pass_time(20 * MINUTE_MS)
    since = world.now
    act(world, 0, ProposeDecision(RemoveValidator(STOLEN), now=True))
    for operator in (2, 3, 4, 5):
        act(world, operator, VoteDecision(1, approve=True))
    while {epoch(world, index) for index in range(7)} != {1}:
        world.pass_time(100)
        assert world.now - since < MINUTE_MS

    assert all(key(f"vote {STOLEN}").public_key not in seat.node.vote_keys for seat in world.seats)
    assert votes_in(world.seats[STOLEN].log, 1) == []


# ---- F42 ----


def forks(world: Engine, peer: int, *messages: Message) -> str:
    """The sentence with which the engine ends; from then on it says nothing else."""
    with pytest.raises(ForkSeen) as seen:
        world.hear(peer, *messages)
    with pytest.raises(Corrupt, match="two quorums contradict"):
        world.engine.tick(world.now)
    assert world.engine.next_deadline() is None
    assert "picks no side" in str(seen.value)
    shown = [from_bytes(Certificate, one) for one in seen.value.certificates]
    for one in shown:
        world.engine.check_certificate(one)
    assert len({to_bytes(one) for one in shown}) == len(shown) > 0
    return str(seen.value)


def rivals(world: Engine, view: int = 1) -> tuple[Propose, Propose]:
    """Two blocks of one view."""
    return world.block(view), world.block(view, word=b"another")


def final(world: Engine) -> Propose:
    """The first of two rivals is final here; the second."""
    one, other = rivals(world)
    world.hear(1, one)
    world.hear(2, world.certificate(N, 1, one.proposal), world.certificate(F, 1, one.proposal))
    assert world.engine.final == one.proposal
    return other


def test_fault_F42_another_final_block_of_a_final_view_ends_the_node_with_words() -> None:
    world = Engine()
    other = final(world)

    assert BLOCK.format(1) in forks(world, 3, world.certificate(F, 1, other.proposal))
    assert [len(world.replica.log), EXIT_CODES[ForkSeen.code]] == [1, 78]


def test_fault_F42_a_final_block_on_another_branch_ends_the_node_with_words() -> None:
    world = Engine()
    other = final(world)
    child = world.block(2, other.proposal)
    world.hear(2, child)

    assert BLOCK.format(2) in forks(world, 3, world.certificate(F, 2, child.proposal))


def test_fault_F42_contradictions_above_what_is_final_end_the_node_with_words() -> None:
    for first, second in ((N, N), (X, F)):
        world = Engine()
        one, other = rivals(world)
        world.hear(1, world.certificate(first, 1, None if first is X else one.proposal))

        assert BLOCK.format(1) in forks(world, 3, world.certificate(second, 1, other.proposal))


async def test_fault_F42_a_fork_stays_told_until_its_file_is_removed(tmp_path: Path) -> None:
    """One of a network hears from another what a quorum never may sign; its operator reads of it at every start."""
    world = found(tmp_path, 4)
    directory = world.seats[0].directory
    rivals = [to_bytes(nullified_and_final(world, kind)) for kind in (X, F)]
    with pytest.raises(ExceptionGroup) as ended:
        await until_it_ends(world, rivals)
    assert ended.group_contains(ForkSeen, match=f"both certificates are in {directory}/fork.seen: remove that file")

    said, *held = (directory / "fork.seen").read_text().splitlines()
    assert "two quorums contradict each other in view 1" in said
    assert sorted(held) == sorted(one.hex() for one in rivals)
    with pytest.raises(ForkSeen, match=r"two quorums contradict each other in view 1.*remove that file"):
        async with open_node(world.settings(0)):
            pass
    found_wrong = [one for one in look_at_node(directory) if one.check == "fork"]
    assert [said in one.message for one in found_wrong] == [True]
    with pytest.raises(Unavailable, match="does not run: two quorums contradict"):
        _of_directory(directory)
    (directory / "fork.seen").unlink()
    async with open_node(world.settings(0)) as node:
        assert (await status(node)).halted is None


async def until_it_ends(world: Forge, messages: list[bytes]) -> None:
    """A node that hears these from one of its peers."""
    with trio.fail_after(180):
        async with open_node(world.settings(0)), flooded(world, 0) as liar:
            await liar.say(messages)
            await trio.sleep_forever()


def nullified_and_final(world: Forge, kind: Kind) -> Certificate:
    """What a quorum of three signs in view 1: that nothing came of it, or that a block did."""
    chain = chain_id(world.genesis)
    committee = Committee(chain, 0, world.genesis.vote_keys, world.genesis.fault_model, Ed25519Verifier())
    proposal = None if kind is X else Proposal(0, 1, 0, BlockHash(bytes(32)), BlockHash(b"1" * 32))
    body = encode((int(kind), 0, 1, None if proposal is None else to_value(proposal)))
    votes = [(seat, world.seats[seat].keys["vote"].sign(Tag.SIGN_VOTE, chain, body)) for seat in (1, 2, 3)]
    return assemble(committee, kind, 1, proposal, votes)


def test_fault_F42_who_only_claims_a_second_quorum_is_not_believed() -> None:
    """Signatures are checked before anything stops."""
    world = Engine()
    other = final(world)
    genuine = world.certificate(F, 1, other.proposal)
    forged = type(genuine)(F, 0, 1, other.proposal, genuine.signers, tuple(bytes(64) for _ in genuine.signatures))
    with pytest.raises(Exception, match="did not sign"):
        world.hear(3, forged)
    assert world.engine.halted is None


def beyond(seed: int) -> str:
    """What became of a network in which two of four run twice, and chance splits the rest between them."""
    # Links that differ are enough, and worse ones keep the twins apart from those whom they would split.
    plan = evolve(Plan.calm(4), delay_us=(5_000, 40_000), chaos_us=2 * SECOND, heal_us=SECOND, is_beyond=True)
    liars = dict.fromkeys(dice(seed, "liars").sample(range(4), 2), "twins")
    world = Scenario(seed, 4, plan, villains=liars).world()
    world.run()  # raises Broken if what was final anywhere ever changes, untold
    return world.verdict


def test_fault_F42_with_twins_beyond_the_bound_a_fork_is_detected_and_never_chosen() -> None:
    """
    Which seeds fork is theirs to decide anew with every change of agreement: one in three does.

    So they are asked one after another until one did; that none of so many does is less likely than a broken machine.
    """
    verdicts: list[str] = []
    while not any(verdict.startswith("detected: I") for verdict in verdicts):
        assert len(verdicts) < SEEDS_ASKED_MAX, "no fork was met: the twins do nothing any more"
        verdicts.append(beyond(len(verdicts)))

    assert {verdict.split(":")[0] for verdict in verdicts} <= {"held", "halted", "detected"}
