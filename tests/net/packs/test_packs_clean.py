"""Clean lists: packs may be handed out as they are only when they hold what refs reach and nothing else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import define, field

from guts_core.errors import NotFound
from guts_core.forge.records import Pack
from guts_core.names import Oid, RefName, RepoId
from guts_net.logs import Log
from guts_net.packs import UNKNOWN, CleanLists, Listed, clean
from guts_net.packs.index_file import count_of
from guts_net.packs.reach import holds_only_reachable
from tests.fixtures.git_history import git
from tests.net.packs.pack_world import MAIN, REPO, World, oid, pack_from

# More than any judgement of a few objects takes.
PATIENCE_SECONDS = 60.0


@define
class State:
    """What a test has the state say, and the judge of it."""

    world: World
    source: Path
    refs: dict[RefName, Oid] = field(factory=dict)
    packs: list[Pack] = field(factory=list)
    generation: int = 0

    def look(self, repo: RepoId) -> Listed | None:
        """All of it, as a node reads it from its database."""
        return Listed(1, self.generation, dict(self.refs), MAIN, tuple(self.packs)) if repo == REPO else None

    def generation_of(self, repo: RepoId) -> int | None:
        """Its generation alone."""
        return self.generation if repo == REPO else None

    @asynccontextmanager
    async def judged(self) -> AsyncIterator[CleanLists]:
        """The judge, at work."""
        lists = CleanLists(self.world.store, self.generation_of, self.look, Log("test"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lists.run)
            yield lists
            nursery.cancel_scope.cancel()

    async def push(self, *revisions: str, **refs: str | None) -> None:
        """A pack of these revisions, and branches at revisions (None: gone)."""
        if revisions:
            digest = await self.world.push(pack_from(self.source, *revisions))
            objects = count_of(self.world.store.layout.idx(digest))
            self.packs.append(Pack(len(self.packs), digest, bytes(32), 1, objects, 1))
        for branch, revision in refs.items():
            name = RefName(f"refs/heads/{branch}")
            self.refs.pop(name, None)
            if revision is not None:
                self.refs[name] = oid(git(self.source, "rev-parse", revision).decode().strip())
        self.generation += 1


@pytest.fixture
def state(world: World, source: Path) -> State:
    return State(world, source)


async def reason(lists: CleanLists) -> str | None:
    verdict = await lists.verdict(REPO, PATIENCE_SECONDS)
    assert verdict.generation >= 0, "nobody judged it"
    return verdict.reason


async def known(lists: CleanLists) -> str | None:
    """What is known without waiting: why it is not clean, or None."""
    return (await lists.verdict(REPO)).reason


async def test_packs_that_hold_exactly_what_refs_reach_are_clean(state: State) -> None:
    await state.push("main", main="main")
    async with state.judged() as lists:
        assert await reason(lists) is None
        assert await known(lists) is None


async def test_an_empty_repository_is_clean(state: State) -> None:
    async with state.judged() as lists:
        assert await reason(lists) is None
        assert await known(lists) is None


async def test_nobody_waits_for_a_verdict_that_is_not_there(state: State) -> None:
    """The first to ask is told no, and has asked for the verdict by that."""
    await state.push("main", main="main")
    async with state.judged() as lists:
        assert await known(lists) == UNKNOWN
        assert await reason(lists) is None
        assert await known(lists) is None


async def test_each_push_onto_a_clean_list_is_judged_by_what_it_brought(state: State) -> None:
    await state.push("main~2", main="main~2")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push("main", "^main~2", main="main")
        assert await reason(lists) is None
        await state.push("side", "^main", main="main", side="side")
        assert await reason(lists) is None
        await state.push("v1-again", "^main", tagged="v1^{}")
        assert await reason(lists) == "its packs hold objects that no ref reaches"


async def test_an_object_that_two_packs_share_counts_once(state: State) -> None:
    await state.push("main", main="main")
    await state.push("side", side="side")
    async with state.judged() as lists:
        assert await reason(lists) is None


async def test_the_same_objects_again_beside_what_is_new_stay_clean(state: State) -> None:
    await state.push("main", main="main")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push("side", side="side")
        assert await reason(lists) is None


@pytest.mark.parametrize("back", ["main~1", "side"])
async def test_a_forced_push_leaves_objects_that_nobody_may_have(state: State, back: str) -> None:
    await state.push("main", "side", main="main", side="side")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push(main=back)
        assert await reason(lists) is not None
        assert await known(lists) == "its packs hold objects that no ref reaches"


async def test_a_deleted_ref_makes_it_unclean_and_one_put_back_clean_again(state: State) -> None:
    await state.push("main", "side", main="main", side="side")
    async with state.judged() as lists:
        await state.push(side=None)
        assert await reason(lists) is not None
        await state.push(side="side")
        assert await reason(lists) is None


async def test_a_deleted_ref_whose_objects_another_reaches_changes_nothing(state: State) -> None:
    await state.push("main", main="main", other="main~1")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push(other=None)
        assert await reason(lists) is None


async def test_a_pack_that_brings_what_no_ref_reaches_is_found_at_once(state: State) -> None:
    await state.push("main", main="main")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push("side", "^main", main="main")
        assert await reason(lists) is not None


async def test_packs_that_are_not_here_yet_are_judged_when_they_are(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean, "RETRY_SECONDS", 0.2)
    await state.push("main", main="main")
    here, away = state.packs[0], Pack(0, os.urandom(32), bytes(32), 1, 1, 1)
    state.packs = [away]
    async with state.judged() as lists:
        with trio.fail_after(PATIENCE_SECONDS):
            assert await reason(lists) == "this node is still fetching packs of this repository"
            state.packs = [here]
            while await known(lists) is not None:  # noqa: ASYNC110  # the judge has no event for a test
                await trio.sleep(0.01)


async def test_too_many_packs_are_not_handed_out(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "CLEAN_PACKS_MAX", 1)
    await state.push("main", main="main")
    await state.push("side", "^main", side="side")
    async with state.judged() as lists:
        assert await reason(lists) == "2 packs are listed; at most 1 are handed out as they are"


async def test_of_a_repository_that_is_not_there_nothing_is_known(state: State) -> None:
    async with state.judged() as lists:
        for seconds in (0.0, PATIENCE_SECONDS):
            with pytest.raises(NotFound):
                await lists.verdict(RepoId(bytes(32)), seconds)


async def test_more_news_than_are_listed_are_counted_with_everything(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways of judging give one verdict."""
    monkeypatch.setattr("guts_net.packs.reach.NEWS_BYTES_MAX", 10)
    await state.push("main~2", main="main~2")
    async with state.judged() as lists:
        assert await reason(lists) is None
        await state.push("main", "^main~2", main="main")
        assert await reason(lists) is None


async def test_what_was_exact_of_other_packs_is_not_built_on(state: State) -> None:
    """A list from which a pack was dropped is counted as a whole."""
    await state.push("main", "side", main="main", side="side")
    async with state.judged() as lists:
        assert await reason(lists) is None
        state.packs.clear()
        await state.push("main", main="main", side=None)
        store = state.world.store
        indexes = [store.layout.idx(pack.digest) for pack in state.packs]
        async with store.projected(REPO, state.generation, state.refs, MAIN) as git_dir:
            tips = frozenset(state.refs.values())
            assert await holds_only_reachable(store.git, git_dir, tips, indexes, lists._exact[REPO])
