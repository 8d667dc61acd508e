"""A live server on loopback for any ASGI application, and raw clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from guts_http.middleware import FinishCleanly
from guts_http.serving import AsgiApp, ServeSettings, serve

# Generous for a loaded machine: what waits this long has hung.
PATIENCE_SECONDS = 90


@frozen
class LiveServer:
    """A server that runs, and how to stop it."""

    url: str
    stop: trio.Event

    async def dial(self) -> trio.SocketStream:
        """A raw connection."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return await trio.open_tcp_stream(host, int(port))

    async def say(self, data: bytes) -> bytes:
        """Send bytes on a connection of their own and read until the server closes it."""
        with trio.fail_after(PATIENCE_SECONDS):
            async with await self.dial() as stream:
                await stream.send_all(data)
                return await read_all(stream)

    async def get(self, path: str = "/") -> bytes:
        """A plain answer, to show that the server stands."""
        return await self.say(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until the other side closes or resets."""
    received = bytearray()
    try:
        async for piece in stream:
            received += piece
    except trio.BrokenResourceError:
        pass
    return bytes(received)


Serving = Callable[..., AbstractAsyncContextManager[LiveServer]]


@asynccontextmanager
async def open_server(
    app: AsgiApp, settings: ServeSettings | None = None, *, finish: bool = True, **options: Any
) -> AsyncIterator[LiveServer]:
    """A live server for an application, for as long as the block lasts."""
    outer: AsgiApp = FinishCleanly(app) if finish else app
    stop = trio.Event()

    async def run(task_status: trio.TaskStatus[list[str]]) -> None:
        bind = ["127.0.0.1:0"]
        await serve(outer, bind, settings or ServeSettings(), stop=stop, task_status=task_status, **options)

    async with trio.open_nursery() as nursery:
        urls = await nursery.start(run)
        yield LiveServer(urls[0], stop)
        stop.set()
