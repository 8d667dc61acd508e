"""Rows C04 and C07 of ``reliability.md`` 3 at the doors that show files: memory, time, and clients that do not read."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import trio
from quart_trio import QuartTrio

from guts_core.git.pack_limits import COMMIT_BYTES_MAX
from guts_core.git.reading import limits
from guts_http import site
from guts_http.api import comparing
from guts_http.git import reading
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.http.http_world import PATIENCE_SECONDS
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import ZERO, Door, open_door, push_body, report

MAIN = "refs/heads/main"
API = "/api/v3/repos/alice/door"
MIB = 1 << 20


async def push(door: Door, *objects: RawObject, ref: str = MAIN) -> None:
    """The last of these objects becomes what the ref names."""
    pushed = await door.push(push_body([f"{ZERO} {objects[-1].oid} {ref}"], pack_of(*objects)))
    assert report(pushed)[1] == f"ok {ref}"


def files_far_down(count: int, below: int = 4, name_bytes: int = 3_000) -> list[RawObject]:
    """A directory of so many files at a path of 12 KB, and a commit."""
    raws = [BLOB, tree(*[("100644", b"f%04d" % number, BLOB.oid) for number in range(count)])]
    for _ in range(below):
        raws.append(tree(("40000", b"d" * name_bytes, raws[-1].oid)))
    return [*raws, commit(raws[-1].oid)]


async def test_bad_C04_long_paths_do_not_multiply_in_an_answer(tmp_path: Path) -> None:
    """A few kilobytes of objects would be hundreds of megabytes of links; lists of trees end where GitHub's do."""
    made = files_far_down(700)
    first = commit(PLAIN.oid)
    made[-1] = commit(made[-2].oid, [first.oid])
    directory = "/".join(["d" * 3_000] * 4)
    async with open_door(tmp_path) as door:
        await push(door, BLOB, PLAIN, first, ref="refs/heads/base")
        await push(door, *made)
        get = door.node.http.get
        listed = await get(f"{API}/contents/{directory}?ref=main")
        compared = await get(f"{API}/compare/base...main")
        file = await get(f"{API}/contents/{directory}/f0001?ref=main")
        whole = await get(f"{API}/git/trees/main?recursive=1")

    for refused in (listed, compared):
        assert (refused.status_code, refused.json()["code"]) == (422, "too-much-to-read")
        assert "1,200,000 bytes of paths (paths)" in refused.json()["message"]
        door.assert_says_nothing_secret(refused)
    assert (file.status_code, file.json()["name"]) == (200, "f0001")
    assert whole.json()["truncated"] is True
    assert 6 * MIB < sum(len(one["path"]) for one in whole.json()["tree"]) <= 7 * MIB


async def test_bad_C04_a_well_of_long_names_is_not_walked_by_any_door(tmp_path: Path) -> None:
    """400 objects of 4 KB stand for 300 MB of paths; the directory above is shown."""
    raws = [BLOB, PLAIN]
    for _ in range(400):
        raws.append(tree(("40000", b"d" * 4_000, raws[-1].oid)))
    made = [*raws, commit(raws[-1].oid)]
    async with open_door(tmp_path) as door:
        await push(door, *made)
        get = door.node.http.get
        refused = [await get(f"{API}/{path}") for path in ("tarball/main", "zipball/main", "languages")]
        shown = await get(f"{API}/contents?ref=main")
        listed = await get(f"{API}/git/trees/main?recursive=1")

    assert [(reply.status_code, reply.json()["code"]) for reply in refused] == [(422, "too-much-to-read")] * 3
    assert all("bytes of paths (paths)" in reply.json()["message"] for reply in refused)
    assert (shown.status_code, len(shown.json())) == (200, 1)
    assert listed.json()["truncated"] is True


async def test_bad_C07_a_comparison_shows_the_beginning_of_long_messages(tmp_path: Path) -> None:
    """A hundred of a mebibyte would be one answer."""
    first = commit(PLAIN.oid)
    second = commit(PLAIN.oid, [first.oid], message="m" * (COMMIT_BYTES_MAX - 1_000))
    async with open_door(tmp_path) as door:
        await push(door, BLOB, PLAIN, first, second)
        reply = await door.node.http.get(f"{API}/compare/{first.oid}...main")

    messages = [reply.json()["commits"][0]["commit"]["message"]]
    assert reply.status_code == 200, reply.text
    assert [set(message) for message in messages] == [{"m"}]
    assert 60_000 < len(messages[0]) < limits.COMMIT_BYTES_KEPT


def rewritten(count: int, lines: int) -> list[RawObject]:
    """A commit with so many files, and one in which every line of them is another."""
    found: list[RawObject] = []
    roots = []
    for word in (b"old", b"new"):
        blobs = [
            RawObject("blob", b"".join(b"%b %d %d\n" % (word, at, line) for line in range(lines)))
            for at in range(count)
        ]
        roots.append(tree(*[("100644", b"%03d" % at, blob.oid) for at, blob in enumerate(blobs)]))
        found += [*blobs, roots[-1]]
    first = commit(roots[0].oid)
    return [*found, first, commit(roots[1].oid, [first.oid])]


