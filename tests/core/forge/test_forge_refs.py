"""Moving refs: compare-and-swap, all or none, and nothing that git could not keep."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.errors import Invalid, LimitExceeded, NotAllowed, NotFound, Refused
from guts_core.forge import paths, queries
from guts_core.forge.actions import (
    ManifestKind,
    RefUpdate,
    Relation,
    SetCollaborator,
    SetDefaultBranch,
    SourceKind,
    Update,
)
from guts_core.forge.activities import DefaultBranchSet, PackAdmitted, RefUpdated
from guts_core.forge.apply import needs_witness
from guts_core.forge.context import Availability
from guts_core.forge.ids import repository_id
from guts_core.forge.params import Params
from guts_core.forge.records import ObjectFormat, Pack, Role, Scope
from guts_core.forge.ref_paths import RefConflict
from guts_core.forge.refs import NotAttested, ObjectsMoved, Protected, RemovalsMoved, Stale
from guts_core.forge.repositories import Unsupported
from guts_core.git.refs import RESERVED_PREFIXES
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    DEV,
    FIRST,
    MAIN,
    SECOND,
    TAG,
    THIRD,
    TOPIC,
    World,
    blob,
    created,
    creation,
    deleted,
    moved,
    pushing,
)

SEEN = Availability(objects_epoch=0, removals=0)


def test_a_push_moves_its_refs_and_admits_its_pack() -> None:
    world = World()
    repo = world.a_repository()

    activities = world.push(repo, created(MAIN, FIRST, SourceKind.PACK), created(TAG, FIRST), pack=blob(size=700))

    assert activities == (
        PackAdmitted(repo, 0, blob().digest, blob().idx_digest, 700, 3),
        RefUpdated(repo, MAIN, None, FIRST, Relation.CREATED),
        RefUpdated(repo, TAG, None, FIRST, Relation.CREATED),
    )
    assert world.refs(repo) == {MAIN: FIRST, TAG: FIRST}
    now = world.repository(repo)
    assert (now.refs, now.packs, now.bytes_stored, now.generation, now.removals) == (2, 1, 700, 3, 0)
    assert (now.pushed, now.updated) == (world.time, world.time)
    assert list(queries.packs(world.state, repo)) == [Pack(0, blob().digest, blob().idx_digest, 700, 3, world.height)]


def test_a_stale_push_is_refused() -> None:
    """Nobody overwrites a commit they have not seen."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST))

    with pytest.raises(Stale, match="stale: refs/heads/main is at 0101010, not 0202020; fetch first") as refused:
        world.push(repo, moved(MAIN, SECOND, THIRD))

    assert (refused.value.ref, refused.value.expected, refused.value.actual) == (MAIN, SECOND, FIRST)
    with pytest.raises(Stale, match="refs/heads/main is at 0101010, not absent"):
        world.push(repo, created(MAIN, SECOND))
    with pytest.raises(Stale, match="refs/heads/dev does not exist, not 0101010"):
        world.push(repo, moved(DEV, FIRST, SECOND))


def test_one_stale_ref_stops_all_of_the_push() -> None:
    """An atomic push happens whole or not at all; its pack is not admitted either."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST))

    updates = (created(DEV, SECOND, SourceKind.PACK), moved(MAIN, THIRD, SECOND))
    world.assert_refused(BOB.id, pushing(repo, *updates, pack=blob()), availability=SEEN, kind=Stale, words="main")


def test_a_push_sent_again_succeeds_without_effect() -> None:
    """The client that lost the answer may push again through another node, with whatever old ids it knew."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST))
    again = (created(MAIN, FIRST, SourceKind.PACK), moved(DEV, THIRD, FIRST), deleted(TOPIC, THIRD))
    before = dict(world.state.writes)

    assert world.push(repo, *again, pack=blob()) == ()
    assert before == world.state.writes


