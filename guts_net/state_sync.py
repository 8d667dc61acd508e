"""
Joining from a snapshot, on a machine: asks peers over their bulk connections, keeps what came in a directory
beside the database, and puts the new database in place. What decides is ``guts_core.sync.machine``.

The directory is the intent too: while it is there, a start begins with this. A crash loses nothing but the
answers on their way.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NoReturn, TypeAlias, assert_never

import trio
from attrs import frozen

from guts_core.chain.genesis import Genesis, chain_id
from guts_core.codec import from_bytes
from guts_core.errors import Malformed
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import Root
from guts_core.sync.machine import MANIFEST_NAME, PAST_NAME, PIECE_NAME, STEPS_NAME, Progress, StateSync
from guts_core.sync.messages import Answer
from guts_core.sync.orders import Ask, Build, Drop, Forget, Install, Keep, Order
from guts_core.sync.peers import ANSWER_US
from guts_core.sync.records import PastBlock, PastRun, StateManifest

from . import importing
from .logs import Log
from .peers.bulk import Exchange
from .peers.events import PeerAddress, PeerConnected, PeerDisconnected
from .peers.limits import PeerLimits
from .peers.links import PeerNetwork
from .protocols import Disk, Transport
from .store import ChainDatabase

DIRECTORY = "sync"
# Somebody who waits sees it move.
PROGRESS_SECONDS = 0.2
_US = 1_000_000

OnProgress: TypeAlias = Callable[[Progress], None]
_Event: TypeAlias = tuple[int, int, Answer | None] | PeerConnected | PeerDisconnected


def _nobody(_progress: Progress) -> None:
    """Nobody waits."""


@frozen
class Synced:
    """A state was installed."""

    height: int
    bytes_fetched: int


def is_wanted(directory: Path) -> bool:
    """Whether this node is to begin with a snapshot at its next start."""
    return (directory / DIRECTORY).is_dir()


def want(directory: Path, disk: Disk) -> None:
    """Have the next start begin with a snapshot, also after a crash."""
    disk.make_directory(directory / DIRECTORY)
    disk.sync_directory(directory)


class Joiner:
    """One attempt to join, which ends with an installed state, or with none worth it."""

    def __init__(
        self,
        directory: Path,
        genesis: Genesis,
        node_key: KeyPair,
        peers: Mapping[int, PeerAddress],
        *,
        disk: Disk,
        transport: Transport,
        entropy: Callable[[int], bytes],
        limits: PeerLimits,
        log: Log,
        on_progress: OnProgress = _nobody,
    ) -> None:
        self._directory, self._genesis, self._disk, self._log = directory, genesis, disk, log
        self._staging, self._on_progress = directory / DIRECTORY, on_progress
        self._network = PeerNetwork(
            node_key, chain_id(genesis), peers, None, entropy, transport=transport, limits=limits
        )
        self._heard_in, self._heard = trio.open_memory_channel[_Event](math.inf)
        self._nursery: trio.Nursery | None = None
        self._fetched = 0
        self._installed: Synced | None = None

    async def run(self) -> Synced | None:
        """Until it is done; None when blocks one by one are the shorter way. Raises what the disk refuses."""
        own_height = await trio.to_thread.run_sync(self._own_height)
        sync = await trio.to_thread.run_sync(self._resumed, own_height)
        async with self._links():
            await self._perform(sync, sync.tick(_now()))
            while self._installed is None and not sync.is_needless(_now()):
                self._on_progress(sync.progress)
                await self._step(sync)
        await trio.to_thread.run_sync(self._clean)
        self._on_progress(sync.progress)
        return self._installed

    @asynccontextmanager
    async def _links(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await nursery.start(self._network.run, [_NoListener()])
            nursery.start_soon(self._listen)
            yield
            nursery.cancel_scope.cancel()

    async def _listen(self) -> None:
        async for event in self._network.inbox:
            if isinstance(event, PeerConnected | PeerDisconnected):
                self._heard_in.send_nowait(event)

    async def _step(self, sync: StateSync) -> None:
        """Wait for what happens next; its orders are performed before anything else is heard."""
        deadline = sync.next_deadline()
        wait = PROGRESS_SECONDS if deadline is None else min(PROGRESS_SECONDS, max(0.0, (deadline - _now()) / _US))
        event: _Event | None = None
        with trio.move_on_after(wait):
            event = await self._heard.receive()
        match event:
            case None:
                orders = sync.tick(_now())
            case PeerConnected():
                orders = sync.came(event.index, _now())
            case PeerDisconnected():
                orders = sync.left(event.index, _now())
            case (peer, number, None):
                orders = sync.silent(peer, number, _now())
            case (peer, number, answer):
                orders = sync.heard(peer, answer, _now())
            case _:
                assert_never(event)
        await self._perform(sync, orders)

    async def _perform(self, sync: StateSync, orders: list[Order]) -> None:
        for order in orders:
            match order:
                case Ask():
                    assert self._nursery is not None
                    self._nursery.start_soon(self._ask, order)
                case Drop():
                    self._log.warning("peer_dropped", peer=order.peer, reason=order.reason)
                case Keep():
                    self._fetched += len(order.data)
                    path = self._staging / order.name
                    await trio.to_thread.run_sync(self._disk.write_file, path, order.data)
                case Forget():
                    await trio.to_thread.run_sync(self._forget)
                case Build():
                    self._on_progress(sync.progress)
                    root = await trio.to_thread.run_sync(self._build, sync)
                    await self._perform(sync, sync.built(root, _now()))
                case Install():
                    await trio.to_thread.run_sync(importing.install, self._directory, self._disk)
                    height = sync.progress.height or 0
                    self._installed = Synced(height, self._fetched)
                    self._log.info("state_installed", height=height, bytes=self._fetched)
                case _:
                    assert_never(order)

    async def _ask(self, order: Ask) -> None:
        def put(one: Exchange) -> Awaitable[Answer | None]:
            return one.ask(order.question)

        answer: Answer | None = await self._network.exchange(order.peer, put, ANSWER_US / _US)
        self._heard_in.send_nowait((order.peer, order.question.number, answer))

    # ---- the disk ----

    def _own_height(self) -> int:
        if not (self._directory / "chain.db").exists():
            return 0
        with closing(ChainDatabase(self._directory / "chain.db", self._disk)) as database:
            return database.height()

    def _resumed(self, own_height: int) -> StateSync:
        self._disk.make_directory(self._staging)
        if _kept_height(self._staging) <= own_height:
            self._forget()  # it is installed, or blocks overtook it
        sync = StateSync(self._genesis, Ed25519Verifier(), _kept(self._staging), own_height)
        sync.room_bytes = self._disk.free_bytes(self._staging)
        return sync

    def _build(self, sync: StateSync) -> Root | None:
        assert sync.download is not None
        pieces = (path.read_bytes() for path in _named(self._staging, PIECE_NAME))
        past = _blocks(self._staging)
        try:
            return importing.build(self._directory, self._disk, sync.download.manifest, pieces, past, sync.route.steps)
        except Malformed as error:
            self._log.warning("snapshot_refused", reason=str(error))
            return None

    def _forget(self) -> None:
        importing.discard(self._directory, self._disk)
        for path in sorted(self._staging.iterdir()):
            if not path.name.startswith(STEPS_NAME):
                self._disk.unlink(path)

    def _clean(self) -> None:
        importing.discard(self._directory, self._disk)
        self._disk.remove_tree(self._staging)
        self._disk.sync_directory(self._directory)


class _NoListener(trio.abc.Listener[trio.SocketStream]):
    """Who joins only dials: until its state is proven it has nothing for others."""

    async def accept(self) -> NoReturn:
        """Nobody comes."""
        await trio.sleep_forever()

    async def aclose(self) -> None:
        """Nothing is open."""
        await trio.lowlevel.checkpoint()


def _now() -> int:
    return int(trio.current_time() * _US)


def _named(staging: Path, prefix: str) -> list[Path]:
    return sorted(path for path in staging.iterdir() if path.name.startswith(prefix) and path.suffix == "")


def _kept(staging: Path) -> Iterator[tuple[str, bytes]]:
    for path in _named(staging, ""):
        yield path.name, path.read_bytes()


def _kept_height(staging: Path) -> float:
    """Of the snapshot that is kept; above all heights when there is none."""
    try:
        return from_bytes(StateManifest, (staging / MANIFEST_NAME).read_bytes()).height
    except (OSError, Malformed):
        return math.inf


def _blocks(staging: Path) -> Iterator[PastBlock]:
    for path in _named(staging, PAST_NAME):
        yield from from_bytes(PastRun, path.read_bytes()).blocks
