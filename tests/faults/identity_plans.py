"""Seeds in which the disk of one validator is put back to an earlier day, or loses its vote log."""

from __future__ import annotations

import sys

from attrs import evolve

from guts_core.sim.fates import dice
from guts_core.sim.faults import SECOND, Plan, Restore
from guts_core.sim.ledger import Broken
from guts_core.sim.scenario import Scenario
from guts_core.sim.swarm import draw
from guts_core.sim.world import World

NODES = 4
_KEPT = (
    *("partitions", "clocks", "delay_us", "loss_per_mille", "duplicates_per_mille", "late_per_mille"),
    *("sync_us", "work_us", "commit_us"),
)
_CRASHES_US = 3 * SECOND // 2  # before the heal: a crash may forget a wish


def plan_of(seed: int) -> Plan:
    """Crashes, splits and losses as ever, and a restore in the middle of them."""
    roll = dice(seed, "identity")
    drawn = draw(roll, NODES)
    crashes = tuple(evolve(crash, at=crash.at % _CRASHES_US) for crash in drawn.crashes)
    # Of what the swarm draws besides, some is put right later than these short runs end.
    plan = evolve(Plan.calm(NODES), **{name: getattr(drawn, name) for name in _KEPT})
    plan = evolve(plan, crashes=crashes, chaos_us=2 * SECOND, heal_us=3 * SECOND)
    at = roll.randrange(SECOND // 2, 3 * SECOND // 2)
    what = roll.choice(("both", "both", "log"))
    return evolve(plan, restores=(Restore(roll.randrange(NODES), at, roll.randrange(1, at), what),))


def played(seed: int) -> World:
    """The end of a seed; raises Broken. Everybody is honest, and nobody is excused: the restored one neither."""
    world = Scenario(seed, NODES, plan_of(seed)).world()
    world.run()
    return world


def main() -> int:
    """Play so many seeds, from the first one on."""
    count, broken = int(sys.argv[1]), 0
    for seed in range(count):
        try:
            played(seed)
        except Broken as problem:
            broken += 1
            sys.stdout.write(f"seed {seed}: {problem}\n")
    sys.stdout.write(f"{count} seeds, {broken} broken\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
