"""
Four nodes in one process that may open few more files: ``python -m tests.faults.few_files DIRECTORY``.

Says ``ready PORT`` and reads lines: at each it waits for two more blocks and says the height.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import trio

from tests.net.world import found

# What four idle nodes open now and then: a thread's pipe, a git child, a log that rotates.
SPARE_FILES = 40


def files_open() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def main(directory: Path) -> None:
    """Until there are no more lines."""
    world = found(directory, 4)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        few = files_open() + SPARE_FILES
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
        print("ready", world.seats[0].port, flush=True)  # noqa: T201  # a program's output
        while await trio.to_thread.run_sync(sys.stdin.readline):
            before = nodes[1]._node.ledger.head.height
            with trio.fail_after(180):
                while nodes[1]._node.ledger.head.height < before + 2:  # noqa: ASYNC110  # heartbeats, a second each
                    await trio.sleep(0.05)
            print("height", nodes[1]._node.ledger.head.height, flush=True)  # noqa: T201  # as above


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]))
