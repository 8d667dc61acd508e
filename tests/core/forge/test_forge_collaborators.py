"""Roles in repositories: given and taken by administrators, left by anyone."""

from __future__ import annotations

from guts_core.errors import NotAllowed, NotFound
from guts_core.forge import paths, queries
from guts_core.forge.actions import RemoveCollaborator, SetCollaborator
from guts_core.forge.activities import CollaboratorRemoved, CollaboratorSet
from guts_core.forge.collaborators import IsOwner
from guts_core.forge.records import Collaborator, Role, Scope
from guts_core.names import AccountId
from tests.core.forge.forge_world import BOB, CAROL, DAVE, World


def test_a_role_is_filed_on_both_sides_and_kept_in_step() -> None:
    """A repository lists its people and a person their repositories from the same fact."""
    world = World()
    repo = world.a_repository(BOB)

    assert world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.READ)) == (
        CollaboratorSet(repo, CAROL.id, Role.READ),
    )
    since = world.time
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE))

    assert list(queries.collaborators(world.state, repo)) == [Collaborator(CAROL.id, Role.WRITE, since)]
    assert [found.id for found in queries.repositories_of(world.state, CAROL.id)] == [repo]
    assert queries.role_of(world.state, world.repository(repo), CAROL.id) is Role.WRITE

    assert world.run(BOB.id, RemoveCollaborator(repo, CAROL.id)) == (CollaboratorRemoved(repo, CAROL.id),)

    assert list(queries.collaborators(world.state, repo)) == []
    assert list(queries.repositories_of(world.state, CAROL.id)) == []
    assert world.state.get(paths.affiliation(CAROL.id, repo)) is None


def test_own_repositories_come_before_those_of_others() -> None:
    world = World()
    shared = world.a_repository(BOB, "shared")
    world.run(BOB.id, SetCollaborator(shared, CAROL.id, Role.READ))
    second, first = world.a_repository(CAROL, "zoo"), world.a_repository(CAROL, "ark")

    assert [found.id for found in queries.repositories_of(world.state, CAROL.id)] == [first, second, shared]


def test_giving_the_role_somebody_has_changes_nothing() -> None:
    world = World()
    repo = world.a_repository(BOB)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.READ))
    before = dict(world.state.writes)

    assert world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.READ)) == ()
    assert before == world.state.writes


def test_the_owner_is_no_collaborator() -> None:
    """An owner's role cannot be lowered by filing another one."""
    world = World()
    repo = world.a_repository(BOB)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.ADMIN))

    world.assert_refused(CAROL.id, SetCollaborator(repo, BOB.id, Role.READ), kind=IsOwner, words="bob owns")
    world.assert_refused(CAROL.id, RemoveCollaborator(repo, BOB.id), kind=IsOwner, words="owner cannot be removed")
    world.assert_refused(BOB.id, RemoveCollaborator(repo, BOB.id), kind=IsOwner, words="owner cannot be removed")


def test_a_collaborator_must_be_an_account() -> None:
    world = World()
    repo = world.a_repository(BOB)

    nobody = SetCollaborator(repo, AccountId(b"\x09" * 32), Role.READ)
    world.assert_refused(BOB.id, nobody, kind=NotFound, words="no account")


def test_bad_F_05_nobody_raises_their_own_role() -> None:  # names of the checklist
    world = World()
    repo = world.a_repository(BOB)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.WRITE))

    world.assert_refused(CAROL.id, SetCollaborator(repo, CAROL.id, Role.ADMIN), kind=NotAllowed, words="administer")
    world.assert_refused(DAVE.id, SetCollaborator(repo, DAVE.id, Role.READ), kind=NotAllowed, words="administer")


def test_anyone_may_leave_and_only_administrators_remove_others() -> None:
    world = World()
    repo = world.a_repository(BOB, private=True)
    for person in (CAROL, DAVE):
        world.run(BOB.id, SetCollaborator(repo, person.id, Role.READ))

    world.assert_refused(CAROL.id, RemoveCollaborator(repo, DAVE.id), kind=NotAllowed, words="administer")
    world.run(CAROL.id, RemoveCollaborator(repo, CAROL.id))
    world.run(BOB.id, RemoveCollaborator(repo, DAVE.id))

    assert list(queries.collaborators(world.state, repo)) == []
    world.assert_refused(CAROL.id, RemoveCollaborator(repo, CAROL.id), kind=NotFound, words="no such repository")
    world.assert_refused(BOB.id, RemoveCollaborator(repo, DAVE.id), kind=NotFound, words="not a collaborator")


def test_leaving_through_a_credential_needs_scope_repo() -> None:
    world = World()
    repo = world.a_repository(BOB)
    world.run(BOB.id, SetCollaborator(repo, CAROL.id, Role.READ))
    reading, full = world.a_credential(CAROL, Scope.READ, name="r"), world.a_credential(CAROL, Scope.REPO, name="f")

    leave = RemoveCollaborator(repo, CAROL.id)
    world.assert_refused(CAROL.id, leave, credential=reading, kind=NotAllowed, words="its scope is read")
    assert world.run(CAROL.id, leave, credential=full)
