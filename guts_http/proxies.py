"""
What a trusted proxy says of the client it asks for (E01): address, scheme, and the host that was called.

Of anybody else, and of every proxy outside ``trusted``, these headers are dropped before anything
could read them.
"""

from __future__ import annotations

import re
from typing import Any

from .clients import Trusted, parsed
from .middleware import Receive, Send
from .serving import AsgiApp

_SAYINGS = frozenset({
    b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"x-real-ip",
})  # fmt: skip
HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


class Forwarded:
    """Puts the client in the place of a trusted proxy that asks for it."""

    def __init__(self, app: AsgiApp, trusted: Trusted) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        await self._app(self._seen_through(scope) if scope["type"] == "http" else scope, receive, send)

    def _seen_through(self, scope: Any) -> Any:
        plain = [(name, value) for name, value in scope["headers"] if name.lower() not in _SAYINGS]
        peer = scope.get("client")
        if peer is None or peer[0] not in self._trusted:
            return {**scope, "headers": plain}
        seen = {**scope, "headers": plain, "client": (self._client(scope, peer[0]), 0)}
        scheme = _last(scope, b"x-forwarded-proto").lower()
        if scheme in ("http", "https"):
            seen["scheme"] = scheme
        host = _last(scope, b"x-forwarded-host")
        if HOST.fullmatch(host):
            seen["headers"] = [(b"host", host.encode()), *((n, v) for n, v in plain if n.lower() != b"host")]
        return seen

    def _client(self, scope: Any, peer: str) -> str:
        """The last address that no trusted proxy has: those before it, the client may have made up."""
        client = peer
        for said in reversed(_all(scope, b"x-forwarded-for")):
            address = _address(said)
            if address is None:
                break
            client = address
            if client not in self._trusted:
                break
        return client


def _all(scope: Any, name: bytes) -> list[str]:
    """The parts of a list header, over all its lines."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return [part.strip() for value in values for part in value.split(",")]


def _last(scope: Any, name: bytes) -> str:
    """What the nearest proxy said."""
    return next(reversed(_all(scope, name)), "")


def _address(said: str) -> str | None:
    matched = _WITH_PORT.fullmatch(said)
    bare = (matched[1] or matched[2]) if matched else said
    return None if parsed(bare) is None else bare
