"""The whole path through stock git: push, clone, fetch, and every refusal with its words."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import trio

from guts_core.forge.records import Scope
from guts_core.identity import token_of
from guts_http.site import Settings
from tests.http.node_world import a_history, bearing, git, open_world

UPLOAD = "info/refs?service=git-upload-pack"
RECEIVE = "info/refs?service=git-receive-pack"


async def test_a_push_creates_and_a_clone_gets_it_back(tmp_path: Path) -> None:
    """The first thing anybody tries."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        work = await a_history(tmp_path)
        pushed = await git(work, "push", node.remote("alice/hello.git", "alice", token), "main")
        cloned = await git(tmp_path, "clone", node.remote("alice/hello"), "copy")
        fsck = await git(tmp_path / "copy", "fsck", "--strict")
        here, there = [await git(at, "rev-parse", "HEAD") for at in (work, tmp_path / "copy")]

    assert pushed.code == 0, pushed.err
    assert cloned.code == 0, cloned.err
    assert fsck.code == 0
    assert here.out == there.out


async def test_each_protocol_version_clones_and_fetches(tmp_path: Path) -> None:
    """Old clients speak 0, current ones 2; shallow and filtered clones are the same door."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        work = await a_history(tmp_path, commits=4)
        remote = node.remote("alice/hello.git", "alice", token)
        await git(work, "push", remote, "main")
        for version in "012":
            copy = f"copy{version}"
            cloned = await git(tmp_path, "-c", f"protocol.version={version}", "clone", "-q", remote, copy)
            assert cloned.code == 0, cloned.err
        shallow = await git(tmp_path, "clone", "-q", "--depth=1", "--filter=blob:none", remote, "shallow")
        (work / "more").write_text("x")
        await git(work, "add", ".")
        await git(work, "commit", "-qm", "more")
        await git(work, "push", remote, "main")
        fetched = await git(tmp_path / "copy0", "pull", "-q")
        head, copy_head = [await git(at, "rev-parse", "HEAD") for at in (work, tmp_path / "copy0")]

    assert shallow.code == 0, shallow.err
    assert fetched.code == 0, fetched.err
    assert head.out == copy_head.out


async def test_a_large_push_is_chunked_and_arrives_whole(tmp_path: Path) -> None:
    """Beyond http.postBuffer git probes, then sends chunks without a length."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        work = await a_history(tmp_path, commits=1, payload=os.urandom(3 << 20))
        pushed = await git(work, "push", node.remote("alice/large.git", "alice", token), "main")
        cloned = await git(tmp_path, "clone", "-q", node.remote("alice/large.git"), "copy")

        assert pushed.code == 0, pushed.err
        assert cloned.code == 0, cloned.err
    assert (tmp_path / "copy" / "file0").read_bytes() == (work / "file0").read_bytes()


async def test_an_empty_repository_clones(tmp_path: Path) -> None:
    """Created by the API, nothing pushed yet."""
    async with open_world(tmp_path / "net") as node:
        await node.create(await node.token("alice"), "empty")
        cloned = await git(tmp_path, "clone", node.remote("alice/empty.git"), "copy")

    assert cloned.code == 0, cloned.err
    assert "empty repository" in cloned.err


async def test_a_stale_push_is_rejected_as_git_prints_it(tmp_path: Path) -> None:
    """The loser of a race reads why beside the ref."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        remote = node.remote("alice/hello.git", "alice", token)
        first = await a_history(tmp_path / "a")
        second = await a_history(tmp_path / "b", commits=1)
        await git(first, "push", remote, "main")
        lost = await git(second, "push", remote, "main")
        await git(first, "commit", "--amend", "-qm", "again")
        forced = await git(first, "push", "--force", remote, "main")
        await git(first, "push", remote, "main:other")
        deleted = await git(first, "push", remote, ":other")

    assert lost.code == 1
    assert "rejected" in lost.err
    assert forced.code == 0, forced.err
    assert deleted.code == 0, deleted.err


async def test_a_push_option_makes_it_private(tmp_path: Path) -> None:
    """``git push -o private`` for those who never open the page."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        work = await a_history(tmp_path)
        pushed = await git(work, "push", "-o", "private", node.remote("alice/hush.git", "alice", token), "main")
        shown = await node.http.get("/api/v3/repos/alice/hush", headers=bearing(token))
        unseen = await node.http.get("/api/v3/repos/alice/hush")
        cloned = await git(tmp_path, "clone", "-q", node.remote("alice/hush.git", "x-access-token", token), "copy")

    assert pushed.code == 0, pushed.err
    assert shown.json()["private"] is True
    assert unseen.status_code == 404
    assert cloned.code == 0, cloned.err


