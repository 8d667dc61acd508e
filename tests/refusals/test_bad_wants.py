"""Rows C04, C14 of ``reliability.md`` 3: a fetch gives what a visible ref reaches, and no more work than that."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio

from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.http.node_world import a_history, bearing, git
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import HEAD, PACK, ZERO, Door, fetch_body, open_door, packets, push_body, report

SECRET = RawObject("blob", b"a secret\n")
SECRET_TREE = tree(("100644", b"secret", SECRET.oid))
SECRET_COMMIT = commit(SECRET_TREE.oid, [HEAD.oid])
SECRET_TAG = RawObject(
    "tag", f"object {SECRET_COMMIT.oid}\ntype commit\ntag t\ntagger A <a@b.c> 1 +0000\n\nx\n".encode()
)
HIDDEN = (SECRET_COMMIT, SECRET_TREE, SECRET, SECRET_TAG)
MAIN_REF, SIDE_REF = "refs/heads/main", "refs/heads/side"


async def force_away(door: Door) -> None:
    """Push the secret to main and to a side branch as a tag; then force main back and delete the tag."""
    first = [f"{HEAD.oid} {SECRET_COMMIT.oid} {MAIN_REF}", f"{ZERO} {SECRET_TAG.oid} refs/tags/t"]
    pushed = report(await door.push(push_body(first, pack_of(*HIDDEN))))
    assert pushed == ["unpack ok", f"ok {MAIN_REF}", "ok refs/tags/t"]
    back = [f"{SECRET_COMMIT.oid} {HEAD.oid} {MAIN_REF}", f"{SECRET_TAG.oid} {ZERO} refs/tags/t"]
    assert report(await door.push(push_body(back, pack_of()))) == ["unpack ok", f"ok {MAIN_REF}", "ok refs/tags/t"]


def gives(answer: httpx.Response) -> bool:
    """Whether a pack came back."""
    return b"PACK" in answer.content


@pytest.mark.parametrize("version", [0, 1, 2])
async def test_bad_C14_what_no_ref_reaches_is_given_to_nobody(tmp_path: Path, version: int) -> None:
    """By its id, in any protocol, in any company: commit, tree, blob and tag that a force push took back."""
    async with open_door(tmp_path, pushed=True) as door:
        await force_away(door)
        for hidden in HIDDEN:
            for wants in ([hidden.oid], [HEAD.oid, hidden.oid], [hidden.oid, HEAD.oid]):
                answer = await door.fetch(fetch_body(wants, version), version)

                assert not gives(answer), hidden.kind
                assert packets(answer.content) == [f"ERR upload-pack: not our ref {hidden.oid}\n".encode()]
                assert b"secret" not in answer.content
        unknown = await door.fetch(fetch_body(["ab" * 20], version), version)
        assert packets(unknown.content) == [f"ERR upload-pack: not our ref {'ab' * 20}\n".encode()]


@pytest.mark.parametrize("version", [0, 2])
async def test_bad_C14_what_a_ref_reaches_is_given(tmp_path: Path, version: int) -> None:
    """Tips, commits further down, and the trees and blobs that a partial clone fetches late."""
    newer = commit(PLAIN.oid, [HEAD.oid])
    async with open_door(tmp_path, pushed=True) as door:
        moved = await door.push(push_body([f"{HEAD.oid} {newer.oid} {MAIN_REF}"], pack_of(newer)))
        assert report(moved)[1] == f"ok {MAIN_REF}"
        for one in (newer, HEAD, PLAIN, BLOB):
            assert gives(await door.fetch(fetch_body([one.oid], version), version)), one.kind


async def test_bad_C14_a_want_after_a_have_is_not_missed(tmp_path: Path) -> None:
    """Git takes arguments in any order; whoever hides a want behind the negotiation is told no."""
    async with open_door(tmp_path, pushed=True) as door:
        await force_away(door)
        late = fetch_body([HEAD.oid], 2, haves=[HEAD.oid])
        at = late.index(b"0009done")
        line = f"0032want {SECRET_COMMIT.oid}\n".encode()
        upper = fetch_body([SECRET_COMMIT.oid.upper()], 2)

        assert not gives(await door.fetch(late[:at] + line + late[at:]))
        assert not gives(await door.fetch(upper))
        for version in (0, 2):  # the header says one protocol, the body speaks the other
            assert not gives(await door.fetch(fetch_body([SECRET_COMMIT.oid], 2 - version), version))


async def test_bad_C14_nothing_of_an_empty_repository_or_a_private_one(tmp_path: Path) -> None:
    """No refs, no objects; and who may not read is not even told that there is something."""
    async with open_door(tmp_path) as door:
        await door.node.create(door.token, "hush", private=True)
        commands = push_body([f"{ZERO} {HEAD.oid} {MAIN_REF}"])
        kind = {"content-type": "application/x-git-receive-pack-request"}
        pushed = await door.node.http.post(
            "/alice/hush.git/git-receive-pack", content=commands, headers={**bearing(door.token), **kind}
        )
        assert report(pushed)[1] == f"ok {MAIN_REF}"
        bob = bearing(await door.node.token("bob"))
        for headers, status in ((bob, 404), ({}, 401)):
            answer = await door.node.http.post(
                "/alice/hush.git/git-upload-pack", content=fetch_body([HEAD.oid], 2), headers=headers
            )
            assert answer.status_code == status
        assert not gives(await door.fetch(fetch_body([HEAD.oid], 2)))


async def test_bad_C14_a_partial_clone_fetches_what_it_lacks(tmp_path: Path) -> None:
    """Stock git's late fetch of blobs goes through the same check."""
    async with open_door(tmp_path) as door:
        work = await a_history(tmp_path / "w", commits=3)
        await git(work, "push", door.node.remote("alice/door.git", "alice", door.token), "main")
        for filtered in ("blob:none", "tree:0"):
            copy = filtered.replace(":", "-")
            cloned = await git(
                tmp_path, "clone", "-q", f"--filter={filtered}", door.node.remote("alice/door.git"), copy
            )
            old = await git(tmp_path / copy, "show", "HEAD~2:file0")

            assert cloned.code == 0, cloned.err
            assert old.out == "hello\n0"


