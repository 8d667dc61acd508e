"""Rows A05, C04 and C05 of ``reliability.md`` 3 at the doors that walk trees: bounded, refused in words."""

from __future__ import annotations

from pathlib import Path

import trio

from guts_core.git.pack_limits import TREE_DEPTH_MAX
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import ZERO, Door, open_door, push_body, report

MAIN = "refs/heads/main"
API = "/api/v3/repos/alice/door"


def a_bomb() -> list[RawObject]:
    """12 objects that stand for 10^10 paths, and a commit."""
    objects = [BLOB, tree(*(("100644", f"f{n}".encode(), BLOB.oid) for n in range(10)))]
    for _ in range(9):
        objects.append(tree(*(("40000", f"d{n}".encode(), objects[-1].oid) for n in range(10))))
    return [*objects, commit(objects[-1].oid)]


async def push(door: Door, objects: list[RawObject], ref: str = MAIN) -> None:
    pushed = await door.push(push_body([f"{ZERO} {objects[-1].oid} {ref}"], pack_of(*objects)))
    assert report(pushed)[1] == f"ok {ref}"


async def test_bad_C04_a_tree_bomb_is_not_walked_by_any_door(tmp_path: Path) -> None:
    """What shows one directory shows it; what would show all of them says which limit, or how far it went."""
    first = commit(PLAIN.oid)
    bomb = a_bomb()
    bomb[-1] = commit(bomb[-2].oid, [first.oid])
    with trio.fail_after(300):
        async with open_door(tmp_path) as door:
            await push(door, [BLOB, PLAIN, first], "refs/heads/base")
            await push(door, bomb)
            get = door.node.http.get
            deep = await get(f"{API}/contents/{'/'.join(['d3'] * 9)}/f7?ref=main")
            listed = await get(f"{API}/git/trees/main?recursive=1")
            refused = [await get(f"{API}/{path}") for path in ("tarball/main", "compare/base...main")]
            found = await get(f"{API}/git/blobs/{BLOB.oid}")
            alive = await get("/livez")

    assert deep.status_code == 200, deep.text
    assert deep.json()["sha"] == BLOB.oid
    assert (listed.status_code, listed.json()["truncated"], len(listed.json()["tree"])) == (200, True, 100_000)
    assert [(reply.status_code, reply.json()["code"]) for reply in refused] == [(422, "too-much-to-read")] * 2
    assert "at most 200,000 entries (entries)" in refused[0].json()["message"]
    assert "20,000 files are different (changes)" in refused[1].json()["message"]
    assert (found.status_code, alive.status_code) == (200, 200)
    for reply in refused:
        door.assert_says_nothing_secret(reply)


async def test_bad_C05_a_path_of_the_greatest_depth_is_shown(tmp_path: Path) -> None:
    """As deep as may be pushed: no door recurses, and one directory further is told as too deep."""
    objects = [BLOB, PLAIN]
    for _ in range(TREE_DEPTH_MAX - 1):
        objects.append(tree(("40000", b"d", objects[-1].oid)))
    objects.append(commit(objects[-1].oid))
    async with open_door(tmp_path) as door:
        await push(door, objects)
        get = door.node.http.get
        path = "/".join(["d"] * (TREE_DEPTH_MAX - 1))
        file = await get(f"{API}/contents/{path}/file")
        further = await get(f"{API}/contents/{path}/d/d/d")
        listed = await get(f"{API}/git/trees/main?recursive=1")
        packed = await get(f"{API}/tarball/main")

    assert (file.status_code, file.json()["sha"]) == (200, BLOB.oid)
    assert (further.status_code, further.json()["code"]) == (422, "too-much-to-read")
    assert len(listed.json()["tree"]) == TREE_DEPTH_MAX
    assert packed.status_code == 200
