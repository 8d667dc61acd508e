"""
Small ASGI callables between the server and the applications, outermost first:
``FinishCleanly`` (B2, B7), ``AccessLog``, ``BodyLimit`` (B4, B5). See ``dependencies.md`` 1.3.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from time import perf_counter
from typing import Any, TypeAlias
from uuid import uuid4

import trio
from attrs import frozen

from guts_http.serving import AsgiApp

Message: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Any]]
Send: TypeAlias = Callable[[Any], Awaitable[None]]

# A client that is still sending when it is refused reads the refusal if we read on for a while:
# closing with unread bytes resets the connection and destroys the answer (B7).
DRAIN_BYTES_MAX = 4 << 20
DRAIN_SECONDS = 2.0


class FinishCleanly:
    """
    Ends every answer properly.

    An application never hears ``http.disconnect`` for its own finished answer (quart-trio would
    cancel the send that closes the socket), and what the client still sends is drained, within
    bounds, so that hypercorn's bounded queue cannot block the close.
    """

    def __init__(self, app: AsgiApp, drain_bytes: int = DRAIN_BYTES_MAX) -> None:
        self._app = app
        self._drain_bytes = drain_bytes

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ending = _Ending(receive, send, self._drain_bytes)
        await self._app(scope, ending.receive, ending.send)


class _Ending:
    def __init__(self, receive: Receive, send: Send, drain_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._drain_bytes = drain_bytes
        self._body_complete = False
        self._finished = False

    async def receive(self) -> Message:
        if self._finished:
            await trio.sleep_forever()
        message: Message = await self._receive()
        if self._finished:
            await trio.sleep_forever()
        self._note(message)
        return message

    def _note(self, message: Message) -> None:
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._body_complete = True

    async def send(self, message: Message) -> None:
        if message["type"] != "http.response.body" or message.get("more_body", False):
            await self._send(message)
            return
        self._finished = True
        if not self._body_complete:
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._discard)
            await self._send(message)
            nursery.cancel_scope.cancel()

    async def _drain(self) -> None:
        left = self._drain_bytes
        with trio.move_on_after(DRAIN_SECONDS):
            while left > 0 and not self._body_complete:
                message = await self._receive()
                left -= len(message.get("body", b""))
                self._note(message)

    async def _discard(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


@frozen
class Access:
    """One answered request, for the access log; the path is without its query, which could hold secrets."""

    request_id: str
    method: str
    path: str
    status: int | None  # None: the client went away first
    seconds: float
    bytes_sent: int
    client: str


class AccessLog:
    """Gives each request an id, and tells of each when it is over."""

    def __init__(self, app: AsgiApp, tell: Callable[[Access], None]) -> None:
        self._app = app
        self._tell = tell

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex[:16]
        scope["guts.request_id"] = request_id
        began, status, sent = perf_counter(), None, 0

        async def noting(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message = {**message, "headers": headers}
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            client = scope.get("client") or ("local",)
            self._tell(
                Access(
                    request_id,
                    scope["method"],
                    scope["path"],
                    status,
                    perf_counter() - began,
                    sent,
                    str(client[0]),
                )
            )


class BodyLimit:
    """Bounds a request body in bytes (``limit(scope)``; None: the route bounds itself) and in silence."""

    def __init__(self, app: AsgiApp, limit: Callable[[Any], int | None], idle_seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._idle_seconds = idle_seconds

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope)
        if most is not None and _declared(scope) > most:
            await refuse(send, 413, f"the body is larger than {most} bytes")
            return
        body = _BoundedBody(receive, send, most, self._idle_seconds)
        with body.giving_up:
            await self._app(scope, body.receive, body.send)
        if body.verdict is not None and not body.answered:
            await refuse(send, *body.verdict)


class _BoundedBody:
    def __init__(self, receive: Receive, send: Send, most: int | None, idle_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._idle_seconds = idle_seconds
        self._seen = 0
        self._complete = False
        self.giving_up = trio.CancelScope()
        self.verdict: tuple[int, str] | None = None
        self.answered = False

    async def receive(self) -> Message:
        with trio.move_on_after(float("inf") if self._complete else self._idle_seconds) as waiting:
            message: Message = await self._receive()
        if waiting.cancelled_caught:
            return await self._give_up(408, f"nothing of the body came for {self._idle_seconds:g} s")
        self._seen += len(message.get("body", b""))
        if self._most is not None and self._seen > self._most:
            return await self._give_up(413, f"the body is larger than {self._most} bytes")
        self._complete = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message

    async def _give_up(self, status: int, words: str) -> Message:
        self.verdict = (status, words)
        self.giving_up.cancel()
        await trio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.answered = True
        await self._send(message)


def _declared(scope: Any) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
    return 0


async def refuse(send: Send, status: int, words: str, more: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Answer with one sentence in the JSON shape of every refusal, and close the connection."""
    body = json.dumps({"message": words, "documentation_url": "", "status": str(status)}).encode()
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
