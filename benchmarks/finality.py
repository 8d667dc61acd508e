"""
Finality of a small transaction at n=4: four processes on loopback, real files, real fsync.

The client stands at one node's port, so that HTTP is not part of the figure: from handing the
transaction in to hearing that its block is committed on that node's disk.
"""

from __future__ import annotations

import cProfile
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio
from attrs import frozen

from guts_core.forge.actions import CreateRepository
from guts_core.forge.params import Params
from guts_core.forge.records import ObjectFormat
from guts_core.node.port import Act, Outcome, Phase
from guts_net.collecting import collect_rarely
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.net.world import WAIT_MS, World, ask, found, status

from .figures import Figure, figure, percentile
from .processes import cpu
from .profiling import told
from .run import VALIDATORS, Run

WARM_UP = 50
# Apart from those that are timed: a profiler doubles what it watches.
PROFILED = 100
BAR_MS = 10.0
PARAMS = Params(delta_ms=200, retry_ms=400)


@frozen
class Sample:
    """Milliseconds of each transaction, and what four nodes spent on one: processor milliseconds, and on what."""

    times: list[float]
    cpu_ms: float
    profile: str


@asynccontextmanager
async def network(path: Path) -> AsyncIterator[tuple[World, RunningNode, list[int]]]:
    """Validator 0 here, the others in processes of their own; all connected. With the processes' ids."""
    world = found(path, VALIDATORS, params=PARAMS)
    others = [_start(path, index, world.seats[index].port) for index in range(1, VALIDATORS)]
    try:
        async with open_node(world.settings(0)) as node:
            with trio.fail_after(30):
                while (await status(node)).peers < VALIDATORS - 1:  # noqa: ASYNC110 -- asked as any client asks
                    await trio.sleep(0.05)
            with _as_a_node():
                yield world, node, [os.getpid(), *(other.pid for other in others)]
    finally:
        for other in others:
            other.terminate()
        for other in others:
            other.wait()


@contextmanager
def _as_a_node() -> Iterator[None]:
    """Garbage is collected as in ``guts node run`` and the other three, and afterwards as before."""
    thresholds = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


def _start(path: Path, index: int, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.one_node", str(path), str(index), str(port)])


async def sample(path: Path, transactions: int) -> Sample:
    """One transaction after another."""
    async with network(path) as (world, node, pids):
        await world.give_credential(node)
        for number in range(WARM_UP):
            await finalize(world, node, number)
        before = cpu(pids)
        times = [await finalize(world, node, WARM_UP + number) for number in range(transactions)]
        cpu_ms = (cpu(pids) - before).total * 1000 / transactions
        profile = cProfile.Profile()
        profile.enable()
        for number in range(PROFILED):
            await finalize(world, node, WARM_UP + transactions + number)
        profile.disable()
        return Sample(times, cpu_ms, told(profile))


async def finalize(world: World, node: RunningNode, number: int) -> float:
    """Milliseconds until the creation of a repository is final."""
    action = CreateRepository(f"r{number}", os.urandom(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None)
    start = time.perf_counter()
    outcome = await ask(node, Act(world.credential.seed, (action,), (), WAIT_MS))
    seconds = time.perf_counter() - start
    assert isinstance(outcome, Outcome)
    assert (outcome.phase, outcome.error) == (Phase.FINAL, None)
    return seconds * 1000


def measure(run: Run) -> list[Figure]:
    """p50 and p99, beside the unit-cost bound of the same run."""
    taken = trio.run(sample, run.fresh("finality"), run.times(600, 200))
    return figures(taken, run.bound_ms, os.cpu_count() or 1)


def figures(taken: Sample, bound_ms: float, cores: int) -> list[Figure]:
    """The figures of a sample, with what dominates them."""
    p50, p99 = percentile(taken.times, 0.5), percentile(taken.times, 0.99)
    least = taken.cpu_ms / cores
    dominant = "the nodes' processor time" if least > p50 / 2 else "waiting for disk, wire and each other"
    note = (
        f"four nodes use {taken.cpu_ms:.1f} processor ms a transaction, at least {least:.1f} ms on {cores} cores; "
        f"dominated by {dominant}; by profile of the gateway's main thread: {taken.profile}"
    )
    return [
        figure("finality p50, n=4, loopback", "ms", taken.times, bar=BAR_MS, note=note),
        figure("finality p99, n=4, loopback", "ms", [p99]),
        figure("finality p50, of the unit-cost bound", "x", [p50 / bound_ms], note=f"bound {bound_ms:.2f} ms"),
    ]
