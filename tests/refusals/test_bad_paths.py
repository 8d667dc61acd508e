"""Rows A01, A03 and A10 of ``reliability.md`` 3: names and links that would lead somewhere on this disk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from guts_core.errors import Invalid
from guts_core.names import account_name, repository_name
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.http.node_world import bearing, git
from tests.net.packs.pack_world import World, pack_of
from tests.refusals.doors_world import ZERO, open_door, push_body, report

NAMES = ("..", ".", "../x", "..%2fx", "a\\b", "a/b", "a\0b", "a%00b", "x.git", ".git", "a b", "", "n" * 101, "ü")


@pytest.mark.parametrize("name", NAMES)
async def test_bad_A01_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    """One grammar for the API and for pushes that create; on disk a repository is known by its id alone."""
    with pytest.raises(Invalid):
        repository_name(name)
    with pytest.raises(Invalid):
        account_name(name)
    async with open_door(tmp_path) as door:
        before, state = files(tmp_path), await door.state()
        made = await door.node.create(door.token, name)
        url = f"/alice/{name}.git/info/refs?service=git-receive-pack"
        pushed = None
        if name.isascii() and name.isprintable():
            pushed = await door.node.http.get(url, headers=bearing(door.token))

        assert made.status_code == 422
        assert pushed is None or 400 <= pushed.status_code < 500
        assert files(tmp_path) == before
        assert await door.state() == state


def files(path: Path) -> set[str]:
    """Every directory of a repository, and whatever lies beside the nodes."""
    return {str(one.relative_to(path)) for one in [*path.glob("*"), *path.glob("net/*"), *path.glob("net/*/repos/*/*")]}


async def test_bad_A03_a_symbolic_link_is_a_blob(tmp_path: Path) -> None:
    """What it points at is text; it is kept and given as such, and nothing here follows it."""
    secret = tmp_path / "secret"
    secret.write_text("not for you")
    link = RawObject("blob", str(secret).encode())
    root = tree(("100644", b"file", BLOB.oid), ("120000", b"link", link.oid))
    head = commit(root.oid)
    async with open_door(tmp_path) as door:
        pack = pack_of(BLOB, PLAIN, link, root, head)
        assert report(await door.push(push_body([f"{ZERO} {head.oid} refs/heads/main"], pack)))[1].startswith("ok ")
        cloned = await git(tmp_path, "clone", "-q", "--bare", door.node.remote("alice/door.git"), "copy")
        shown = await git(tmp_path / "copy", "cat-file", "-p", "main:link")
        listed = await git(tmp_path / "copy", "ls-tree", "main", "link")

    assert cloned.code == 0, cloned.err
    assert shown.out == str(secret)
    assert listed.out.startswith("120000 blob ")


async def test_bad_A10_what_a_push_is_called_on_disk_is_made_here(tmp_path: Path) -> None:
    """128 bits of chance, and names of packs by their digest: nothing that a client says is part of a path."""
    (tmp_path / "node").mkdir()
    world = World(tmp_path / "node")
    async with world.store.incoming() as one, world.store.incoming() as other:
        names = [one.directory.name, other.directory.name]
        await one.write(pack_of(BLOB, PLAIN))

        assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
        assert len(set(names)) == len(names)
    await world.push(pack_of(BLOB, PLAIN))
    kept = [Path(file) for file in world.files() if file.endswith((".pack", ".idx"))]
    assert len(kept) == 2 * len({file.parent for file in kept}) > 2
    assert all(re.fullmatch(r"(pack-)?[0-9a-f]{40,64}", file.stem) for file in kept)
