"""What a gateway does about a push of its own client that it cannot vouch for any more."""

from __future__ import annotations

from random import Random

from guts_core.node.events import PackChecked, TransactionSubmitted
from guts_core.sim.forge_cast import ForgeCast
from guts_core.sim.forge_node import ForgeNode
from guts_core.sim.people import Desk, People, Wish
from guts_core.sim.ports import Refusal, Say
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel

WALL_MS = 1_700_000_000_000
NOW = Instant(1_000_000, WALL_MS)
PROBLEM = "invalid: its object is below no ref"


def a_gateway_with_a_push() -> tuple[ForgeNode, Wish]:
    players = ForgeCast(1, 4, FaultModel.BYZANTINE, {})
    node = players.make(0, [], [])
    node.start(Instant(0, WALL_MS))
    people = People(Random(1), players.genesis, players.ring)  # noqa: S311  # who wants what, no secret
    desk = Desk(0, node.store, lambda _repo: {}, WALL_MS + 60_000)
    wishes = (people.wish(desk) for _ in range(1_000))
    push = next(wish for wish in wishes if wish is not None and wish.label == "push to create")
    said = node.receive(TransactionSubmitted(push.item, push.pack, (0, 0)), NOW)
    assert any(isinstance(act, Say) for act in said)
    return node, push


def test_a_push_that_refs_moved_away_from_is_answered_at_once() -> None:
    """Nobody else would attest it now either, and its client would wait for half an hour; but it was announced."""
    node, push = a_gateway_with_a_push()

    acts = node.receive(PackChecked(push.tx_id, 0, 1, PROBLEM), NOW)

    assert [Refusal(push.tx_id, "invalid", may_happen=True)] == [act for act in acts if isinstance(act, Refusal)]
    assert not node.node.knows(push.tx_id)


def test_a_push_that_could_not_be_looked_at_lives_on() -> None:
    """A full disk says nothing about the push."""
    node, push = a_gateway_with_a_push()

    acts = node.receive(PackChecked(push.tx_id, 0, 1, "unavailable: no space left", may_pass=True), NOW)

    assert [act for act in acts if isinstance(act, Refusal)] == []
    assert node.node.knows(push.tx_id)
