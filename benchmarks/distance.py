"""
Finality between machines that are 25 ms apart: from the leader's proposal to the block on a node's disk.

Four processes whose every byte to each other takes that long, by a proxy before each (no root is needed). Agreement
needs three message delays, so 75 ms is what physics leaves; transactions come singly, at all nodes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

import trio

from guts_cli.chaos.proxy import Proxy, Way, Weather
from guts_core.chain.block import header_of
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.forge.params import Params
from guts_net.disk import LocalDisk
from guts_net.store import ChainDatabase
from tests.net.world import World, found, free_ports

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
    with _far_apart(world), started(world) as nodes:
        served = offer(nodes, RATE, seconds)
    assert not served.others, served.others
    took = [value for index in range(VALIDATORS) for value in _finalities(path, index)]
    bound = DELAYS * DELAY_SECONDS * 1000
    return [
        figure(
            "finality p50, 25 ms apart", "ms", took, note=f"physics leaves {bound:.0f} ms; of every block, every node"
        ),
        figure("finality p50, of three delays", "x", [percentile(took, 0.5) / bound], bar=BAR),
        figure(
            "a client's answer, 25 ms apart", "ms", served.times, note="handed in anywhere, until it is on that disk"
        ),
    ]


@contextmanager
def _far_apart(world: World) -> Iterator[None]:
    """Every node is reached through a proxy that takes its time, both ways; the genesis file tells their addresses."""
    doors = free_ports(VALIDATORS)
    addresses = {
        seat.keys["node"].public_key.hex(): f"127.0.0.1:{port}" for seat, port in zip(world.seats, doors, strict=True)
    }
    (world.path / "genesis.json").write_text(to_json(GenesisFile(world.genesis, addresses, ())))
    ready, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=trio.run, args=(_carry, world, doors, ready, ended))
    thread.start()
    try:
        ready.wait()
        yield
    finally:
        ended.set()
        thread.join()


async def _carry(world: World, doors: list[int], ready: threading.Event, ended: threading.Event) -> None:
    async with trio.open_nursery() as nursery:
        for seat, door in zip(world.seats, doors, strict=True):
            ways = []
            for _ in range(2):
                ways.append(Way(Random(0)))
                ways[-1].weather = Weather(delay_seconds=DELAY_SECONDS)
            [listener] = await trio.open_tcp_listeners(door, host="127.0.0.1")
            await nursery.start(Proxy(partial(_address, seat.port), *ways).run, listener)
        ready.set()
        await trio.to_thread.run_sync(ended.wait, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


def _address(port: int) -> tuple[str, int]:
    return "127.0.0.1", port


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
