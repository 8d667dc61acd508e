"""What stock git sees of large, odd and refused pushes: mirrors, thousands of refs, options, other object formats."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from guts_core.git.pack_limits import PackLimits
from guts_core.git.receive_pack import FormLimits
from guts_http.site import Settings
from tests.fixtures import git_history
from tests.fixtures.git_history import BLOB, PLAIN, commit
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import PARAMS, Node, a_history, bearing, git, open_world
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import ZERO, open_door, push_body, report

RESERVED = ("refs/pull/1/head", "refs/pull/1/merge", "refs/pull/27/head", "refs/replace/" + "a" * 40, "refs/guts/x")
OPEN = ("refs/heads/main", "refs/heads/feature/x", "refs/tags/v1", "refs/notes/commits", "refs/remotes/up/main")


async def refs_at(node: Node, remote: str, directory: Path) -> dict[str, str]:
    """What the node shows."""
    listed = await git(directory, "ls-remote", remote)
    assert listed.code == 0, listed.err
    pairs = (line.split("\t") for line in listed.out.splitlines())
    return {name: oid for oid, name in pairs if name != "HEAD"}


def events(path: Path, name: str) -> list[dict[str, object]]:
    """The lines of the node's log with this event."""
    lines = map(json.loads, (path / "net" / "node0.log").read_text().splitlines())
    return [line for line in lines if line["event"] == name]


async def test_bad_B03_a_mirror_of_github_goes_in_but_for_what_is_reserved(tmp_path: Path) -> None:
    """`git push --mirror`: each reserved ref is refused with words, the rest is there, also in the next push."""
    async with open_world(tmp_path / "net") as node:
        remote = node.remote("alice/mirror.git", "alice", await node.token("alice"))
        work = await a_history(tmp_path)
        for ref in (*RESERVED, *OPEN[1:]):
            assert (await git(work, "update-ref", ref, "HEAD")).code == 0
        first = await git(work, "push", "--mirror", remote)
        there = await refs_at(node, remote, tmp_path)
        await git(work, "update-ref", "-d", "refs/heads/feature/x")
        second = await git(work, "push", "--mirror", remote)

        assert first.code == second.code == 1
        for ref in RESERVED:
            assert f"[remote rejected] {ref} -> {ref} (ref {ref} is in a space that is read-only" in first.err
        assert there.keys() == set(OPEN)
        assert (await refs_at(node, remote, tmp_path)).keys() == set(OPEN) - {"refs/heads/feature/x"}


async def test_a_mirror_without_the_current_branch_goes_in_but_for_its_deletion(tmp_path: Path) -> None:
    """HEAD has to point somewhere; the words are those of the network's rule, beside this ref alone."""
    async with open_world(tmp_path / "net") as node:
        remote = node.remote("alice/mirror.git", "alice", await node.token("alice"))
        work = await a_history(tmp_path)
        await git(work, "push", remote, "main", "main:gone")
        await git(work, "checkout", "-q", "-b", "other")
        await git(work, "branch", "-D", "main")
        pushed = await git(work, "push", "--mirror", remote)
        there = await refs_at(node, remote, tmp_path)

    assert pushed.code == 1
    assert "[remote rejected] main (refusing to delete the current branch: refs/heads/main)" in pushed.err
    assert there.keys() == {"refs/heads/main", "refs/heads/other"}


async def test_what_goes_makes_room_for_what_comes_in_any_transaction(tmp_path: Path) -> None:
    """A branch becomes a directory of branches, a thousand refs later in the same push."""
    head = commit(PLAIN.oid)
    pack = pack_of(BLOB, PLAIN, head)
    many = [f"refs/heads/a/b{number}" for number in range(PARAMS.updates_max + 1)]
    async with open_door(tmp_path) as door:
        first = [f"{ZERO} {head.oid} {name}" for name in ("refs/heads/main", "refs/heads/a")]
        assert report(await door.push(push_body(first, pack)))[1:] == ["ok refs/heads/main", "ok refs/heads/a"]
        commands = [*(f"{ZERO} {head.oid} {name}" for name in many), f"{head.oid} {ZERO} refs/heads/a"]
        results = report(await door.push(push_body(commands, pack)))

        assert results == ["unpack ok", *(f"ok {name}" for name in many), "ok refs/heads/a"]
        assert set(await door.refs()) == {"refs/heads/main", *many}


