"""
Hypercorn behind guards (``dependencies.md`` 1.3): one hostile connection never stops the server.

B1 an error of one connection ends that connection; B2 a finished answer closes or idles its
connection; B3 a client that stops reading is given up; B4 and B5 bodies are bounded in bytes and in
silence. HTTP/2 and WebSocket upgrades are off: they are hypercorn's crash-prone paths (B12), and
nothing here needs them yet. A connection has its place among all and among those of its address
before a byte of it is read, and with a certificate nothing is read before a bounded TLS handshake.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
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

from guts_http.clients import Trusted
from guts_http.gate import GatedProtocol
from guts_http.places import Places
from guts_http.tls import Certificate

log = logging.getLogger("guts.http.server")

AsgiApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
# A piece of an answer has one write timeout, so this over that time is the slowest reader we serve. The last KiB
# is room for what frames a chunk of 64 KiB: without it each chunk would end in a write of a few bytes.
WRITE_PIECE_BYTES = 65 * 1024
READ_BYTES = 64 * 1024
# A connection that does not fit is asked for again after a second, and others pay it: with 128, a flood of 2,000
# took 15 s to turn away, with this 2.
LISTEN_BACKLOG = 1_024
# A polite end (TLS says goodbye) is not waited for longer: the client may have stopped reading.
CLOSE_SECONDS = 1.0
_FULL_BODY = b'{"message": "this node has too many clients", "documentation_url": "", "status": "503"}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_FULL_BODY), _FULL_BODY)
)


@frozen
class ServeSettings:
    """Limits of the server; times in seconds."""

    connections_max: int = 1_000  # a file descriptor each, well below the usual 1,024 soft limit with git's pipes
    connections_per_address: int = 100  # one flood leaves nine tenths to others
    connections_per_loopback: int = 500  # programs of this machine share one address
    trusted_proxies: tuple[str, ...] = ()  # addresses and ranges without a bound of their own
    head_bytes: int = 16 * 1024
    certificate: tuple[Path, Path] | None = None  # PEM files of the chain and of its key: serve TLS
    handshake_seconds: float = 10.0  # two round trips of an honest client
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
    bound addresses in that order. A taken address raises OSError, a certificate that does not load
    Invalid, before anything is served.
    """
    certificate = Certificate(*settings.certificate) if settings.certificate else None
    listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in _listening(binds)]
    config, context, state = _config(settings), WorkerContext(None), ConnectionState({})
    wrapped = ASGIWrapper(app)
    lifespan = Lifespan(wrapped, config, state)
    doorway = Doorway(settings, _places(settings), certificate)
    handler = partial(GuardedServer, wrapped, config, context, state, doorway=doorway, protocol=protocol)
    async with trio.open_nursery() as background:
        await background.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, handler, listeners, handler_nursery=connections))
                task_status.started([_address(listener.socket, certificate) for listener in listeners])
                await stop.wait()
                accepting.cancel_scope.cancel()
            await context.terminated.set()  # idle connections close now
            connections.cancel_scope.deadline = trio.current_time() + settings.graceful_seconds
        await lifespan.wait_for_shutdown()
        background.cancel_scope.cancel()


@frozen
class Doorway:
    """What all connections share."""

    settings: ServeSettings
    places: Places
    certificate: Certificate | None


class GuardedServer(TCPServer):
    """One connection. Whatever goes wrong in it, nothing but it ends."""

    def __init__(self, *args: Any, doorway: Doorway, protocol: type[Any]) -> None:
        super().__init__(*args)
        self._settings, self._places, self._certificate = doorway.settings, doorway.places, doorway.certificate
        self._plain: Any = self.stream
        self._socket = self._plain.socket
        self._protocol = protocol
        self._gone = False

    async def run(self) -> None:
        """The life of the connection."""
        host = _host_of(self._socket)
        if not self._places.take(host):
            await self._refuse()
            return
        try:
            await self._run_alone()
        finally:
            self._places.leave(host)
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
        if self._certificate is not None and not await self._shake_hands(self._certificate):
            return
        sock = self._socket
        client = parse_socket_addr(sock.family, sock.getpeername())
        server = parse_socket_addr(sock.family, sock.getsockname())
        is_tls = self._certificate is not None
        async with TaskGroup() as group:
            self._task_group = group
            self.protocol = self._protocol(
                self.app,
                self.config,
                self.context,
                group,
                self.state.copy(),
                is_tls,
                client,
                server,
                self.protocol_send,
            )
            await self.protocol.initiate()
            await self.idle_task.restart(group, self._idle_timeout)
            await self._read_data()
            # The client has gone: an idle timer would only hold its place among the connections.
            self._gone = True
            await self.idle_task.stop()

    async def _read_data(self) -> None:
        """Read until the client ends its side; after a whole request it still gets its answer, which then ends ours."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := bytes(await self.stream.receive_some(READ_BYTES)):
                await self.protocol.handle(RawData(data))
            await self.protocol.handle(RawData(b""))
            if getattr(self.protocol, "owes_an_answer", False):
                return
        await self.protocol.handle(Closed())

    async def _shake_hands(self, certificate: Certificate) -> bool:
        self.stream = trio.SSLStream(self._plain, certificate.context(), server_side=True, https_compatible=True)
        try:
            with trio.fail_after(self._settings.handshake_seconds):
                await self.stream.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError) as error:
            log.debug("a TLS handshake failed: %r", error.__cause__ or error)
            return False
        return True

    async def _close(self) -> None:
        with trio.move_on_after(CLOSE_SECONDS):
            await super()._close()

    async def _initiate_server_close(self) -> None:
        await self.protocol.handle(Closed())
        await self._close()

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
        view = memoryview(data)  # pieces of bytes would be copies
        async with self.send_lock:
            try:
                for at in range(0, len(data), WRITE_PIECE_BYTES):
                    with trio.fail_after(self._settings.write_seconds):
                        await self.stream.send_all(view[at : at + WRITE_PIECE_BYTES])
                return
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                pass  # it is gone, or being closed at this moment
            except trio.TooSlowError:
                await trio.aclose_forcefully(self.stream)
        await self.protocol.handle(Closed())

    async def _refuse(self) -> None:
        if self._certificate is None:  # a handshake would be work for those who have no place
            with trio.move_on_after(CLOSE_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.stream.send_all(_FULL)
        await trio.aclose_forcefully(self.stream)


def _summary(group: BaseExceptionGroup[Any]) -> str:
    leaves = [repr(one) if not isinstance(one, BaseExceptionGroup) else _summary(one) for one in group.exceptions]
    return "; ".join(leaves)[:500]


def _config(settings: ServeSettings) -> Config:
    config = Config()
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = settings.keep_alive_seconds
    config.h11_max_incomplete_size = settings.head_bytes
    config.graceful_timeout = settings.graceful_seconds
    config.read_timeout = None  # B5: it would cut long answers; BodyLimit bounds silence instead
    config.include_server_header = False
    config.errorlog = log
    return config


def _places(settings: ServeSettings) -> Places:
    most = settings.connections_max
    trusted = Trusted(settings.trusted_proxies)
    return Places(most, settings.connections_per_address, settings.connections_per_loopback, trusted)


def _host_of(sock: trio.socket.SocketType) -> str:
    """The client's address; empty for a Unix socket, or when it has gone already."""
    if sock.family == socket.AF_UNIX:
        return ""
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return ""


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


def _address(sock: trio.socket.SocketType, certificate: Certificate | None) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{name}"
    scheme, host, port = "https" if certificate else "http", name[0], name[1]
    return f"{scheme}://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{scheme}://{host}:{port}"
