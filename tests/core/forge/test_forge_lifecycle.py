"""Renaming, deleting and restoring repositories: names are free at once, and nothing is lost within a day."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.errors import Conflict, Invalid, LimitExceeded, NotAllowed, NotFound, Refused
from guts_core.forge import queries
from guts_core.forge.accounts import NameTaken
from guts_core.forge.actions import (
    Action,
    DeleteRepository,
    RemoveCollaborator,
    RenameRepository,
    RestoreRepository,
    RevokeCredential,
    SetCollaborator,
    SetDefaultBranch,
    SetVisibility,
)
from guts_core.forge.activities import RepositoryDeleted, RepositoryRenamed, RepositoryRestored
from guts_core.forge.lifecycle import NotDeleted, RestoreTooLate, WrongName
from guts_core.forge.params import RESTORE_MS, Params
from guts_core.forge.records import Role, Scope
from guts_core.names import RepoId
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    DEV,
    FIRST,
    MAIN,
    SECOND,
    World,
    created,
    creation,
    credential_creation,
    key_pair,
    moved,
    pushing,
)

HIDDEN = "no such repository"


def name_of(world: World, name: str, owner: str = "bob") -> RepoId | None:
    """Which repository the name leads to."""
    found = queries.repository_by_name(world.state, owner, name)
    return None if found is None else found.id


def listed(world: World, person: str = "bob") -> list[str]:
    account = queries.account_by_name(world.state, person)
    assert account is not None
    return [one.name for one in queries.repositories_of(world.state, account.id)]


def a_deleted(world: World, name: str = "site") -> RepoId:
    repo = world.a_repository(BOB, name)
    world.run(BOB.id, DeleteRepository(repo, name))
    return repo


# ---- renaming ----


def test_the_old_name_leads_on_to_a_renamed_repository() -> None:
    """Clones and links that people have go on working."""
    world = World()
    repo = world.a_repository(BOB, "site")

    activities = world.run(BOB.id, RenameRepository(repo, "Page"))

    assert activities == (RepositoryRenamed(repo, BOB.id, "site", "Page"),)
    assert (name_of(world, "page"), name_of(world, "SITE")) == (repo, repo)
    assert world.repository(repo).name == "Page"
    assert listed(world) == ["Page"]


def test_a_name_given_up_goes_to_whom_the_owner_gives_it() -> None:
    """Only until then does it lead on; the renamed one keeps its new name."""
    world = World()
    first = world.a_repository(BOB, "site")
    world.run(BOB.id, RenameRepository(first, "page"))

    second = world.a_repository(BOB, "Site")

    assert (name_of(world, "site"), name_of(world, "page")) == (second, first)
    assert listed(world) == ["page", "Site"]


def test_a_chain_of_renames_leads_to_the_last_name() -> None:
    world = World()
    repo = world.a_repository(BOB, "a")
    for name in ("b", "c", "d"):
        world.run(BOB.id, RenameRepository(repo, name))

    assert [name_of(world, name) for name in "abcd"] == [repo] * 4
    assert listed(world) == ["d"]


def test_two_repositories_swap_their_names() -> None:
    """In one transaction, through a third name; no name leads to two, and none to the wrong one."""
    world = World()
    one, two = world.a_repository(BOB, "one"), world.a_repository(BOB, "two")

    world.run(BOB.id, RenameRepository(one, "aside"), RenameRepository(two, "one"), RenameRepository(one, "two"))

    assert (name_of(world, "one"), name_of(world, "two"), name_of(world, "aside")) == (two, one, one)
    assert listed(world) == ["one", "two"]


def test_a_name_changes_its_case() -> None:
    world = World()
    repo = world.a_repository(BOB, "site")

    assert world.run(BOB.id, RenameRepository(repo, "SITE"))
    assert world.run(BOB.id, RenameRepository(repo, "SITE")) == ()

    assert name_of(world, "site") == repo
    assert listed(world) == ["SITE"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("Other", NameTaken, "Other is taken"),
        ("a b", Invalid, "repository name"),
        ("..", Invalid, "reserved"),
        ("\u212aey", Invalid, r"\\u212a"),  # the Kelvin sign is a k in lower case, and no k
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, kind: type[Refused], words: str) -> None:
    world = World()
    world.a_repository(BOB, "other")
    repo = world.a_repository(BOB, "key")

    world.assert_refused(BOB.id, RenameRepository(repo, name), kind=kind, words=words)


def test_administrators_rename_and_others_do_not() -> None:
    world = World()
    repo = world.a_repository(BOB, "site", private=True)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN), SetCollaborator(repo, DAVE.id, Role.WRITE))

    world.assert_refused(DAVE.id, RenameRepository(repo, "x"), kind=NotAllowed, words="may not administer")
    world.assert_refused(ALICE.id, RenameRepository(repo, "x"), kind=NotFound, words=HIDDEN)
    assert world.run(CAROL.id, RenameRepository(repo, "x"))
    assert name_of(world, "x", "bob") == repo


# ---- deleting ----


def test_a_deleted_repository_is_missing_and_its_name_free_at_once() -> None:
    """Nobody is told that it was there; the id stays taken, for its records are still what it was."""
    world = World()
    repo = world.a_repository(BOB, "site")
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE), RenameRepository(repo, "page"))

    activities = world.run(BOB.id, DeleteRepository(repo, "page"))

    assert activities == (RepositoryDeleted(repo, BOB.id, "page"),)
    assert queries.repository(world.state, repo) is None
    assert (name_of(world, "page"), name_of(world, "site")) == (None, None)
    assert (listed(world), listed(world, "carol")) == ([], [])
    world.assert_refused(BOB.id, creation("site"), kind=Conflict, words="this salt already")
    assert world.run(BOB.id, evolve(creation("page"), salt=b"\x01" * 32))


@pytest.mark.parametrize("said", ["Site", "sit", "", "bob/site"])
def test_the_name_is_said_exactly(said: str) -> None:
    """Whoever signs for another name than the one it has now may mean another repository."""
    world = World()
    repo = world.a_repository(BOB, "site")

    world.assert_refused(BOB.id, DeleteRepository(repo, said), kind=WrongName, words="is called site")


def test_nothing_is_done_to_a_deleted_repository() -> None:
    """Every action about one, by its owner: the answer for what was never there."""
    world = World()
    repo = world.a_repository(BOB, "site")
    world.push(repo, created(MAIN, FIRST))
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE), DeleteRepository(repo, "site"))
    actions: tuple[Action, ...] = (
        RenameRepository(repo, "x"),
        DeleteRepository(repo, "site"),
        SetDefaultBranch(repo, DEV),
        SetVisibility(repo, private=True),
        SetCollaborator(repo, DAVE.id, Role.READ),
        RemoveCollaborator(repo, CAROL.id),
        pushing(repo, moved(MAIN, FIRST, SECOND)),
        credential_creation(BOB.id, key_pair("limited"), repos=(repo,)),
    )

    for action in actions:
        world.assert_refused(BOB.id, action, kind=NotFound, words=HIDDEN)


def test_administrators_delete_and_others_do_not() -> None:
    world = World()
    repo = world.a_repository(BOB, "site")
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN), SetCollaborator(repo, DAVE.id, Role.WRITE))

    for person in (DAVE, ALICE):
        world.assert_refused(person.id, DeleteRepository(repo, "site"), kind=NotAllowed, words="may not delete")
    assert world.run(CAROL.id, DeleteRepository(repo, "site"))


def test_a_token_deletes_only_with_the_scope_for_it() -> None:
    """What administers a repository does not end it: the scope is off by default."""
    world = World()
    repo = world.a_repository(BOB, "site")
    delete = DeleteRepository(repo, "site")
    pushing, deleting = world.a_credential(BOB, Scope.REPO), world.a_credential(BOB, Scope.DELETE_REPO, name="d")

    world.assert_refused(BOB.id, delete, kind=NotAllowed, words="its scope is repo", credential=pushing)
    assert world.run(BOB.id, delete, credential=deleting)
    world.assert_refused(BOB.id, RestoreRepository(repo), kind=NotAllowed, words="scope is repo", credential=pushing)
    assert world.run(BOB.id, RestoreRepository(repo), credential=deleting)


def test_a_deleted_repository_does_not_count_among_those_that_an_account_owns() -> None:
    """And one that is restored does again."""
    world = World(Params(repositories_per_account_max=1))
    first = world.a_repository(BOB, "one")
    world.assert_refused(BOB.id, creation("two"), kind=LimitExceeded, words="may own 1")

    world.run(BOB.id, DeleteRepository(first, "one"))
    second = world.a_repository(BOB, "two")

    world.assert_refused(BOB.id, RestoreRepository(first), kind=LimitExceeded, words="may own 1")
    world.run(BOB.id, DeleteRepository(second, "two"), RestoreRepository(first))
    assert listed(world) == ["one"]


def test_integer_ids_are_not_given_out_again() -> None:
    """Clients of GitHub's API keep these numbers, and a new repository is not the old one."""
    world = World()
    a_deleted(world)

    assert world.repository(world.a_repository(BOB, "next")).number == 2