def test_a_pack_is_admitted_only_for_a_ref_that_moves_to_its_objects() -> None:
    """What the other update brings is there already; storing the pack everywhere would be for nothing."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST))

    activities = world.push(repo, created(MAIN, FIRST, SourceKind.PACK), created(DEV, FIRST), pack=blob())

    assert activities == (RefUpdated(repo, DEV, None, FIRST, Relation.CREATED),)
    assert world.repository(repo).packs == 0


def test_a_pack_that_is_listed_is_not_listed_twice() -> None:
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST, SourceKind.PACK), pack=blob(1))

    activities = world.push(repo, created(DEV, FIRST, SourceKind.PACK), pack=blob(1))
    world.push(repo, created(TOPIC, FIRST, SourceKind.PACK), pack=blob(2))

    assert activities == (RefUpdated(repo, DEV, None, FIRST, Relation.CREATED),)
    assert [pack.seq for pack in queries.packs(world.state, repo)] == [0, 1]
    assert queries.pack_of_digest(world.state, repo, blob(2).digest) == queries.pack(world.state, repo, 1)
    assert world.repository(repo).bytes_stored == 200


def test_each_move_counts_in_the_generation_and_what_goes_in_removals() -> None:
    """`existing` sources are attested against removals, projected directories against the generation."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST))

    world.push(repo, moved(MAIN, FIRST, SECOND))
    assert (world.repository(repo).generation, world.repository(repo).removals) == (3, 0)
    world.push(repo, moved(MAIN, SECOND, THIRD, Relation.FORCED), deleted(DEV, FIRST))

    now = world.repository(repo)
    assert (now.generation, now.removals, now.refs) == (5, 2, 1)