async def test_more_refs_than_a_transaction_takes_are_split_over_one_pack(tmp_path: Path) -> None:
    """With stock git: three transactions, one pack, every ref."""
    count = 2 * PARAMS.updates_max + 1
    source = tmp_path / "source"
    git_history.init(source)
    git_history.git(source, "fast-import", "--quiet", "--done", stdin=many_branches(count))
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        remote = node.remote("alice/many.git", "alice", token)
        pushed = await git(source, "push", "--quiet", "--mirror", remote)
        refs = await refs_at(node, remote, tmp_path)

    assert pushed.code == 0, pushed.err[-500:]
    assert len(refs) == count
    assert [one["refs"] for one in events(tmp_path, "push_submitted")] == [1000, 1000, 1]
    assert len(events(tmp_path, "pack_kept")) == 1


def many_branches(count: int) -> bytes:
    """So many branches on ten commits."""
    lines = []
    for mark in range(1, 11):
        lines += [f"commit refs/heads/b{mark}", f"mark :{mark}", f"committer A <a@b.c> {mark} +0000", "data 1", "x", ""]
    for number in range(11, count + 1):
        lines += [f"reset refs/heads/b{number}", f"from :{number % 10 + 1}", ""]
    return "\n".join([*lines, "done", ""]).encode()


async def test_a_push_of_many_thousand_refs_is_one_push(tmp_path: Path) -> None:
    """More than a frame of the port and the old 10,000; the reports of all of them come back in order."""
    commits = [commit(PLAIN.oid, message=f"{number}\n") for number in range(20)]
    names = [f"refs/heads/team/of/people/b{number:05}" for number in range(12_000)]
    commands = [f"{ZERO} {commits[number % 20].oid} {name}" for number, name in enumerate(names)]
    commands[7_000] = f"{ZERO} {commits[0].oid} refs/pull/7/head"
    async with open_door(tmp_path) as door:
        door.node.http.timeout = 10 * PATIENCE_SECONDS
        unpack, *results = report(await door.push(push_body(commands, pack_of(BLOB, PLAIN, *commits))))
        refs = await door.refs()

    assert unpack == "unpack ok"
    assert results[7_000].startswith("ng refs/pull/7/head ref refs/pull/7/head is in a space")
    names.pop(7_000)
    results.pop(7_000)
    assert results == [f"ok {name}" for name in names]
    assert list(refs) == names


async def test_bad_C13_an_atomic_push_moves_what_one_transaction_moves(tmp_path: Path) -> None:
    """It cannot be split; the number is said beside each ref, and nothing moves."""
    head = commit(PLAIN.oid)
    commands = [f"{ZERO} {head.oid} refs/heads/b{number}" for number in range(PARAMS.updates_max + 1)]
    async with open_door(tmp_path) as door:
        results = report(await door.push(push_body(commands, pack_of(BLOB, PLAIN, head), "report-status atomic")))

        assert all(
            line.endswith("an atomic push moves at most 1000 refs; push without --atomic") for line in results[1:]
        )
        assert await door.refs() == {}


async def test_bad_B02_a_name_of_too_many_parts_is_refused_alone(tmp_path: Path) -> None:
    """Not with the transaction in which it would stand."""
    head = commit(PLAIN.oid)
    deep = "refs/heads/" + "/".join("x" * 31)
    commands = [f"{ZERO} {head.oid} {name}" for name in (deep, "refs/heads/main")]
    async with open_door(tmp_path) as door:
        results = report(await door.push(push_body(commands, pack_of(BLOB, PLAIN, head))))

    assert results[1:] == [f"ng {deep} ref name {deep} has more than 32 parts", "ok refs/heads/main"]


LESS = {
    "a file": (PackLimits(blob_bytes=10_000), r"object [0-9a-f]{40}: a file of 20001 bytes; at most 10000 are taken"),
    "objects": (PackLimits(objects=2), "the pack has 3 objects; at most 2 are taken in one push"),
}


@pytest.mark.parametrize("name", LESS)
async def test_a_node_may_take_less_than_others(tmp_path: Path, name: str) -> None:
    """Its operator says so in [push]; stock git shows which object, which limit and its value."""
    limits, words = LESS[name]
    async with open_world(tmp_path / "net", pack_limits=limits) as node:
        remote = node.remote("alice/less.git", "alice", await node.token("alice"))
        work = await a_history(tmp_path, commits=1, payload=os.urandom(20_000))
        pushed = await git(work, "push", remote, "main")

        assert pushed.code != 0
        assert await node.http.get("/api/v3/repos/alice/less") is not None
    lines = pushed.err.splitlines()
    assert any(re.search(f"remote unpack failed: {words}", line) for line in lines), pushed.err
    assert any("! [remote rejected] main -> main (unpacker error)" in line for line in lines), pushed.err