async def test_private_and_missing_look_the_same_without_a_token(tmp_path: Path) -> None:
    """401 with the same body and headers, for both services."""
    async with open_world(tmp_path / "net") as node:
        await node.create(await node.token("alice"), "hush", private=True)
        for service in (UPLOAD, RECEIVE):
            private = await node.http.get(f"/alice/hush.git/{service}")
            missing = await node.http.get(f"/alice/nothing.git/{service}")
            nobody = await node.http.get(f"/nobody/nothing/{service}")

            assert private.status_code == 401
            assert private.headers["www-authenticate"] == 'Basic realm="Guts"'
            for other in (missing, nobody):
                assert (other.status_code, other.content) == (private.status_code, private.content)
                assert _comparable(other.headers) == _comparable(private.headers)


def _comparable(headers: object) -> list[tuple[str, str]]:
    return sorted((n, v) for n, v in dict(headers).items() if n not in ("x-request-id", "date"))  # type: ignore[call-overload]  # httpx headers are a mapping


async def test_who_may_not_is_told_what_the_contract_says(tmp_path: Path) -> None:
    """404 for what one may not know of, 403 with words for what one may not do."""
    async with open_world(tmp_path / "net") as node:
        alice, bob = await node.token("alice"), await node.token("bob")
        reader = await node.token("alice", Scope.READ)
        await node.create(alice, "hush", private=True)
        await node.create(alice, "open")

        async def status(path: str, token: str) -> tuple[int, str]:
            response = await node.http.get(path, headers=bearing(token))
            return response.status_code, response.text

        assert (await status(f"/alice/hush.git/{UPLOAD}", bob))[0] == 404
        assert (await status(f"/alice/hush.git/{RECEIVE}", bob))[0] == 404
        assert (await status(f"/alice/nothing.git/{RECEIVE}", bob))[0] == 404
        assert (await status(f"/alice/open.git/{UPLOAD}", bob))[0] == 200
        assert (await status(f"/alice/open.git/{RECEIVE}", bob))[0] == 403
        code, words = await status(f"/alice/hush.git/{RECEIVE}", reader)
        assert code == 403
        assert "its scope is read" in words
        assert (await status(f"/alice/new.git/{RECEIVE}", reader))[0] == 403
        assert (await status(f"/alice/hush.git/{UPLOAD}", reader))[0] == 200
        assert (await status(f"/alice/new.git/{RECEIVE}", alice))[0] == 200


async def test_git_shows_the_words_of_a_refusal(tmp_path: Path) -> None:
    """A person at a terminal reads what to do."""
    async with open_world(tmp_path / "net") as node:
        reader = await node.token("alice", Scope.READ)
        work = await a_history(tmp_path)
        refused = await git(work, "push", node.remote("alice/new.git", "alice", reader), "main")

    assert refused.code != 0
    assert "its scope is read" in refused.err


async def test_tokens_that_are_none_are_401_and_not_repeated(tmp_path: Path) -> None:
    """Unknown, mistyped, of another user, by an unknown scheme: also for what is public."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        await node.create(token, "open")
        unknown = token_of(os.urandom(32))
        for headers, auth in (
            (bearing(unknown), None),
            (bearing(token[:-1]), None),
            ({"authorization": f"Digest {token}"}, None),
            ({}, ("bob", token)),
            ({}, ("alice", unknown)),
        ):
            response = await node.http.get(f"/alice/open.git/{UPLOAD}", headers=headers, auth=auth)

            assert response.status_code == 401
            assert token[9:] not in response.text
            assert unknown[9:] not in response.text


async def test_bad_E_02_a_token_in_a_url_is_refused(tmp_path: Path) -> None:
    """Even the right one."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        for path in ("/api/v3/user", "/api/guts/v1/status", "/"):
            response = await node.http.get(f"{path}?access_token={token}")

            assert response.status_code == 400
            assert token not in response.text
        assert all(token not in repr(access) for access in node.accesses)


