"""Packs are replaced by others that a quorum looked at, and never while the list or a ref moved."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import Invalid, NotFound, Refused
from guts_core.forge import queries
from guts_core.forge.actions import Blob, Repack, SourceKind
from guts_core.forge.activities import PackAdmitted, PacksReplaced
from guts_core.forge.apply import needs_witness
from guts_core.forge.context import Availability
from guts_core.forge.operators import NotSeated
from guts_core.forge.records import ObjectFormat, Pack
from guts_core.forge.refs import NotAttested, ObjectsMoved
from guts_core.forge.repacking import ListMoved
from guts_core.forge.repositories import Unsupported
from guts_core.names import RepoId
from tests.core.forge.forge_world import ALICE, BOB, DEV, FIRST, MAIN, SECOND, World, blob, created, deleted

SEEN = Availability(objects_epoch=0, removals=0)
NEW = evolve(blob(size=900), digest=b"\x0a" * 32, idx_digest=b"\x0b" * 32)


def two_packs(world: World) -> tuple[RepoId, Pack, Pack]:
    """A repository with a pack for each of two branches."""
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST, SourceKind.PACK), pack=blob(size=700))
    other = evolve(blob(size=300), digest=b"\x02" * 32, idx_digest=b"\x03" * 32)
    world.push(repo, created(DEV, SECOND, SourceKind.PACK), pack=other)
    first, second = queries.packs(world.state, repo)
    return repo, first, second


def merging(repo: RepoId, *replaces: int, new: Blob | None = NEW) -> Repack:
    """Nothing is lost."""
    return Repack(repo, ObjectFormat.SHA1, new, replaces, drops=False, generation=0)


def dropping(world: World, repo: RepoId, *replaces: int, new: Blob | None = NEW) -> Repack:
    """What no ref reaches goes."""
    return Repack(repo, ObjectFormat.SHA1, new, replaces, drops=True, generation=world.repository(repo).generation)


def test_small_packs_become_one_and_nothing_that_was_seen_is_void() -> None:
    world = World(rules=3)
    repo, first, second = two_packs(world)
    before = world.repository(repo)

    activities = world.run(ALICE.id, merging(repo, 0, 1), availability=SEEN)

    assert activities == (
        PackAdmitted(repo, 2, NEW.digest, NEW.idx_digest, 900, NEW.objects),
        PacksReplaced(repo, (first.digest, second.digest), drops=False),
    )
    assert list(queries.packs(world.state, repo)) == [
        Pack(2, NEW.digest, NEW.idx_digest, 900, NEW.objects, world.height)
    ]
    assert [queries.pack_of_digest(world.state, repo, one.digest) for one in (first, second)] == [None, None]
    now = world.repository(repo)
    assert (now.packs, now.bytes_stored, now.objects_epoch) == (3, 900, 0)
    assert (now.generation, now.removals, now.refs) == (before.generation + 1, before.removals, before.refs)
    assert (now.updated, now.pushed) == (before.updated, before.pushed)


def test_what_was_dropped_makes_void_what_was_seen_before() -> None:
    """A push that was checked against objects which went has to be checked again."""
    world = World(rules=3)
    repo, first, _ = two_packs(world)
    world.push(repo, deleted(DEV, SECOND))
    seen = Availability(objects_epoch=0, removals=1)

    activities = world.run(ALICE.id, dropping(world, repo, 0, new=None), availability=seen)

    assert activities == (PacksReplaced(repo, (first.digest,), drops=True),)
    assert [pack.seq for pack in queries.packs(world.state, repo)] == [1]
    assert (world.repository(repo).objects_epoch, world.repository(repo).bytes_stored) == (1, 300)
    with pytest.raises(ObjectsMoved):
        world.push(repo, created(DEV, FIRST, SourceKind.PACK), pack=NEW, availability=seen)


def test_whoever_pushed_meanwhile_is_not_repacked_away() -> None:
    world = World(rules=3)
    repo, _, _ = two_packs(world)
    late = dropping(world, repo, 0, 1)
    world.push(repo, created("refs/heads/new", FIRST))

    world.assert_refused(ALICE.id, late, kind=ListMoved, words="at generation", availability=SEEN)
    assert len(list(queries.packs(world.state, repo))) == 2
    # What drops nothing harms no ref.
    world.run(ALICE.id, merging(repo, 0, 1), availability=SEEN)


def test_a_pack_is_replaced_once() -> None:
    world = World(rules=3)
    repo, _, _ = two_packs(world)
    world.run(ALICE.id, merging(repo, 0, 1), availability=SEEN)

    again = merging(repo, 0, 1, new=evolve(NEW, digest=b"\x0c" * 32))
    world.assert_refused(ALICE.id, again, kind=ListMoved, words="pack 0 is not on the list", availability=SEEN)
    world.assert_refused(ALICE.id, merging(repo, 2), kind=ListMoved, words="on the list already", availability=SEEN)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"replaces": (1, 0)}, Invalid, "in order, each once"),
        ({"replaces": (1, 1)}, Invalid, "in order, each once"),
        ({"blob": None}, Invalid, "has a pack that holds what it replaces"),
        ({"generation": 4}, Invalid, "it says 0"),
        ({"object_format": ObjectFormat.SHA256}, Unsupported, "another object format"),
        ({"repo": b"\x55" * 32}, NotFound, "no such repository"),
        ({"replaces": (0, 7)}, ListMoved, "pack 7 is not on the list"),
        ({"drops": True, "generation": 1}, ListMoved, "not 1"),
    ],
)
def test_what_is_wrong_changes_nothing(change: dict[str, object], kind: type[Refused], words: str) -> None:
    world = World(rules=3)
    repo, _, _ = two_packs(world)

    wrong = evolve(merging(repo, 0, 1), **change)  # type: ignore[arg-type]  # of the right types, by name
    world.assert_refused(ALICE.id, wrong, kind=kind, words=words, availability=SEEN)

    assert len(list(queries.packs(world.state, repo))) == 2


def test_who_may_and_what_has_to_be_seen() -> None:
    """Validators do it, with a quorum that looked; a name on an account is not enough."""
    world = World(rules=3)
    repo, _, _ = two_packs(world)
    action = merging(repo, 0, 1)

    world.assert_refused(BOB.id, action, kind=NotSeated, words="by validators", availability=SEEN)
    world.assert_refused(ALICE.id, action, kind=NotAttested, words="no quorum")
    stale = Availability(objects_epoch=1, removals=0)
    world.assert_refused(ALICE.id, action, kind=ObjectsMoved, words="was repacked", availability=stale)
    assert needs_witness((action,))
