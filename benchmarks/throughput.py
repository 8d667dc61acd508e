"""
How many small transactions a second four validators make final, and how long each takes, over the offered load.

Four processes on loopback, real files, real fsync; each has clients of its own, who hand in presigned transactions at
their times and hear when the block is on that node's disk (open loop: a slow answer delays no later question). The
load is raised until a third of it is no longer served in its time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from attrs import frozen

from guts_core.forge.params import Params
from tests.net.world import World, found

from .figures import Figure, figure, percentile
from .processes import cpu
from .run import VALIDATORS, Run

LOADS = (100, 250, 500, 1000, 1500, 2000, 2500, 3000, 4000)
SECONDS, QUICK_SECONDS = 6.0, 3.0
# Not counted at the beginning of each load: queues fill.
WARM_UP_SECONDS = 1.0
HEAD_START_SECONDS = 0.3
SERVED_LEAST = 0.67
GOAL = 1_500
PARAMS = Params(delta_ms=200, retry_ms=400, heartbeat_ms=30_000, quota_transactions=1 << 40)


@frozen
class Served:
    """What became of one load: transactions final a second, milliseconds of each, processor milliseconds for one."""

    offered: int
    rate: float
    times: list[float]
    cpu_ms: float
    others: dict[str, int]
    profile: str = ""

    @property
    def words(self) -> str:
        """For a table of loads."""
        if not self.times:
            return f"{self.offered:,}/s offered: none in time"
        p50, p99 = percentile(self.times, 0.5), percentile(self.times, 0.99)
        return f"{self.offered:,}/s offered: {self.rate:,.0f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms"


class Node:
    """One process, and the pipe to its clients."""

    def __init__(self, world: World, index: int) -> None:
        command = [sys.executable, "-m", "benchmarks.loaded_node", str(world.path), str(index)]
        self.process = subprocess.Popen(
            [*command, str(world.seats[index].port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def say(self, value: object) -> None:
        """A line to its clients."""
        print(json.dumps(value), file=_pipe(self.process.stdin), flush=True)

    def hear(self) -> str:
        """A line from them; waits for it."""
        line = _pipe(self.process.stdout).readline()
        if not line:
            raise RuntimeError("a node of the benchmark ended")
        return line.strip()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def started(world: World) -> Iterator[Sequence[Node]]:
    """All nodes of a network, each a process with clients of its own."""
    nodes = [Node(world, index) for index in range(VALIDATORS)]
    try:
        for node in nodes:
            assert node.hear() == "ready"
        yield nodes
    finally:
        for node in nodes:
            node.process.terminate()
        for node in nodes:
            node.process.wait()


def offer(nodes: Sequence[Node], load: int, seconds: float, *, profiled: bool = False) -> Served:
    """One load, the same share at every node, one after another; with the profile of one node if asked for."""
    for index, node in enumerate(nodes):
        node.say([load / len(nodes), seconds, profiled and not index])
    for node in nodes:
        assert node.hear() == "signed"
    pids = [node.process.pid for node in nodes]
    before, begins = cpu(pids), time.monotonic() + HEAD_START_SECONDS
    for index, node in enumerate(nodes):
        node.say(begins + index / load)  # in turns, so that they come evenly
    answers = [json.loads(node.hear()) for node in nodes]
    used = (cpu(pids) - before).total
    every = [pair for answer in answers for pair in answer["final"]]
    counted = [took for at, took in every if WARM_UP_SECONDS <= at <= seconds]
    others: dict[str, int] = {}
    for answer in answers:
        for name, count in answer["others"].items():
            others[name] = others.get(name, 0) + count
    rate, cpu_ms = len(counted) / (seconds - WARM_UP_SECONDS), used * 1000 / max(1, len(every))
    return Served(load, rate, counted, cpu_ms, others, answers[0]["profile"])


def sample(path: Path, seconds: float) -> tuple[list[Served], str]:
    """Every load up to the first that is not served, and a profile of one node at a calm one."""
    taken: list[Served] = []
    with started(found(path, VALIDATORS, params=PARAMS)) as nodes:
        for load in LOADS:
            taken.append(offer(nodes, load, seconds))
            print(f"    {taken[-1].words}", taken[-1].others or "", file=sys.stderr, flush=True)
            if taken[-1].rate < load * SERVED_LEAST:
                break
        half = calm(taken)
        # Apart from those that are counted: a profiler doubles what it watches.
        return taken, offer(nodes, half.offered, seconds, profiled=True).profile


def measure(run: Run) -> list[Figure]:
    """The most that was final in a second, and the time it took at half of that."""
    taken, profile = sample(run.fresh("throughput"), run.times(int(SECONDS), int(QUICK_SECONDS)))
    verify_ms = next(cost.median for cost in run.costs if cost.name == "Ed25519 verify")
    return figures(taken, verify_ms, os.cpu_count() or 1, profile)


def calm(taken: Sequence[Served]) -> Served:
    """The largest load of those that are at most half of what was served at best."""
    best = max(served.rate for served in taken)
    return ([served for served in taken if served.offered <= best / 2] or [taken[0]])[-1]


def figures(taken: Sequence[Served], verify_ms: float, cores: int, profile: str) -> list[Figure]:
    """The figures of these loads, beside what verifying one signature a transaction on every node allows."""
    best = max(taken, key=lambda served: served.rate)
    bound = 1000 * cores / (VALIDATORS * verify_ms)
    note = (
        f"goal {GOAL:,}; {best.cpu_ms:.2f} processor ms each on all nodes, their clients' part included; libsodium's "
        f"bound for one signature on every node {bound:,.0f}/s; "
        + "; ".join(served.words for served in taken)
        + f"; by profile of one node's main thread at half of it: {profile}"
    )
    half = calm(taken)
    return [
        figure("transactions final a second, n=4", "/s", [best.rate], note=note),
        figure(f"finality p50 at {half.offered:,}/s", "ms", half.times),
        figure(f"finality p99 at {half.offered:,}/s", "ms", [percentile(half.times, 0.99)]),
    ]