# ---- restoring ----


def test_a_restored_repository_is_what_it_was() -> None:
    """Refs, packs, roles, settings, old names; the record differs in nothing."""
    world = World()
    repo = world.a_repository(BOB, "site", private=True)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE), RenameRepository(repo, "page"))
    world.push(repo, created(MAIN, FIRST), pack=None)
    world.push(repo, created(DEV, SECOND), author=CAROL)
    before, refs = to_bytes(world.repository(repo)), world.refs(repo)

    world.run(BOB.id, DeleteRepository(repo, "page"))
    activities = world.run(BOB.id, RestoreRepository(repo))

    assert activities == (RepositoryRestored(repo, BOB.id, "page"),)
    assert to_bytes(world.repository(repo)) == before
    assert world.refs(repo) == refs
    assert (name_of(world, "page"), name_of(world, "site")) == (repo, repo)
    assert listed(world, "carol") == ["page"]
    assert world.push(repo, moved(MAIN, FIRST, SECOND), author=CAROL)


def test_a_restoration_waits_for_its_name() -> None:
    """Names are free at once: whoever deletes and creates again has decided."""
    world = World()
    repo = a_deleted(world)
    other = world.a_repository(BOB, "SITE-2")
    world.run(BOB.id, RenameRepository(other, "Site"))

    world.assert_refused(BOB.id, RestoreRepository(repo), kind=NameTaken, words="site is taken")
    world.run(BOB.id, RenameRepository(other, "elsewhere"), RestoreRepository(repo))

    assert (name_of(world, "site"), name_of(world, "elsewhere")) == (repo, other)


