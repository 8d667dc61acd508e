"""Who a client is: proxies that may speak for others, places for each address, and how often one may ask."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from guts_core.forge.records import Scope
from guts_http.clients import Trusted, group_of, is_loopback
from guts_http.places import Places
from guts_http.problems import TooManyRequests
from guts_http.proxies import Forwarded
from guts_http.rates import BURST_SECONDS, KEYS_MAX, LOOPBACK_COST, Rates
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from guts_net.disk import LocalDisk
from tests.http.http_world import PATIENCE_SECONDS, LiveServer, Serving, open_server, read_all
from tests.http.node_world import Node, Ran, a_history, bearing, git, open_world

ASKED_MAX = 3_000
GIT_RUNS_MAX = 20
KEPT = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def seen(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it is told of the client."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps({"client": scope["client"][0], "scheme": scope["scheme"], "headers": headers}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def ask(server: LiveServer, **headers: str) -> dict[str, Any]:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    answer = await server.say(f"GET / HTTP/1.1\r\nHost: real\r\nConnection: close\r\n{lines}\r\n".encode())
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def until_refused(node: Node, path: str, **headers: str) -> list[httpx.Response]:
    """All answers up to the first 429; buckets fill again meanwhile, so that a slow machine gets some more."""
    answers = [await node.http.get(path, headers=headers)]
    while answers[-1].status_code != 429 and len(answers) < ASKED_MAX:
        answers.append(await node.http.get(path, headers=headers))
    return answers


async def git_when_refused(directory: Path, node: Node, token: str) -> Ran:
    """What git hears then; while a slow machine starts it, the bucket may get another drop."""
    for _ in range(GIT_RUNS_MAX):
        await until_refused(node, "/api/v3/user", **bearing(token))
        ran = await git(directory, "ls-remote", node.remote("alice/hello.git", "alice", token))
        if "429" in ran.err:
            break
    return ran


@asynccontextmanager
async def behind(*trusted: str) -> AsyncIterator[LiveServer]:
    async with open_server(Forwarded(seen, Trusted(trusted))) as server:
        yield server


async def test_bad_E_01_forwarded_headers_of_anybody_are_ignored() -> None:
    """Who could choose their own address would choose one that has not been used yet, or the operator's."""
    saying = {
        "X_Forwarded_For": "9.9.9.9", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil", "X_Real_IP": "9.9.9.9",
        "Forwarded": "for=9.9.9.9", "X_WEBAUTH_USER": "root",
    }  # fmt: skip
    for trusted in ((), ("10.0.0.0/8", "::/0")):
        async with behind(*trusted) as server:
            found = await ask(server, **saying)

        assert (found["client"], found["scheme"], found["headers"]["host"]) == ("127.0.0.1", "http", "real")
        assert found["headers"].keys() == {"host", "connection", "x-webauth-user"}


async def test_a_trusted_proxy_speaks_for_its_client() -> None:
    """Address, scheme and host; the headers themselves go no further."""
    async with behind("127.0.0.1") as server:
        found = await ask(
            server, X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="https", X_Forwarded_Host="git.example.org"
        )

    assert (found["client"], found["scheme"]) == ("203.0.113.7", "https")
    assert found["headers"] == {"host": "git.example.org", "connection": "close"}


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),  # what stands before, the client made up
        ("1.1.1.1, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1, 127.0.0.1", "203.0.113.7"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", "127.0.0.1"),
        ("203.0.113.7, _hidden, 10.0.0.1", "10.0.0.1"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
        ("999.1.1.1", "127.0.0.1"),
    ],
)
async def test_bad_E_01_the_client_is_the_last_one_no_trusted_proxy_is(said: str, client: str) -> None:
    """Each proxy adds at the end whom it saw: only what trusted ones added is known."""
    async with behind("127.0.0.0/8", "10.0.0.0/8") as server:
        found = await ask(server, X_Forwarded_For=said)

    assert found["client"] == client


