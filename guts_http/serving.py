"""
Hypercorn behind guards (``dependencies.md`` 1.3): one hostile connection never stops the server.

B1 an error of one connection ends that connection; B2 a finished answer closes or idles its
connection; B3 a client that stops reading is given up; B4 and B5 bodies are bounded in bytes and in
silence. HTTP/2 and WebSocket upgrades are off: they are hypercorn's crash-prone paths (B12), and
nothing here needs them yet.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import trio
from attrs import frozen
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from guts_http.gate import GatedProtocol

log = logging.getLogger("guts.http.server")

AsgiApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
# A piece of an answer has one write timeout, so this over that time is the slowest reader we serve.
WRITE_PIECE_BYTES = 64 * 1024
LISTEN_BACKLOG = 128
_FULL_BODY = b'{"message": "this node has too many clients", "documentation_url": "", "status": "503"}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_FULL_BODY), _FULL_BODY)
)


@frozen
class ServeSettings:
    """Limits of the server; times in seconds."""

    connections_max: int = 1_000  # a file descriptor each, well below the usual 1,024 soft limit with git's pipes
    keep_alive_seconds: float = 15.0  # also how long a request head may take to arrive
    write_seconds: float = 30.0  # for one piece of an answer: 2 KiB/s at least
    graceful_seconds: float = 1.5  # what requests in flight get after the stop


async def serve(
    app: AsgiApp,
    binds: Sequence[str],
    settings: ServeSettings,
    *,
    stop: trio.Event,
    protocol: type[Any] = GatedProtocol,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """
    Serve until ``stop`` is set: listeners close at once, requests in flight get ``graceful_seconds``.

    ``binds`` are ``host:port`` (port 0 for a free one) or ``unix:/path``; ``started`` gives the
    bound addresses in that order. A taken address raises OSError before anything is served.
    """
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in _listening(binds)]
    config, context, state = _config(settings), WorkerContext(None), ConnectionState({})
    wrapped = ASGIWrapper(app)
    lifespan = Lifespan(wrapped, config, state)
    limiter = trio.CapacityLimiter(settings.connections_max)
    handler = partial(
        GuardedServer, wrapped, config, context, state, settings=settings, limiter=limiter, protocol=protocol
    )
    async with trio.open_nursery() as background:
        await background.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, handler, listeners, handler_nursery=connections))
                task_status.started([_address(listener.socket) for listener in listeners])
                await stop.wait()
                accepting.cancel_scope.cancel()
            await context.terminated.set()  # idle connections close now
            connections.cancel_scope.deadline = trio.current_time() + settings.graceful_seconds
        await lifespan.wait_for_shutdown()
        background.cancel_scope.cancel()


class GuardedServer(TCPServer):
    """One connection. Whatever goes wrong in it, nothing but it ends."""

    def __init__(self, *args: Any, settings: ServeSettings, limiter: trio.CapacityLimiter, protocol: type[Any]) -> None:
        super().__init__(*args)
        self._settings = settings
        self._limiter = limiter
        self._protocol = protocol
        self._gone = False

    async def run(self) -> None:
        """The life of the connection."""
        try:
            self._limiter.acquire_on_behalf_of_nowait(self)
        except trio.WouldBlock:
            await self._refuse()
            return
        try:
            await self._run_alone()
        finally:
            self._limiter.release_on_behalf_of(self)
            await trio.aclose_forcefully(self.stream)

    async def _run_alone(self) -> None:
        # B1: hypercorn lets errors of a connection travel into the nursery of all connections.
        try:
            await self._converse()
        except OSError:
            pass
        except BaseExceptionGroup as group:
            ours, rest = group.split(Exception)
            if ours is not None:
                log.warning("a connection failed: %s", _summary(ours))
            if rest is not None:
                raise rest from None
        except Exception as error:  # noqa: BLE001 -- B1: no connection may end the server
            log.warning("a connection failed: %r", error)

    async def _converse(self) -> None:
        sock = self.stream.socket  # plain sockets only: TLS ends in front of us
        client = parse_socket_addr(sock.family, sock.getpeername())
        server = parse_socket_addr(sock.family, sock.getsockname())
        async with TaskGroup() as group:
            self._task_group = group
            self.protocol = self._protocol(
                self.app, self.config, self.context, group, self.state.copy(), False, client, server, self.protocol_send
            )
            await self.protocol.initiate()
            await self.idle_task.restart(group, self._idle_timeout)
            await self._read_data()
            # The client has gone: an idle timer would only hold its place among the connections.
            self._gone = True
            await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """Write, close or change the idle timer, as the protocol says."""
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            with trio.CancelScope(shield=True):
                # B2: the app may be cancelled by the very message that ends its answer.
                await self._close()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated):
            if event.idle and not self._gone:
                await self.idle_task.restart(self._task_group, self._idle_timeout)
            else:
                await self.idle_task.stop()

    async def _write(self, data: bytes) -> None:
        # B3: no shield and a timeout, so that neither shutdown nor we wait for a client that does not read.
        async with self.send_lock:
            try:
                for at in range(0, len(data), WRITE_PIECE_BYTES):
                    with trio.fail_after(self._settings.write_seconds):
                        await self.stream.send_all(data[at : at + WRITE_PIECE_BYTES])
                return
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            except trio.TooSlowError:
                await trio.aclose_forcefully(self.stream)
        await self.protocol.handle(Closed())

    async def _refuse(self) -> None:
        with trio.move_on_after(1), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(_FULL)
        await trio.aclose_forcefully(self.stream)


def _summary(group: BaseExceptionGroup[Any]) -> str:
    leaves = [repr(one) if not isinstance(one, BaseExceptionGroup) else _summary(one) for one in group.exceptions]
    return "; ".join(leaves)[:500]


def _config(settings: ServeSettings) -> Config:
    config = Config()
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = settings.keep_alive_seconds
    config.graceful_timeout = settings.graceful_seconds
    config.read_timeout = None  # B5: it would cut long answers; BodyLimit bounds silence instead
    config.include_server_header = False
    config.errorlog = log
    return config


def _listening(binds: Sequence[str]) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for bind in binds:
            opened.append(_listen(bind))  # noqa: PERF401 -- those opened before a failure are closed below
    except BaseException:
        for one in opened:
            one.close()
        raise
    return opened


def _listen(bind: str) -> socket.socket:
    if bind.startswith("unix:"):
        family: socket.AddressFamily = socket.AF_UNIX
        where: str | tuple[str, int] = bind.removeprefix("unix:")
    else:
        host, _, port = bind.rpartition(":")
        host = host.strip("[]")
        family, where = (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(where)
        sock.listen(LISTEN_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _address(sock: trio.socket.SocketType) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[0], name[1]
    return f"http://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"http://{host}:{port}"
