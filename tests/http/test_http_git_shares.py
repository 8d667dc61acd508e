"""One address has a share of the turns: whoever takes all that it can get leaves the rest to others."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from guts_http.clients import Trusted
from guts_http.problems import TooManyAtOnce
from guts_http.site import Settings
from guts_http.turns import Shares, Turns
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import bearing
from tests.http.stuck_git import StuckGit, judged
from tests.http.test_http_git_v2 import ASK, Served, asking, open_served
from tests.refusals.doors_world import fetch_body

ONE, OTHER = "192.0.2.1", "192.0.2.2"
PROXIED = Settings(fetches_max=4, pushes_max=4, queue_seconds=0.2, trusted_proxies=("127.0.0.1",))
# Each makes another question of the same wants.
FLAGS = ("include-tag", "no-progress", "thin-pack", "sideband-all")
OLD = {"content-type": ASK["content-type"]}


async def ask(served: Served, body: bytes, client: str, headers: dict[str, str] = ASK) -> httpx.Response:
    """A fetch of somebody behind the proxy."""
    said = {**headers, "x-forwarded-for": client}
    return await served.node.http.post("/alice/hello.git/git-upload-pack", content=body, headers=said)


async def hold(served: Served, body: bytes, client: str, headers: dict[str, str] = ASK) -> trio.SocketStream:
    """The connection of one who asks, and reads no further than the status."""
    said = {**headers, "x-forwarded-for": client, "content-length": str(len(body))}
    head = "POST /alice/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in said.items()) + "\r\n"
    host, _, port = served.node.url.removeprefix("http://").rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(head.encode() + body)
    assert await stream.receive_some(100)
    return stream


async def with_noise(served: Served) -> str:
    """What is too large for the buffers of a connection."""
    (served.work / "noise").write_bytes(os.urandom(24 << 20))
    await served.git("add", ".")
    await served.git("commit", "-qm", "noise")
    await served.push("main")
    return await served.oid("main")


@pytest.mark.parametrize("version", [0, 2])
async def test_one_address_leaves_turns_to_others(tmp_path: Path, version: int) -> None:
    """It asks as often as there are turns, and reads nothing; another one is served."""
    headers = ASK if version == 2 else OLD
    async with open_served(tmp_path, PROXIED) as served:
        large, small = await with_noise(served), await served.oid("v1")
        little = asking("fetch", f"want {small}", "done") if version == 2 else fetch_body([small], 0)
        bodies = [asking("fetch", f"want {large}", flag, "done") for flag in FLAGS]
        if version == 0:
            bodies = [fetch_body([large], 0)] * 4
        with trio.fail_after(PATIENCE_SECONDS):
            streams = [await hold(served, body, ONE, headers) for body in bodies]
            refused = await ask(served, little, ONE, headers)
            answer = await ask(served, little, OTHER, headers)
            for stream in streams:
                await trio.aclose_forcefully(stream)

    assert answer.status_code == 200
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "this node serves 1 clones and fetches of one address at once" in refused.text


async def test_who_has_no_share_left_holds_up_nobody_who_asks_the_same(tmp_path: Path) -> None:
    """It waits for its own share with a question that another asks as well: both are served."""
    settings = Settings(fetches_max=4, queue_seconds=PATIENCE_SECONDS, trusted_proxies=("127.0.0.1",))
    async with open_served(tmp_path, settings) as served:
        large, small = await with_noise(served), await served.oid("v1")
        little = asking("fetch", f"want {small}", "done")
        statuses: list[int] = []

        async def wait() -> None:
            statuses.append((await ask(served, little, ONE)).status_code)

        with trio.fail_after(PATIENCE_SECONDS):
            stream = await hold(served, asking("fetch", f"want {large}", "done"), ONE)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while not statuses:  # the one that waits has what the other began, whichever came first
                    assert (await ask(served, little, OTHER)).status_code == 200
            await trio.aclose_forcefully(stream)

    assert statuses == [200]


async def test_one_address_leaves_pushes_to_others(tmp_path: Path) -> None:
    """A push that does not get on holds the only push of its address."""
    async with open_served(tmp_path, PROXIED) as served:
        path, kind = "/alice/hello.git/git-receive-pack", "application/x-git-receive-pack-request"
        said = {**bearing(served.token), "content-type": kind, "x-forwarded-for": ONE}
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in said.items()) + "\r\n"
        host, _, port = served.node.url.removeprefix("http://").rpartition(":")

        async def push(client: str) -> httpx.Response:
            headers = {**said, "x-forwarded-for": client}
            return await served.node.http.post(path, content=b"0000", headers=headers)

        with trio.fail_after(PATIENCE_SECONDS):
            async with await trio.open_tcp_stream(host, int(port)) as stream:
                await stream.send_all(head.encode() + b"00")
                while (refused := await push(ONE)).status_code == 200:  # until the first one is being read
                    pass
                served_still = await push(OTHER)

    assert refused.status_code == 503
    assert "this node serves 1 pushes of one address at once" in refused.text
    assert served_still.status_code == 200


async def test_one_address_leaves_readers_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that git does not get on with holds the only turn of its address; others read."""
    settings = Settings(git_reads_max=4, queue_seconds=0.2, trusted_proxies=("127.0.0.1",))
    async with open_served(tmp_path, settings) as served:

        async def read(client: str, what: str) -> httpx.Response:
            return await served.node.http.get(f"/api/v3/repos/alice/hello/{what}", headers={"x-forwarded-for": client})

        with monkeypatch.context() as patch, trio.fail_after(PATIENCE_SECONDS):
            stuck = StuckGit(tmp_path / "stuck", patch)
            await judged(served.node)
            stuck.hang_in("rev-list")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read, ONE, "commits")
                await stuck.one_hangs()
                refused = await read(ONE, "contents")
                served_still = await read(OTHER, "contents")
                nursery.cancel_scope.cancel()
            await stuck.none_hangs()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "this node serves 1 readers of histories of one address at once" in refused.text
    assert served_still.status_code == 200


