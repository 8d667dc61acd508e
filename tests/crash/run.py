"""``python -m tests.crash.run [NAME ...]``: everything that the tests try, in every variant, at every recovery."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from tests.crash.all_workloads import AGAIN_EVERY, BY_NAME
from tests.crash.exploring import Broken, explore

# The tests cut one recovery in so many; this does it to this many times as many of them.
AGAIN_MORE = 2


def main(names: Sequence[str]) -> int:
    """A line for each workload; 1 when a promise did not hold, 2 for a name that is none."""
    if unknown := set(names) - set(BY_NAME):
        print(f"no workload is called {', '.join(sorted(unknown))}: {', '.join(BY_NAME)}", file=sys.stderr)  # noqa: T201  # a command
        return 2
    for name in names or BY_NAME:
        began = time.monotonic()
        workload = BY_NAME[name]
        try:
            covered = explore(workload, every_variant=True, again_every=max(1, AGAIN_EVERY[workload] // AGAIN_MORE))
        except Broken as broken:
            print(f"BROKEN: {broken}")  # noqa: T201  # as above
            return 1
        print(f"{covered.line(name)}; {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201  # as above
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
