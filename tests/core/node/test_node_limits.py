"""What a whole node does about forged votes that it finds late, and about answers to nothing."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.node.effects import Disconnect
from guts_core.node.events import PeerSaid
from guts_core.simplex.budget import RATES, Sort
from guts_core.simplex.messages import Fetch, Kind, Supply
from tests.core.node.node_world import World
from tests.core.node.test_node_epochs import EPOCH_MS, a_world, epoch
from tests.core.node.test_node_reports import a_vote

_KIND_BYTES = 3  # of a canonical record: its fields are counted, and its kind is named


def test_who_brought_a_forged_vote_is_banned_when_votes_are_counted() -> None:
    """Not sooner, and whoever completes the count is not at fault."""
    world = World()
    engine = world.seats[0].node.engine
    assert (engine.view, engine.leader) == (1, 1)
    one, two, three = (a_vote(world, signer, Kind.NULLIFY, None, 1) for signer in (1, 2, 3))
    assert world.say(2, 0, evolve(two, signature=bytes(64))) == []
    assert world.say(3, 0, three) == []

    effects = world.say(1, 0, one)

    banned = [effect for effect in effects if isinstance(effect, Disconnect)]
    assert [(effect.peer, effect.ban) for effect in banned] == [(2, True)]
    assert "validator 2 did not sign that nullify of view 1" in banned[0].reason
    assert engine.view == 2  # with its own vote the honest ones are a quorum


def test_an_answer_to_nothing_is_not_even_decoded() -> None:
    """One that was asked for is: then nonsense after its first bytes is a fault."""
    world = World()
    node, nonsense = world.seats[0].node, to_bytes(Supply((), ()))[:_KIND_BYTES] + b"\xff" * 1000
    asked = node.engine._state.asked
    asked[1], asked[2] = 0, 1

    assert world.tell(0, PeerSaid(1, nonsense)) == []
    assert node.engine.dropped["answers"] == 1
    assert [effect.peer for effect in world.tell(0, PeerSaid(2, nonsense)) if isinstance(effect, Disconnect)] == [2]


def test_an_epoch_that_begins_forgives_nobody() -> None:
    """What a peer said too much stays counted and spent, and who was silent before is not waited for anew."""
    world = a_world()
    world.pass_time(EPOCH_MS - 2_000)
    world.cut.add(3)
    question = Fetch(0, 0, (), 0)
    for _ in range(RATES[Sort.QUESTION].messages + 10):
        world.say(2, 0, question)
    dropped, heard = world.seats[0].node.engine.dropped, dict(world.seats[0].node.engine._state.heard)
    assert dropped["questions"] >= 10
    while epoch(world, 0) == 0:
        world.pass_time(100)

    state = world.seats[0].node.engine._state
    assert world.seats[0].node.engine.dropped["questions"] >= dropped["questions"]
    assert (state.heard[3], state.began) == (heard[3], 0)