def test_what_attesters_found_reachable_holds_while_nothing_was_removed() -> None:
    """Between attestation and execution another push may have deleted the ref that led to the object."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, SECOND))
    world.push(repo, deleted(DEV, SECOND))

    existing, packed = pushing(repo, created(TOPIC, SECOND)), created(TOPIC, SECOND, SourceKind.PACK)
    world.assert_refused(BOB.id, existing, availability=SEEN, kind=RemovalsMoved, words="push again")
    assert world.run(BOB.id, pushing(repo, packed, pack=blob()), availability=SEEN)


def test_what_was_attested_in_another_objects_epoch_is_refused() -> None:
    """Closure is asserted relative to the packs of one epoch."""
    world = World()
    repo = world.a_repository()
    push = pushing(repo, created(MAIN, FIRST, SourceKind.PACK), pack=blob())

    for epoch in (1, 7):
        seen = Availability(objects_epoch=epoch, removals=0)
        world.assert_refused(BOB.id, push, availability=seen, kind=ObjectsMoved, words="repacked")


def test_only_deletions_need_nobody_who_holds_anything() -> None:
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST), created(TOPIC, FIRST))

    both = pushing(repo, deleted(DEV, FIRST), created(TAG, FIRST))
    world.assert_refused(BOB.id, both, kind=NotAttested, words="no quorum")
    assert needs_witness((both,))
    only = pushing(repo, deleted(DEV, FIRST), deleted(TOPIC, FIRST))
    assert not needs_witness((only,))
    world.run(BOB.id, only)

    assert world.refs(repo) == {MAIN: FIRST}


def test_push_creates_a_repository_in_one_transaction() -> None:
    """The id is known to its creator before, so creating and pushing are atomic together."""
    world = World()
    create = creation("new")
    repo = repository_id(CHAIN, BOB.id, create.salt)
    push = pushing(repo, created(MAIN, FIRST, SourceKind.PACK), pack=blob())

    world.assert_refused(
        BOB.id, create, pushing(repo, moved(MAIN, FIRST, SECOND)), availability=SEEN, kind=Stale, words="main"
    )
    world.run(BOB.id, create, push, availability=SEEN)

    assert world.refs(repo) == {MAIN: FIRST}


@pytest.mark.parametrize(
    ("update", "kind", "words"),
    [
        (created("main", FIRST), Invalid, "ref name"),
        (created("refs/heads/--exec=x", FIRST), Invalid, "start with '-'"),
        (created("refs/heads/HEAD", FIRST), Invalid, "HEAD"),
        (created("refs/heads/a..b", FIRST), Invalid, "not allowed"),
        (created("refs/heads/" + "/".join("abcdefghijklmnopqrstuvwxyzabcdef"), FIRST), LimitExceeded, "32 parts"),
        (Update(MAIN, None, None, Relation.DELETED, SourceKind.NONE), Invalid, "neither"),
        (Update(MAIN, None, FIRST, Relation.FAST_FORWARD, SourceKind.EXISTING), Invalid, "fast_forward does not fit"),
        (Update(MAIN, FIRST, SECOND, Relation.CREATED, SourceKind.EXISTING), Invalid, "created does not fit"),
        (Update(MAIN, FIRST, SECOND, Relation.DELETED, SourceKind.EXISTING), Invalid, "deleted does not fit"),
        (Update(MAIN, FIRST, None, Relation.FORCED, SourceKind.NONE), Invalid, "forced does not fit"),
        (Update(MAIN, FIRST, None, Relation.DELETED, SourceKind.EXISTING), Invalid, "source existing does not fit"),
        (Update(MAIN, None, FIRST, Relation.CREATED, SourceKind.NONE), Invalid, "source none does not fit"),
        (Update(MAIN, None, FIRST, Relation.CREATED, SourceKind.MERGE), Unsupported, "merges"),
        (created(MAIN, FIRST, SourceKind.PACK), Invalid, "does not have"),
    ],
)
def test_an_update_that_contradicts_itself_is_refused(update: Update, kind: type[Refused], words: str) -> None:
    world = World()
    repo = world.a_repository()

    world.assert_refused(BOB.id, pushing(repo, update), availability=SEEN, kind=kind, words=words)


@pytest.mark.parametrize("space", RESERVED_PREFIXES)
def test_bad_B03_reserved_spaces_are_read_only_to_clients(space: str) -> None:  # names of the checklist
    """What the forge makes, and what changes how objects are read, nobody pushes."""
    world = World()
    repo = world.a_repository()

    push = pushing(repo, created(f"{space}1/head", FIRST))
    world.assert_refused(BOB.id, push, availability=SEEN, kind=NotAllowed, words="read-only to clients")


def test_a_ref_is_named_once_in_a_push() -> None:
    """Else the order of updates would decide."""
    world = World()
    repo = world.a_repository()

    push = pushing(repo, created(MAIN, FIRST), created(MAIN, FIRST))
    world.assert_refused(BOB.id, push, availability=SEEN, kind=Invalid, words="named twice")


def test_a_pack_that_nothing_uses_is_refused() -> None:
    """It would be stored everywhere for nothing."""
    world = World()
    repo = world.a_repository()

    push = pushing(repo, created(MAIN, FIRST), pack=blob())
    world.assert_refused(BOB.id, push, availability=SEEN, kind=Invalid, words="no update")


def test_reserved_kinds_of_manifests_are_refused() -> None:
    world = World()
    repo = world.a_repository()
    manifest = pushing(repo, created(MAIN, FIRST)).manifest

    for change in ({"kind": ManifestKind.BLOB}, {"object_format": ObjectFormat.SHA256}):
        push = RefUpdate(evolve(manifest, **change))
        world.assert_refused(BOB.id, push, availability=SEEN, kind=Unsupported, words="reserved")


@pytest.mark.parametrize(("there", "pushed"), [("a", "a/b"), ("a/b", "a"), ("a/b", "a/b/c/d"), ("a/b/c/d", "a")])
def test_bad_B02_no_ref_is_a_directory_of_another(there: str, pushed: str) -> None:  # names of the checklist
    """Git keeps refs as paths: clients could not store both."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(f"refs/heads/{there}", FIRST))

    one = pushing(repo, created(f"refs/heads/{pushed}", FIRST))
    world.assert_refused(BOB.id, one, availability=SEEN, kind=RefConflict, words=f"refs/heads/{there} exists")
    both = pushing(repo, created(f"refs/tags/{there}", FIRST), created(f"refs/tags/{pushed}", FIRST))
    world.assert_refused(BOB.id, both, availability=SEEN, kind=RefConflict, words="cannot both exist")


