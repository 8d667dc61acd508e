"""One run, from an empty directory to a verdict; whatever ends it, it leaves no process behind."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random

import trio
from attrs import evolve, frozen

from guts_cli import devnet
from guts_cli import network as networks
from guts_cli.first_token import ensure_token
from guts_cli.network import DEVNET_PARAMS, Network, Plan, Seat
from guts_cli.outcomes import InTheWay
from guts_cli.ports import choosing_ports, free_ports
from guts_cli.serve import first_of
from guts_core.simplex.quorum import FaultModel
from guts_http.client import open_client

from .clients import REPOSITORIES, Caller, Worker
from .harm import Harmer
from .judge import told
from .nodes import Nodes
from .plan import link_blows, process_blows
from .record import Record
from .report import Report
from .roads import Roads
from .watch import Watch

ACCOUNT = "chaos"
# Three who push, one who reads, one who calls the API: with git's own children no more than a dozen processes.
PUSHERS = 3
# An idle network makes a block each second, so that whether it goes on can be seen.
CHAOS_PARAMS = evolve(DEVNET_PARAMS, heartbeat_ms=1_000)
TELL_SECONDS = 1.0
# A killed node's ports are anybody's until it is back: away from where every network begins to look for free
# ones, below those that systems give to outgoing connections, and each run elsewhere.
PORTS_FIRST, PORTS_WIDE, PORTS_APART = 20_000, 12_000, 32


@frozen
class Wish:
    """What was asked for."""

    nodes: int
    seconds: float
    seed: int
    directory: Path | None


def run(wish: Wish, tell: Callable[[str], None]) -> Report:
    """
    Blocks until it is over. Ctrl-C and SIGTERM end it early by KeyboardInterrupt.

    The directory is removed when it is one of our own and all was well.
    """
    with _directory(wish.directory) as directory:
        try:
            report = trio.run(_run, wish, directory, tell)
        except BaseExceptionGroup as group:
            raise first_of(group) from group
        if wish.directory is None and report.is_well:
            shutil.rmtree(directory)
        return report


@contextmanager
def _directory(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        made = Path(tempfile.mkdtemp(prefix="guts-chaos-"))
        try:
            yield made
        except KeyboardInterrupt:
            shutil.rmtree(made)
            raise
        return
    if wanted.exists() and any(wanted.iterdir()):
        raise InTheWay(f"{wanted} is not empty", "the same command with another --dir")
    wanted.mkdir(parents=True, exist_ok=True)
    yield wanted


async def _run(wish: Wish, directory: Path, tell: Callable[[str], None]) -> Report:
    report: list[Report] = []
    async with _interruptible(), trio.open_nursery() as nursery:
        with choosing_ports():
            network = await trio.to_thread.run_sync(_found, directory / "net", wish.nodes)
            roads = Roads([seat.p2p for seat in network.file.seats], wish.seed)
            await nursery.start(roads.run)
            nodes = Nodes(network, roads)
            nodes.write_genesis()
            try:
                token = await trio.to_thread.run_sync(_start, nodes)
            except BaseException:
                await _stop(nodes)
                raise
        try:
            report.append(await _storm(wish, directory, nodes, roads, token, tell))
        finally:
            await _stop(nodes)
        nursery.cancel_scope.cancel()
    if not report:
        raise KeyboardInterrupt
    return report[0]


@asynccontextmanager
async def _interruptible() -> AsyncIterator[None]:
    """A signal cancels what is inside; the processes end in order."""
    async with trio.open_nursery() as nursery:

        async def listen(task_status: trio.TaskStatus[None]) -> None:
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for _number in signals:
                    nursery.cancel_scope.cancel()

        await nursery.start(listen)
        yield
        nursery.cancel_scope.cancel()


def _found(path: Path, count: int) -> Network:
    ports = free_ports(2 * count, PORTS_FIRST + os.getpid() * PORTS_APART % PORTS_WIDE)
    http, p2p = ports[:count], ports[count:]
    seats = tuple(Seat(index, *ports) for index, ports in enumerate(zip(http, p2p, strict=True)))
    return networks.create(path, Plan("chaos", ACCOUNT, FaultModel.BYZANTINE, CHAOS_PARAMS, seats))


def _start(nodes: Nodes) -> str:
    for index in range(nodes.count):
        nodes.start(index)
    devnet.wait_ready(nodes.network, nodes.network.file.seats, alone_too=False)
    token = ensure_token(nodes.network)
    with open_client(nodes.seat(0).url, token) as client:
        for name in REPOSITORIES:
            client.create_repository(name)
    return token


async def _stop(nodes: Nodes) -> None:
    with trio.CancelScope(shield=True):
        await nodes.stop(range(nodes.count))


async def _storm(
    wish: Wish, directory: Path, nodes: Nodes, roads: Roads, token: str, tell: Callable[[str], None]
) -> Report:
    watch, record = Watch(nodes, roads), Record(directory / "history.jsonl")
    harmer = Harmer(nodes, roads, watch)
    async with trio.open_nursery() as watching:
        watching.start_soon(watch.run)
        with trio.move_on_after(wish.seconds):
            async with trio.open_nursery() as nursery:
                for job in _clients(wish, directory, nodes, record, token):
                    nursery.start_soon(job)
                nursery.start_soon(harmer.on_processes, process_blows(wish.seed, nodes.count, nodes.faults))
                nursery.start_soon(harmer.on_links, link_blows(wish.seed, nodes.count))
                nursery.start_soon(_tell_on, wish, harmer, record, tell)
        tell("everything is put right; waiting until the nodes agree")
        await harmer.undo()
        verdict = await told(nodes, record, directory, token)
        watching.cancel_scope.cancel()
    return Report(wish.nodes, wish.seconds, wish.seed, str(directory), record, harmer, watch, verdict, roads.counters())


def _clients(
    wish: Wish, directory: Path, nodes: Nodes, record: Record, token: str
) -> Iterator[Callable[[], Awaitable[None]]]:
    def dice(name: str) -> Random:
        return Random(f"{wish.seed} {name}")  # noqa: S311 -- dice that repeat

    for name in (f"pusher{number}" for number in range(PUSHERS)):
        yield Worker(name, nodes, record, dice(name), directory / name).push_on
    yield Worker("reader", nodes, record, dice("reader"), directory / "reader").read_on
    yield Caller(nodes, record, dice("caller"), token).call_on


async def _tell_on(wish: Wish, harmer: Harmer, record: Record, tell: Callable[[str], None]) -> None:
    began = trio.current_time()
    while True:
        await trio.sleep(TELL_SECONDS)
        left = max(0.0, wish.seconds - (trio.current_time() - began))
        doing = "; ".join(harmer.now.values()) or "calm"
        pushes = record.pushes
        tell(
            f"{left:4.0f} s left, height {harmer.watch.height}, {harmer.kills} kills, "
            f"pushes {pushes['acknowledged']} of {pushes['tried']}: {doing}"
        )
