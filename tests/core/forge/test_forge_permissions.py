"""`may`, enumerated: every permission, role, scope and visibility against a table written independently."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

import pytest
from attrs import evolve

from guts_core.errors import NotAllowed, NotFound, Unauthenticated
from guts_core.forge.actions import RevokeCredential, SetCollaborator
from guts_core.forge.permissions import (
    ANONYMOUS,
    ROLE_NEEDED,
    SCOPES_THAT_ALLOW,
    Permission,
    Principal,
    demand,
    may,
)
from guts_core.forge.records import Repository, Role, Scope
from guts_core.names import AccountId, CredentialId
from guts_core.state.view import Overlay
from tests.core.forge.forge_world import ALICE, BOB, CAROL, DAVE, ERIN, Person, World

# Written from architecture.md, not from the code: what each standing may do to a repository by account key.
# R read, W write, A administer, D delete, U undo a deletion, L leave.
BY_ROLE = {
    "owner": {"public": "RWADUL", "private": "RWADUL"},
    "admin": {"public": "RWADL", "private": "RWADL"},
    "write": {"public": "RWL", "private": "RWL"},
    "read": {"public": "RL", "private": "RL"},
    "stranger": {"public": "R", "private": ""},
}
# What each scope lets through of that, in a public and in a private repository.
BY_SCOPE = {
    "key": {"public": "RWADUL", "private": "RWADUL"},
    "read": {"public": "R", "private": "R"},
    "repo": {"public": "RWAL", "private": "RWAL"},
    "delete_repo": {"public": "RDU", "private": "DU"},
}
LETTERS = {
    "R": Permission.READ_REPOSITORY,
    "W": Permission.WRITE_REPOSITORY,
    "A": Permission.ADMIN_REPOSITORY,
    "D": Permission.DELETE_REPOSITORY,
    "U": Permission.RESTORE_REPOSITORY,
    "L": Permission.LEAVE_REPOSITORY,
}
# About the account: which scopes do, and whether one has to be an operator.
ABOUT_THE_ACCOUNT = {
    Permission.CREATE_REPOSITORY: {"key", "repo"},
    Permission.LIST_OWN: {"key", "read", "repo"},
    Permission.LIST_CREDENTIALS: {"key", "read", "repo"},
    Permission.MANAGE_CREDENTIALS: {"key"},
    Permission.MANAGE_KEYS: {"key"},
    Permission.GOVERN: {"key"},
}
STANDINGS: dict[str, Person] = {"owner": BOB, "admin": ALICE, "write": CAROL, "read": DAVE, "stranger": ERIN}
OPERATORS = {"admin", "stranger"}  # Alice and Erin govern; it gives them nothing in repositories
SCOPE_SETS = [scopes for size in (1, 2, 3) for scopes in combinations(Scope, size)]


class Scene:
    """One repository of each visibility, someone in each standing, a credential of each kind."""

    def __init__(self) -> None:
        world = World()
        self.world = world
        self.repos: dict[str, Repository] = {}
        for visibility in ("public", "private"):
            repo = world.a_repository(BOB, visibility, private=visibility == "private")
            for person, role in ((ALICE, Role.ADMIN), (CAROL, Role.WRITE), (DAVE, Role.READ)):
                world.run(BOB.id, SetCollaborator(repo, person.id, role))
            self.repos[visibility] = world.repository(repo)
        self.credentials = {
            (standing, scopes): world.a_credential(person, *scopes, name=str(number))
            for standing, person in STANDINGS.items()
            for number, scopes in enumerate(SCOPE_SETS)
        }

    def principals(self, standing: str) -> Iterator[tuple[set[str], Principal]]:
        """By account key and by each set of scopes."""
        person = STANDINGS[standing]
        yield {"key"}, Principal(person.id, None)
        for scopes in SCOPE_SETS:
            yield {scope.name.lower() for scope in scopes}, Principal(person.id, self.credentials[standing, scopes])


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize(("letter", "standing", "visibility"), list(product(LETTERS, STANDINGS, ("public", "private"))))
def test_every_standing_and_scope_in_every_repository(
    scene: Scene, letter: str, standing: str, visibility: str
) -> None:
    """A scope narrows a role and never widens it; being an operator opens nobody's repository."""
    role = letter in BY_ROLE[standing][visibility]
    for ways, principal in scene.principals(standing):
        expected = role and any(letter in BY_SCOPE[way][visibility] for way in ways)

        found = may(principal, LETTERS[letter], scene.repos[visibility], scene.world.state)

        assert expected == found, ways


@pytest.mark.parametrize(("permission", "standing"), list(product(ABOUT_THE_ACCOUNT, STANDINGS)))
def test_every_standing_and_scope_about_the_account(scene: Scene, permission: Permission, standing: str) -> None:
    """Account keys alone manage credentials and keys, and govern."""
    person = standing in OPERATORS or permission is not Permission.GOVERN
    for ways, principal in scene.principals(standing):
        for resource in (None, *scene.repos.values()):
            expected = person and bool(ways & ABOUT_THE_ACCOUNT[permission])

            assert expected == may(principal, permission, resource, scene.world.state), ways


@pytest.mark.parametrize(("letter", "standing", "visibility"), list(product(LETTERS, STANDINGS, ("public", "private"))))
def test_a_deleted_repository_can_be_restored_by_its_owner_and_is_missing_to_everything_else(
    scene: Scene, letter: str, standing: str, visibility: str
) -> None:
    """Public or private, by whatever role: what is deleted is not read by anyone any more."""
    gone = evolve(scene.repos[visibility], deleted=1)
    for ways, principal in scene.principals(standing):
        expected = (letter, standing) == ("U", "owner") and bool(ways & {"key", "delete_repo"})

        assert expected == may(principal, LETTERS[letter], gone, scene.world.state), ways


