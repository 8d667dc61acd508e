"""Who may read is asked when an answer begins: what was allowed when a request began may be over by then."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from guts_http.site import Settings
from tests.fixtures.git_history import commit
from tests.http.http_world import PATIENCE_SECONDS, read_all
from tests.http.node_world import Node, bearing
from tests.http.test_http_git_v2 import ASK, Served, asking, open_served
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import ZERO, fetch_body, push_body

# A request that has not got as far by then is refused all the same: this only makes it likely that it waits.
UNTIL_IT_WAITS_SECONDS = 0.2
OLD = {"content-type": ASK["content-type"]}


async def slow(
    node: Node,
    body: bytes,
    headers: dict[str, str],
    meanwhile: Callable[[], Awaitable[None]],
    service: str = "git-upload-pack",
) -> bytes:
    """The answer to a request whose last bytes come after something else happened."""
    lines = [
        f"POST /alice/hello.git/{service} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    host, _, port = node.url.removeprefix("http://").rpartition(":")
    with trio.fail_after(PATIENCE_SECONDS):
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            await stream.send_all("\r\n".join(lines).encode() + b"\r\n\r\n" + body[:-4])
            await meanwhile()
            await stream.send_all(body[-4:])
            return await read_all(stream)


def a_request(kind: str, oid: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a question about this object, or about all refs."""
    return {
        "fetch": (ASK, asking("fetch", f"want {oid}", "done")),
        "ls-refs": (ASK, asking("ls-refs")),
        "object-info": (ASK, asking("object-info", "size", f"oid {oid}")),
        "version 0": (OLD, fetch_body([oid], 0)),
    }[kind]


async def hide(served: Served) -> None:
    """The repository becomes private."""
    changed = await served.node.http.patch(
        "/api/v3/repos/alice/hello", json={"private": True}, headers=bearing(served.token)
    )
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize("kind", ["fetch", "ls-refs", "object-info", "version 0"])
async def test_a_slow_body_does_not_outlive_a_permission(tmp_path: Path, kind: str) -> None:
    """The repository becomes private while a stranger's request is on its way; nothing of it is told."""
    async with open_served(tmp_path) as served:
        oid = await served.oid("main")
        headers, body = a_request(kind, oid)
        before = await served.node.http.post("/alice/hello.git/git-upload-pack", content=body, headers=headers)
        answer = await slow(served.node, body, headers, lambda: hide(served))

    assert before.status_code == 200
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert answer.endswith(b"sign in: the account's name as user, a token as password\n")


@pytest.mark.parametrize("kind", ["fetch", "ls-refs", "object-info", "version 0"])
async def test_a_slow_body_does_not_outlive_its_token(tmp_path: Path, kind: str) -> None:
    """A token is revoked while a request that shows it is on its way."""
    async with open_served(tmp_path) as served:
        await hide(served)
        (mine,) = (await served.node.http.get("/api/guts/v1/tokens", headers=bearing(served.token))).json()
        oid = await served.oid("main")
        headers, body = a_request(kind, oid)

        async def revoke() -> None:
            done = await served.node.http.delete(f"/api/guts/v1/tokens/{mine['id']}", headers=bearing(served.token))
            assert done.status_code in (200, 204), done.text

        answer = await slow(served.node, body, {**headers, **bearing(served.token)}, revoke)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"this credential was revoked" in answer


async def test_a_slow_pack_does_not_outlive_a_permission(tmp_path: Path) -> None:
    """What is wrong with a pack tells what the repository holds: whoever may not write by now is told nothing of it."""
    async with open_served(tmp_path) as served:
        await hide(served)
        path = "/api/v3/repos/alice/hello/collaborators/bob"
        added = await served.node.http.put(path, json={"permission": "push"}, headers=bearing(served.token))
        assert added.status_code in (201, 204), added.text
        token = await served.node.token("bob")
        new = commit("ab" * 20)
        body = push_body([f"{ZERO} {new.oid} refs/heads/new"], pack_of(new))
        said = {**bearing(token), "content-type": "application/x-git-receive-pack-request"}
        with_it = await served.node.http.post("/alice/hello.git/git-receive-pack", content=body, headers=said)

        async def remove() -> None:
            gone = await served.node.http.delete(path, headers=bearing(served.token))
            assert gone.status_code == 204, gone.text

        answer = await slow(served.node, body, said, remove, "git-receive-pack")

    assert b"ab" * 20 in with_it.content
    assert b"ab" * 20 not in answer
    assert b"ng refs/heads/new there is no such repository" in answer


async def test_a_download_that_waits_for_its_turn_does_not_outlive_a_permission(tmp_path: Path) -> None:
    """The only turn is held by another; when it is free, the repository is not public any more."""
    async with open_served(tmp_path, Settings(fetches_max=1, queue_seconds=60)) as served:
        (served.work / "noise").write_bytes(os.urandom(24 << 20))
        await served.git("add", ".")
        await served.git("commit", "-qm", "noise")
        await served.push("main")
        path = "/api/guts/v1/repos/alice/hello/packs"
        listed = (await served.node.http.get(path)).json()["packs"]
        large = max(listed, key=lambda one: int(one["size"]))["digest"]
        statuses: list[int] = []

        async def wait() -> None:
            statuses.append((await served.node.http.get(f"{path}/{large}.idx")).status_code)

        host, _, port = served.node.url.removeprefix("http://").rpartition(":")
        with trio.fail_after(PATIENCE_SECONDS):
            stream = await trio.open_tcp_stream(host, int(port))
            await stream.send_all(f"GET {path}/{large}.pack HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b"200" in await stream.receive_some(1000)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.sleep(UNTIL_IT_WAITS_SECONDS)
                await hide(served)
                await trio.aclose_forcefully(stream)

    # 404 is for who comes when it is hidden already: on a machine so slow that the request did not wait by then.
    assert statuses in ([401], [404])


@pytest.mark.parametrize("version", [0, 2])
async def test_who_waits_for_a_turn_is_asked_again(tmp_path: Path, version: int) -> None:
    """The only turn is held by another; when it is free, the repository is not public any more."""
    async with open_served(tmp_path, Settings(fetches_max=1, queue_seconds=60)) as served:
        (served.work / "noise").write_bytes(os.urandom(24 << 20))
        await served.git("add", ".")
        await served.git("commit", "-qm", "noise")
        await served.push("main")
        large, small = await served.oid("main"), await served.oid("v1")
        answers: list[int] = []

        async def wait() -> None:
            body = asking("fetch", f"want {small}", "done") if version == 2 else fetch_body([small], 0)
            headers = ASK if version == 2 else OLD
            answer = await served.node.http.post("/alice/hello.git/git-upload-pack", content=body, headers=headers)
            answers.append(answer.status_code)

        body = asking("fetch", f"want {large}", "done")
        head = f"POST /alice/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in ASK.items()) + "\r\n"
        host, _, port = served.node.url.removeprefix("http://").rpartition(":")
        with trio.fail_after(PATIENCE_SECONDS):
            stream = await trio.open_tcp_stream(host, int(port))
            await stream.send_all(head.encode() + body)
            assert b"200" in await stream.receive_some(1000)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.sleep(UNTIL_IT_WAITS_SECONDS)
                await hide(served)
                await trio.aclose_forcefully(stream)

    assert answers == [401]
