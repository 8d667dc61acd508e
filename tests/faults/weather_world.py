"""Four whole nodes in one process whose links go through proxies: a test makes their weather and moves their clocks."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import cast

import trio
from attrs import define, evolve, field

from guts_cli.chaos.roads import Roads
from guts_core.chain import compose
from guts_core.chain.block import Block
from guts_core.chain.commit import StoredBlock
from guts_core.chain.genesis import chain_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge.actions import CreateRepository
from guts_core.forge.records import ObjectFormat
from guts_core.names import RefName
from guts_core.node.port import Outcome, Phase, Status, SubmitTransaction
from guts_net.clock import MachineClock
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings
from guts_net.store import ChainDatabase
from tests.net.world import PARAMS, WAIT_MS, World, ask, found, status, wait_until

NODES = 4
# What restarts, handshakes and views need on a busy machine; a test that waits longer has found something.
PATIENCE_SECONDS = 120.0
_NUMBERS = count(1)


class WrongClock(MachineClock):
    """A clock whose wall time a test sets, and which may run fast or slow."""

    def __init__(self, drift: float = 0.0) -> None:
        super().__init__()
        self._drift, self._began = drift, time.monotonic()

    def wall_ms(self) -> int:
        """The machine's, off by what was set and by what it drifted."""
        return super().wall_ms() + round(self._drift * 1000 * (time.monotonic() - self._began))

    def jump(self, offset_ms: int) -> None:
        """Be off by this from now on."""
        self._offset_ms = offset_ms


@define(eq=False)
class Weather:
    """A running network and its roads."""

    world: World
    roads: Roads
    nodes: list[RunningNode]
    clocks: list[WrongClock]
    acknowledged: list[str] = field(factory=list)

    async def write(self, through: int) -> int:
        """A new repository of alice, by a transaction that this node is given; its height when it is final."""
        name = f"made-{next(_NUMBERS)}"
        chain = chain_id(self.world.genesis)
        now = int(time.time() * 1000)
        action = CreateRepository(
            name, os.urandom(32), False, RefName("refs/heads/main"), ObjectFormat.SHA1, "all", None
        )
        body = compose.by_account(chain, self.world.alice_id, (action,), now + compose.LIFETIME_MS, os.urandom(32))
        signed = compose.sign_with_account_key(body, self.world.alice)
        outcome = await ask(self.nodes[through], SubmitTransaction(to_bytes(signed), (), WAIT_MS))
        assert isinstance(outcome, Outcome), outcome
        assert (outcome.error, outcome.phase) == (None, Phase.FINAL), outcome
        assert outcome.height is not None
        self.acknowledged.append(name)
        return outcome.height

    async def statuses(self) -> list[Status]:
        """Of every node."""
        return [await status(node) for node in self.nodes]

    async def wait_height(self, height: int, *indexes: int) -> None:
        """Until these nodes, or all, are there."""
        with trio.fail_after(PATIENCE_SECONDS):
            for index in indexes or range(len(self.nodes)):
                while (await status(self.nodes[index])).height < height:  # noqa: ASYNC110 -- a node has no event for a test
                    await trio.sleep(0.02)

    def time_of(self, height: int) -> int:
        """The block time that stands in this header."""
        return from_bytes(Block, block_at(self.nodes[0], height).body).header.time

    async def wait_linked(self) -> None:
        """Until each is connected to each."""
        everybody = len(self.nodes) - 1
        await wait_until(lambda: all(len(node.connected) == everybody for node in self.nodes), PATIENCE_SECONDS)

    async def assert_one_story(self) -> None:
        """Each node, at the highest height of all, has one state root and one block."""
        height = max(one.height for one in await self.statuses())
        await self.wait_height(height)
        told = {block_at(node, height).block_hash for node in self.nodes}
        assert len(told) == 1


def block_at(node: RunningNode, height: int) -> StoredBlock:
    """What a node has at this height; its header holds the state root."""
    block = node.read(lambda view: cast("ChainDatabase", view).block_at(height))
    assert block is not None
    return block


@asynccontextmanager
async def weathered(path: Path, drifts: Sequence[float] = (0.0,) * NODES) -> AsyncIterator[Weather]:
    """Four nodes, each connected to each, and everything fair."""
    world = found(path, NODES, params=evolve(PARAMS, heartbeat_ms=500))
    keys = [entry.node_key.hex() for entry in world.genesis.validators]
    clocks = [WrongClock(drift) for drift in drifts]
    async with trio.open_nursery() as nursery:
        roads = Roads([f"127.0.0.1:{seat.port}" for seat in world.seats], seed=7)
        await nursery.start(roads.run)

        def settings(index: int) -> NodeSettings:
            others = {key: roads.address(index, peer) for peer, key in enumerate(keys) if peer != index}
            return evolve(world.settings(index), peer_addresses=others, gossip_seconds=0)

        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(open_node(settings(i), clock=clocks[i])) for i in range(NODES)]
            net = Weather(world, roads, nodes, clocks)
            await net.wait_linked()
            yield net
        nursery.cancel_scope.cancel()
