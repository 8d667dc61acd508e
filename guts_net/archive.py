"""
What a node keeps of its past for others and lets go for itself: the ends of epochs, snapshots, old blocks; and
the watch for being so far behind that nobody has the next block any more.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable

import trio

from guts_core.chain.commit import Commit
from guts_core.errors import Unavailable
from guts_core.node.node import Node
from guts_core.sync.messages import Answer, StateOffers, StateOffersWanted

from . import state_sync
from .logs import Log
from .peers.bulk import Exchange
from .peers.links import PeerNetwork
from .protocols import Disk
from .pruning import Pruner
from .settings import NodeSettings
from .snapshots import Frozen, LocalState, Snapshots
from .store import ChainDatabase

# A node that lacks blocks and gets none for so long asks whether they still exist.
STUCK_SECONDS = 15.0
ASK_SECONDS = 10.0
PRUNE_SECONDS = 60.0


class FarBehind(Unavailable):
    """The blocks that come next are nowhere any more: the node starts again, from a snapshot."""

    code = "far-behind"


class Archive:
    """One node's. ``note`` hears each commit before the next is written."""

    def __init__(
        self, settings: NodeSettings, node: Node, database: ChainDatabase, network: PeerNetwork, disk: Disk, log: Log
    ) -> None:
        self._directory, self._node, self._database = settings.directory, node, database
        self._network, self._disk, self._log = network, disk, log
        path = settings.directory / "chain.db"
        self.snapshots = Snapshots(settings.directory, disk, node.chain_id, log)
        network.serve_state = LocalState(path, self.snapshots).serve
        self._pruner: Pruner | None = None
        if settings.keep_blocks_ms is not None:
            self._pruner = Pruner(database, path, node.chain_id, self.snapshots, settings.keep_blocks_ms)
        # One an epoch; a node that catches up passes many of them while one is written.
        self._ends_in, self._ends = trio.open_memory_channel[Frozen](math.inf)

    def note(self, commit: Commit) -> None:
        """A block is on disk; the next is not."""
        if commit.step is not None:  # the last block of its epoch
            self._ends_in.send_nowait(self.snapshots.freeze())

    async def run(self) -> None:
        """Until cancelled; raises FarBehind."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._make_snapshots)
            nursery.start_soon(self._watch)
            if self._pruner is not None:
                nursery.start_soon(self._prune, self._pruner)

    async def _make_snapshots(self) -> None:
        async for frozen in self._ends:
            newest = frozen
            while True:  # those of epochs that passed meanwhile serve nobody
                try:
                    later = self._ends.receive_nowait()
                except trio.WouldBlock:
                    break
                newest.close()
                newest = later
            await self.snapshots.make(newest)

    async def _prune(self, pruner: Pruner) -> None:
        while True:
            gone = await trio.to_thread.run_sync(pruner.prune_some)
            if gone:
                self._log.info("pruned", blocks=gone, first=self._database.first_block())
            else:
                await trio.sleep(PRUNE_SECONDS)

    async def _watch(self) -> None:
        while True:
            height = self._database.height()
            await trio.sleep(STUCK_SECONDS)
            if self._node.behind and self._database.height() == height and await self._is_gone(height + 1):
                state_sync.want(self._directory, self._disk)
                raise FarBehind(f"no peer has block {height + 1} any more: this node goes on from a snapshot")

    async def _is_gone(self, height: int) -> bool:
        """Whether most of those who answer say that they pruned this block."""
        told: list[StateOffers] = []

        async def ask(peer: int) -> None:
            answer: Answer | None = await self._network.exchange(peer, _ask_offers, ASK_SECONDS)
            if isinstance(answer, StateOffers):
                told.append(answer)

        async with trio.open_nursery() as nursery:
            for peer in sorted(self._network.connected):
                nursery.start_soon(ask, peer)
        return sum(one.first > height for one in told) * 2 > len(told)


def _ask_offers(exchange: Exchange) -> Awaitable[Answer | None]:
    return exchange.ask(StateOffersWanted(0))
