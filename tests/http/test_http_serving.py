"""The guards B1-B5 of ``dependencies.md`` 1.3: one hostile connection never stops the server."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.protocol import ProtocolWrapper
from quart import Response, request
from quart_trio import QuartTrio

from guts_http.middleware import BodyLimit, FinishCleanly
from guts_http.serving import ServeSettings
from tests.http.http_world import PATIENCE_SECONDS, LiveServer, Serving, read_all
from tests.refusals.hostile_bytes import KILLS, h2_frame


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything at once, without reading the body; accept any socket."""
    if scope["type"] == "lifespan":
        await obey_lifespan(receive, send)
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await trio.sleep_forever()
    else:
        await answer(send, b"hello")


async def obey_lifespan(receive: Any, send: Any) -> None:
    for phase in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{phase}"
        await send({"type": f"lifespan.{phase}.complete"})


async def answer(send: Any, body: bytes, status: int = 200) -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def attack(server: LiveServer, name: str) -> bytes:
    with trio.fail_after(PATIENCE_SECONDS):
        async with await server.dial() as stream:
            await stream.send_all(KILLS[name])
            if "early answer" in name:
                early = b""
                while b"hello" not in early and b"400" not in early:
                    early += bytes(await stream.receive_some(65536))
                with suppress(trio.BrokenResourceError):
                    for _ in range(3):
                        await stream.send_all(h2_frame(0, 0, 1, b"late"))
            return await read_all(stream)


