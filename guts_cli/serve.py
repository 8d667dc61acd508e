"""
A whole node in this process: runtime and HTTP doors in one nursery, until a signal says stop.

This is where the floors meet: ``guts_net`` runs the node, ``guts_http`` serves it, and between
them is only the port.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import click
import trio
from attrs import frozen

from guts_http.app import create_app
from guts_http.middleware import Access
from guts_http.serving import serve as serve_http
from guts_net.archive import FarBehind
from guts_net.collecting import collect_rarely
from guts_net.handle import RunningNode
from guts_net.lock import refuse_held
from guts_net.logs import ROOT, Log
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings

from .adapters import node_settings, serve_settings, site_settings
from .config import Config, Given, check_doors
from .node_directory import NodeDirectory
from .open_files import files_wanted
from .outcomes import EXIT_OK, show_object
from .ports import require_free
from .shape import wants_json

# Asked every second by tables and monitors: their success is no news, and would fill the disk.
PROBES = frozenset({"/livez", "/startupz", "/readyz", "/metrics", "/api/guts/v1/status"})
HTTP_OK = 200


@frozen
class Serving:
    """A node that serves: what to tell whoever started it."""

    directory: NodeDirectory
    config: Config
    url: str  # where its API and its repositories are
    p2p: str


OnReady = Callable[[Serving], Awaitable[None]]


def run_in_foreground(directory: NodeDirectory, genesis: Path | None, flags: Sequence[Given]) -> int:
    """Run until told to stop; the exit code. Flags override the configuration."""
    config = directory.settings(flags).config
    check_doors(config)
    adopted = directory.adopt_genesis(genesis)
    as_json = wants_json()
    run_node(directory, adopted, config, lambda serving: _tell(serving, as_json))
    return EXIT_OK


async def _tell(serving: Serving, as_json: bool) -> None:
    if as_json:
        where = {"http": serving.url, "p2p": serving.p2p, "pid": os.getpid(), "dir": str(serving.directory.path)}
        show_object({"name": serving.config.node.name, **where})
        sys.stdout.flush()
    elif sys.stdout.isatty():
        click.echo(f"node {serving.config.node.name} is ready at {serving.url}; its log is {serving.directory.log}")
        click.echo("Ctrl-C stops it\n\nnext, in another terminal: guts status --node " + serving.url)


def run_node(directory: NodeDirectory, genesis: Path, config: Config, on_ready: OnReady) -> None:
    """Run a node and its doors in this process; returns after an orderly stop, raises what ended it otherwise."""
    directory.check_keys()
    # Before its ports, which that process has as well: a second start is not mended by other ports.
    refuse_held(directory.path / "node.lock")
    for option, address in (("--http", config.http_address), ("--p2p", config.p2p_address)):
        require_free([address.port] if address.port else [], address.host, f"{option} HOST:PORT")
    # git children run in directories of their own, where a relative path means something else.
    directory, genesis = NodeDirectory(directory.path.resolve()), genesis.resolve()
    directory.log.parent.mkdir(parents=True, exist_ok=True)
    _allow_files(config)
    try:
        trio.run(_run, directory, genesis, config, on_ready)
    except BaseExceptionGroup as group:
        raise first_of(group) from group


def _allow_files(config: Config) -> None:
    """Raise this process's own bound of open files to what its limits may need, as far as the system lets it."""
    wanted = files_wanted(config)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft not in (resource.RLIM_INFINITY, hard) and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What to report of several errors: the first, which ended the others."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


async def _run(directory: NodeDirectory, genesis: Path, config: Config, on_ready: OnReady) -> None:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_stop_on_signal, stop)
        settings = node_settings(directory, genesis, config)
        while await _run_once(settings, directory, config, on_ready, stop):
            on_ready = _nobody_waits
        nursery.cancel_scope.cancel()


async def _run_once(
    settings: NodeSettings, directory: NodeDirectory, config: Config, on_ready: OnReady, stop: trio.Event
) -> bool:
    """Run until told to stop; True when the node has to begin again, from a snapshot."""
    is_behind = False
    try:
        async with open_node(settings) as node:
            logging.getLogger(ROOT).setLevel(config.node.log_level.upper())
            collect_rarely()
            await _serve(node, directory, config, on_ready, stop)
    except* FarBehind:
        is_behind = True
    return is_behind


async def _nobody_waits(_serving: Serving) -> None:
    """Whoever started the node was told long ago."""


async def _stop_on_signal(stop: trio.Event, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _number in signals:
            stop.set()


async def _serve(
    node: RunningNode, directory: NodeDirectory, config: Config, on_ready: OnReady, stop: trio.Event
) -> None:
    """Serve until ``stop``; requests in flight get their grace before the node goes."""
    settings = site_settings(config)
    app = create_app(node, directory.path / "chain.db", node.genesis, settings, tell=_log_access(Log("http")))
    async with trio.open_nursery() as nursery:
        http = partial(serve_http, app, [str(config.http_address)], serve_settings(directory, config), stop=stop)
        binds = await nursery.start(http)
        await on_ready(Serving(directory, config, binds[0], node.p2p))
        await stop.wait()


def _log_access(log: Log) -> Callable[[Access], None]:
    def tell(access: Access) -> None:
        say = log.debug if access.path in PROBES and access.status == HTTP_OK else log.info
        say(
            "request",
            request_id=access.request_id,
            method=access.method,
            path=access.path,
            status=access.status,
            milliseconds=round(access.seconds * 1000, 1),
            bytes_sent=access.bytes_sent,
        )

    return tell