async def test_bad_E_03_every_way_to_show_a_token_is_one_principal(tmp_path: Path) -> None:
    """Basic, token and Bearer differ in nothing but spelling."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        answers = [
            await node.http.get("/api/v3/user", headers={"authorization": f"{scheme} {token}"})
            for scheme in ("token", "Bearer", "TOKEN", "bearer")
        ] + [await node.http.get("/api/v3/user", auth=(user, token)) for user in ("alice", "x-access-token", "Alice")]

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


async def test_a_token_for_other_gateways_is_refused_for_reads_too(tmp_path: Path) -> None:
    """Whoever hands a token to a node it does not list learns so, before it does anything."""
    async with open_world(tmp_path / "net") as node:
        response = await node.http.get("/api/v3/user", headers=bearing(await node.token("alice", gateways=())))

    assert response.status_code == 403
    assert "never to be handed" in response.json()["message"]


async def test_gzip_bodies_are_read_and_bounded(tmp_path: Path) -> None:
    """Git compresses long negotiations; a bomb is cut off at the limit, and what is no gzip is said to be none."""
    settings = Settings(fetch_request_bytes_max=100_000)
    async with open_world(tmp_path / "net", settings) as node:
        token = await node.token("alice")
        await git(await a_history(tmp_path), "push", node.remote("alice/hello.git", "alice", token), "main")
        ls_refs = b"0014command=ls-refs\n0016object-format=sha1" + b"00010009peel\n0000"
        headers = {"content-type": "application/x-git-upload-pack-request", "git-protocol": "version=2"}

        async def post(body: bytes, coding: str | None = "gzip") -> tuple[int, bytes]:
            coded = headers if coding is None else {**headers, "content-encoding": coding}
            response = await node.http.post("/alice/hello.git/git-upload-pack", content=body, headers=coded)
            return response.status_code, response.content

        plain = await post(ls_refs, None)
        assert plain[0] == 200
        assert b"refs/heads/main" in plain[1]
        assert await post(gzip.compress(ls_refs)) == plain
        assert (await post(b"not gzip at all"))[0] == 400
        assert (await post(gzip.compress(ls_refs)[:-9]))[0] == 400
        assert (await post(gzip.compress(ls_refs), "br"))[0] == 400


async def test_what_is_no_git_request_is_told_so(tmp_path: Path) -> None:
    """The dumb protocol, other methods, other content types, garbage for a push."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        await node.create(token, "hello")
        dumb = await node.http.get("/alice/hello.git/info/refs")
        method = await node.http.get("/alice/hello.git/git-upload-pack")
        kind = await node.http.post("/alice/hello.git/git-upload-pack", content=b"0000")
        garbage = await node.http.post(
            "/alice/hello.git/git-receive-pack",
            content=b"-001what",
            headers={**bearing(token), "content-type": "application/x-git-receive-pack-request"},
        )

    assert [answer.status_code for answer in (dumb, method, kind, garbage)] == [400, 400, 400, 400]
    assert "a packet starts with" in garbage.text


async def test_a_clone_that_goes_away_ends_its_child(tmp_path: Path) -> None:
    """No git of ours outlives its client, and the place is free again."""
    settings = Settings(fetches_max=1, queue_seconds=20)
    async with open_world(tmp_path / "net", settings) as node:
        token = await node.token("alice")
        work = await a_history(tmp_path, commits=1, payload=os.urandom(8 << 20))
        await git(work, "push", node.remote("alice/large.git", "alice", token), "main")
        head = (await git(work, "rev-parse", "HEAD")).out.strip()
        want = f"0032want {head}\n00000009done\n".encode()
        ask = b"POST /alice/large.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
        ask += b"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: %d\r\n\r\n" % len(want)
        host, _, port = node.url.removeprefix("http://").rpartition(":")
        with trio.fail_after(180):
            stream = await trio.open_tcp_stream(host, int(port))
            await stream.send_all(ask + want)
            assert b"200" in await stream.receive_some(1000)
            await trio.aclose_forcefully(stream)
            cloned = await git(tmp_path, "clone", "-q", node.remote("alice/large.git"), "copy")

    assert cloned.code == 0, cloned.err


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
async def test_answers_to_git_are_never_cached(tmp_path: Path, service: str) -> None:
    """Refs move; and what one may see is not for the next one behind a proxy."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        await node.create(token, "hello")
        response = await node.http.get(f"/alice/hello.git/info/refs?service={service}", headers=bearing(token))

    assert response.headers["cache-control"] == "no-cache, max-age=0, must-revalidate"
    assert response.headers["content-type"] == f"application/x-{service}-advertisement"
