"""Files, trees, comparisons and archives over the API: GitHub's shapes, git's answers, nothing that no ref shows."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zipfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from guts_http import site
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import Node, a_history, bearing, git, open_world

REPO = "/api/v3/repos/alice/hello"


def said(work: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=work, capture_output=True, check=True).stdout.decode().strip()


@asynccontextmanager
async def a_world(tmp_path: Path) -> AsyncIterator[tuple[Node, Path]]:
    """A repository with files of every kind, and a branch with a rename, an edit and a deletion."""
    work = await a_history(tmp_path, commits=2)
    (work / "src/deep").mkdir(parents=True)
    (work / "src/deep/grüße & co.txt").write_text("".join(f"line {number}\n" for number in range(40)))
    (work / "run").write_text("#!/bin/sh\n")
    (work / "run").chmod(0o755)
    (work / "link").symlink_to("run")
    (work / "big").write_bytes(bytes(1_500_000))
    said(work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    said(work, "add", "run", "link", "big", "src")
    said(work, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "files")
    said(work, "checkout", "-qb", "topic/one")
    (work / "src/deep/grüße & co.txt").rename(work / "src/moved.txt")
    (work / "src/moved.txt").write_text("".join(f"line {number}\n" for number in range(39)) + "last\n")
    (work / "run").unlink()
    said(work, "add", "-A", "run", "src")
    said(work, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "renamed")
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        done = await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main", "topic/one")
        assert done.code == 0, done.err
        yield node, work


async def shown(node: Node, path: str, **headers: str) -> Any:
    reply = await node.http.get(f"{REPO}/{path}", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_files_and_directories_are_shown(tmp_path: Path) -> None:
    async with a_world(tmp_path) as (node, work):
        root = await shown(node, "contents")
        again = await shown(node, "contents/?ref=main")
        odd = await shown(node, "contents/src/deep/gr%C3%BC%C3%9Fe%20%26%20co.txt")
        moved = await shown(node, "contents/src/moved.txt?ref=topic/one")
        link, module, big = [await shown(node, f"contents/{name}") for name in ("link", "module", "big")]
        raw = await node.http.get(f"{REPO}/contents/run", headers={"accept": "application/vnd.github.raw+json"})
        followed = await node.http.get(odd["url"])

    assert {one["name"]: one["type"] for one in root} == {
        "big": "file", "file0": "file", "file1": "file", "link": "symlink", "module": "submodule", "run": "file",
        "src": "dir",
    }  # fmt: skip
    assert [one["sha"] for one in root] == [one["sha"] for one in again]
    assert (odd["path"], odd["encoding"], odd["size"]) == ("src/deep/grüße & co.txt", "base64", 310)
    assert b64decode(odd["content"]).decode().splitlines()[39] == "line 39"
    assert odd["sha"] == said(work, "rev-parse", "main:src/deep/grüße & co.txt")
    assert followed.json() == odd
    assert b64decode(moved["content"]).endswith(b"last\n")
    assert (link["type"], link["target"]) == ("symlink", "run")
    assert (module["type"], module["sha"], module["submodule_git_url"]) == ("submodule", "1" * 40, None)
    assert (big["encoding"], big["content"], big["size"]) == ("none", "", 1_500_000)
    assert (raw.content, raw.headers["content-type"]) == (b"#!/bin/sh\n", "application/octet-stream")
    assert "sandbox" in raw.headers["content-security-policy"]


NO_PATHS = (
    "nothing", "src/%2e%2e/run", "..%2f..%2fetc/passwd", "run/x", "RUN", "src%00", "%c0%ae%c0%ae/run", "run%2500",
    "src%5Cdeep",
)  # fmt: skip


async def test_bad_A05_a_path_that_is_no_path_of_the_tree_is_not_found(tmp_path: Path) -> None:
    """Encoded once or twice, overlong, with a zero: names in a tree are compared byte for byte."""
    async with a_world(tmp_path) as (node, _):
        replies = [await node.http.get(f"{REPO}/contents/{path}") for path in NO_PATHS]

    assert [reply.status_code for reply in replies] == [404] * len(NO_PATHS)


async def test_trees_and_blobs_are_shown_by_id_and_name(tmp_path: Path) -> None:
    async with a_world(tmp_path) as (node, work):
        root = said(work, "rev-parse", "main^{tree}")
        by_name, by_commit, by_id = [
            await shown(node, f"git/trees/{name}") for name in ("main", said(work, "rev-parse", "main"), root)
        ]
        whole = await shown(node, "git/trees/topic/one?recursive=1")
        sha = said(work, "rev-parse", "main:run")
        blob = await shown(node, f"git/blobs/{sha}")

    assert by_name == by_commit == by_id
    assert (by_id["sha"], by_id["truncated"]) == (root, False)
    listed = said(work, "ls-tree", "-r", "-t", "-l", "-z", "topic/one").split("\0")[:-1]
    rows = [(*line.partition("\t")[0].split(), line.partition("\t")[2]) for line in listed]
    assert [
        (one["mode"], one["type"], one["sha"], str(one.get("size", "-")), one["path"]) for one in whole["tree"]
    ] == rows
    assert (b64decode(blob["content"]), blob["size"], blob["sha"]) == (b"#!/bin/sh\n", 10, sha)


async def test_bad_C14_ids_that_no_ref_reaches_are_not_found(tmp_path: Path) -> None:
    """A secret was pushed and overwritten: neither its blob, its tree nor its commit comes out by any of the doors."""
    async with a_world(tmp_path) as (node, work):
        token = await node.token("alice")
        said(work, "checkout", "-q", "main")
        (work / "secret").write_text("password\n")
        said(work, "add", "secret")
        said(work, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "oops")
        lost = [said(work, "rev-parse", name) for name in ("HEAD", "HEAD^{tree}", "HEAD:secret")]
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        before = await node.http.get(f"{REPO}/git/blobs/{lost[2]}")
        assert (await git(work, "push", "-qf", node.remote("alice/hello", "alice", token), "HEAD~1:main")).code == 0
        asked = [
            *(f"git/trees/{name}" for name in lost), *(f"git/blobs/{name}" for name in lost),
            f"contents/secret?ref={lost[0]}", f"tarball/{lost[0]}", f"zipball/{lost[0]}", f"compare/main...{lost[0]}",
            f"git/blobs/{'1' * 40}",
        ]  # fmt: skip
        replies = [await node.http.get(f"{REPO}/{path}") for path in asked]

    assert before.status_code == 200
    assert [reply.status_code for reply in replies] == [404] * len(asked)


async def test_branches_are_compared(tmp_path: Path) -> None:
    async with a_world(tmp_path) as (node, work):
        ahead = await shown(node, "compare/main...topic/one")
        behind = await shown(node, "compare/topic/one...main")
        same = await shown(node, "compare/main...main")
        paged = await node.http.get(f"{REPO}/compare/main~9...topic/one")
        long = await node.http.get(
            f"{REPO}/compare/{said(work, 'rev-list', '--max-parents=0', 'main')}...topic/one?per_page=2"
        )
        diff = await node.http.get(
            f"{REPO}/compare/main...topic/one", headers={"accept": "application/vnd.github.diff"}
        )

    assert (ahead["status"], ahead["ahead_by"], ahead["behind_by"], ahead["total_commits"]) == ("ahead", 1, 0, 1)
    assert [one["commit"]["message"] for one in ahead["commits"]] == ["renamed"]
    assert {one["filename"]: one["status"] for one in ahead["files"]} == {"run": "removed", "src/moved.txt": "renamed"}
    renamed = ahead["files"][1]
    assert renamed["previous_filename"] == "src/deep/grüße & co.txt"
    assert (renamed["additions"], renamed["deletions"], renamed["changes"]) == (1, 1, 2)
    assert renamed["patch"].splitlines()[-2:] == ["-line 39", "+last"]
    assert (behind["status"], behind["ahead_by"], behind["behind_by"], behind["files"]) == ("behind", 0, 1, [])
    assert (same["status"], same["commits"], same["files"]) == ("identical", [], [])
    assert paged.status_code == 404
    assert [one["commit"]["message"] for one in long.json()["commits"]] == said(
        work, "log", "--reverse", "--format=%s", "topic/one"
    ).splitlines()[1:3]
    assert 'rel="next"' in long.headers["link"]
    assert diff.text.strip() == said(work, "diff", "-M", "--full-index", "main", "topic/one")


async def test_what_is_no_comparison_is_refused(tmp_path: Path) -> None:
    async with a_world(tmp_path) as (node, _):
        for text in ("main", "main..topic/one", "...main", "main..."):
            reply = await node.http.get(f"{REPO}/compare/{text}")
            assert (reply.status_code, reply.json()["code"]) == (400, "bad-request"), text


def names_of(reply: httpx.Response) -> list[str]:
    if reply.headers["content-type"] == "application/zip":
        return [name.rstrip("/") for name in zipfile.ZipFile(io.BytesIO(reply.content)).namelist()]
    with tarfile.open(fileobj=io.BytesIO(reply.content)) as found:
        return found.getnames()


async def test_archives_are_streamed(tmp_path: Path) -> None:
    """The same bytes twice, the names of git archive, and nothing at all for whoever has it."""
    async with a_world(tmp_path) as (node, work):
        replies = [await node.http.get(f"{REPO}/{kind}/topic/one") for kind in ("tarball", "tarball", "zipball")]
        default = await node.http.get(f"{REPO}/tarball")
        held = await node.http.get(f"{REPO}/tarball", headers={"if-none-match": default.headers["etag"]})
        head = await node.http.head(f"{REPO}/zipball/main")

    short = said(work, "rev-parse", "--short=7", "topic/one")
    listed = said(work, "archive", f"--prefix=alice-hello-{short}/", "topic/one", "--format=zip", "-o", "x.zip")
    with zipfile.ZipFile(work / "x.zip") as theirs:
        expected = [name.rstrip("/") for name in theirs.namelist()]
    assert listed == ""
    assert [names_of(reply) for reply in replies] == [expected] * 3
    assert replies[0].content == replies[1].content
    assert replies[0].headers["content-disposition"] == f'attachment; filename="alice-hello-{short}.tar.gz"'
    assert (held.status_code, held.content) == (304, b"")
    assert (head.status_code, head.content, default.status_code) == (200, b"", 200)


async def test_only_so_many_archives_are_on_their_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read on holds its turn and nobody else's; who comes next is told to come again."""
    monkeypatch.setattr(site, "ARCHIVES_MAX", 1)
    work = await a_history(tmp_path, commits=1, payload=os.urandom(24 << 20))
    async with open_world(tmp_path) as node:
        token = await node.token("alice")
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        with trio.fail_after(PATIENCE_SECONDS):
            async with node.http.stream("GET", f"{REPO}/tarball") as first:
                second = await node.http.get(f"{REPO}/zipball")  # the first had its turn before its headers
                other = await node.http.get(f"{REPO}/contents")
            third = await node.http.get(f"{REPO}/zipball")
            while third.status_code == 503:  # the door learns of the client's end a moment later
                third = await node.http.get(f"{REPO}/zipball")

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (503, "too-many-at-once")
    assert "retry-after" in second.headers
    assert other.status_code == 200
    assert len(names_of(third)) == 2


