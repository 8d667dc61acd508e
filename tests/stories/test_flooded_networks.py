"""One validator says good words without end: the others agree, and are served, as if it did not."""

from __future__ import annotations

from guts_core.sim.replica_node import ReplicaNode
from tests.stories.flooded_world import RESTARTED, flooded


def test_the_others_agree_and_are_served_meanwhile() -> None:
    """One of them is started again in the middle of it; that every client is answered is judged by the world."""
    world = flooded(5)
    world.run()

    node, restarted = world.places[0].node, world.places[RESTARTED].node
    assert isinstance(node, ReplicaNode)
    assert isinstance(restarted, ReplicaNode)
    assert all(count > 0 for count in node.engine.dropped.values()), node.engine.dropped
    assert len(world.ledger.chain) >= 30
    assert restarted.height >= len(world.ledger.chain) - 2
    assert world.refused == {}  # too much of what is good is no fault
