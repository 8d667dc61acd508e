"""
A whole forge network in memory, from one number: people push to four validators of which one lies, while
nodes crash, links break, and packs get lost; then everything heals and every promise is checked.

    python examples/simulate_a_network.py 7
"""

from __future__ import annotations

import sys

from guts_core.sim.run import run_whole


def main(seed: int) -> int:
    """Run one seed; 0 when every invariant held."""
    report = run_whole(seed, nodes=4)
    print(f"{report.events} events, {report.simulated_us / 1e6:.1f} simulated seconds")
    print("blocks of the honest nodes:", ", ".join(map(str, report.heights)))
    for villain in report.villains:
        print(f"node {villain.node} was {villain.name}: it tried {villain.attempts} times")
    for what, count in sorted({**report.faults, **report.work}.items()):
        print(f"  {what}: {count}")
    print(report.problem or "every invariant held")
    return 0 if report.problem is None else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
