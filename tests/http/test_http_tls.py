"""TLS in the server itself: what is spoken, renewals, hostile handshakes, and stock git over it."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trustme

from guts_core.errors import Invalid
from guts_http.app import create_app
from guts_http.serving import ServeSettings, serve
from guts_http.tls import Certificate
from tests.http.http_world import PATIENCE_SECONDS, LiveServer, Serving, open_server, read_all
from tests.http.node_world import a_history, git, open_world

HOST = "127.0.0.1"


class Authority:
    """A certificate authority of a test, and the files of the server it vouches for."""

    def __init__(self, path: Path) -> None:
        self.ca = trustme.CA()
        self.roots, self.chain, self.key = path / "ca.pem", path / "chain.pem", path / "key.pem"
        self.ca.cert_pem.write_to_path(str(self.roots))
        self.issue()

    def issue(self) -> None:
        """Files of a new certificate over those of the old one."""
        issued = self.ca.issue_cert(HOST, "localhost")
        self.key.write_bytes(issued.private_key_pem.bytes())
        self.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def settings(self, **others: Any) -> ServeSettings:
        """A server with these files."""
        return ServeSettings(certificate=(self.chain, self.key), **others)

    def client(self) -> ssl.SSLContext:
        """A client that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.roots))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{scope['scheme']} {scope['http_version']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def connect(server: LiveServer, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    plain = await trio.open_tcp_stream(HOST, port_of(server))
    stream = trio.SSLStream(plain, context, server_hostname=HOST, https_compatible=True)
    await stream.do_handshake()
    return stream


def port_of(server: LiveServer) -> int:
    return int(server.url.rpartition(":")[2])


async def serial(server: LiveServer, authority: Authority) -> object:
    async with await connect(server, authority.client()) as stream:
        return stream.getpeercert()["serialNumber"]


async def get(server: LiveServer, authority: Authority) -> bytes:
    async with await connect(server, authority.client()) as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return await read_all(stream)


async def test_http_is_served_inside_tls(serving: Serving, authority: Authority) -> None:
    """TLS 1.2 or newer, HTTP/1.1 whatever else is offered, and the application knows the scheme."""
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, authority.settings()) as server:
            assert server.url.startswith("https://127.0.0.1:")
            async with await connect(server, context) as stream:
                assert stream.selected_alpn_protocol() == "http/1.1"
                assert stream.version() in ("TLSv1.2", "TLSv1.3")
            assert (await get(server, authority)).endswith(b"https 1.1")
            async with httpx.AsyncClient(verify=context, http2=False) as client:
                answers = [await client.get(server.url) for _ in range(3)]

    assert [answer.text for answer in answers] == ["https 1.1"] * 3


def test_old_tls_is_not_spoken(authority: Authority) -> None:
    """TLS 1.0 and 1.1 are broken, and renegotiation is work that a client can ask for."""
    context = Certificate(authority.chain, authority.key).context()

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


async def test_a_renewed_certificate_is_served_without_a_restart(
    serving: Serving, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """From the next connection on; half a renewal changes nothing and is told once."""
    with trio.fail_after(PATIENCE_SECONDS), caplog.at_level(logging.INFO, "guts.http.tls"):
        async with serving(hello, authority.settings()) as server, await connect(server, authority.client()) as before:
            first = await serial(server, authority)
            authority.issue()
            second = await serial(server, authority)

            authority.chain.write_text("half of a certif")
            kept = [await serial(server, authority) for _ in range(3)]
            authority.key.unlink()
            kept.append(await serial(server, authority))
            authority.issue()
            third = await serial(server, authority)

            await before.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await read_all(before)).endswith(b"https 1.1")

    assert len({first, second, third}) == 3
    assert kept == [second] * 4
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR", "ERROR", "INFO"]


@pytest.mark.parametrize("what", ["absent", "garbage", "other key", "password"])
async def test_a_certificate_that_does_not_load_stops_the_start(authority: Authority, what: str) -> None:
    """Before anything listens, with the names of the files; nobody is asked for a password."""
    match what:
        case "absent":
            authority.chain.unlink()
        case "garbage":
            authority.chain.write_bytes(bytes(100))
        case "other key":
            authority.key.write_bytes(trustme.CA().issue_cert(HOST).private_key_pem.bytes())
        case _:
            authority.key.write_bytes(with_password(authority.key.read_bytes()))

    with pytest.raises(Invalid, match=r"chain\.pem .* does not load"):
        await serve(hello, ["127.0.0.1:0"], authority.settings(), stop=trio.Event())


def with_password(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    key = forms.load_pem_private_key(pem, None)
    encryption = forms.BestAvailableEncryption(b"secret")
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\xff\xff" + bytes(200),
        b"\x16\x03\x01\x00\x05\x01",
        b"\x80.\x01",
    ],
    ids=["plain http", "long record", "cut off", "ssl 2"],
)
async def test_bad_handshakes_end_their_own_connection_only(
    serving: Serving, authority: Authority, said: bytes
) -> None:
    """Whatever stands there instead of a handshake."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, authority.settings(handshake_seconds=0.3)) as server:
            for _ in range(5):
                async with await trio.open_tcp_stream(HOST, port_of(server)) as stream:
                    await stream.send_all(said)
                    await read_all(stream)

            assert (await get(server, authority)).endswith(b"https 1.1")


async def test_a_handshake_that_does_not_end_is_given_up(serving: Serving, authority: Authority) -> None:
    """A connection's place is not held by silence; others are served meanwhile."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, authority.settings(handshake_seconds=0.5, connections_max=3)) as server:
            silent = [await trio.open_tcp_stream(HOST, port_of(server)) for _ in range(2)]
            assert (await get(server, authority)).endswith(b"https 1.1")

            assert [await read_all(stream) for stream in silent] == [b"", b""]
            for stream in silent:
                await stream.aclose()
            assert (await get(server, authority)).endswith(b"https 1.1")


