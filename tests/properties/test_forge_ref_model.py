"""Random pushes against a model of ten lines: a dict, decided one push after the other."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.codec import to_bytes
from guts_core.errors import Refused
from guts_core.forge import queries
from guts_core.forge.actions import Relation, SourceKind, Update
from guts_core.forge.activities import PackAdmitted, RefUpdated
from guts_core.forge.context import Availability
from guts_core.forge.params import Params
from guts_core.forge.ref_paths import RefConflict
from guts_core.forge.refs import Protected, RemovalsMoved, Stale
from guts_core.names import Oid, RepoId
from guts_core.state.view import Overlay
from tests.core.forge.forge_world import BOB, World, blob, pushing

# Few names that get in each other's way, few values, so that stale, repeated and conflicting pushes are common.
NAMES = [f"refs/heads/{name}" for name in ("main", "a", "a/b", "a/b/c", "a-b", "b")]
OIDS = [Oid(bytes((number,)) * 20) for number in (1, 2, 3)]
REFS_MAX = 4
PARAMS = Params(refs_per_repository_max=REFS_MAX)

maybe_oids = st.sampled_from([None, *OIDS])


@st.composite
def updates(draw: st.DrawFn) -> Update:
    """A well-formed update."""
    old, new = draw(st.tuples(maybe_oids, maybe_oids).filter(any))
    if new is None:
        return Update(draw(st.sampled_from(NAMES)), old, None, Relation.DELETED, SourceKind.NONE)
    source = draw(st.sampled_from([SourceKind.EXISTING, SourceKind.PACK]))
    moved = draw(st.sampled_from([Relation.FAST_FORWARD, Relation.FORCED]))
    return Update(draw(st.sampled_from(NAMES)), old, new, Relation.CREATED if old is None else moved, source)


# A push, the number of its pack if it needs one, and how many pushes ago its attesters looked.
pushes = st.tuples(
    st.lists(updates(), min_size=1, max_size=3, unique_by=lambda update: update.ref),
    st.integers(1, 3),
    st.integers(0, 1),
)


@given(st.lists(pushes, max_size=25))
@settings(max_examples=300, deadline=None)
def test_refs_are_what_a_dict_would_hold(history: Sequence[tuple[list[Update], int, int]]) -> None:
    """Compare-and-swap, all or none, in order: nothing of a refused push is left."""
    world = World(PARAMS)
    repo = world.a_repository()
    seen = [world.repository(repo).removals]
    for wanted, pack, ago in history:
        before, counters = world.refs(repo), world.repository(repo)
        removals = seen[max(0, len(seen) - 1 - ago)]
        expected = model(before, counters.default_branch, counters.removals == removals, wanted)

        found = perform(world, repo, wanted, pack, removals)

        assert expected == found
        check_invariants(world, repo)
        assert world.repository(repo).generation >= counters.generation
        assert (world.repository(repo).generation > counters.generation) == (world.refs(repo) != before)
        seen.append(world.repository(repo).removals)


def model(
    before: dict[str, bytes], head: str, nothing_removed: bool, wanted: Sequence[Update]
) -> dict[str, bytes] | type[Refused]:
    """The refs afterwards, or why not, by a sequential reading of the rules."""
    kept = [update.ref for update in wanted if update.new]
    if any(one.startswith(f"{other}/") for one in kept for other in kept):
        return RefConflict
    moves = [update for update in wanted if before.get(update.ref) != update.new]
    if any(before.get(move.ref) != move.old for move in moves):
        return Stale
    if not nothing_removed and any(move.source is SourceKind.EXISTING for move in moves):
        return RemovalsMoved
    if any(move.new is None and move.ref == head for move in moves):
        return Protected
    after = {**before, **{move.ref: move.new for move in moves}}
    left = {ref: oid for ref, oid in after.items() if oid is not None}
    if len(left) > max(REFS_MAX, len(before)):
        return Refused
    if any(one.startswith(f"{other}/") for one in left for other in left):
        return RefConflict
    return left


def perform(
    world: World, repo: RepoId, wanted: Sequence[Update], pack: int, removals: int
) -> dict[str, bytes] | type[Refused]:
    """The refs afterwards, or the class of the refusal; a refusal must leave everything as it was."""
    needs_pack = any(update.source is SourceKind.PACK for update in wanted)
    action = pushing(repo, *wanted, pack=blob(pack) if needs_pack else None)
    before, counters = dict(world.state.writes), world.repository(repo)
    try:
        activities = world.run(BOB.id, action, availability=Availability(0, removals))
    except Refused as refused:
        assert before == world.state.writes
        told = (RefConflict, Stale, RemovalsMoved, Protected)
        return type(refused) if isinstance(refused, told) else Refused
    counted = sum(isinstance(done, RefUpdated | PackAdmitted) for done in activities)
    assert world.repository(repo).generation == counters.generation + counted
    return world.refs(repo)


def check_invariants(world: World, repo: RepoId) -> None:
    """What must hold of any repository at any time."""
    names = [ref.name for ref in queries.refs(world.state, repo)]
    assert names == sorted(names, key=str.encode)
    assert not any(one.startswith(f"{other}/") for one in names for other in names)
    now = world.repository(repo)
    assert now.refs == len(names)
    packs = list(queries.packs(world.state, repo))
    assert [pack.seq for pack in packs] == list(range(now.packs))
    assert len({pack.digest for pack in packs}) == len(packs)
    assert now.bytes_stored == sum(pack.size for pack in packs)


@given(st.lists(pushes, max_size=12))
@settings(max_examples=50, deadline=None)
def test_execution_over_stacked_overlays_is_execution_over_one(
    history: Sequence[tuple[list[Update], int, int]],
) -> None:
    """A block executes above unfinalized blocks; when they become final nothing may look different."""
    flat, stacked = World(PARAMS), World(PARAMS)
    repo = flat.a_repository()
    stacked.a_repository()
    for wanted, pack, _ in history:
        removals = flat.repository(repo).removals
        stacked.state = Overlay(stacked.state)

        assert perform(flat, repo, wanted, pack, removals) == perform(stacked, repo, wanted, pack, removals)

        assert to_bytes(flat.repository(repo)) == to_bytes(stacked.repository(repo))
    assert list(queries.refs(flat.state, repo)) == list(queries.refs(stacked.state, repo))
    assert list(queries.packs(flat.state, repo)) == list(queries.packs(stacked.state, repo))
