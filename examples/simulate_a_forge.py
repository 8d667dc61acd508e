"""
A whole forge network in memory: people push through four validators, one node is cut off for two
seconds, catches up when the network heals, and every promise is checked on the way.

    python examples/simulate_a_forge.py 7
"""

from __future__ import annotations

import sys

from attrs import evolve

import guts_core

NODES, SECOND = 4, 1_000_000


def main(seed: int) -> int:
    """Run one seed; 0 when every invariant held."""
    cut = guts_core.Partition(since=SECOND, until=3 * SECOND, left=frozenset({3}), one_way=False)
    plan = evolve(guts_core.Plan.calm(NODES), partitions=(cut,), chaos_us=3 * SECOND, heal_us=3 * SECOND)

    report = guts_core.simulate_forge(seed, NODES, plan=plan, villains=False)

    print(f"{report.simulated_us / SECOND:.0f} simulated seconds, {report.events} events")
    print(f"node 3 was cut off: {report.faults['cut off']} messages did not pass")
    print("blocks of each node at the end:", ", ".join(map(str, report.heights)))
    for what, count in report.work.items():
        print(f"  {what}: {count}")
    print(report.problem or "every invariant held")
    return 0 if report.problem is None else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