async def test_bad_C04_patches_that_do_not_fit_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their numbers are told, and that they are too large; of what is larger still not even numbers are made."""
    monkeypatch.setattr(comparing, "PATCHES_BYTES_MAX", 5_000)
    made = rewritten(4, 200)
    large = RawObject("blob", b"line\n" * (limits.DIFF_LINES_MAX + 1))
    root = tree(("100644", b"large", large.oid))
    third = commit(root.oid, [made[-1].oid])
    async with open_door(tmp_path) as door:
        await push(door, *made, ref="refs/heads/old")
        await push(door, large, root, third)
        get = door.node.http.get
        small = (await get(f"{API}/compare/{made[-2].oid}...old")).json()["files"]
        added = (await get(f"{API}/compare/old...main")).json()["files"]
        as_diff = await get(f"{API}/compare/old...main", headers={"accept": "application/vnd.github.diff"})

    assert [("patch" in one, one.get("patch_too_large")) for one in small] == [(True, None), *[(False, True)] * 3]
    assert {(one["additions"], one["deletions"]) for one in small} == {(200, 200)}
    one = next(one for one in added if one["filename"] == "large")
    assert ("patch" in one, one["patch_too_large"], one["changes"]) == (False, True, 0)
    assert "Files /dev/null and b/large differ and are too large for a patch\n" in as_diff.text


@pytest.mark.parametrize("path", ["contents?ref={}", "git/blobs/{}", "compare/{}...main", "tarball/{}", "git/trees/{}"])
async def test_bad_C04_what_git_is_asked_for_files_has_an_end(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that never answers, where an id is looked for: 503 after the time of a question, and the turn is free."""
    first = commit(PLAIN.oid)
    second = commit(PLAIN.oid, [first.oid])
    stuck = tmp_path / "stuck"
    stuck.mkdir()
    (stuck / "git").write_text("#!/bin/sh\nexec sleep 1000\n")
    (stuck / "git").chmod(0o755)
    wanted = BLOB.oid if "blobs" in path else first.oid
    settings = site.Settings(git_reads_max=1)
    async with open_door(tmp_path, settings) as door:
        await push(door, BLOB, PLAIN, first, second)
        before = await door.node.http.get(f"{API}/{path.format(wanted)}")
        with monkeypatch.context() as patch, trio.fail_after(PATIENCE_SECONDS):
            patch.setattr(reading, "READ_SECONDS", 0.5)
            patch.setenv("PATH", f"{stuck}:{os.environ['PATH']}")
            refused = await door.node.http.get(f"{API}/{path.format(wanted)}")
        again = await door.node.http.get(f"{API}/{path.format(wanted)}")

    assert (before.status_code, again.status_code) == (200, 200)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "reading this took longer than 0.5 s" in refused.json()["message"]


async def test_bad_C04_answers_that_nobody_takes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes of them are held; who would hold more is told to come again, and small answers go on."""
    monkeypatch.setattr(site, "ROOM_BYTES_MAX", 20 * MIB)
    noise = RawObject("blob", os.urandom(12 * MIB))
    root = tree(("100644", b"noise", noise.oid))
    made = commit(root.oid)
    raw = {"accept": "application/vnd.github.raw"}
    async with open_door(tmp_path) as door:
        await push(door, noise, root, made)
        get, url = door.node.http.get, f"{API}/git/blobs/{noise.oid}"
        with trio.fail_after(PATIENCE_SECONDS):
            async with door.node.http.stream("GET", url, headers=raw) as first:
                second = await get(url, headers=raw)
                zipped = await get(f"{API}/zipball/main")
                small = await get(f"{API}/contents")
            third = await get(url, headers=raw)
            while third.status_code == 503:  # the door learns of the client's end a moment later
                third = await get(url, headers=raw)

    assert first.status_code == 200
    assert [(reply.status_code, reply.json()["code"]) for reply in (second, zipped)] == [(503, "too-many-at-once")] * 2
    assert "retry-after" in second.headers
    assert (small.status_code, third.status_code, len(third.content)) == (200, 200, 12 * MIB)


async def test_bad_C04_slow_readers_hold_no_turn_of_those_who_read(tmp_path: Path) -> None:
    """With one turn in all, and a client that does not take its answer, others are served."""
    noise = RawObject("blob", os.urandom(12 * MIB))
    root = tree(("100644", b"noise", noise.oid))
    made = commit(root.oid)
    async with open_door(tmp_path, site.Settings(git_reads_max=1, queue_seconds=0.1)) as door:
        await push(door, noise, root, made)
        headers = {"accept": "application/vnd.github.raw"}
        with trio.fail_after(PATIENCE_SECONDS):
            async with door.node.http.stream("GET", f"{API}/git/blobs/{noise.oid}", headers=headers) as first:
                others = [await door.node.http.get(f"{API}/contents") for _ in range(3)]

    assert first.status_code == 200
    assert [reply.status_code for reply in others] == [200] * 3


async def test_an_archive_is_sent_as_long_as_its_client_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The framework gives up what is sent for a minute; an archive of gigabytes takes longer."""
    defaults: Any = {**QuartTrio.default_config, "RESPONSE_TIMEOUT": 0.5}
    monkeypatch.setattr(QuartTrio, "default_config", defaults)
    noise = RawObject("blob", os.urandom(24 * MIB))
    root = tree(("100644", b"noise", noise.oid))
    made = commit(root.oid)
    async with open_door(tmp_path) as door:
        await push(door, noise, root, made)
        with trio.fail_after(PATIENCE_SECONDS):
            async with door.node.http.stream("GET", f"{API}/zipball/main") as reply:
                await trio.sleep(1)
                data = await reply.aread()

    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert found.infolist()[-1].file_size == 24 * MIB
