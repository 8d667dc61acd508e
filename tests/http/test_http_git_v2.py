"""Protocol version 2 as this node answers it, compared with stock git over the same refs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
from attrs import frozen

from guts_core.forge import queries
from guts_core.git.pkt_line import DELIMITER, FLUSH, packet
from guts_core.node.port import OpenFetch, Projection
from guts_http.port import open_conversation
from guts_http.reader import Reader
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from tests.http.node_world import Node, Ran, a_history, git, open_world
from tests.refusals.doors_world import packets

ASK = {"content-type": "application/x-git-upload-pack-request", "git-protocol": "version=2"}
# What stock git sends before its arguments.
CLIENT = ("agent=git/2.39.5", "object-format=sha1")


def asking(command: str, *lines: str) -> bytes:
    """One request."""
    head = packet(f"command={command}\n".encode()) + b"".join(packet(one.encode()) for one in CLIENT)
    return head + DELIMITER + b"".join(packet(f"{line}\n".encode()) for line in lines) + FLUSH


@frozen
class Served:
    """A repository ``alice/hello`` with branches, tags of every kind and an odd name, and where it was pushed from."""

    node: Node
    token: str
    work: Path

    async def post(self, body: bytes) -> httpx.Response:
        """A request of version 2."""
        return await self.node.http.post("/alice/hello.git/git-upload-pack", content=body, headers=ASK)

    async def git(self, *arguments: str) -> Ran:
        """Stock git in the work tree."""
        return await git(self.work, *arguments)

    async def oid(self, name: str) -> str:
        """What a name stands for there."""
        return (await self.git("rev-parse", name)).out.strip()

    async def push(self, *refspecs: str) -> None:
        """To the node."""
        pushed = await self.git("push", "-q", self.node.remote("alice/hello.git", "alice", self.token), *refspecs)
        assert pushed.code == 0, pushed.err

    @asynccontextmanager
    async def projected(self) -> AsyncIterator[str]:
        """The directory that git children see."""
        with Reader(self.node.database, self.node.genesis).snapshot() as snapshot:
            found = queries.repository_by_name(snapshot, "alice", "hello")
        assert found is not None
        async with open_conversation(self.node.port, OpenFetch(found.id)) as conversation:
            leased = await conversation.hear()
            assert isinstance(leased, Projection)
            yield leased.path

    async def stock(self, body: bytes) -> bytes:
        """What ``git upload-pack`` itself answers to the same request over the same refs."""
        async with self.projected() as directory:
            done = await trio.run_process(
                ["git", "upload-pack", "--stateless-rpc", directory],
                stdin=body,
                capture_stdout=True,
                env={"PATH": "/usr/bin:/bin:/usr/local/bin", "GIT_PROTOCOL": "version=2", "HOME": directory},
            )
        return bytes(done.stdout)


@asynccontextmanager
async def open_served(
    tmp_path: Path, settings: Settings | None = None, serving: ServeSettings | None = None
) -> AsyncIterator[Served]:
    """The repository, pushed."""
    async with open_world(tmp_path / "net", settings, serving=serving) as node:
        served = Served(node, await node.token("alice"), await a_history(tmp_path, commits=4))
        for arguments in (
            ("tag", "light"),
            ("tag", "-a", "-m", "one", "v1", "HEAD~1"),
            ("tag", "-a", "-m", "nested", "v2", "v1"),
            ("tag", "-a", "-m", "of a tree", "tree", "HEAD^{tree}"),
            ("branch", "grün/枝", "HEAD~2"),
            ("branch", "other", "HEAD~1"),
        ):
            assert (await served.git(*arguments)).code == 0
        await served.push("main", "other", "grün/枝", "--tags")
        yield served


LISTINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("peel",),
    ("symrefs",),
    ("unborn",),
    ("peel", "symrefs", "unborn"),
    ("peel", "symrefs", "ref-prefix refs/heads/", "ref-prefix refs/tags/", "ref-prefix HEAD"),
    ("symrefs", "ref-prefix HEAD"),
    ("ref-prefix H",),
    ("peel", "ref-prefix refs/heads/main"),
    ("peel", "ref-prefix refs/tags/v", "ref-prefix refs/tags/v1", "ref-prefix refs/heads/gr"),
    ("ref-prefix refs/heads/nothing",),
    ("peel", *(f"ref-prefix refs/heads/{number}" for number in range(40)), "ref-prefix refs/heads/o"),
)


async def test_refs_are_listed_byte_for_byte_as_git_lists_them(tmp_path: Path) -> None:
    """In process, of the replicated state, whatever is asked; also after refs moved, and asked twice."""
    async with open_served(tmp_path) as served:
        for move in (["+main~1:main", ":light", "v2:refs/tags/v3"], ["+main~2:other"]):
            for asked in LISTINGS * 2:
                body = asking("ls-refs", *asked)
                answer = await served.post(body)

                assert answer.content == await served.stock(body), asked
                assert (answer.status_code, answer.headers["content-type"]) == (
                    200, "application/x-git-upload-pack-result",
                )  # fmt: skip
            await served.push(*move)


async def test_an_unborn_head_is_listed_as_git_lists_it(tmp_path: Path) -> None:
    """No ref at all, and then refs of which none is the default branch."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        await node.create(token, "hello")
        served = Served(node, token, await a_history(tmp_path))
        for _ in range(2):
            for asked in LISTINGS:
                body = asking("ls-refs", *asked)
                assert (await served.post(body)).content == await served.stock(body), asked
            await served.push("main:side")
        cloned = await git(tmp_path, "clone", "-q", "-b", "side", node.remote("alice/hello"), "copy")

    assert cloned.code == 0, cloned.err


