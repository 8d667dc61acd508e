"""Children of git end with the client they work for, and in a bounded time; their turns are for others then."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from guts_http.git import peeling
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import Node
from tests.http.stuck_git import StuckGit, judged
from tests.http.test_http_git_shares import with_noise
from tests.http.test_http_git_v2 import ASK, Served, asking, open_served
from tests.refusals.doors_world import fetch_body

OLD = {"content-type": ASK["content-type"]}


async def connected(node: Node, head: str, body: bytes = b"") -> trio.SocketStream:
    """A connection on which this was said."""
    host, _, port = node.url.removeprefix("http://").rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    await stream.send_all(head.encode() + b"\r\n" + body)
    return stream


def post(body: bytes, headers: dict[str, str]) -> str:
    """The head of a request to fetch."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /alice/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{lines}"


GET = "GET /alice/hello.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\n"


async def request_of(served: Served, kind: str) -> tuple[str, bytes]:
    """One whose answer takes a child."""
    old, blob = await served.oid("main~3"), await served.oid("main:file0")
    match kind:
        case "advertisement":
            return GET, b""
        case "version 0":
            body, headers = fetch_body([old], 0), OLD
        case "fetch":
            body, headers = asking("fetch", f"want {old}", "done"), ASK
        case "object-info":
            body, headers = asking("object-info", "size", f"oid {blob}"), ASK
        case _:
            body, headers = asking("ls-refs", "peel"), ASK
    return post(body, headers), body


STUCK = [
    ("advertisement", "upload-pack"),
    ("version 0", "--max-count=1"),
    ("version 0", "upload-pack"),
    ("fetch", "--max-count=1"),
    ("fetch", "upload-pack"),
    ("object-info", "cat-file"),
    ("object-info", "rev-list"),
    ("ls-refs", "cat-file"),
]


@pytest.mark.parametrize(("kind", "command"), STUCK)
async def test_a_client_that_leaves_ends_the_child_that_works_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, command: str
) -> None:
    """Also before the first byte of an answer; and the only turn is free again."""
    settings = Settings(fetches_max=1, git_reads_max=1, queue_seconds=PATIENCE_SECONDS)
    async with open_served(tmp_path, settings) as served:
        head, body = await request_of(served, kind)
        wants = asking("fetch", f"want {await served.oid('v1')}", "done")
        with monkeypatch.context() as patch, trio.fail_after(PATIENCE_SECONDS):
            stuck = StuckGit(tmp_path / f"{kind}{command}", patch)
            await judged(served.node)
            stuck.hang_in(command)
            stream = await connected(served.node, head, body)
            await stuck.one_hangs()
            await trio.aclose_forcefully(stream)
            await stuck.none_hangs()
        with trio.fail_after(PATIENCE_SECONDS):
            again = await served.post(wants)
            peeled = await served.post(asking("ls-refs", "peel"))

    assert (again.status_code, peeled.status_code) == (200, 200)


@pytest.mark.parametrize("command", ["cat-file", "rev-list"])
async def test_bad_D02_sizes_of_objects_are_told_in_a_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """What takes longer is given up, in words, and its child with it."""
    async with open_served(tmp_path, Settings(fetches_max=1)) as served:
        _, body = await request_of(served, "object-info")
        with monkeypatch.context() as patch, trio.fail_after(PATIENCE_SECONDS):
            stuck = StuckGit(tmp_path / "stuck", patch)
            await judged(served.node)
            stuck.hang_in(command)
            patch.setattr(peeling, "SIZES_SECONDS", 1.0)
            refused = await served.post(body)
            await stuck.none_hangs()
        told = await served.post(body)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "took longer than 1 s; ask for fewer objects at once" in refused.text
    assert told.status_code == 200


async def test_bad_D02_sizes_of_more_objects_than_a_fetch_may_want_are_not_looked_for(tmp_path: Path) -> None:
    """65,536 lines; of one more the request is refused before git is asked."""
    async with open_served(tmp_path) as served:
        blob = await served.oid("main:file0")
        most = await served.post(asking("object-info", "size", *[f"oid {blob}"] * 65_536))
        refused = await served.post(asking("object-info", "size", *[f"oid {blob}"] * 65_537))

    assert most.status_code == 200
    assert refused.status_code == 400
    assert "more than 65536 oid lines" in refused.text


@pytest.mark.parametrize("version", [0, 2])
async def test_a_client_that_stops_reading_gives_its_turn_back(tmp_path: Path, version: int) -> None:
    """Within the time of one piece of an answer: its child has nobody left to pack for, and the next one is served."""
    settings = Settings(fetches_max=1, queue_seconds=PATIENCE_SECONDS)
    async with open_served(tmp_path, settings, ServeSettings(write_seconds=1.0)) as served:
        large, small = await with_noise(served), await served.oid("v1")
        body = asking("fetch", f"want {large}", "done") if version == 2 else fetch_body([large], 0)
        with trio.fail_after(PATIENCE_SECONDS):
            async with await connected(served.node, post(body, ASK if version == 2 else OLD), body) as stream:
                assert b"200" in await stream.receive_some(1000)
                answer = await served.post(asking("fetch", f"want {small}", "done"))

    assert answer.status_code == 200


async def test_what_a_crash_left_of_shared_answers_goes_when_the_doors_open(tmp_path: Path) -> None:
    """Beside the database of this node."""
    left = tmp_path / "net" / "node0" / "answers" / "tmpabc"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of an answer")
    async with open_served(tmp_path) as served:
        assert served.node.database.parent == left.parent.parent
        assert not left.exists()
