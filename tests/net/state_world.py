"""Nodes that serve a state over real links, and one that joins them: databases and snapshots on real disks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain.block import Block
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.identity import KeyPair
from guts_core.names import NodeId
from guts_core.sync.machine import Progress
from guts_core.sync.pieces import cut
from guts_core.sync.records import PastBlock
from guts_net import importing
from guts_net.disk import LocalDisk
from guts_net.logs import Log
from guts_net.peers.bulk import ServeState
from guts_net.peers.events import PeerAddress
from guts_net.peers.limits import DEFAULT_LIMITS
from guts_net.peers.links import PeerNetwork
from guts_net.protocols import Disk
from guts_net.snapshots import LocalState, Snapshots
from guts_net.state_sync import Joiner, Synced
from guts_net.tcp import TcpTransport
from tests.core.sync.sync_world import Chain

LOG = Log("test")
JOINER = KeyPair(bytes(range(32)))


def write_node(directory: Path, chain: Chain, ended: int, disk: Disk | None = None) -> None:
    """The database of a node that stands at the end of an epoch, and knows the ends of all before."""
    directory.mkdir(parents=True, exist_ok=True)
    pieces = [piece for piece, _ in cut(chain.state)]
    manifest = chain.manifest(ended - 1, pieces)
    past = [
        PastBlock(to_bytes(Block(one, ())), ()) for one in chain.headers[max(0, manifest.past - 2) : manifest.height]
    ]
    disk = disk or LocalDisk()
    importing.build(directory, disk, manifest, pieces, reversed(past), chain.steps[:ended])
    importing.install(directory, disk)


async def with_snapshot(directory: Path, chain: Chain, ended: int, disk: Disk | None = None) -> Snapshots:
    """The same node with the snapshot that it makes of that state."""
    disk = disk or LocalDisk()
    await trio.to_thread.run_sync(write_node, directory, chain, ended, disk)
    snapshots = Snapshots(directory, disk, chain_id(chain.genesis), LOG)
    await snapshots.make(snapshots.freeze())
    return snapshots


@frozen
class Served:
    """Where a node that serves can be reached."""

    key: KeyPair
    address: str


@asynccontextmanager
async def serving(chain: Chain, serves: Sequence[ServeState]) -> AsyncIterator[list[Served]]:
    """So many nodes, each of which answers as its function says."""
    async with trio.open_nursery() as nursery:
        found = []
        for index, serve in enumerate(serves):
            key = KeyPair(bytes((index + 1,)) * 32)
            peers = {99: PeerAddress(NodeId(JOINER.public_key), "joiner", ())}
            network = PeerNetwork(key, chain_id(chain.genesis), peers, index, os.urandom)
            network.serve_state = serve  # type: ignore[assignment]  # a test's own function
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(network.run, listeners)
            nursery.start_soon(_drain, network)
            port = listeners[0].socket.getsockname()[1]
            found.append(Served(key, f"127.0.0.1:{port}"))
        yield found
        nursery.cancel_scope.cancel()


async def _drain(network: PeerNetwork) -> None:
    async for _ in network.inbox:
        pass


def local(directory: Path, snapshots: Snapshots) -> ServeState:
    """What an honest node answers."""
    return LocalState(directory / "chain.db", snapshots).serve


async def join(
    directory: Path,
    chain: Chain,
    served: Sequence[Served],
    disk: Disk | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Synced | None:
    """Join from these nodes."""
    disk = disk or LocalDisk()
    await trio.to_thread.run_sync(disk.make_directory, directory)
    peers = {
        number: PeerAddress(NodeId(one.key.public_key), f"node{number}", (one.address,))
        for number, one in enumerate(served)
    }
    joiner = Joiner(
        directory,
        chain.genesis,
        JOINER,
        peers,
        disk=disk,
        transport=TcpTransport(),
        entropy=os.urandom,
        limits=DEFAULT_LIMITS,
        log=LOG,
        on_progress=on_progress,
    )
    with trio.fail_after(180):
        return await joiner.run()
