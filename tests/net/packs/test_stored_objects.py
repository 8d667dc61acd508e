"""Objects out of a node's packs: the leased directory shows all of them, damage is an error and never an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from guts_core.errors import Corrupt
from guts_core.git.reading import archive, history
from guts_core.git.reading.objects import Bounded, Header, MissingObject
from guts_core.names import Oid
from guts_net.packs.stored_objects import stored_objects
from tests.fixtures.git_history import git
from tests.net.packs.pack_world import MAIN, REPO, World, oid, pack_from


async def test_a_leased_directory_shows_what_every_pack_holds(world: World, source: Path) -> None:
    """Two packs, as two pushes left them, read through the alternate of the projection."""
    await world.push(pack_from(source, "main~1"))
    await world.push(pack_from(source, "main", "^main~1"))
    tip = oid(git(source, "rev-parse", "main").decode().strip())

    async with world.store.projected(REPO, 1, {MAIN: tip}, MAIN) as directory:
        objects = stored_objects(directory)
        found = [one.oid.hex() for one in history.log(Bounded(objects), [tip])]
        entries = list(archive.plan(Bounded(objects), tip).entries(Bounded(objects)))

    assert found == git(source, "rev-list", "main").decode().split()
    assert [path for path, _ in entries] == [b"dir", b"dir/file1", b"dir/file2", b"dir/file3"]
    blob = entries[1][1].oid
    assert (objects.header(blob), objects.read(blob)) == (Header("blob", 2), b"1\n")
    with pytest.raises(MissingObject, match=r"1{40}"):
        objects.read(Oid(bytes.fromhex("1" * 40)))


async def test_flipped_bits_are_never_an_answer(world: World, source: Path) -> None:
    """Whichever byte of the pack rots: what is read is what was stored, or an error."""
    digest = await world.push(pack_from(source, "main"))
    git_dir = world.store.layout.repo(REPO)
    tip = oid(git(source, "rev-parse", "main").decode().strip())
    expected = {name: stored_objects(git_dir).read(name) for name in all_objects(source)}
    path = world.store.layout.linked_pack(git_dir, digest)
    sound = path.read_bytes()
    damaged = 0
    for at in range(12, len(sound) - 20, 7):
        path.unlink()  # what is open is not changed under its reader
        path.write_bytes(sound[:at] + bytes((sound[at] ^ 0x10,)) + sound[at + 1 :])
        objects = stored_objects(git_dir)
        for name, content in expected.items():
            try:
                assert objects.read(name) == content
            except (Corrupt, MissingObject):
                damaged += 1
        del objects  # libgit2 keeps a pack open for all who read it, until the last one is done
    path.unlink()
    path.write_bytes(sound)

    assert damaged > 20
    assert stored_objects(git_dir).read(tip) == expected[tip]


def all_objects(source: Path) -> list[Oid]:
    return [oid(line) for line in git(source, "rev-list", "--objects", "--no-object-names", "main").decode().split()]
