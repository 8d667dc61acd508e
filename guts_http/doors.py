"""The doors for whoever runs a node in a program of their own (``guts_net.running_node``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import trio

from guts_core.chain.genesis import Genesis

from .app import create_app
from .port import Port
from .serving import ServeSettings, serve
from .site import Settings


class NodeBehind(Port, Protocol):
    """A node as its doors need it: a port, and what its network began with."""

    genesis: Genesis


def doors(bind: str, settings: Settings | None = None) -> Callable[..., Awaitable[None]]:
    """
    Serve git and the API at ``host:port`` (port 0: a free one) until cancelled; ``started`` gives the URL.

    To be handed to ``running_node(directory, doors=doors("127.0.0.1:0"))``. Without TLS: for this machine.
    """

    async def run(node: NodeBehind, database: Path, *, task_status: trio.TaskStatus[str]) -> None:
        app = create_app(node, database, node.genesis, settings)
        async with trio.open_nursery() as nursery:
            stop = trio.Event()

            async def serving(*, task_status: trio.TaskStatus[list[str]]) -> None:
                await serve(app, [bind], ServeSettings(), stop=stop, task_status=task_status)

            (url,) = await nursery.start(serving)
            task_status.started(url)

    return run