@pytest.mark.parametrize("name", KILLS)
async def test_b1_a_connection_that_kills_hypercorn_ends_alone(
    serving: Serving, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Behind hypercorn's own, ungated protocol: its bug ends its connection, not the server."""
    async with serving(hello, finish=False, protocol=ProtocolWrapper) as server:
        await attack(server, name)

        assert b"hello" in await server.get()


async def test_b1_the_attacks_reach_the_bugs_they_are_named_for(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """If a new hypercorn no longer fails on one of these, this says so, and the guard is retested."""
    async with serving(hello, finish=False, protocol=ProtocolWrapper) as server:
        for name in KILLS:
            await attack(server, name)
        await server.get()

    failures = [record for record in caplog.records if "a connection failed" in record.getMessage()]
    assert len(KILLS) == len(failures)


@pytest.mark.parametrize("name", KILLS)
async def test_b1_the_gate_keeps_the_attacks_from_hypercorn(
    serving: Serving, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As served: no upgrade, no HTTP/2, so nothing fails at all."""
    async with serving(hello, ServeSettings(keep_alive_seconds=0.5)) as server:
        said = await attack(server, name)

        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200")) or said == b""
        assert b"hello" in await server.get()
    assert [record for record in caplog.records if "failed" in record.getMessage()] == []


@pytest.mark.parametrize("ask", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"])
async def test_b2_an_answer_that_ends_a_connection_closes_it(serving: Serving, ask: bytes) -> None:
    """quart-trio alone leaves it open until the client gives up."""
    async with serving(quart_hello()) as server:
        assert (await server.say(ask)).endswith(b"hello")


async def test_b2_a_kept_connection_is_closed_when_it_idles(serving: Serving) -> None:
    """quart-trio alone never starts the idle timer again."""
    settings = ServeSettings(keep_alive_seconds=0.2)
    async with serving(quart_hello(), settings) as server:
        assert (await server.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")).endswith(b"hello")


async def test_b2_a_kept_connection_is_used_again(serving: Serving) -> None:
    """Two requests, one connection."""
    async with serving(quart_hello()) as server:
        said = await server.say(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )

        assert said.count(b"hello") == 2


def quart_hello() -> QuartTrio:
    app = QuartTrio("hello")

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.post("/")
    async def take() -> Response:
        return Response(str(len(await request.get_data())))

    return app


async def endless(scope: Any, receive: Any, send: Any) -> None:
    """An answer larger than any socket buffer."""
    if scope["type"] == "lifespan":
        await obey_lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})


async def test_b3_a_client_that_stops_reading_does_not_delay_the_stop(serving: Serving) -> None:
    """Hypercorn alone waits for it for ever, in a shielded send."""
    began = trio.current_time()
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(endless, ServeSettings(graceful_seconds=0.3, write_seconds=3600)) as server:
            stream = await server.dial()
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await stream.receive_some(1)
            began = trio.current_time()

    assert trio.current_time() - began < 2
    await trio.aclose_forcefully(stream)


async def test_b3_a_client_that_stops_reading_is_given_up(serving: Serving) -> None:
    """Its connection and its buffers are ours again after the write timeout."""
    ended = trio.Event()

    async def noticing(scope: Any, receive: Any, send: Any) -> None:
        try:
            await endless(scope, receive, send)
        finally:
            if scope["type"] == "http":
                ended.set()

    async def until_gone(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await obey_lifespan(receive, send)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(noticing, scope, receive, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            nursery.cancel_scope.cancel()

    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(until_gone, ServeSettings(write_seconds=0.2)) as server, await server.dial() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await ended.wait()


async def test_idle_clients_do_not_delay_the_stop(serving: Serving) -> None:
    """Connected and silent, or between two requests."""
    streams = []
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, ServeSettings(graceful_seconds=10)) as server:
            for ask in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HT"):
                stream = await server.dial()
                await stream.send_all(ask)
                streams.append(stream)
            await streams[1].receive_some(65536)
            began = trio.current_time()

    assert trio.current_time() - began < 2
    for stream in streams:
        await trio.aclose_forcefully(stream)


async def test_a_request_in_flight_ends_before_the_stop(serving: Serving) -> None:
    """It has begun: it gets its answer."""
    begun, may_end = trio.Event(), trio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await obey_lifespan(receive, send)
            return
        begun.set()
        await may_end.wait()
        await answer(send, b"done")

    with trio.fail_after(PATIENCE_SECONDS):
        settings = ServeSettings(graceful_seconds=PATIENCE_SECONDS)
        async with serving(slow, settings) as server, await server.dial() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await begun.wait()
            server.stop.set()
            may_end.set()
            said = await read_all(stream)

    assert said.endswith(b"done")


def chunks(count: int, size: int) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (size, bytes(size)) for _ in range(count)) + b"0\r\n\r\n"


POST_CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_b4_a_chunked_body_over_the_limit_is_refused(serving: Serving) -> None:
    """Quart's own limit does not stop a chunked body before it is in memory."""
    limited = BodyLimit(quart_hello(), lambda _: 1000, 5)
    async with serving(limited) as server:
        said = await server.say(POST_CHUNKED + chunks(10, 300))

        assert said.startswith(b"HTTP/1.1 413")


async def test_b4_a_declared_body_over_the_limit_is_refused_before_it_comes(serving: Serving) -> None:
    """The length says enough: the application is not even asked."""

    async def never(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "lifespan"
        await obey_lifespan(receive, send)

    async with serving(BodyLimit(never, lambda _: 1000, 5)) as server:
        said = await server.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + bytes(1001))

        assert said.startswith(b"HTTP/1.1 413")


async def test_b4_a_body_within_the_limit_is_taken(serving: Serving) -> None:
    """The limit is what it says."""
    limited = BodyLimit(quart_hello(), lambda _: 1000, 5)
    async with serving(limited, ServeSettings(keep_alive_seconds=0.2)) as server:
        assert (await server.say(POST_CHUNKED + chunks(2, 500))).endswith(b"1000")


async def test_b5_a_body_that_stops_coming_is_given_up(serving: Serving) -> None:
    """Hypercorn has no timeout for a body."""
    limited = BodyLimit(quart_hello(), lambda _: 1000, 0.2)
    async with serving(limited) as server:
        said = await server.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")

        assert said.startswith(b"HTTP/1.1 408")


async def test_b5_a_long_answer_is_not_cut(serving: Serving) -> None:
    """A timeout on the reader of the connection would cut what is still being answered."""
    app = QuartTrio("long")

    @app.get("/")
    async def index() -> str:
        await trio.sleep(0.6)  # longer than every timeout below
        return "done"

    settings = ServeSettings(keep_alive_seconds=0.2, write_seconds=0.2)
    async with serving(BodyLimit(app, lambda _: 10, 0.2), settings) as server:
        assert (await server.get()).endswith(b"done")


async def test_an_early_refusal_reaches_a_client_that_is_still_sending(serving: Serving) -> None:
    """B7: closing with unread bytes would reset the connection and destroy the answer."""

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await obey_lifespan(receive, send)
            return
        await answer(send, b"no", 403)

    async with serving(refusing) as server:
        with trio.fail_after(PATIENCE_SECONDS):
            async with await server.dial() as stream:
                await stream.send_all(POST_CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: close"))
                for _ in range(40):
                    await stream.send_all(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await stream.send_all(b"0\r\n\r\n")
                said = await read_all(stream)

        assert said.startswith(b"HTTP/1.1 403")


async def send_for_ever(stream: trio.SocketStream) -> None:
    while True:
        await stream.send_all(bytes(1 << 16))


async def test_an_endless_body_after_a_refusal_does_not_hold_its_connection(serving: Serving) -> None:
    """The drain is bounded, and hypercorn's full queue cannot block the close."""
    may_answer = trio.Event()

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await obey_lifespan(receive, send)
            return
        await may_answer.wait()
        await answer(send, b"no", 403)

    gone = trio.Event()

    async def flood(stream: trio.SocketStream) -> None:
        await stream.send_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError):
            await send_for_ever(stream)
        gone.set()

    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(FinishCleanly(refusing, drain_bytes=0), finish=False) as server:
            stream = await server.dial()
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(flood, stream)
                await trio.testing.wait_all_tasks_blocked(0.05)  # every queue and buffer on the way is full
                may_answer.set()
                await gone.wait()


async def test_clients_beyond_the_limit_are_told(serving: Serving) -> None:
    """503 at once instead of a connection that never answers; a place that frees is given again."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, ServeSettings(connections_max=1, keep_alive_seconds=3600)) as server:
            async with await server.dial() as first:
                await first.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await first.receive_some(65536)
                async with await server.dial() as second:
                    assert (await read_all(second)).startswith(b"HTTP/1.1 503")
            while b"hello" not in await server.get():
                pass  # the place is free once the server has cleaned up


async def test_a_head_that_does_not_end_is_given_up(serving: Serving) -> None:
    """Slowloris: the head has the keep-alive time, however many bytes trickle in."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, ServeSettings(keep_alive_seconds=0.2)) as server, await server.dial() as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n")

            assert await stream.receive_some(1) == b""