def test_bad_B02_many_new_refs_are_checked_like_one() -> None:  # names of the checklist
    """Pushing many reads all names at once instead of looking around each: the answers are the same."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created("refs/heads/a/b", FIRST), created(TAG, FIRST))
    fine = [created(f"refs/heads/ok{n}", FIRST) for n in range(20)]

    for name in ("refs/heads/a", "refs/heads/a/b/c/d"):
        push = pushing(repo, *fine, created(name, FIRST))
        world.assert_refused(BOB.id, push, availability=SEEN, kind=RefConflict, words="refs/heads/a/b exists")
    world.push(repo, *fine, created("refs/heads/a", FIRST), deleted("refs/heads/a/b", FIRST))

    assert len(world.refs(repo)) == 23


def test_names_that_only_look_like_directories_do_not_conflict() -> None:
    """`a-b` stands between `a` and `a/c` in bytewise order."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created("refs/heads/a", FIRST))

    world.push(
        repo, created("refs/heads/a-b", FIRST), created("refs/heads/ab/c", FIRST), created("refs/tags/a/c", FIRST)
    )

    assert len(world.refs(repo)) == 4


def test_a_ref_can_turn_into_a_directory_in_one_push() -> None:
    """What counts is what is there afterwards."""
    world = World()
    repo = world.a_repository()
    world.push(
        repo,
        created(MAIN, FIRST),
        created(DEV, FIRST),
        created("refs/heads/x/y", FIRST),
        created("refs/heads/x/z", FIRST),
    )

    turned, flattened = created(f"{DEV}/one", FIRST), created("refs/heads/x", FIRST)
    half = pushing(repo, flattened, deleted("refs/heads/x/y", FIRST))
    world.assert_refused(BOB.id, half, availability=SEEN, kind=RefConflict, words="x/z exists")
    world.push(
        repo, turned, deleted(DEV, FIRST), flattened, deleted("refs/heads/x/y", FIRST), deleted("refs/heads/x/z", FIRST)
    )

    assert sorted(world.refs(repo)) == [f"{DEV}/one", MAIN, "refs/heads/x"]


def test_one_branch_gives_way_to_one_below_it() -> None:
    """What goes in the same push does not stand in the way of what comes, above or below it."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST))

    world.push(repo, deleted(DEV, FIRST), created(f"{DEV}/one", FIRST))
    assert sorted(world.refs(repo)) == [f"{DEV}/one", MAIN]
    world.push(repo, deleted(f"{DEV}/one", FIRST), created(DEV, FIRST))
    assert sorted(world.refs(repo)) == [DEV, MAIN]


def test_the_default_branch_is_not_deleted() -> None:
    """As GitHub does: clones would have nothing to check out."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST))

    push = pushing(repo, deleted(MAIN, FIRST))
    world.assert_refused(BOB.id, push, kind=Protected, words="refusing to delete the current branch: refs/heads/main")
    world.run(BOB.id, SetDefaultBranch(repo, DEV), push)

    assert world.refs(repo) == {DEV: FIRST}


@pytest.mark.parametrize(
    ("pushed", "head"),
    [
        ((DEV, "refs/heads/master", MAIN, "refs/heads/trunk"), "refs/heads/trunk"),
        ((DEV, "refs/heads/master", MAIN), MAIN),
        ((DEV, "refs/heads/master"), "refs/heads/master"),
        ((TAG, TOPIC, DEV), TOPIC),
        ((TAG,), "refs/heads/trunk"),
    ],
)
def test_the_first_branches_decide_where_head_points(pushed: tuple[str, ...], head: str) -> None:
    """A clone after the first push checks something out, whatever the pusher's git calls its branch."""
    world = World()
    create = creation("site", branch="refs/heads/trunk")
    world.run(BOB.id, create)
    repo = repository_id(CHAIN, BOB.id, create.salt)

    activities = world.push(repo, *(created(ref, FIRST) for ref in pushed))

    assert world.repository(repo).default_branch == head
    turned = () if head == "refs/heads/trunk" else (DefaultBranchSet(repo, head),)
    assert activities[len(pushed) :] == turned


