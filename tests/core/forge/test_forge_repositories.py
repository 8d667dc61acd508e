"""Creating repositories and changing what they are called, show and hide."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from guts_core.errors import Conflict, Invalid, LimitExceeded, NotAllowed, NotFound, Refused
from guts_core.forge import queries
from guts_core.forge.accounts import NameTaken
from guts_core.forge.actions import (
    DescribeRepository,
    SetCollaborator,
    SetDefaultBranch,
    SetVisibility,
)
from guts_core.forge.activities import DefaultBranchSet, RepositoryCreated, RepositoryDescribed, VisibilitySet
from guts_core.forge.ids import repository_id
from guts_core.forge.params import Followers, Params
from guts_core.forge.records import ObjectFormat, Role, Scope
from guts_core.forge.repositories import PrivateImpossible, Unsupported
from guts_core.names import AccountId, RepoId
from tests.core.forge.forge_world import ALICE, BOB, CAROL, CHAIN, DEV, MAIN, World, creation

TEXT = b"\x0d" * 32


def test_a_repository_is_created_empty_under_its_author() -> None:
    world = World()
    create = evolve(creation("Site", private=True), description=TEXT)

    activities = world.run(BOB.id, create)

    repo = repository_id(CHAIN, BOB.id, create.salt)
    assert activities == (RepositoryCreated(repo, BOB.id, "Site", private=True),)
    made = queries.repository_by_name(world.state, "bob", "sITE")
    assert made is not None
    assert (made.id, made.name, made.owner, made.number) == (repo, "Site", BOB.id, 1)
    assert made.description == TEXT
    assert (made.generation, made.removals, made.objects_epoch, made.packs, made.refs) == (0, 0, 0, 0, 0)


def test_a_name_is_unique_under_its_owner_without_case() -> None:
    """Some clients' disks do not tell them apart."""
    world = World()
    world.a_repository(BOB, "site")

    again = evolve(creation("SITE"), salt=b"\x01" * 32)
    world.assert_refused(BOB.id, again, kind=NameTaken, words="SITE is taken")
    assert world.run(CAROL.id, again)


def test_an_id_is_used_once() -> None:
    world = World()
    world.a_repository(BOB, "site")

    again = evolve(creation("site"), name="other")
    world.assert_refused(BOB.id, again, kind=Conflict, words="this salt already")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"name": "a b"}, Invalid, "repository name"),
        ({"name": ".."}, Invalid, "reserved"),
        ({"name": "x.git"}, Invalid, "reserved"),
        ({"name": "\u0441ite"}, Invalid, r"\\u0441"),
        ({"default_branch": "main"}, Invalid, "ref name"),
        ({"default_branch": "refs/tags/main"}, Invalid, "no branch"),
        ({"default_branch": "refs/heads/HEAD"}, Invalid, "HEAD"),
        ({"placement": "group-1"}, Unsupported, "placement 'group-1' is reserved"),
        ({"object_format": ObjectFormat.SHA256}, Unsupported, "SHA-256"),
    ],
)
def test_a_repository_that_cannot_be_is_refused(change: dict[str, Any], kind: type[Refused], words: str) -> None:
    create = evolve(creation("site"), **change)

    World().assert_refused(BOB.id, create, kind=kind, words=words)


def test_bad_K05_an_account_owns_only_so_many_repositories() -> None:  # names of the checklist
    world = World(Params(repositories_per_account_max=2))
    world.a_repository(BOB, "one")
    world.a_repository(BOB, "two")

    world.assert_refused(BOB.id, creation("three"), kind=LimitExceeded, words="may own 2 repositories")
    assert world.a_repository(CAROL, "one")


def test_integer_ids_of_repositories_count_over_the_whole_network() -> None:
    world = World()
    repos = [world.a_repository(BOB, "one"), world.a_repository(CAROL, "one"), world.a_repository(BOB, "two")]

    assert [world.repository(repo).number for repo in repos] == [1, 2, 3]


