"""What a node lets go of, what it says of that, and how one goes on that needed it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import httpx
import pytest
import trio
from attrs import evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.genesis_json import genesis_from_json
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_http.doors import doors
from guts_net import archive, state_sync
from guts_net.archive import FarBehind
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.logs import Log
from guts_net.pruning import BLOCKS_A_STEP, Pruner
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings
from guts_net.snapshots import Snapshots
from guts_net.store import ChainDatabase

from .long_chain import a_follower, a_long_world, write_chain
from .world import World, status, wait_until

MINUTE = 60_000
EPOCH_BLOCKS, BLOCKS = 100, 450
# What evidence may still name: of four epochs that ended the last two, and the one that goes on.
FIRST_KEPT = 2 * EPOCH_BLOCKS + 1


async def an_old_network(path: Path) -> World:
    """Seven hours of blocks, a minute apart, and four epochs that ended."""
    world = a_long_world(path, EPOCH_BLOCKS, BLOCKS, MINUTE)
    assert await write_chain(world, BLOCKS, MINUTE) == 4
    return world


def pruned(world: World, keep_ms: int) -> tuple[list[int], int]:
    """What each step let go, and the lowest block that is left."""
    directory, chain = world.seats[0].directory, chain_id(world.genesis)
    with closing(ChainDatabase(directory / "chain.db", LocalDisk())) as database:
        snapshots = Snapshots(directory, LocalDisk(), chain, Log("test"))
        pruner = Pruner(database, directory / "chain.db", chain, snapshots, keep_ms)
        steps = []
        while gone := pruner.prune_some():
            steps.append(gone)
        return steps, database.first_block()


async def test_only_what_is_old_enough_goes_and_never_what_evidence_may_name(tmp_path: Path) -> None:
    world = await an_old_network(tmp_path)
    blocks_of_hours = EXPIRY_MS_MAX // MINUTE * 5

    by_age = pruned(world, EXPIRY_MS_MAX * 5)
    all_it_may = pruned(world, 0)
    again = pruned(world, 0)

    assert by_age == ([BLOCKS - blocks_of_hours - 1], BLOCKS - blocks_of_hours)
    assert all_it_may == ([FIRST_KEPT - by_age[1]], FIRST_KEPT)
    assert again == ([], FIRST_KEPT)
    assert max(by_age[0]) <= BLOCKS_A_STEP


def pruning(world: World) -> NodeSettings:
    """The validator, told to keep no more than it must."""
    return evolve(world.settings(0), keep_blocks_ms=1)


async def has_pruned(node: RunningNode, world: World) -> None:
    """Until nothing is left to let go."""
    path = world.seats[0].directory / "chain.db"
    with closing(ChainDatabase(path, LocalDisk())) as database:
        await wait_until(lambda: database.first_block() == FIRST_KEPT)
    assert (await status(node)).height >= BLOCKS


async def test_a_pruned_block_is_told_as_that_and_newer_ones_are_proven(tmp_path: Path) -> None:
    """What somebody needs to join is still said: the genesis file, and where nodes are."""
    world = await an_old_network(tmp_path)
    database = world.seats[0].directory / "chain.db"

    async with open_node(pruning(world)) as node, trio.open_nursery() as nursery:
        await has_pruned(node, world)
        url = await nursery.start(doors("127.0.0.1:0"), node, database)
        async with httpx.AsyncClient(base_url=f"{url}/api/guts/v1") as http:
            gone = await http.get(f"/blocks/{FIRST_KEPT - 1}")
            there = await http.get(f"/blocks/{FIRST_KEPT}")
            shown = await http.get("/genesis")
            places = await http.get("/places")
        nursery.cancel_scope.cancel()

    assert gone.status_code == 410
    assert gone.json()["code"] == "pruned"
    assert gone.json()["message"].startswith(f"block {FIRST_KEPT - 1} is pruned below {FIRST_KEPT}: this node keeps")
    assert there.json()["height"] == FIRST_KEPT
    assert genesis_from_json(shown.text).chain_id == chain_id(world.genesis)
    assert places.json() == [
        {"node_id": world.genesis.validators[0].node_key.hex(), "addresses": [world.settings(0).p2p]}
    ]


async def test_a_node_whose_next_block_is_nowhere_goes_on_from_a_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had stopped long ago; its peers let go of what came next."""
    monkeypatch.setattr(archive, "STUCK_SECONDS", 0.5)
    world = await an_old_network(tmp_path)
    settings = a_follower(world)
    assert await write_chain(world, EPOCH_BLOCKS // 2, MINUTE, settings.directory) == 0

    async with open_node(pruning(world)) as validator:
        await has_pruned(validator, world)
        with pytest.RaisesGroup(
            pytest.RaisesExc(FarBehind, match="no peer has block 51 any more"), flatten_subgroups=True
        ):
            async with open_node(settings) as left_behind:
                assert left_behind.height == EPOCH_BLOCKS // 2
                with trio.fail_after(180):
                    await trio.sleep_forever()
        assert state_sync.is_wanted(settings.directory)

        async with open_node(settings) as follower:
            assert follower.height >= 4 * EPOCH_BLOCKS
            await wait_until(lambda: follower.height >= BLOCKS)
            outcome = await world.give_credential(follower)

    assert outcome.error is None
    assert not state_sync.is_wanted(settings.directory)
