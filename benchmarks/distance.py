"""
Finality between machines that are 25 ms apart: from the leader's proposal to the block on a node's disk.

Four processes whose every byte to each other takes that long, by an emulator between them (no root is needed; how
long it really takes is measured and told). Agreement needs three message delays, so 75 ms is what physics leaves;
transactions come singly, at all nodes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from guts_core.chain.block import header_of
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.forge.params import Params
from guts_net.disk import LocalDisk
from guts_net.store import ChainDatabase
from tests.net.world import World, found
from tests.ports import free_ports

from .figures import Figure, figure, percentile
from .run import VALIDATORS, Run
from .throughput import offer, started

DELAY_SECONDS = 0.025
DELAYS = 3
BAR = 1.15
# Transactions a second: one block at a time, with pauses.
RATE = 4
PARAMS = Params(delta_ms=200, retry_ms=1_000, heartbeat_ms=30_000)


def measure(run: Run) -> list[Figure]:
    """Milliseconds of each block with transactions on each node, and how they compare with three delays."""
    path, seconds = run.fresh("distance"), run.times(40, 15)
    world = found(path, VALIDATORS, params=PARAMS)
    with _far_apart(world) as times, started(world) as nodes:
        times()
        served = offer(nodes, RATE, seconds)
        median, most = times()
    assert not served.others, served.others
    took = [value for index in range(VALIDATORS) for value in _finalities(path, index)]
    bound = DELAYS * DELAY_SECONDS * 1000
    return [
        figure(
            "finality p50, 25 ms apart",
            "ms",
            took,
            note=f"physics leaves {bound:.0f} ms; of every block, every node; the way really takes {median:.1f} ms, "
            f"p99 {most:.1f} ms",
        ),
        figure("finality p50, of three delays", "x", [percentile(took, 0.5) / bound], bar=BAR),
        figure(
            "a client's answer, 25 ms apart", "ms", served.times, note="handed in anywhere, until it is on that disk"
        ),
    ]


@contextmanager
def _far_apart(world: World) -> Iterator[Callable[[], tuple[float, float]]]:
    """
    Every node is reached through a door behind which bytes take their time; the genesis file tells their addresses.

    What it gives tells how long they really took since it was asked last: median and 99th percentile.
    """
    doors = free_ports(VALIDATORS)
    addresses = {
        seat.keys["node"].public_key.hex(): f"127.0.0.1:{port}" for seat, port in zip(world.seats, doors, strict=True)
    }
    (world.path / "genesis.json").write_text(to_json(GenesisFile(world.genesis, addresses, ())))
    pairs = [str(port) for seat, door in zip(world.seats, doors, strict=True) for port in (door, seat.port)]
    command = [sys.executable, "-m", "benchmarks.delay", str(DELAY_SECONDS), *pairs]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wire, said = process.stdin, process.stdout
    assert wire is not None
    assert said is not None

    def times() -> tuple[float, float]:
        print(file=wire, flush=True)
        median, most = json.loads(said.readline())
        return median, most

    try:
        assert said.readline() == "ready\n"
        yield times
    finally:
        wire.close()
        process.wait()
        said.close()


def _finalities(path: Path, index: int) -> Iterator[float]:
    """For each block with transactions: milliseconds from its header's time to this node's line about its commit."""
    database = ChainDatabase(path / f"node{index}" / "chain.db", LocalDisk())
    try:
        for line in (path / f"node{index}.log").read_text().splitlines():
            said = json.loads(line)
            if said["event"] != "committed" or not said["transactions"]:
                continue
            stored = database.block_at(said["height"])
            assert stored is not None
            yield datetime.fromisoformat(said["time"]).timestamp() * 1000 - header_of(stored.body).time
    finally:
        database.close()