async def test_bad_E_01_nonsense_of_a_trusted_proxy_is_ignored() -> None:
    """A header that passed through from a client must not become a link."""
    async with behind("127.0.0.1") as server:
        found = await ask(server, X_Forwarded_Proto="javascript", X_Forwarded_Host='a"><script>')

    assert (found["scheme"], found["headers"]["host"]) == ("http", "real")


async def test_the_log_links_and_limits_use_the_client_behind_the_proxy(tmp_path: Path) -> None:
    """The whole way: clone URL, access log, and one client's flood is not the other's."""
    settings = Settings(trusted_proxies=("127.0.0.1",), requests_per_second=1)
    async with open_world(tmp_path, settings) as node:
        await node.create(await node.token("alice"), "hello")
        mine = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https", "x-forwarded-host": "git.example.org"}
        answers = await until_refused(node, "/api/v3/repos/alice/hello", **mine)
        other = await node.http.get("/api/v3/repos/alice/hello", headers={"x-forwarded-for": "203.0.113.8"})

    assert answers[0].json()["clone_url"] == "https://git.example.org/alice/hello.git"
    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert len(answers) > BURST_SECONDS
    assert answers[-1].status_code == 429
    assert other.status_code == 200
    assert {access.client for access in node.accesses} >= {"203.0.113.7", "203.0.113.8"}


async def test_the_public_url_wins_over_what_anybody_says(tmp_path: Path) -> None:
    """The operator's word."""
    async with open_world(tmp_path, Settings(public_url="https://git.example.org/", trusted_proxies=("::/0",))) as node:
        await node.create(await node.token("alice"), "hello")
        shown = await node.http.get("/api/v3/repos/alice/hello", headers={"host": "evil.example"})

    assert shown.json()["clone_url"] == "https://git.example.org/alice/hello.git"