async def test_push_options_do_what_is_documented(tmp_path: Path) -> None:
    """Private makes it so when the push creates; afterwards, and for others, what does nothing is said."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        remote = node.remote("alice/hush.git", "alice", token)
        work = await a_history(tmp_path)
        wrong = await git(work, "push", "-o", "private=maybe", remote, "main")
        created = await git(work, "push", "-o", "private=true", "-o", "ci.skip", remote, "main")
        again = await git(work, "push", "-o", "private=false", remote, "main:other")
        shown = await node.http.get("/api/v3/repos/alice/hush", headers=bearing(token))

    assert "push option 'private=maybe': say private, private=true or private=false" in wrong.err
    assert created.code == again.code == 0, created.err + again.err
    assert "push option 'ci.skip' is not known here and does nothing" in created.err
    assert "push option 'private=false' does nothing: the repository is there already" in again.err
    assert shown.json()["private"] is True


@pytest.mark.parametrize("option", ["pr.title=Better", "pr.draft", "review.request=bob", "guts.x"])
async def test_bad_B04_reserved_push_options_are_refused_with_words(tmp_path: Path, option: str) -> None:
    """Nobody believes that a pull request was opened. Also where the pack is larger than git sends at once."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        work = await a_history(tmp_path, commits=1, payload=os.urandom(3 << 20))
        refused = await git(work, "push", "-o", option, node.remote("alice/new.git", "alice", token), "main")
        there = await node.http.get("/api/v3/repos/alice/new", headers=bearing(token))

    assert refused.code != 0
    assert f"push option '{option.partition('=')[0]}' is reserved: nothing here can do it yet" in refused.err
    assert there.status_code == 404


async def test_bad_B04_C13_a_node_may_ask_for_fewer_commands_and_options(tmp_path: Path) -> None:
    """Stock git shows the number."""
    async with open_world(tmp_path / "net", Settings(push_form=FormLimits(2, 1, 10))) as node:
        remote = node.remote("alice/few.git", "alice", await node.token("alice"))
        work = await a_history(tmp_path)
        many = await git(work, "push", remote, *(f"main:b{number}" for number in range(3)))
        options = await git(work, "push", "-o", "a", "-o", "b", remote, "main")
        long = await git(work, "push", "-o", "x" * 11, remote, "main")
        two = await git(work, "push", remote, "main:a", "main:b")

    assert "a push moves at most 2 refs here; push in several steps" in many.err
    assert "a push has at most 1 options here" in options.err
    assert "a push option is at most 10 bytes long here" in long.err
    assert two.code == 0, two.err


async def test_repositories_of_another_object_format_are_told_so(tmp_path: Path) -> None:
    """Git itself says it, by what is advertised; a client that asks nevertheless is answered in words."""
    async with open_world(tmp_path / "net") as node:
        token = await node.token("alice")
        await git(await a_history(tmp_path), "push", node.remote("alice/one.git", "alice", token), "main")
        other = tmp_path / "other"
        other.mkdir()
        await git(other, "init", "-q", "-b", "main", "--object-format=sha256")
        await git(other, "commit", "-q", "--allow-empty", "-m", "x")
        pushed = await git(other, "push", node.remote("alice/one.git", "alice", token), "main")
        created = await git(other, "push", node.remote("alice/two.git", "alice", token), "main")
        fetched = await git(other, "fetch", node.remote("alice/one.git"))
        asked = "report-status object-format=sha256"
        raw = await node.http.post(
            "/alice/one.git/git-receive-pack",
            content=push_body([f"{'0' * 64} {'1' * 64} refs/heads/x"], b"", asked),
            headers={**bearing(token), "content-type": "application/x-git-receive-pack-request"},
        )
        there = await node.http.get("/api/v3/repos/alice/two", headers=bearing(token))

    assert created.code != 0
    assert pushed.code != 0
    assert "does not support this repository's hash algorithm" in pushed.err
    assert fetched.code != 0
    assert "mismatched algorithms: client sha256; server sha1" in fetched.err
    assert raw.status_code == 400
    assert "repositories here are in object format sha1" in raw.text
    assert there.status_code == 404
