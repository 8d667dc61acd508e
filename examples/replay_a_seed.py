"""
A seed is a whole story: the same number gives the same events everywhere, and what went wrong in it
can be changed one thing at a time to find out what mattered.

    python examples/replay_a_seed.py 67
"""

from __future__ import annotations

import sys

from guts_core import Report, simulate_forge


def main(seed: int) -> int:
    """Run a seed, run it again, run it with an honest cast; 0 when both first runs were one."""
    first, again = simulate_forge(seed), simulate_forge(seed)
    honest = simulate_forge(seed, villains=False)

    tell("first", first)
    tell("again", again)
    tell("nobody lies", honest)
    is_same = first.trace == again.trace
    print("the same story twice" if is_same else "NOT the same story: the simulator is broken")
    return 0 if is_same else 1


def tell(name: str, report: Report) -> None:
    """One line on a run."""
    liars = ", ".join(f"node {v.node} is a {v.name}" for v in report.villains) or "all honest"
    blocks = "/".join(map(str, report.heights))
    print(f"{name:12} trace {report.trace[:16]}  blocks {blocks}  {liars}: {report.problem or 'held'}")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 67))
