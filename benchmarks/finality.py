"""
Finality of a small transaction at n=4: four processes on loopback, real files, real fsync.

The client stands at one node's port, so that HTTP is not part of the figure: from handing the
transaction in to hearing that its block is committed on that node's disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from tests.net.world import WAIT_MS, World, ask, found, status

from guts_core.forge.actions import CreateRepository
from guts_core.forge.params import Params
from guts_core.forge.records import ObjectFormat
from guts_core.node.port import Act, Outcome, Phase
from guts_net.runtime import RunningNode, open_node

from .figures import Figure, figure, percentile

VALIDATORS = 4
WARM_UP = 50
TRANSACTIONS = 400
BAR_MS = 10.0
PARAMS = Params(delta_ms=200, retry_ms=400)


@asynccontextmanager
async def network(path: Path, validators: int = VALIDATORS) -> AsyncIterator[tuple[World, RunningNode]]:
    """Validator 0 here, the others in processes of their own; all connected."""
    world = found(path, validators, params=PARAMS)
    others = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.one_node", str(path), str(i), str(world.seats[i].port)])
        for i in range(1, validators)
    ]
    try:
        async with open_node(world.settings(0)) as node:
            with trio.fail_after(30):
                while (await status(node)).peers < validators - 1:
                    await trio.sleep(0.05)
            yield world, node
    finally:
        for other in others:
            other.terminate()
        for other in others:
            other.wait()


async def measure_in(path: Path) -> list[float]:
    """Milliseconds of each transaction, one after another."""
    async with network(path) as (world, node):
        await world.give_credential(node)
        times = []
        for number in range(WARM_UP + TRANSACTIONS):
            action = CreateRepository(
                f"r{number}", os.urandom(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None
            )
            start = time.perf_counter()
            outcome = await ask(node, Act(world.credential.seed, (action,), (), WAIT_MS))
            times.append((time.perf_counter() - start) * 1000)
            assert isinstance(outcome, Outcome)
            assert (outcome.phase, outcome.error) == (Phase.FINAL, None)
    return times[WARM_UP:]


def measure(bound_ms: float) -> list[Figure]:
    """p50 and p99, beside the unit-cost bound of the same run."""
    with tempfile.TemporaryDirectory() as directory:
        times = trio.run(measure_in, Path(directory))
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    note = f"{p50 / bound_ms:.1f}x the unit-cost bound of {bound_ms:.2f} ms"
    return [
        figure("finality p50, n=4, loopback", "ms", times, bar=BAR_MS, note=note),
        figure("finality p99, n=4, loopback", "ms", [p99]),
    ]


if __name__ == "__main__":
    for one in measure(1.0):
        print(one)
