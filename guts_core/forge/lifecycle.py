"""
Renaming, deleting and restoring repositories.

A deleted repository is as if missing to everything but its restoration, and its name is free at once.
Its records stay, for the chain that made them can be verified; its packs go from the nodes' disks when
nothing can bring it back (``params.RESTORE_MS``).
"""

from __future__ import annotations

from attrs import evolve

from guts_core.errors import Conflict
from guts_core.names import RepoId, repository_name
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import DeleteRepository, RenameRepository, RestoreRepository
from .activities import RepositoryDeleted, RepositoryRenamed, RepositoryRestored
from .context import Context
from .params import RESTORE_MS
from .permissions import Permission, demand, hidden
from .records import Repository
from .repositories import count_owned, free_name, repository_for
from .storing import (
    count_down,
    delete_repository_name,
    put_repository,
    put_repository_name,
    redirect_repository_name,
)


class WrongName(Conflict):
    """The repository is not called what was said: perhaps another one was meant."""

    code = "wrong-name"


class NotDeleted(Conflict):
    """There is nothing to restore: the repository stands."""

    code = "not-deleted"


class RestoreTooLate(Conflict):
    """The nodes may have dropped its packs already."""

    code = "restore-too-late"


def rename_repository(
    action: RenameRepository, state: Overlay, context: Context
) -> tuple[()] | tuple[RepositoryRenamed]:
    """Give a repository another name; the old one leads on to it, until the owner uses it for another one."""
    repository = repository_for(Permission.ADMIN_REPOSITORY, action.repo, state, context)
    if repository.name == action.name:
        return ()
    name = repository_name(action.name)
    if name.lower() != repository.name.lower():
        free_name(name, repository.owner, state)
        redirect_repository_name(state, repository)
    renamed = evolve(repository, name=name, updated=context.time)
    put_repository(state, renamed)
    put_repository_name(state, renamed)
    return (RepositoryRenamed(repository.id, repository.owner, repository.name, name),)


def delete_repository(action: DeleteRepository, state: Overlay, context: Context) -> tuple[RepositoryDeleted]:
    """Take a repository away from everybody, and free its name."""
    repository = repository_for(Permission.DELETE_REPOSITORY, action.repo, state, context)
    if repository.name != action.name:
        raise WrongName(f"the repository is called {repository.name}: say exactly that to delete it")
    delete_repository_name(state, repository)
    count_down(state, paths.account_counter(repository.owner, paths.Count.REPOSITORIES))
    put_repository(state, evolve(repository, deleted=context.time))
    return (RepositoryDeleted(repository.id, repository.owner, repository.name),)


def restore_repository(action: RestoreRepository, state: Overlay, context: Context) -> tuple[RepositoryRestored]:
    """Bring a deleted repository back, with all it had, under the name it had."""
    repository = _deleted(action.repo, state, context)
    free_name(repository.name, repository.owner, state)
    count_owned(repository.owner, state, context.params.repositories_per_account_max)
    restored = evolve(repository, deleted=None)
    put_repository(state, restored)
    put_repository_name(state, restored)
    return (RepositoryRestored(repository.id, repository.owner, repository.name),)


def is_restorable(deleted: int, time: int) -> bool:
    """Whether a repository deleted then can be restored in a block of this time; if not, it never can be again."""
    return time < deleted + RESTORE_MS


def _deleted(repo: RepoId, state: View, context: Context) -> Repository:
    repository = queries.repository_even_deleted(state, repo)
    if repository is None:
        raise hidden()
    demand(context.principal, Permission.RESTORE_REPOSITORY, repository, state)
    if repository.deleted is None:
        raise NotDeleted(f"repository {repository.name} stands: there is nothing to restore")
    if not is_restorable(repository.deleted, context.time):
        raise RestoreTooLate("a repository can be restored for 24 hours after its deletion; they are over")
    return repository
