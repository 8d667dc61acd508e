"""
Who may do what: one total function, called by execution always and by every read (``architecture.md`` 4).

What an account may do is decided by its role; a credential can only narrow that, by scope and by
repository. The two tables below are the whole policy.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from attrs import frozen

from guts_core.errors import NotAllowed, NotFound, Unauthenticated
from guts_core.names import AccountId
from guts_core.state.view import View

from . import queries
from .records import Credential, Repository, Role, Scope, TextRecord


class Permission(Enum):
    """What someone may want to do; the value completes "may not ..."."""

    __hash__ = object.__hash__  # a member is one object; by name, as enums do it, takes a call for each look-up

    READ_REPOSITORY = "read this repository"
    WRITE_REPOSITORY = "write to this repository"
    ADMIN_REPOSITORY = "administer this repository"
    DELETE_REPOSITORY = "delete this repository"
    RESTORE_REPOSITORY = "restore this repository"
    LEAVE_REPOSITORY = "leave this repository"
    CREATE_REPOSITORY = "create repositories"
    ERASE_TEXT = "erase this text"
    LIST_OWN = "list its repositories"
    LIST_CREDENTIALS = "list its credentials and keys"
    MANAGE_CREDENTIALS = "create and revoke credentials"
    MANAGE_KEYS = "add and remove account keys"
    GOVERN = "govern the network"


@frozen
class Principal:
    """Who acts: an account by its own key, an account through a credential, or nobody known."""

    account: AccountId | None
    credential: Credential | None


ANONYMOUS = Principal(None, None)


@frozen
class TextPlace:
    """A text and the repository it was committed to in, if that still stands."""

    record: TextRecord
    repository: Repository | None


Resource: TypeAlias = Repository | TextPlace | None

# The least role for what is about one repository. What is not listed is about the account itself.
ROLE_NEEDED: dict[Permission, Role] = {
    Permission.READ_REPOSITORY: Role.READ,
    Permission.WRITE_REPOSITORY: Role.WRITE,
    Permission.ADMIN_REPOSITORY: Role.ADMIN,
    Permission.DELETE_REPOSITORY: Role.ADMIN,
    Permission.RESTORE_REPOSITORY: Role.ADMIN,
    Permission.LEAVE_REPOSITORY: Role.READ,
}
# An administrator may take a repository away, and only its owner bring it back: it is theirs again, with its name.
OWNERS_ALONE = frozenset({Permission.RESTORE_REPOSITORY})
# Any one of these scopes lets a credential do it; where there is none, account keys alone may.
SCOPES_THAT_ALLOW: dict[Permission, frozenset[Scope]] = {
    Permission.READ_REPOSITORY: frozenset({Scope.READ, Scope.REPO}),
    Permission.WRITE_REPOSITORY: frozenset({Scope.REPO}),
    Permission.ADMIN_REPOSITORY: frozenset({Scope.REPO}),
    Permission.DELETE_REPOSITORY: frozenset({Scope.DELETE_REPO}),
    Permission.RESTORE_REPOSITORY: frozenset({Scope.DELETE_REPO}),
    Permission.LEAVE_REPOSITORY: frozenset({Scope.REPO}),
    Permission.CREATE_REPOSITORY: frozenset({Scope.REPO}),
    Permission.ERASE_TEXT: frozenset({Scope.REPO}),
    Permission.LIST_OWN: frozenset({Scope.READ, Scope.REPO}),
    Permission.LIST_CREDENTIALS: frozenset({Scope.READ, Scope.REPO}),
    Permission.MANAGE_CREDENTIALS: frozenset(),
    Permission.MANAGE_KEYS: frozenset(),
    Permission.GOVERN: frozenset(),
}
# A credential limited to some repositories may list them, but may not do what reaches beyond them.
ALLOWED_WITHOUT_A_LISTED_REPOSITORY = frozenset({Permission.LIST_OWN})


def may(principal: Principal, permission: Permission, resource: Resource, view: View) -> bool:
    """
    Whether this principal may do this, to this repository or text where the permission is about one.

    Everyone may read what is public, also through a credential limited to other repositories: it
    could be read without the credential. A deleted repository can be restored, and nothing else.
    Expiry is not looked at: see ``credential_is_active``.
    """
    if not _credential_stands(principal, view):
        return False
    about = resource.repository if isinstance(resource, TextPlace) else resource
    if about is not None and about.deleted is not None and permission is not Permission.RESTORE_REPOSITORY:
        return False
    if permission is Permission.READ_REPOSITORY and about is not None and not about.private:
        return True
    if principal.account is None or not _credential_allows(principal.credential, permission, resource):
        return False
    if permission is Permission.ERASE_TEXT:
        return isinstance(resource, TextPlace) and _may_erase(principal.account, resource, view)
    if permission in ROLE_NEEDED:
        return about is not None and _stands_so(principal.account, permission, about, view)
    account = queries.account(view, principal.account)
    return account is not None and (account.is_operator or permission is not Permission.GOVERN)


def credential_is_active(credential: Credential, time: int) -> bool:
    """Whether a credential is neither revoked nor expired at this time (block time; for reads also the clock's)."""
    return not credential.revoked and time < credential.expires


def demand(principal: Principal, permission: Permission, resource: Resource, view: View) -> None:
    """Raise unless they may: NotFound for what they must not know of, else why not, in words."""
    if may(principal, permission, resource, view):
        return
    if not _credential_stands(principal, view):
        raise Unauthenticated("this credential was revoked")
    about_one = permission in ROLE_NEEDED or permission is Permission.ERASE_TEXT
    if about_one and not _may_know(principal, resource, view):
        raise hidden()
    if principal.account is None:
        raise Unauthenticated(f"nobody may {permission.value} without saying who they are")
    raise NotAllowed(_why_not(principal, permission, resource))


def hidden() -> NotFound:
    """The answer for a repository that is missing and for one that must not be known of: the same."""
    return NotFound("there is no such repository, or you may not read it")


def _may_know(principal: Principal, resource: Resource, view: View) -> bool:
    """Whether "you may not" tells them nothing new: they may read it, or deleted what they own."""
    if isinstance(resource, Repository) and resource.deleted is not None:
        return resource.owner == principal.account
    return may(principal, Permission.READ_REPOSITORY, resource, view)


def _credential_stands(principal: Principal, view: View) -> bool:
    """As of this view: a revocation counts from its height on, also for what began before it."""
    if principal.credential is None:
        return True
    now = queries.credential(view, principal.credential.id)
    return now is not None and not now.revoked and now.account == principal.account


def _credential_allows(credential: Credential | None, permission: Permission, resource: Resource) -> bool:
    return credential is None or (_scope_allows(credential, permission) and _reaches(credential, permission, resource))


def _scope_allows(credential: Credential, permission: Permission) -> bool:
    return not SCOPES_THAT_ALLOW[permission].isdisjoint(credential.scopes)


def _reaches(credential: Credential, permission: Permission, resource: Resource) -> bool:
    if credential.repos is None or permission in ALLOWED_WITHOUT_A_LISTED_REPOSITORY:
        return True
    if isinstance(resource, TextPlace):
        return resource.record.repo in credential.repos
    return permission in ROLE_NEEDED and resource is not None and resource.id in credential.repos


def _may_erase(account: AccountId, place: TextPlace, view: View) -> bool:
    """Who wrote it, wherever they stand now; and who administers the repository."""
    if place.record.author == account:
        return True
    return place.repository is not None and _has_role(account, Role.ADMIN, place.repository, view)


def _stands_so(account: AccountId, permission: Permission, repository: Repository, view: View) -> bool:
    if permission in OWNERS_ALONE:
        return repository.owner == account
    return _has_role(account, ROLE_NEEDED[permission], repository, view)


def _has_role(account: AccountId, needed: Role, repository: Repository, view: View) -> bool:
    role = queries.role_of(view, repository, account)
    return role is not None and role >= needed


def _why_not(principal: Principal, permission: Permission, resource: Resource) -> str:
    credential = principal.credential
    if credential is not None and not SCOPES_THAT_ALLOW[permission]:
        return f"a credential may not {permission.value}: sign with an account key"
    if credential is not None and not _scope_allows(credential, permission):
        scopes = ", ".join(scope.name.lower() for scope in credential.scopes)
        return f"this credential may not {permission.value}: its scope is {scopes}"
    if credential is not None and not _reaches(credential, permission, resource):
        return f"this credential may not {permission.value}: it is limited to certain others"
    return f"this account may not {permission.value}"
