"""What attesters find out about a pack that is to replace others, and what a node plans to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import define, field

from guts_core.errors import Unavailable
from guts_core.forge.records import Pack
from guts_core.names import Oid, RefName
from guts_net.packs.index_file import count_of
from guts_net.packs.replacing import NotReplaceable
from guts_net.packs.rewriting import MERGED_LEAST, plan, to_merge, written
from tests.fixtures.git_history import git
from tests.net.packs.pack_world import MAIN, REPO, World, oid, pack_from


@define
class List:
    """Packs that a repository lists, and its refs."""

    world: World
    source: Path
    packs: list[Pack] = field(factory=list)

    async def push(self, *revisions: str) -> bytes:
        """A pack of these revisions; its digest."""
        digest = await self.world.push(pack_from(self.source, *revisions))
        self.packs.append(Pack(len(self.packs), digest, bytes(32), 1, count_of(self.world.store.layout.idx(digest)), 1))
        return digest

    def tip(self, revision: str) -> Oid:
        """What a revision is."""
        return oid(git(self.source, "rev-parse", revision).decode().strip())

    async def kept(self, *revisions: str) -> bytes:
        """A pack that is held and not listed."""
        digest = await self.push(*revisions)
        self.packs.pop()
        return digest


@pytest.fixture
async def three(world: World, source: Path) -> List:
    """A history in three packs, the last of them of another branch."""
    listed = List(world, source)
    await listed.push("main~2")
    await listed.push("main", "^main~2")
    await listed.push("side", "^main")
    return listed


async def test_a_pack_that_holds_all_of_others_may_replace_them(three: List) -> None:
    first, second, _ = (pack.digest for pack in three.packs)
    whole = await three.kept("main")

    await three.world.store.check_replacing(whole, [first, second], [three.packs[2].digest], None)

    lacks_one = await three.kept("main~1")
    with pytest.raises(NotReplaceable, match="of a replaced pack is not in the new one"):
        await three.world.store.check_replacing(lacks_one, [first, second], [], None)


async def test_what_is_left_has_to_hold_what_refs_reach_and_nothing_else(three: List) -> None:
    """Whoever is told to drop looks by itself: neither may a history be lost, nor a secret stay."""
    first, second, third = (pack.digest for pack in three.packs)
    check = three.world.store.check_replacing
    main, side = three.tip("main"), three.tip("side")

    await check(None, [third], [first, second], frozenset({main}))
    for tips, replaced, kept, words in (
        ({main, side}, [third], [first, second], "do not hold everything"),
        ({main}, [second], [first, third], "do not hold everything"),
        ({three.tip("main~2")}, [third], [first, second], "refs reach"),
        (set(), [third], [first, second], "and refs reach 0 of them"),
    ):
        with pytest.raises(NotReplaceable, match=words):
            await check(None, replaced, kept, frozenset(tips))
    await check(None, [first, second, third], [], frozenset())


async def test_what_is_not_held_is_not_judged(three: List) -> None:
    """The lack is this node's, and may pass."""
    with pytest.raises(Unavailable, match="not held"):
        await three.world.store.check_replacing(b"\x07" * 32, [three.packs[0].digest], [], None)


async def test_only_packs_with_garbage_are_written_anew(three: List) -> None:
    """However large the others are; what was in them and is needed is in the new one."""
    store = three.world.store
    refs = {MAIN: three.tip("main"), RefName("refs/heads/side"): three.tip("side")}
    async with store.projected(REPO, 1, refs, MAIN) as git_dir:
        assert await plan(store.git, git_dir, store.layout, three.packs) is None
    for parent in ("main", "mixed"):  # two commits, of which the first will be needed
        tree = git(three.source, "rev-parse", "main^{tree}").decode().strip()
        made = git(three.source, "commit-tree", tree, "-p", parent, "-m", parent).decode().strip()
        git(three.source, "update-ref", "refs/heads/mixed", made)
    mixed = await three.push("mixed", "^main")
    refs[RefName("refs/heads/kept")] = three.tip("mixed~1")
    async with store.projected(REPO, 2, refs, MAIN) as git_dir:
        wanted = await plan(store.git, git_dir, store.layout, three.packs)
        assert wanted is not None
        assert ([pack.digest for pack in wanted.replaced], wanted.drops) == ([mixed], True)
        assert three.tip("mixed~1") in wanted.objects
        assert three.tip("mixed") not in wanted.objects
        async with written(store, git_dir, wanted.objects) as pack:
            new = await three.world.push(pack.read_bytes())
    kept = [pack.digest for pack in three.packs[:3]]
    await store.check_replacing(new, [mixed], kept, frozenset(refs.values()))
    assert list(store.layout.quarantine.iterdir()) == []


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([], 0),
        ([5] * (MERGED_LEAST - 1), 0),
        ([5] * MERGED_LEAST, MERGED_LEAST),
        ([1000, *[5] * MERGED_LEAST], MERGED_LEAST),
        ([2**n for n in range(20)], 0),
        ([40, *[5] * MERGED_LEAST], MERGED_LEAST),
        ([39, *[5] * MERGED_LEAST], MERGED_LEAST + 1),
    ],
)
def test_small_packs_are_merged_when_they_are_many(sizes: list[int], merged: int) -> None:
    """And a large one only with as much as it is itself."""
    packs = [Pack(seq, bytes((seq,)) * 32, bytes(32), 1, size, 1) for seq, size in enumerate(sizes)]

    found = to_merge(packs)

    assert len(found) == merged
    assert [pack.seq for pack in found] == sorted(pack.seq for pack in found)