async def test_capabilities_are_advertised_without_a_child(tmp_path: Path) -> None:
    """What is served and no more, the same for every repository."""
    async with open_served(tmp_path) as served:
        answer = await served.node.http.get(
            "/alice/hello.git/info/refs?service=git-upload-pack", headers={"git-protocol": "version=2"}
        )

    lines = [line.decode().removesuffix("\n") for line in packets(answer.content)]
    assert lines[0] == "version 2"
    assert lines[2:] == [
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter ref-in-want sideband-all",
        "server-option",
        "object-format=sha1",
        "object-info",
        "bundle-uri",
    ]
    assert answer.headers["cache-control"] == "no-cache, max-age=0, must-revalidate"


async def test_sizes_are_told_as_git_tells_them(tmp_path: Path) -> None:
    """Of commits, trees, blobs and tags that a ref reaches, in the order of the question."""
    async with open_served(tmp_path) as served:
        oids = [await served.oid(name) for name in ("HEAD", "HEAD~3^{tree}", "HEAD:file0", "v1", "HEAD:file0")]
        # Without the word "size" git 2.39 reads a variable that it never set.
        for lines in (("size", *(f"oid {oid}" for oid in [*oids, "ab" * 20])), ("size", f"oid {oids[0]}"), ("size",)):
            body = asking("object-info", *lines)

            assert (await served.post(body)).content == await served.stock(body), lines


async def test_bad_C14_the_size_of_what_no_ref_reaches_is_told_to_nobody(tmp_path: Path) -> None:
    """It is as if it were not there."""
    async with open_served(tmp_path) as served:
        (served.work / "secret").write_text("a secret\n")
        await served.git("add", ".")
        await served.git("commit", "-qm", "oops")
        hidden = [await served.oid(name) for name in ("HEAD", "HEAD^{tree}", "HEAD:secret")]
        await served.push("main")
        await served.push("+main~1:main")
        answer = await served.post(asking("object-info", "size", *(f"oid {oid}" for oid in hidden)))

    assert packets(answer.content) == [b"size", *(f"{oid} ".encode() for oid in hidden)]


async def test_there_are_no_bundles(tmp_path: Path) -> None:
    """An empty list is an answer; and a client that only tries whether it may speak gets an empty one."""
    async with open_served(tmp_path) as served:
        assert (await served.post(asking("bundle-uri"))).content == FLUSH
        assert (await served.post(FLUSH)).content == b""
        assert (await served.post(asking("fetch", "done"))).content == b""