async def test_private_files_are_for_members(tmp_path: Path) -> None:
    """Every one of these doors asks whether the caller may read; a stranger learns nothing."""
    work = await a_history(tmp_path, commits=1)
    async with open_world(tmp_path) as node:
        token, other = await node.token("alice"), await node.token("bob")
        assert (await node.create(token, "hello", private=True)).status_code == 201
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        blob = said(work, "rev-parse", "main:file0")
        paths = (
            "contents",
            "contents/file0",
            "git/trees/main",
            f"git/blobs/{blob}",
            "languages",
            "compare/main...main",
            "tarball/main",
            "zipball",
        )
        for path in paths:
            mine = await node.http.get(f"{REPO}/{path}", headers=bearing(token))
            theirs = await node.http.get(f"{REPO}/{path}", headers=bearing(other))
            nobody = await node.http.get(f"{REPO}/{path}")
            assert (mine.status_code, theirs.status_code, nobody.status_code) == (200, 404, 404), path
            assert mine.headers["cache-control"] == "private, no-store", path


async def test_languages_are_counted(tmp_path: Path) -> None:
    async with a_world(tmp_path) as (node, work):
        (work / "a.py").write_text("print()\n")
        (work / "b.rs").write_text("fn main() {}\n")
        said(work, "checkout", "-q", "main")
        said(work, "add", "a.py", "b.rs")
        said(work, "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "code")
        token = await node.token("alice")
        assert (await git(work, "push", "-q", node.remote("alice/hello", "alice", token), "main")).code == 0
        found = await shown(node, "languages")

    assert list(found.items()) == [("Rust", 13), ("Python", 8)]


async def test_an_empty_repository_has_no_files(tmp_path: Path) -> None:
    async with open_world(tmp_path) as node:
        await node.create(await node.token("alice"), "hello")
        codes = [
            (await node.http.get(f"{REPO}/{path}")).status_code for path in ("contents", "tarball", "git/trees/main")
        ]

    assert codes == [409] * 3
