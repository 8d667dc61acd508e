"""Bad inputs D03, D04 and D06 of ``reliability.md``: refused before any application sees them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from guts_http.middleware import BodyLimit
from guts_http.serving import ServeSettings
from tests.http.http_world import Serving

HEAD = b"POST /x HTTP/1.1\r\nHost: a\r\n"
REFUSED = {
    "content-length with transfer-encoding": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two content-lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "two lengths in one": HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +5\r\n\r\nhello",
    "two transfer-encodings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer-encoding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked and more": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bare LF in the head": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare LF in one header": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare CR in one header": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two authorizations": b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: token a\r\nAuthorization: token b\r\n\r\n",
    "absolute form": b"GET http://elsewhere/ HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    "CONNECT": b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a lower-case version": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "a tab in the request line": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a byte beyond ASCII in the target": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


async def counting(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked, to show that it was asked."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"x-reached", b"yes")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": repr(scope["headers"]).encode()})


@pytest.mark.parametrize("name", REFUSED)
async def test_bad_D_03_and_D_04_are_answered_400_and_closed(serving: Serving, name: str) -> None:
    """A request that two readers could frame differently is nobody's request."""
    async with serving(counting) as server:
        said = await server.say(REFUSED[name] + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")

    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1


async def test_bad_D_03_trailers_end_the_connection(serving: Serving) -> None:
    """Fields after a body would bypass every check of the head."""
    async with serving(counting) as server:
        said = await server.say(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: token x\r\n\r\n")

    assert b"x-reached" not in said


async def test_bad_D_06_h2c_and_websocket_offers_are_ignored(serving: Serving) -> None:
    """The answer is plain HTTP/1.1, and the application never learns of the offer."""
    offers = (b"h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", b"websocket\r\nSec-WebSocket-Version: 13")
    async with serving(counting) as server:
        for offer in offers:
            said = await server.say(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: " + offer + b"\r\n\r\n"
            )

            assert said.startswith(b"HTTP/1.1 200")
            assert b"b'upgrade'," not in said


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_good_request_passes_in_pieces(serving: Serving, size: int) -> None:
    """The gate judges what has come, never what has not come yet."""
    ask = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\nx\n\r\n0\r\n\r\n"
    async with serving(counting) as server, await server.dial() as stream:
        for at in range(0, len(ask), size):
            await stream.send_all(ask[at : at + size])
        said = b"".join([piece async for piece in stream])

    assert b"x-reached: yes" in said


@pytest.mark.parametrize("seed", range(20))
async def test_hostile_bytes_end_their_own_connection(serving: Serving, seed: int) -> None:
    """Good requests with bytes changed, lost and doubled: an answer or a close, and the server stands."""
    dice = Random(seed)  # noqa: S311 -- a test's dice
    async with serving(BodyLimit(counting, lambda _: 1000, 0.3), ServeSettings(keep_alive_seconds=0.3)) as server:
        for _ in range(5):
            hostile = bytearray(
                dice.choice([*REFUSED.values(), HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"])
            )
            for _ in range(dice.randrange(4)):
                at = dice.randrange(len(hostile))
                hostile[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
            await server.say(bytes(hostile) or b"x")

        assert b"x-reached: yes" in await server.get()


async def test_a_client_that_expects_100_continue_gets_it(serving: Serving) -> None:
    """Clients such as curl hold large bodies back until they hear it."""
    async with serving(counting) as server, await server.dial() as stream:
        await stream.send_all(HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\n")
        first = await stream.receive_some(1000)
        await stream.send_all(b"hello")
        rest = b"".join([piece async for piece in stream])

    assert first.startswith(b"HTTP/1.1 100")
    assert b"x-reached: yes" in rest