def test_a_day_of_block_time_is_the_limit() -> None:
    """From its end on nodes drop the packs, so no block may bring the repository back."""
    world = World()
    repo = a_deleted(world)
    deleted = world.time

    world.time = deleted + RESTORE_MS - 1000  # the world adds a second
    world.assert_refused(BOB.id, RestoreRepository(repo), kind=RestoreTooLate, words="24 hours")
    world.time = deleted + RESTORE_MS - 1001
    assert world.run(BOB.id, RestoreRepository(repo))


def test_only_what_is_deleted_is_restored_and_only_by_its_owner() -> None:
    """An administrator who deleted it by mistake has to ask: it is the owner's name that is taken again."""
    world = World()
    standing, repo = world.a_repository(BOB, "other"), world.a_repository(BOB, "site")
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN))
    world.run(CAROL.id, DeleteRepository(repo, "site"))

    world.assert_refused(BOB.id, RestoreRepository(standing), kind=NotDeleted, words="other stands")
    world.assert_refused(CAROL.id, RestoreRepository(repo), kind=NotFound, words=HIDDEN)
    world.assert_refused(BOB.id, RestoreRepository(RepoId(b"\x09" * 32)), kind=NotFound, words=HIDDEN)
    assert world.run(BOB.id, RestoreRepository(repo))


def test_a_push_attested_before_a_deletion_takes_effect_after_the_return() -> None:
    """Its quorum holds the pack, and the counters it saw are those that stand."""
    world = World()
    repo = world.a_repository(BOB, "site")
    world.push(repo, created(MAIN, FIRST))
    waiting = pushing(repo, created(DEV, SECOND))
    seen = world.repository(repo)

    world.run(BOB.id, DeleteRepository(repo, "site"), RestoreRepository(repo))

    assert world.repository(repo).removals == seen.removals
    assert world.push(repo, *waiting.manifest.updates)


def test_a_revoked_token_deletes_nothing() -> None:
    world = World()
    repo = world.a_repository(BOB, "site")
    deleting = world.a_credential(BOB, Scope.DELETE_REPO)
    world.run(BOB.id, RevokeCredential(deleting.id))

    with pytest.raises(Refused, match="revoked"):
        world.run(BOB.id, DeleteRepository(repo, "site"), credential=deleting)


def test_everything_happens_to_a_repository_in_one_transaction() -> None:
    """Created, pushed to, renamed, deleted, restored: actions see each other's effects in order."""
    world = World()
    create = creation("site")
    repo = world.a_repository(BOB, "before")

    world.push(repo, created(MAIN, FIRST), pack=None)
    world.run(
        BOB.id,
        create,
        RenameRepository(repo, "x"),
        DeleteRepository(repo, "x"),
        RestoreRepository(repo),
        RenameRepository(repo, "before"),
    )

    assert listed(world) == ["before", "site"]
    assert world.refs(repo) == {MAIN: FIRST}