@pytest.mark.parametrize("permission", Permission)
def test_nobody_known_reads_what_is_public_and_nothing_else(scene: Scene, permission: Permission) -> None:
    for visibility, repository in scene.repos.items():
        expected = permission is Permission.READ_REPOSITORY and visibility == "public"

        assert expected == may(ANONYMOUS, permission, repository, scene.world.state)


@pytest.mark.parametrize("permission", ROLE_NEEDED)
def test_what_is_about_a_repository_needs_one(scene: Scene, permission: Permission) -> None:
    """A missing repository is a plain no: the function is total."""
    for standing in STANDINGS:
        for _, principal in scene.principals(standing):
            assert not may(principal, permission, None, scene.world.state)


@pytest.mark.parametrize("permission", Permission)
def test_a_revoked_credential_may_nothing(permission: Permission) -> None:
    """As of the state, whatever the record says that was read when the request began."""
    world = World()
    repository = world.repository(world.a_repository(BOB))
    credential = world.a_credential(BOB, *Scope)
    world.run(BOB.id, RevokeCredential(credential.id))

    assert not credential.revoked
    assert not may(Principal(BOB.id, credential), permission, repository, world.state)


@pytest.mark.parametrize("permission", Permission)
def test_a_credential_speaks_for_its_account_only(scene: Scene, permission: Permission) -> None:
    """Neither somebody else's nor one that nobody ever made opens anything."""
    credential = scene.credentials["owner", tuple(Scope)]
    unknown = evolve(credential, id=CredentialId(b"\x09" * 32))

    for repository in scene.repos.values():
        for principal in (
            Principal(ALICE.id, credential),
            Principal(None, credential),
            Principal(BOB.id, unknown),
        ):
            assert not may(principal, permission, repository, scene.world.state)


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_bad_F_03_a_credential_limited_to_a_repository_stays_in_it(visibility: str) -> None:  # checklist
    """It still reads what anyone reads, and may list, which shows only what it may read."""
    world = World()
    inside = world.repository(world.a_repository(BOB, "in", private=visibility == "private"))
    outside = world.repository(world.a_repository(BOB, "out", private=visibility == "private"))
    limited = Principal(BOB.id, world.a_credential(BOB, *Scope, repos=(inside.id,)))

    def allowed(repository: Repository) -> set[Permission]:
        return {permission for permission in Permission if may(limited, permission, repository, world.state)}

    public = {Permission.READ_REPOSITORY} if visibility == "public" else set()
    assert allowed(inside) == {*ROLE_NEEDED, Permission.LIST_OWN}
    assert allowed(outside) == {*public, Permission.LIST_OWN}


def test_an_account_that_is_not_there_may_what_anyone_may(scene: Scene) -> None:
    nobody = Principal(AccountId(b"\x09" * 32), None)

    for permission, (visibility, repository) in product(Permission, scene.repos.items()):
        expected = permission is Permission.READ_REPOSITORY and visibility == "public"
        assert expected == may(nobody, permission, repository, scene.world.state)


def test_every_permission_is_in_the_tables() -> None:
    """A permission without a line in a table would be decided by accident."""
    assert set(SCOPES_THAT_ALLOW) == set(Permission)
    assert {*ROLE_NEEDED, *ABOUT_THE_ACCOUNT, Permission.ERASE_TEXT} == set(Permission)


def test_a_no_says_why_without_telling_what_is_hidden(scene: Scene) -> None:
    """Who may not read gets the answer for what is missing; who may read learns what is wrong."""
    public, private, state = scene.repos["public"], scene.repos["private"], scene.world.state
    reading = scene.credentials["owner", (Scope.READ,)]
    write = Permission.WRITE_REPOSITORY

    assert _reason(state, Principal(BOB.id, reading), write, public) == (
        NotAllowed,
        "this credential may not write to this repository: its scope is read",
    )
    assert _reason(state, Principal(DAVE.id, None), write, private)[0] is NotAllowed
    assert _reason(state, ANONYMOUS, write, public)[0] is Unauthenticated
    assert _reason(state, ANONYMOUS, Permission.LIST_OWN, None)[0] is Unauthenticated
    assert _reason(state, Principal(ERIN.id, None), write, private) == _reason(state, ANONYMOUS, write, None)


def test_a_deleted_repository_is_known_to_its_owner_alone(scene: Scene) -> None:
    """They are told why they may not restore it; to an administrator it is as if it had never been."""
    gone, state = evolve(scene.repos["public"], deleted=1), scene.world.state
    restore, missing = Permission.RESTORE_REPOSITORY, _reason(state, ANONYMOUS, Permission.READ_REPOSITORY, None)
    pushing = scene.credentials["owner", (Scope.REPO,)]

    assert _reason(state, Principal(BOB.id, pushing), restore, gone) == (
        NotAllowed,
        "this credential may not restore this repository: its scope is repo",
    )
    for principal in (Principal(ALICE.id, None), Principal(CAROL.id, None), ANONYMOUS):
        assert missing == _reason(state, principal, restore, gone)
        assert missing == _reason(state, principal, Permission.READ_REPOSITORY, gone)


def test_a_yes_is_silent(scene: Scene) -> None:
    for repository in scene.repos.values():
        demand(Principal(BOB.id, None), Permission.ADMIN_REPOSITORY, repository, scene.world.state)


def _reason(
    state: Overlay, principal: Principal, permission: Permission, repository: Repository | None
) -> tuple[type[Exception], str]:
    with pytest.raises((NotAllowed, NotFound, Unauthenticated)) as refused:
        demand(principal, permission, repository, state)
    return refused.type, str(refused.value)
