"""Roles of accounts in repositories they do not own (``architecture.md`` 4; ``reliability.md`` F-05)."""

from __future__ import annotations

from guts_core.errors import Conflict, NotFound
from guts_core.state.view import Overlay

from . import queries
from .actions import RemoveCollaborator, SetCollaborator
from .activities import CollaboratorRemoved, CollaboratorSet
from .context import Context
from .permissions import Permission
from .records import Collaborator
from .repositories import repository_for
from .storing import delete_collaborator, put_collaborator


class IsOwner(Conflict):
    """An owner's role cannot be given or taken: it is all of them."""

    code = "is-owner"


def set_collaborator(action: SetCollaborator, state: Overlay, context: Context) -> tuple[()] | tuple[CollaboratorSet]:
    """Give an account a role, or another one than it has."""
    repository = repository_for(Permission.ADMIN_REPOSITORY, action.repo, state, context)
    account = queries.account(state, action.account)
    if account is None:
        raise NotFound("there is no account with this id")
    if account.id == repository.owner:
        raise IsOwner(f"{account.name} owns the repository and cannot be its collaborator")
    before = queries.collaborator(state, repository.id, account.id)
    if before is not None and before.role is action.role:
        return ()
    since = context.time if before is None else before.since
    put_collaborator(state, repository, Collaborator(account.id, action.role, since))
    return (CollaboratorSet(repository.id, account.id, action.role),)


def remove_collaborator(action: RemoveCollaborator, state: Overlay, context: Context) -> tuple[CollaboratorRemoved]:
    """Take an account's role away; everyone may leave by themselves."""
    repository = repository_for(_permission_to_remove(action, context), action.repo, state, context)
    if action.account == repository.owner:
        raise IsOwner("the owner cannot be removed from the repository")
    if queries.collaborator(state, repository.id, action.account) is None:
        raise NotFound("this account is not a collaborator of the repository")
    delete_collaborator(state, repository, action.account)
    return (CollaboratorRemoved(repository.id, action.account),)


def _permission_to_remove(action: RemoveCollaborator, context: Context) -> Permission:
    leaves = action.account == context.author
    return Permission.LEAVE_REPOSITORY if leaves else Permission.ADMIN_REPOSITORY
