"""A network that is watched with a clock: when each node entered each view, and how patient it was."""

from __future__ import annotations

from attrs import evolve

from guts_core.sim.faults import SECOND, Loss, Plan
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.place import Event
from guts_core.sim.replica_node import DELTA_US, HEARTBEAT_US, HonestCast, ReplicaNode
from guts_core.sim.world import World
from guts_core.simplex.quorum import FaultModel

NODES, AWAY = 4, 3
# From here on nobody who is away is waited for: two heartbeats, and as long as two views may take.
ABSENT_AFTER_US = 2 * HEARTBEAT_US + 6 * DELTA_US
# A client comes by every few milliseconds, so that there is always something to agree on.
WORK_US = 4_000
DELAY_US = 4_000, 5_000
# A vote on its way, its sync, and that of whoever counts it; and how far apart two nodes enter a view.
TRIP_US = 5_000 + 500 + 500
# Work may be a while in coming, and is then told to the others.
SLACK_US = 2 * WORK_US + 2 * TRIP_US
# A message takes three deltas, until it takes one.
SLOW_US, SLOW_UNTIL_US = 3 * DELTA_US, 15 * SECOND

CALM = evolve(Plan.calm(NODES), delay_us=DELAY_US, work_us=WORK_US)
SLOW_LINKS = evolve(CALM, delay_us=(SLOW_US, SLOW_US + 1), work_us=100_000, chaos_us=SLOW_UNTIL_US, heal_us=4 * SECOND)
NEVER_THERE = evolve(CALM, losses=(Loss(AWAY, 0),), chaos_us=4 * SECOND, heal_us=SECOND // 2)


class Timed(World):
    """Honest nodes."""

    def __init__(self, plan: Plan, seed: int = 11) -> None:
        ledger = VoteLedger(NODES, FaultModel.BYZANTINE, frozenset())
        super().__init__(seed, plan, HonestCast(seed, NODES), NODES, ledger)
        self.entered: list[dict[int, int]] = [{} for _ in range(NODES)]
        self.deltas: list[list[tuple[int, int]]] = [[] for _ in range(NODES)]  # since when it was so patient

    def _happen(self, event: Event) -> None:
        super()._happen(event)
        index = event[3]
        node = self.places[index].node
        if isinstance(node, ReplicaNode):
            self.entered[index].setdefault(node.engine.view, self.time)
            delta = node.engine._state.delta
            if not self.deltas[index] or self.deltas[index][-1][1] != delta:
                self.deltas[index].append((self.time, delta))

    def waits(self, leader: int, since: int, until: int) -> list[int]:
        """How long each view of this leader that was entered within this time held each node up."""
        return [
            views[view + 1] - at
            for views in self.entered
            for view, at in views.items()
            if view % NODES == leader and since <= at < until and view + 1 in views
        ]