def test_later_branches_do_not_move_head() -> None:
    """Once there are branches, pointing HEAD is an administrator's act."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(DEV, FIRST))
    world.run(BOB.id, SetDefaultBranch(repo, TOPIC))

    world.push(repo, created(MAIN, FIRST))

    assert world.repository(repo).default_branch == TOPIC


def test_a_repository_has_only_so_many_refs() -> None:
    """Moving and deleting go on at the limit."""
    world = World(Params(refs_per_repository_max=2))
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST))

    push = pushing(repo, created(TAG, FIRST))
    world.assert_refused(BOB.id, push, availability=SEEN, kind=LimitExceeded, words="3 refs: a repository may have 2")
    world.push(repo, moved(MAIN, FIRST, SECOND))
    world.push(repo, created(TAG, FIRST), deleted(DEV, FIRST))
    assert world.refs(repo) == {MAIN: SECOND, TAG: FIRST}


def test_a_limit_that_was_lowered_stops_growth_alone() -> None:
    """Governance may lower it below what a repository has; its owner must still be able to work and to tidy up."""
    world = World()
    repo = world.a_repository()
    world.push(repo, created(MAIN, FIRST), created(DEV, FIRST), created(TOPIC, FIRST))
    world.params = Params(refs_per_repository_max=1)

    world.push(repo, moved(MAIN, FIRST, SECOND))
    world.push(repo, deleted(DEV, FIRST))

    assert world.refs(repo) == {MAIN: SECOND, TOPIC: FIRST}


def test_a_transaction_has_only_so_many_updates() -> None:
    world = World(Params(updates_max=1))
    repo = world.a_repository()

    push = pushing(repo, created(MAIN, FIRST), created(DEV, FIRST))
    world.assert_refused(BOB.id, push, availability=SEEN, kind=LimitExceeded, words="at most 1")


def test_bad_F_02_pushing_needs_a_writer_and_scope_repo() -> None:  # names of the checklist
    world = World()
    repo = world.a_repository(BOB)
    other = world.a_repository(BOB, "other")
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.READ))
    reading = world.a_credential(BOB, Scope.READ, name="reading")
    elsewhere = world.a_credential(BOB, Scope.REPO, repos=(other,), name="elsewhere")
    here = world.a_credential(BOB, Scope.REPO, repos=(repo,), name="here")

    push = pushing(repo, created(MAIN, FIRST))
    for person in (ALICE, CAROL):
        world.assert_refused(person.id, push, availability=SEEN, kind=NotAllowed, words="may not write")
    for credential, words in ((reading, "its scope is read"), (elsewhere, "limited to certain others")):
        world.assert_refused(BOB.id, push, credential=credential, availability=SEEN, kind=NotAllowed, words=words)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE))
    assert world.push(repo, created(MAIN, FIRST), credential=here)
    assert world.push(repo, created(DEV, FIRST), author=CAROL)


def test_a_stranger_does_not_learn_of_a_private_repository() -> None:
    world = World()
    repo = world.a_repository(BOB, private=True)

    push = pushing(repo, created(MAIN, FIRST))
    world.assert_refused(ALICE.id, push, availability=SEEN, kind=NotFound, words="no such repository, or you may not")


def test_refs_are_read_in_order_and_by_space_over_many_pages() -> None:
    """A repository with 2,500 refs is read in three scans, and none is missed or seen twice."""
    world = World()
    repo = world.a_repository()
    names = [f"refs/tags/t{number:04}" for number in range(2_500)]
    for start in range(0, len(names), 500):
        world.push(repo, *(created(name, FIRST) for name in names[start : start + 500]))
    world.push(repo, created(MAIN, FIRST))

    assert [ref.name for ref in queries.refs(world.state, repo)] == [MAIN, *names]
    assert [ref.name for ref in queries.refs(world.state, repo, "refs/tags/t00")] == names[:100]
    decoded = [(ref.name.encode(), ref.oid) for ref in queries.refs(world.state, repo)]
    assert list(queries.ref_values(world.state, repo)) == decoded
    assert list(queries.ref_values(world.state, repo, b"refs/tags/t00")) == decoded[1:101]
    assert queries.ref(world.state, repo, MAIN) is not None
    assert world.state.get(paths.ref(repo, "refs/heads/mai")) is None
