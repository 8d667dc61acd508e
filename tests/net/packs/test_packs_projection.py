"""Projected directories: stock git reads exactly the refs of one generation, for as long as it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from guts_core.names import Oid, RefName
from guts_net.disk import LocalDisk
from guts_net.packs import PackStore
from tests.fixtures import git_history
from tests.fixtures.git_history import git
from tests.net.packs.pack_world import MAIN, REPO, World, oid, pack_from, refs_of

Refs = dict[RefName, Oid]


def all_refs(repo: Path) -> Refs:
    lines = git(repo, "for-each-ref", "--format=%(objectname) %(refname)").decode().splitlines()
    return {RefName(name): oid(value) for value, name in (line.split(" ", 1) for line in lines)}


async def hold_everything(world: World, source: Path) -> Refs:
    refs = all_refs(source)
    await world.push(pack_from(source, *[value.hex() for value in refs.values()]))
    return refs


async def test_a_generated_history_comes_out_as_it_went_in(world: World, tmp_path: Path) -> None:
    git_history.generate(tmp_path / "big", objects=2_000)
    refs = await hold_everything(world, tmp_path / "big")

    async with world.store.projected(REPO, 1, refs, MAIN) as path:
        git(tmp_path, "clone", "--quiet", "--mirror", path.as_uri(), "out")
        assert git(path, "fsck", "--full", "--strict") == b""
        assert all_refs(path) == refs

    assert all_refs(tmp_path / "out") == refs
    assert git(tmp_path / "out", "fsck", "--full", "--strict") == b""
    assert git(tmp_path / "out", "rev-list", "--objects", "--all") == git(
        tmp_path / "big", "rev-list", "--objects", "--all"
    )


@pytest.mark.parametrize("version", ["0", "2"])
async def test_upload_pack_serves_it(world: World, source: Path, tmp_path: Path, version: str) -> None:
    refs = await hold_everything(world, source)

    async with world.store.projected(REPO, 1, refs, MAIN) as path:
        listed = git(tmp_path, "-c", f"protocol.version={version}", "ls-remote", "--symref", path.as_uri()).decode()

    assert "ref: refs/heads/main\tHEAD" in listed
    assert f"{git(source, 'rev-parse', 'v1^{}').decode().strip()}\trefs/tags/v1^{{}}" in listed


async def test_an_empty_repository_can_be_cloned(world: World, tmp_path: Path) -> None:
    async with world.store.projected(REPO, 0, {}, RefName("refs/heads/trunk")) as path:
        git(tmp_path, "clone", "--quiet", path.as_uri(), "out")

    assert git(tmp_path / "out", "symbolic-ref", "HEAD") == b"refs/heads/trunk\n"


async def test_names_that_are_not_ascii_are_shown(world: World, source: Path) -> None:
    await hold_everything(world, source)
    refs = {RefName("refs/heads/grün/枝"): all_refs(source)[MAIN], MAIN: all_refs(source)[MAIN]}

    async with world.store.projected(REPO, 1, refs, MAIN) as path:
        assert all_refs(path) == refs


async def test_each_generation_shows_its_own_refs(world: World, source: Path) -> None:
    refs = await hold_everything(world, source)
    older = refs_of(main=git(source, "rev-parse", "main~1").decode().strip())

    async with (
        world.store.projected(REPO, 1, older, MAIN) as first,
        world.store.projected(REPO, 2, refs, MAIN) as second,
    ):
        assert (all_refs(first), all_refs(second)) == (older, refs)


async def test_a_directory_is_reused_until_head_or_refs_change(world: World, source: Path) -> None:
    refs = await hold_everything(world, source)

    async with world.store.projected(REPO, 1, refs, MAIN) as first:
        made = first.stat().st_ino
    async with world.store.projected(REPO, 1, refs, MAIN) as again:
        assert (again, again.stat().st_ino) == (first, made)
    async with world.store.projected(REPO, 1, refs, RefName("refs/heads/side")) as moved:
        assert git(moved, "symbolic-ref", "HEAD") == b"refs/heads/side\n"


async def test_a_directory_that_stands_is_leased_without_reading_refs(world: World, source: Path) -> None:
    """Of a large repository reading them is most of what a fetch costs the node."""
    refs = await hold_everything(world, source)

    assert not world.store.is_projected(REPO, 1, MAIN)
    async with world.store.projected(REPO, 1, refs, MAIN) as first:
        assert world.store.is_projected(REPO, 1, MAIN)
        assert not world.store.is_projected(REPO, 1, RefName("refs/heads/side"))
        async with world.store.projected(REPO, 1, None, MAIN) as again:
            assert (again, all_refs(again)) == (first, refs)


async def test_an_old_generation_goes_when_its_last_reader_does(world: World, source: Path) -> None:
    refs = await hold_everything(world, source)

    async with world.store.projected(REPO, 1, refs, MAIN) as old:
        async with world.store.projected(REPO, 1, refs, MAIN):
            async with world.store.projected(REPO, 2, refs, MAIN) as new:
                pass
            assert old.exists()
        assert old.exists()
    assert not old.exists()
    assert new.exists()
    assert list(new.parent.iterdir()) == [new]


async def test_it_is_renamed_into_place_whole(world: World, source: Path) -> None:
    refs = await hold_everything(world, source)
    world.operations.clear()

    async with world.store.projected(REPO, 7, refs, MAIN) as path:
        written = [operation for operation in world.operations if operation[0] in ("write", "rename")]

    assert written[-1] == ("rename", path.name)
    assert ("write", "packed-refs") in written


async def test_projections_of_an_earlier_life_are_dropped_at_start(world: World, source: Path) -> None:
    """They are not synced, so a power cut may have left them empty."""
    refs = await hold_everything(world, source)
    async with world.store.projected(REPO, 1, refs, MAIN) as path:
        pass
    (path / "packed-refs").write_bytes(b"")

    store = PackStore(world.directory, LocalDisk())
    await store.sweep(frozenset())

    async with store.projected(REPO, 1, refs, MAIN) as again:
        assert all_refs(again) == refs


async def test_the_data_directory_can_be_moved(world: World, source: Path, tmp_path: Path) -> None:
    refs = await hold_everything(world, source)
    async with world.store.projected(REPO, 1, refs, MAIN) as path:
        relative = path.relative_to(world.directory)
    moved = world.directory.rename(tmp_path / "moved")

    assert git(moved / relative, "fsck", "--full", "--strict") == b""
