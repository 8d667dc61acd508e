"""Answers in the shapes that stock git shows to people."""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.errors import GutsError, Unauthenticated
from guts_http.middleware import Send
from guts_http.problems import answer_to

# Refs change at any time, and what one may see is not for the next one behind a proxy.
NO_CACHE = (
    (b"cache-control", b"no-cache, max-age=0, must-revalidate"),
    (b"pragma", b"no-cache"),
    (b"expires", b"Fri, 01 Jan 1980 00:00:00 GMT"),
)
CHALLENGE = (b"www-authenticate", b'Basic realm="Guts"')


async def start(send: Send, content_type: str, extra: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Begin a successful answer whose length is not known yet."""
    headers = [(b"content-type", content_type.encode()), *NO_CACHE, *extra]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def more(send: Send, data: bytes) -> None:
    """The next bytes of an answer."""
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def end(send: Send) -> None:
    """The end of an answer."""
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def whole(send: Send, content_type: str, body: bytes) -> None:
    """A complete successful answer."""
    await start(send, content_type, [(b"content-length", str(len(body)).encode())])
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def failed(send: Send, error: GutsError) -> None:
    """What went wrong; git shows plain text of a failed request to the person."""
    answer = answer_to(error)
    # git shows a 422 no better than a 400, and proxies know the latter.
    status = 400 if answer.status == 422 else answer.status
    body = f"{answer.message}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *NO_CACHE,
        *((name.lower().encode(), value.encode()) for name, value in answer.headers.items()),
    ]
    if isinstance(error, Unauthenticated):
        headers.append(CHALLENGE)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
