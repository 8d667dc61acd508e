"""Trees that are too deep are found however the history of a pack comes by them (``reliability.md`` C05)."""

from __future__ import annotations

import pytest

from guts_core.errors import LimitExceeded
from guts_core.git.pack_limits import TREE_DEPTH_MAX
from guts_net.packs import readable
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.net.packs.pack_world import World, pack_of

TOO_DEEP = f"more than {TREE_DEPTH_MAX} directories deep"


def wrapped(inner: RawObject, times: int, name: bytes = b"d") -> list[RawObject]:
    """Trees around a tree, the outermost last."""
    around: list[RawObject] = []
    for _ in range(times):
        around.append(tree(("40000", name, (around[-1] if around else inner).oid)))
    return around


def history(*roots: RawObject) -> list[RawObject]:
    """One commit after another with these trees."""
    commits: list[RawObject] = []
    for root in roots:
        commits.append(commit(root.oid, [before.oid for before in commits[-1:]]))
    return commits


def shallow(count: int) -> list[RawObject]:
    """That many trees that are one directory deep: enough of them make a pack be looked at."""
    return [tree(("100644", b"%d" % number, BLOB.oid)) for number in range(count)]


async def test_what_each_commit_adds_tells_of_a_shallow_history(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no tree is walked: that takes git over twice the time."""
    walked = []
    monkeypatch.setattr(readable, "_check_depth", lambda *_: walked.append(True))
    roots = shallow(TREE_DEPTH_MAX + 1)

    assert await world.check(pack_of(BLOB, *roots, *history(*roots))) is not None
    assert not walked


async def test_a_deep_tree_that_moves_deeper_is_found(world: World) -> None:
    """Neither commit adds a tree that is too deep by itself."""
    lower = wrapped(PLAIN, 700)
    upper = wrapped(lower[-1], 700, b"u")
    pack = pack_of(BLOB, PLAIN, *lower, *upper, *history(lower[-1], upper[-1]))

    with pytest.raises(LimitExceeded, match=TOO_DEEP):
        await world.check(pack)


async def test_what_changes_too_much_to_be_listed_is_walked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is deep is found by the walk then."""
    monkeypatch.setattr(readable, "_PATHS_BYTES_MAX", 10_000)
    roots = wrapped(PLAIN, TREE_DEPTH_MAX + 1)

    with pytest.raises(LimitExceeded, match="object [0-9a-f]{40} stands " + TOO_DEEP):
        await world.check(pack_of(BLOB, PLAIN, *roots, *history(roots[-1])))


async def test_a_long_path_may_have_few_directories(world: World) -> None:
    long = wrapped(PLAIN, 20, b"d" * 200)
    roots = shallow(TREE_DEPTH_MAX + 1)

    assert await world.check(pack_of(BLOB, PLAIN, *long, *roots, *history(long[-1], *roots))) is not None


async def test_a_deep_directory_without_files_is_found(world: World) -> None:
    empty = tree()
    roots = wrapped(empty, TREE_DEPTH_MAX + 1)

    with pytest.raises(LimitExceeded, match=TOO_DEEP):
        await world.check(pack_of(empty, *roots, *history(roots[-1])))


async def test_a_deep_tree_in_what_a_merge_takes_in_is_found(world: World) -> None:
    """The merge differs from its first parent only in what the second has."""
    roots = wrapped(PLAIN, TREE_DEPTH_MAX + 1)
    (base,), (side,) = history(PLAIN), history(roots[-1])
    merge = commit(roots[-1].oid, [base.oid, side.oid])

    with pytest.raises(LimitExceeded, match=TOO_DEEP):
        await world.check(pack_of(BLOB, PLAIN, *roots, base, side, merge))


async def test_trees_around_what_the_repository_has_are_walked_into_it(world: World) -> None:
    """The second push changes nothing below its own trees."""
    lower = wrapped(PLAIN, 800)
    first = history(lower[-1])
    await world.push(pack_of(BLOB, PLAIN, *lower, *first))
    upper = wrapped(lower[-1], 300, b"u")
    second = commit(upper[-1].oid, [first[-1].oid])

    with pytest.raises(LimitExceeded, match=TOO_DEEP):
        await world.check(pack_of(*upper, *shallow(TREE_DEPTH_MAX), second))
