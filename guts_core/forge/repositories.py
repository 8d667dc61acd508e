"""Creating repositories and setting what they are called, show and hide (``architecture.md`` 3 and 5)."""

from __future__ import annotations

from attrs import evolve

from guts_core.errors import Conflict, Invalid, LimitExceeded
from guts_core.git.refs import BRANCHES, ref_name
from guts_core.names import AccountId, RefName, RepoId, repository_name
from guts_core.state.view import Overlay, View

from . import paths, queries
from .accounts import NameTaken
from .actions import CreateRepository, DescribeRepository, SetDefaultBranch, SetVisibility
from .activities import DefaultBranchSet, RepositoryCreated, RepositoryDescribed, VisibilitySet
from .context import Context
from .ids import repository_id
from .params import Followers
from .permissions import Permission, demand, hidden
from .records import ObjectFormat, Repository
from .storing import count_up, put_repository, put_repository_name
from .texts import list_text

PLACEMENT_ALL = "all"


class Unsupported(Invalid):
    """Part of the format and reserved, not part of these rules."""

    code = "unsupported"


class PrivateImpossible(Invalid):
    """Whoever follows this network could read it, so nothing on it is private."""

    code = "private-impossible"


def repository_for(permission: Permission, repo: RepoId, state: View, context: Context) -> Repository:
    """The repository, if the author may do this to it; raises what ``demand`` raises."""
    repository = queries.repository(state, repo)
    if repository is None:
        raise hidden()
    demand(context.principal, permission, repository, state)
    return repository


def create_repository(action: CreateRepository, state: Overlay, context: Context) -> tuple[RepositoryCreated]:
    """Create an empty repository under the author."""
    demand(context.principal, Permission.CREATE_REPOSITORY, None, state)
    _check_supported(action)
    _check_visibility(action.private, context)
    name = free_name(action.name, context.author, state)
    repo = repository_id(context.chain_id, context.author, action.salt)
    if queries.repository_even_deleted(state, repo) is not None:
        raise Conflict("a repository was made with this salt already")
    count_owned(context.author, state, context.params.repositories_per_account_max)
    number = count_up(state, paths.counter(paths.Count.REPOSITORIES))
    repository = _empty(action, repo, number, name, context)
    put_repository(state, repository)
    put_repository_name(state, repository)
    list_text(repo, action.description, state, context)
    return (RepositoryCreated(repo, context.author, name, action.private),)


def describe_repository(
    action: DescribeRepository, state: Overlay, context: Context
) -> tuple[()] | tuple[RepositoryDescribed]:
    """Set or clear the commitment to a description."""
    repository = repository_for(Permission.ADMIN_REPOSITORY, action.repo, state, context)
    if repository.description is action.description is None:
        return ()
    list_text(repository.id, action.description, state, context)
    put_repository(state, evolve(repository, description=action.description, updated=context.time))
    return (RepositoryDescribed(repository.id, action.description),)


def set_default_branch(
    action: SetDefaultBranch, state: Overlay, context: Context
) -> tuple[()] | tuple[DefaultBranchSet]:
    """Point HEAD at a branch. The generation grows: what clients are shown of refs includes HEAD."""
    repository = repository_for(Permission.ADMIN_REPOSITORY, action.repo, state, context)
    branch = branch_name(action.branch)
    if repository.default_branch == branch:
        return ()
    changed = evolve(repository, default_branch=branch, generation=repository.generation + 1, updated=context.time)
    put_repository(state, changed)
    return (DefaultBranchSet(repository.id, branch),)


def set_visibility(action: SetVisibility, state: Overlay, context: Context) -> tuple[()] | tuple[VisibilitySet]:
    """Make a repository private or public."""
    repository = repository_for(Permission.ADMIN_REPOSITORY, action.repo, state, context)
    if repository.private == action.private:
        return ()
    _check_visibility(action.private, context)
    put_repository(state, evolve(repository, private=action.private, updated=context.time))
    return (VisibilitySet(repository.id, action.private),)


def branch_name(text: str) -> RefName:
    """The full ref name if it names a branch; raises Invalid."""
    name = ref_name(text)
    if not name.startswith(BRANCHES):
        raise Invalid(f"{name} is no branch: HEAD points into {BRANCHES}")
    return name


def _check_supported(action: CreateRepository) -> None:
    if action.object_format is not ObjectFormat.SHA1:
        raise Unsupported("SHA-256 repositories are reserved: use the SHA-1 object format for now")
    if action.placement != PLACEMENT_ALL:
        raise Unsupported(f"placement {action.placement[:40]!a} is reserved: every validator holds every repository")


def _check_visibility(private: bool, context: Context) -> None:
    if private and context.params.followers is Followers.OPEN:
        raise PrivateImpossible("anyone may follow this network and read all of it: private repositories are refused")


def free_name(text: str, owner: AccountId, state: View) -> str:
    """The name, if no repository of the owner has it; one that only leads on to another is free. Raises NameTaken."""
    name = repository_name(text)
    holder = queries.repository_name_holder(state, owner, name)
    if holder is not None and not holder.is_redirect:
        raise NameTaken(f"repository name {name} is taken under this account")
    return name


def count_owned(owner: AccountId, state: Overlay, most: int) -> None:
    """One repository more for the owner; raises LimitExceeded."""
    owned = count_up(state, paths.account_counter(owner, paths.Count.REPOSITORIES))
    if owned > most:
        raise LimitExceeded(f"an account may own {most} repositories on this network")


def _empty(action: CreateRepository, repo: RepoId, number: int, name: str, context: Context) -> Repository:
    return Repository(
        id=repo,
        number=number,
        owner=context.author,
        name=name,
        private=action.private,
        default_branch=branch_name(action.default_branch),
        object_format=action.object_format,
        placement=action.placement,
        description=action.description,
        generation=0,
        removals=0,
        objects_epoch=0,
        packs=0,
        bytes_stored=0,
        refs=0,
        created=context.time,
        updated=context.time,
        pushed=context.time,
        deleted=None,
    )