async def test_who_finds_no_place_costs_no_handshake(serving: Serving, authority: Authority) -> None:
    """The connection is closed; the place is given again."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with (
            serving(hello, authority.settings(connections_max=1)) as server,
            await connect(server, authority.client()),
            await trio.open_tcp_stream(HOST, port_of(server)) as stream,
        ):
            assert await read_all(stream) == b""


async def test_a_stop_does_not_wait_for_clients_that_do_not_read(serving: Serving, authority: Authority) -> None:
    """TLS says goodbye, and a client that does not listen is not waited for."""
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(hello, authority.settings(graceful_seconds=0.5)) as server:
            idle = await connect(server, authority.client())
            await idle.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await idle.receive_some(10)
            shaking = await trio.open_tcp_stream(HOST, port_of(server))
    await trio.aclose_forcefully(idle)
    await trio.aclose_forcefully(shaking)


async def test_stock_git_pushes_and_clones_over_https(tmp_path: Path, authority: Authority) -> None:
    """With the authority named to git; the clone URL says https; without it git refuses the certificate."""
    async with open_world(tmp_path / "net") as node:
        app = create_app(node.port, node.database, node.genesis)
        async with open_server(app, authority.settings(), finish=False) as server:
            token = await node.token("alice")
            work = await a_history(tmp_path, payload=bytes(300_000))
            trusting = ("-c", f"http.sslCAInfo={authority.roots}")
            remote = server.url.replace("https://", f"https://alice:{token}@") + "/alice/hello.git"
            pushed = await git(work, *trusting, "push", remote, "main")
            cloned = await git(tmp_path, *trusting, "clone", "-q", f"{server.url}/alice/hello.git", "copy")
            stranger = await git(tmp_path, "clone", "-q", f"{server.url}/alice/hello.git", "other")
            async with httpx.AsyncClient(verify=authority.client(), base_url=server.url) as client:
                shown = (await client.get("/api/v3/repos/alice/hello")).json()
            here, there = [await git(at, "rev-parse", "HEAD") for at in (work, tmp_path / "copy")]

    assert pushed.code == 0, pushed.err
    assert cloned.code == 0, cloned.err
    assert here.out == there.out
    assert "certificate" in stranger.err
    assert shown["clone_url"] == f"{server.url}/alice/hello.git"