@pytest.mark.parametrize("more", [(), ("--depth=1",), ("--filter=blob:none",), ("--filter=tree:0", "--depth=2")])
async def test_refs_may_be_wanted_by_name(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Stock git wants by name where the server knows names; the clone is the same, whole or in part."""
    async with open_served(tmp_path) as served:
        cloned = await git(tmp_path, "clone", "-q", *more, served.node.remote("alice/hello"), "copy")
        shown = await git(tmp_path / "copy", "log", "-p", "--format=%H", "-1")
        here = await served.git("log", "-p", "--format=%H", "-1")

    assert cloned.code == 0, cloned.err
    assert shown.out == here.out or "--depth" in more[-1]
    assert shown.out.splitlines()[0] == here.out.splitlines()[0]


async def test_a_wanted_ref_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    """Not by a status that a client would try again for."""
    async with open_served(tmp_path) as served:
        answer = await served.post(asking("fetch", "want-ref refs/heads/gone", "done"))

    assert packets(answer.content) == [b"ERR unknown ref 'refs/heads/gone'\n"]


@pytest.mark.parametrize(
    "deeper",
    [
        ("--depth=2",),
        ("--deepen=1",),
        ("--shallow-since=2001-01-01",),
        ("--shallow-exclude=v1",),
        ("--shallow-exclude=refs/heads/grün/枝",),
        ("--unshallow",),
    ],
)
async def test_a_shallow_clone_is_deepened_in_every_way(tmp_path: Path, deeper: tuple[str, ...]) -> None:
    """By depth, by time, by what to leave out, and whole."""
    async with open_served(tmp_path) as served:
        url = served.node.remote("alice/hello")
        await git(tmp_path, "clone", "-q", "--depth=1", url, "copy")
        fetched = await git(tmp_path / "copy", "fetch", "-q", *deeper)
        counted = await git(tmp_path / "copy", "rev-list", "--count", "origin/main")
        fsck = await git(tmp_path / "copy", "fsck", "--strict")

    assert fetched.code == 0, fetched.err
    assert fsck.code == 0, fsck.err
    assert int(counted.out) == {"--depth=2": 2, "--deepen=1": 2, "--shallow-exclude=v1": 1}.get(
        deeper[0], 2 if "grün" in deeper[0] else 4
    )


async def test_what_cannot_be_left_out_is_said_in_words(tmp_path: Path) -> None:
    """Stock git shows them to the person."""
    async with open_served(tmp_path) as served:
        refused = await git(tmp_path, "clone", "--shallow-exclude=nothing", served.node.remote("alice/hello"), "copy")

    assert refused.code != 0
    assert "deepen-not 'nothing' is no ref of this repository" in refused.err


async def test_a_push_negotiates_over_version_2(tmp_path: Path) -> None:
    """``push.negotiate`` asks with haves and no wants, and waits for done."""
    async with open_served(tmp_path) as served:
        await served.git("commit", "-q", "--allow-empty", "-m", "more")
        remote = served.node.remote("alice/hello.git", "alice", served.token)
        pushed = await served.git("-c", "push.negotiate=true", "push", remote, "main")

    assert pushed.code == 0, pushed.err
    assert "push negotiation failed" not in pushed.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("packfile-uris https", "packfile-uris are not served here; fetch without them"),
        ("filter tree:7", "filter 'tree:7' is not served here"),
        ("colour red", "fetch: unexpected line: 'colour red'"),
        ("deepen none", "deepen 'none': a whole number from 1 to 2147483647 is needed"),
    ],
)
async def test_bad_D01_what_nobody_knows_is_refused_in_a_packet(tmp_path: Path, line: str, words: str) -> None:
    """Stock git prints it as the remote's error."""
    async with open_served(tmp_path) as served:
        answer = await served.post(asking("fetch", f"want {await served.oid('HEAD')}", line, "done"))

    (said,) = packets(answer.content)
    assert answer.status_code == 200
    assert said.startswith(f"ERR {words}".encode())


async def test_version_2_without_the_read_is_not_answered(tmp_path: Path) -> None:
    """A private repository is as none, by every command."""
    async with open_world(tmp_path / "net") as node:
        await node.create(await node.token("alice"), "hello", private=True)
        for command in ("ls-refs", "fetch", "object-info", "bundle-uri"):
            answer = await node.http.post("/alice/hello.git/git-upload-pack", content=asking(command), headers=ASK)

            assert answer.status_code == 401


def unpacked(data: bytes, directory: Path) -> int:
    """How many objects the pack of an answer has; git checks every one."""
    pack = b"".join(line[1:] for line in packets(data) if line[:1] == b"\x01")
    directory.mkdir(exist_ok=True)
    subprocess.run(["git", "init", "-q", "--bare", directory], check=True)
    subprocess.run(["git", "-C", directory, "index-pack", "--stdin"], input=pack, check=True, capture_output=True)
    return int.from_bytes(pack[8:12], "big")


async def test_the_same_question_is_asked_of_git_once(tmp_path: Path) -> None:
    """One turn is enough for many, and each gets everything."""
    answers: list[httpx.Response] = []
    async with open_served(tmp_path, Settings(fetches_max=1, queue_seconds=60)) as served:
        wants = [f"want {await served.oid(name)}" for name in ("main", "v1", "v2")]

        async def fetch(number: int) -> None:
            order = wants if number % 2 else wants[::-1]
            answers.append(await served.post(asking("fetch", *order, "thin-pack", "ofs-delta", "done")))

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(fetch, number)

    assert {answer.status_code for answer in answers} == {200}
    counts = [unpacked(answer.content, tmp_path / f"got{number}") for number, answer in enumerate(answers)]
    assert len(set(counts)) == 1


async def test_who_gets_no_turn_is_told_when_to_come_back(tmp_path: Path) -> None:
    """The one turn is held by a reader that does not read; the refs are listed all the same."""
    settings = Settings(fetches_max=1, queue_seconds=0.2)
    async with open_served(tmp_path, settings) as served:
        (served.work / "noise").write_bytes(os.urandom(24 << 20))
        await served.git("add", ".")
        await served.git("commit", "-qm", "noise")
        await served.push("main")
        body = asking("fetch", f"want {await served.oid('main')}", "done")
        head = b"POST /alice/hello.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
        head += b"".join(f"{name}: {value}\r\n".encode() for name, value in ASK.items()) + b"\r\n"
        host, _, port = served.node.url.removeprefix("http://").rpartition(":")
        with trio.fail_after(180):
            stream = await trio.open_tcp_stream(host, int(port))
            async with stream:
                await stream.send_all(head + body)
                assert b"200" in await stream.receive_some(1000)
                refused = await served.post(asking("fetch", f"want {await served.oid('v1')}", "done"))
                listed = await served.post(asking("ls-refs"))
            served_again = await served.post(asking("fetch", f"want {await served.oid('v1')}", "done"))
            while served_again.status_code == 503:  # the first one's end is noticed in a moment
                served_again = await served.post(asking("fetch", f"want {await served.oid('v1')}", "done"))

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "this node serves 1 clones and fetches at once" in refused.text
    assert listed.status_code == 200
    assert served_again.status_code == 200


async def test_sixty_clones_at_once_get_everything_or_are_told_to_come_back(tmp_path: Path) -> None:
    """Whatever the machine is like; and transactions become final meanwhile."""
    answers: list[httpx.Response] = []
    heights: list[int] = []
    async with open_served(tmp_path, Settings(fetches_max=2, queue_seconds=0.05)) as served:
        names = ("main", "other", "v1", "v2", "light", "tree")
        oids = [await served.oid(name) for name in names]

        async def clone(number: int) -> None:
            listed = await served.post(asking("ls-refs", "peel", "symrefs"))
            if listed.status_code != 200:
                answers.append(listed)
                return
            wants = [f"want {oid}" for at, oid in enumerate(oids) if not at or number >> at & 1]
            answers.append(await served.post(asking("fetch", *wants, "ofs-delta", "done")))

        async def write() -> None:
            for number in range(3):
                made = await served.node.create(served.token, f"meanwhile{number}")
                assert made.status_code == 201, made.text
                heights.append(int(made.headers["guts-height"]))

        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(clone, number)
            nursery.start_soon(write)

    assert len(answers) == 60
    assert heights == sorted(set(heights))
    whole = [answer for answer in answers if answer.status_code == 200]
    assert whole
    for number, answer in enumerate(whole):
        assert answer.content.endswith(FLUSH)
        assert unpacked(answer.content, tmp_path / f"got{number}") > 0
    for answer in answers:
        assert answer.status_code == 200 or (answer.status_code, answer.headers["retry-after"]) == (503, "5")
