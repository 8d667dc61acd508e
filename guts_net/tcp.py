"""The transport that a node takes unless it is given another: TCP, addresses ``host:port``."""

from __future__ import annotations

from collections.abc import Sequence

import trio


class TcpTransport:
    """A ``protocols.Transport`` over TCP; an IPv6 host stands in brackets, port 0 is any free one."""

    async def connect(self, address: str) -> trio.abc.Stream:
        """A stream to whoever listens there."""
        stream = await trio.open_tcp_stream(*_parted(address))
        _keep_alive(stream)
        return stream

    async def listen(self, address: str) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """Listeners on every address of the host."""
        host, port = _parted(address)
        return [_TcpListener(listener) for listener in await trio.open_tcp_listeners(port, host=host)]

    def address_of(self, listener: trio.abc.Listener[trio.abc.Stream]) -> str:
        """The address it is bound to."""
        assert isinstance(listener, _TcpListener), "one of its own"
        host, port = listener.inner.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _TcpListener(trio.abc.Listener[trio.abc.Stream]):
    def __init__(self, inner: trio.SocketListener) -> None:
        self.inner = inner

    async def accept(self) -> trio.abc.Stream:
        stream = await self.inner.accept()
        _keep_alive(stream)
        return stream

    async def aclose(self) -> None:
        await self.inner.aclose()


def _keep_alive(stream: trio.SocketStream) -> None:
    # A peer whose machine vanished says nothing; the kernel finds out where our pings are not answered either.
    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_KEEPALIVE, True)


def _parted(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise OSError(f"{address[:100]!r} is not host:port")
    return host.strip("[]"), int(port)
