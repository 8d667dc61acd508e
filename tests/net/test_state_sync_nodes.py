"""A follower joins a running network by a snapshot, follows its blocks, and passes writes on."""

from __future__ import annotations

from pathlib import Path

import trio

from guts_core.node.port import Phase
from guts_net import state_sync
from guts_net.disk import LocalDisk
from guts_net.runtime import open_node

from .long_chain import a_follower, a_long_world, write_chain
from .world import status, wait_until

BLOCKS = 700


async def test_a_follower_joins_by_a_snapshot_and_passes_writes_on(tmp_path: Path) -> None:
    world = a_long_world(tmp_path, blocks_an_epoch=300, blocks=BLOCKS)
    assert await write_chain(world, BLOCKS) == 2
    settings = a_follower(world)
    state_sync.want(settings.directory, LocalDisk())

    async with open_node(world.settings(0)) as validator, open_node(settings) as follower:
        began = await status(follower)
        assert began.height >= 600  # the end of the second epoch, and not block by block from the first
        outcome = await world.give_credential(follower)
        assert outcome.phase is Phase.FINAL
        height = (await status(validator)).height
        await wait_until(lambda: follower.height >= height)
        assert (await status(follower)).height >= BLOCKS

    assert not state_sync.is_wanted(settings.directory)
    with trio.fail_after(180):
        async with open_node(settings) as again:
            assert (await status(again)).height >= BLOCKS


async def test_blocks_of_three_epochs_come_one_by_one_while_nobody_says_anything_new(tmp_path: Path) -> None:
    world = a_long_world(tmp_path, blocks_an_epoch=150, blocks=400)
    assert await write_chain(world, 400) == 2
    async with open_node(world.settings(0)) as validator, open_node(a_follower(world)) as follower:
        await wait_until(lambda: follower.height >= 400)
        assert (await status(follower)).epoch == (await status(validator)).epoch == 2