@pytest.mark.parametrize("filtered", [f"sparse:oid={BLOB.oid}", "tree:5", "combine:tree:5+blob:none", "nonsense"])
async def test_bad_C04_filters_that_multiply_work_are_refused(tmp_path: Path, filtered: str) -> None:
    """A tree filter visits a tree once for each depth it stands at; sparse patterns are read from any blob."""
    async with open_door(tmp_path, pushed=True) as door:
        answer = await door.fetch(fetch_body([HEAD.oid], 2, extra=[f"filter {filtered}\n".encode()]))

        assert not gives(answer)


async def test_bad_C04_a_tree_bomb_is_pushed_and_fetched_in_no_time(tmp_path: Path) -> None:
    """12 objects that stand for 10^10 paths: those who walk objects see 12."""
    objects = [BLOB, tree(*(("100644", f"f{n}".encode(), BLOB.oid) for n in range(10)))]
    for _ in range(9):
        objects.append(tree(*(("40000", f"d{n}".encode(), objects[-1].oid) for n in range(10))))
    bomb = commit(objects[-1].oid)
    with trio.fail_after(180):
        async with open_door(tmp_path) as door:
            pushed = await door.push(push_body([f"{ZERO} {bomb.oid} {MAIN_REF}"], pack_of(*objects, bomb)))
            cloned = await git(tmp_path, "clone", "-q", "--bare", door.node.remote("alice/door.git"), "copy")
            deep = await door.fetch(fetch_body([BLOB.oid], 2))

            assert report(pushed)[1] == f"ok {MAIN_REF}"
            assert cloned.code == 0, cloned.err
            assert gives(deep)


def test_bad_C14_the_pack_of_the_world_holds_no_secret() -> None:
    """Or the tests above would show nothing."""
    assert pack_of(*HIDDEN) not in PACK
    assert SECRET.oid not in {BLOB.oid, PLAIN.oid, HEAD.oid}


async def test_bad_C14_the_API_shows_only_what_a_ref_reaches(tmp_path: Path) -> None:
    """By the whole id or its beginning, as commit or as the start of a list: as if it were not there."""
    base = "/api/v3/repos/alice/door/commits"
    async with open_door(tmp_path, pushed=True) as door:
        await force_away(door)
        shown = await door.node.http.get(f"{base}/{HEAD.oid}")
        assert shown.status_code == 200
        for name in (SECRET_COMMIT.oid, SECRET_COMMIT.oid[:10], SECRET_TAG.oid, SECRET.oid, "ab" * 20):
            for path in (f"{base}/{name}", f"{base}?sha={name}"):
                answer = await door.node.http.get(path)

                assert answer.status_code == 404
                assert answer.json()["detail"] == f"there is no branch, tag or commit '{name}' in this repository"


@pytest.mark.parametrize(
    "option", ["--output=made", "--all", "-x", "--exec=touch made", "..", "HEAD^{/x}", ":/x", "@{1}"]
)
async def test_bad_B01_no_query_of_the_API_is_an_option_or_an_expression_of_git(tmp_path: Path, option: str) -> None:
    """Whatever stands for a revision, a path or an author is data behind a mark, or no name at all."""
    base = "/api/v3/repos/alice/door/commits"
    async with open_door(tmp_path, pushed=True) as door:
        for field in ("sha", "path", "author", "since"):
            answer = await door.node.http.get(base, params={field: option})

            assert answer.status_code in (200, 400, 404, 422)
            assert answer.status_code != 200 or answer.json() == []
            door.assert_says_nothing_secret(answer)
        answer = await door.node.http.patch(
            "/api/v3/repos/alice/door", json={"default_branch": option}, headers=bearing(door.token)
        )
        assert answer.status_code in (404, 422)
    assert not was_made(tmp_path)


def was_made(directory: Path) -> bool:
    """Whether some child of ours obeyed."""
    return any(directory.rglob("made"))