def test_a_private_repository_is_refused_where_anyone_may_follow() -> None:
    """What every follower reads is not private, whatever the flag says."""
    world = World(Params(followers=Followers.OPEN))
    repo = world.a_repository(BOB)

    create = creation("secret", private=True)
    world.assert_refused(BOB.id, create, kind=PrivateImpossible, words="anyone may follow")
    hide = SetVisibility(repo, private=True)
    world.assert_refused(BOB.id, hide, kind=PrivateImpossible, words="anyone may follow")


def test_creating_needs_scope_repo_and_no_limit_to_repositories() -> None:
    world = World()
    repo = world.a_repository(BOB)
    reading = world.a_credential(BOB, Scope.READ, name="reading")
    limited = world.a_credential(BOB, Scope.REPO, repos=(repo,), name="limited")
    full = world.a_credential(BOB, Scope.REPO, name="full")

    new = creation("new")
    world.assert_refused(BOB.id, new, credential=reading, kind=NotAllowed, words="its scope is read")
    world.assert_refused(BOB.id, new, credential=limited, kind=NotAllowed, words="limited to certain others")
    assert world.run(BOB.id, new, credential=full)


def test_an_author_without_an_account_creates_nothing() -> None:
    World().assert_refused(AccountId(b"\x09" * 32), creation("site"), kind=NotAllowed, words="may not create")


def test_a_description_is_set_and_cleared() -> None:
    """State holds the commitment; clearing it twice changes nothing."""
    world = World()
    repo = world.a_repository(BOB)

    assert world.run(BOB.id, DescribeRepository(repo, TEXT)) == (RepositoryDescribed(repo, TEXT),)
    assert world.repository(repo).description == TEXT
    assert world.run(BOB.id, DescribeRepository(repo, None)) == (RepositoryDescribed(repo, None),)
    assert world.repository(repo).description is None
    assert world.repository(repo).updated == world.time
    assert world.run(BOB.id, DescribeRepository(repo, None)) == ()


def test_the_default_branch_need_not_exist_and_shows_in_the_generation() -> None:
    """HEAD is part of what a clone sees, so what was projected before is not what is shown now."""
    world = World()
    repo = world.a_repository(BOB)

    assert world.run(BOB.id, SetDefaultBranch(repo, DEV)) == (DefaultBranchSet(repo, DEV),)
    assert (world.repository(repo).default_branch, world.repository(repo).generation) == (DEV, 1)
    world.assert_refused(BOB.id, SetDefaultBranch(repo, "refs/tags/v1"), kind=Invalid, words="no branch")


def test_visibility_changes() -> None:
    world = World()
    repo = world.a_repository(BOB)

    assert world.run(BOB.id, SetVisibility(repo, private=True)) == (VisibilitySet(repo, private=True),)
    assert world.repository(repo).private


def test_setting_what_is_set_changes_nothing() -> None:
    """The same request sent again after a lost answer is no news."""
    world = World()
    repo = world.a_repository(BOB)
    before = dict(world.state.writes)

    assert world.run(BOB.id, SetVisibility(repo, private=False)) == ()
    assert world.run(BOB.id, SetDefaultBranch(repo, MAIN)) == ()
    assert world.run(BOB.id, DescribeRepository(repo, None)) == ()
    assert before == world.state.writes


def test_bad_F_05_settings_are_for_administrators() -> None:  # names of the checklist
    """A writer does not change what a repository shows; a stranger does not learn that it is there."""
    world = World()
    repo = world.a_repository(BOB, private=True)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE))

    for action in (SetVisibility(repo, private=False), SetDefaultBranch(repo, DEV), DescribeRepository(repo, TEXT)):
        world.assert_refused(CAROL.id, action, kind=NotAllowed, words="may not administer")
        world.assert_refused(ALICE.id, action, kind=NotFound, words="no such repository, or you may not read it")


def test_a_missing_repository_is_answered_like_a_hidden_one() -> None:
    missing = SetDefaultBranch(RepoId(b"\x09" * 32), DEV)

    World().assert_refused(BOB.id, missing, kind=NotFound, words="no such repository, or you may not read it")