def test_addresses_that_cost_nothing_count_as_one() -> None:
    """A customer has a whole /64 of IPv6; an IPv4 address inside IPv6 is itself."""
    assert group_of("2001:db8::1") == group_of("2001:db8::ffff:1") != group_of("2001:db8:0:1::1")
    assert group_of("::ffff:192.0.2.1") == group_of("192.0.2.1") != group_of("192.0.2.2")
    assert group_of("fe80::1%eth0") == group_of("fe80::2%eth0")
    assert group_of("no address") == "no address"
    assert [is_loopback(host) for host in ("127.3.2.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "x")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_places_are_counted_for_all_and_for_each() -> None:
    """A place that is left is free again; a proxy is not bounded by itself."""
    places = Places(6, 2, 3, Trusted(["192.0.2.9"]))
    taken = [places.take(host) for host in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "127.0.0.1")]
    proxied = [places.take("192.0.2.9") for _ in range(3)]

    assert taken == [True, True, False, True, True]
    assert proxied == [True, True, False]
    places.leave("192.0.2.1")
    assert places.take("192.0.2.1")
    assert not places.take("192.0.2.3")


async def test_one_address_cannot_take_all_connections(serving: Serving) -> None:
    """Others are served while it holds all it may; a Unix socket's peers share no address."""
    settings = ServeSettings(connections_per_loopback=2, keep_alive_seconds=3600)
    with trio.fail_after(PATIENCE_SECONDS):
        async with serving(seen, settings) as server, trio.open_nursery() as nursery:
            held = [await server.dial() for _ in range(2)]
            for stream in held:
                await stream.send_all(KEPT)
                await stream.receive_some(65536)
            async with await server.dial() as third:
                assert b"too many" in await read_all(third)
            port = int(server.url.rpartition(":")[2])
            async with await trio.open_tcp_stream("127.0.0.1", port, local_address="127.0.0.2") as other:
                await other.send_all(KEPT)
                assert b"200" in await other.receive_some(65536)
            for stream in held:
                nursery.start_soon(stream.aclose)


def test_a_bucket_fills_again_with_time() -> None:
    """A burst, then the rate; the answer says when to return."""
    now = 0.0
    rates = Rates(2, lambda: now)
    for _ in range(2 * BURST_SECONDS):
        rates.take("a")
    with pytest.raises(TooManyRequests) as refusal:
        rates.take("a")
    rates.take("b")

    assert refusal.value.retry_seconds == 1
    now = 0.5
    rates.take("a")
    with pytest.raises(TooManyRequests):
        rates.take("a")
    now = 1000.0
    for _ in range(2 * BURST_SECONDS):
        rates.take("a")
    with pytest.raises(TooManyRequests):
        rates.take("a")


def test_addresses_are_remembered_within_bounds() -> None:
    """A flood of addresses costs a bounded memory."""
    rates = Rates(1, lambda: 0.0)
    for number in range(KEYS_MAX + 100):
        rates.take(number)

    assert len(rates._buckets) == KEYS_MAX


async def test_an_account_that_asks_too_often_is_told_when_to_return(tmp_path: Path) -> None:
    """429 with Retry-After on the API and for git; others, and anonymous reads, go on."""
    async with open_world(tmp_path, Settings(account_requests_per_second=1)) as node:
        token, other = await node.token("alice"), await node.token("bob", Scope.READ)
        answers = await until_refused(node, "/api/v3/user", **bearing(token))
        pushed = await git_when_refused(tmp_path, node, token)
        anonymous = await node.http.get("/api/guts/v1/status")
        bob = await node.http.get("/api/v3/user", headers=bearing(other))

    assert {answer.status_code for answer in answers[:-1]} == {200}
    assert len(answers) > BURST_SECONDS
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["message"] == "too many requests from you: this node answers again in 1 s"
    assert "429" in pushed.err
    assert (anonymous.status_code, bob.status_code) == (200, 200)


async def test_an_address_that_asks_too_often_is_told_when_to_return(tmp_path: Path) -> None:
    """Before a token is looked at: guessing tokens is bounded as well."""
    async with open_world(tmp_path, Settings(requests_per_second=1)) as node:
        answers = await until_refused(node, "/api/v3/user", **bearing("guts_pat_x"))
        fetched = (await until_refused(node, "/alice/hello.git/info/refs?service=git-upload-pack"))[-1]

    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert len(answers) > BURST_SECONDS / LOOPBACK_COST
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == "1"
    assert (fetched.status_code, fetched.headers["content-type"]) == (429, "text/plain; charset=utf-8")


class SmallDisk(LocalDisk):
    """A disk whose free space is what a test says."""

    free = 1 << 40

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 -- as LocalDisk has it
        """As the test says."""
        return self.free


async def until_pushes_are(node: Node, token: str, status: int) -> None:
    """The door may believe for a second what the node said before."""
    with trio.fail_after(PATIENCE_SECONDS):
        path = "/alice/hello.git/info/refs?service=git-receive-pack"
        while (await node.http.get(path, headers=bearing(token))).status_code != status:
            pass


async def test_fault_F13_a_node_low_on_disk_refuses_writes_and_goes_on_reading(tmp_path: Path) -> None:
    """503 with words before a byte of a pack is taken; when there is space again, so are writes."""
    disk = SmallDisk()
    async with open_world(tmp_path / "net", disk=disk) as node:
        token = await node.token("alice")
        work = await a_history(tmp_path)
        remote = node.remote("alice/hello.git", "alice", token)
        assert (await git(work, "push", remote, "main")).code == 0
        disk.free = 1 << 20
        await until_pushes_are(node, token, 503)
        created = await node.create(token, "other")
        pushed = await git(work, "push", remote, "main:next")
        cloned = await git(tmp_path, "clone", "-q", remote, "copy")
        status = (await node.http.get("/api/guts/v1/status")).json()
        disk.free = 1 << 40
        await until_pushes_are(node, token, 200)
        again = await git(work, "push", remote, "main:next")
        made = await node.create(token, "other")

    assert created.status_code == 503
    assert "low on disk space (1 MiB free, " in created.json()["message"]
    assert created.headers["retry-after"]
    assert "503" in pushed.err
    assert cloned.code == 0, cloned.err
    assert (status["disk_free"], status["disk_reserve"]) == (1 << 20, 1 << 30)
    assert again.code == 0, again.err
    assert made.status_code == 201
