"""How long a follower takes to join a network of ten thousand blocks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import trio

from guts_net import state_sync
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.net.long_chain import a_follower, a_long_world, write_chain
from tests.net.world import World

from .figures import Figure
from .run import Run

BLOCKS = 10_000
# Two epochs have ended: the newest snapshot is of height 8,192, and 1,808 blocks follow it.
BLOCKS_AN_EPOCH = 4_096
BAR_SECONDS = 10.0
LOOK_SECONDS = 0.01


def measure(run: Run) -> list[Figure]:
    """Seconds from the start of the follower until it stands where the network does."""
    times = run.times(3, 1)
    seconds = [trio.run(_measure_once) for _ in range(times)]
    name, note = f"join a network of {BLOCKS:,} blocks", "a snapshot of height 8,192, then 1,808 blocks executed"
    return [Figure(name, "s", median(seconds), min(seconds), max(seconds), times, BAR_SECONDS, note=note)]


async def _measure_once() -> float:
    with tempfile.TemporaryDirectory() as directory:
        world = a_long_world(Path(directory), BLOCKS_AN_EPOCH, BLOCKS)
        await write_chain(world, BLOCKS)
        return await _join(world)


async def _join(world: World) -> float:
    settings = a_follower(world)
    state_sync.want(settings.directory, LocalDisk())
    async with open_node(world.settings(0)):
        began = perf_counter()
        async with open_node(settings) as follower:
            await _reach(follower)
            return perf_counter() - began


async def _reach(follower: RunningNode) -> None:
    while follower.height < BLOCKS:  # noqa: ASYNC110  # a measurement looks from outside
        await trio.sleep(LOOK_SECONDS)