async def test_shares_are_counted_by_who_asks() -> None:
    """A quarter of all, twice as much for this machine; all of it for who speaks for many. IPv6 by its /64."""
    shares = Shares(25, Trusted(["10.0.0.0/8"]))
    turns = Turns(8, 0, "things", shares)
    for client, most in (
        ("192.0.2.1", 2),
        ("2001:db8::1", 2),
        ("127.0.0.1", 4),
        ("10.1.2.3", 8),
        (None, 8),
    ):
        assert shares.of(8, client) == most
    assert [Shares(1, Trusted()).of(most, "192.0.2.1") for most in (1, 10, 200)] == [1, 1, 2]

    async with turns.one("2001:db8::1"), turns.one("2001:db8::2"):
        with pytest.raises(TooManyAtOnce, match="2 things of one address"):
            async with turns.one("2001:db8::3"):
                raise AssertionError
        with pytest.raises(TooManyAtOnce, match="2 things of one address"):
            turns.check("2001:db8::3")
        turns.check("2001:db8:0:1::1")
        async with turns.one("2001:db8:0:1::1"):
            pass
    async with turns.one("2001:db8::3"):
        pass
    assert turns.all.borrowed_tokens == 0


async def test_waiting_for_a_share_takes_no_turn_from_others() -> None:
    """Who waits behind itself is in no queue in which others wait."""
    turns = Turns(4, 60, "things", Shares(25, Trusted()))
    with trio.fail_after(PATIENCE_SECONDS):
        async with turns.one(ONE), trio.open_nursery() as nursery:

            async def wait() -> None:
                async with turns.one(ONE):
                    raise AssertionError

            for _ in range(10):
                nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            async with turns.one(OTHER):
                assert turns.all.borrowed_tokens == 2
            nursery.cancel_scope.cancel()
    assert turns.all.borrowed_tokens == 0
