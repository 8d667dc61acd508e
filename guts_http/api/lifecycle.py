"""Settings of a repository (``PATCH``), its deletion, and its return within a day."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from guts_core.chain.transaction import TEXT_BYTES_MAX, Text
from guts_core.errors import Invalid, Unavailable
from guts_core.forge import queries
from guts_core.forge.accounts import NameTaken
from guts_core.forge.actions import (
    Action,
    DeleteRepository,
    DescribeRepository,
    RenameRepository,
    RestoreRepository,
    SetDefaultBranch,
    SetVisibility,
)
from guts_core.forge.params import RESTORE_MS, Followers
from guts_core.forge.permissions import Permission, hidden
from guts_core.forge.records import Credential, Repository
from guts_core.forge.repositories import branch_name, free_name
from guts_core.git.refs import BRANCHES
from guts_core.names import RepoId, repository_name
from guts_core.node.port import Outcome
from guts_http.problems import FieldError, InvalidFields
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Asked, Reply, Routes, body
from guts_http.strict import structured
from guts_http.texts import commit_to

from . import shapes
from .paging import asked_page, links

routes = Routes()
_DELETED = "/api/guts/v1/deleted-repositories"
_VISIBILITIES = {"public": False, "private": True}
# What a body does not say stays as it is; null says something.
_UNSAID: Any = object()


@frozen
class Changes:
    """The body of ``PATCH /repos/{owner}/{name}``, as far as it is understood here."""

    name: str = _UNSAID
    description: str | None = _UNSAID
    private: bool = _UNSAID
    visibility: str = _UNSAID
    default_branch: str = _UNSAID


@routes.writes("PATCH", "/api/v3/repos/<owner>/<name>", Permission.ADMIN_REPOSITORY)
async def change_repository(asked: Asked) -> Reply:
    """Change what is said, all of it or nothing: one transaction."""
    changes = structured(Changes, await body(), "Repository", forbid_unknown=False)
    with asked.site.reader.snapshot() as snapshot:
        wrong = _wrong(changes, asked, snapshot)
    if wrong:
        raise InvalidFields(*wrong)
    text = None if changes.description is _UNSAID else commit_to(changes.description)
    actions = _actions(changes, asked.repo, text)
    headers = {}
    if actions:
        outcome = await _act(asked, actions, () if text is None else (text,))
        headers = {HEIGHT: str(outcome.height)}
    return _shown(asked, asked.repo.id, 200, headers)


@routes.writes("DELETE", "/api/v3/repos/<owner>/<name>", Permission.DELETE_REPOSITORY)
async def delete_repository(asked: Asked) -> Reply:
    """Delete a repository, as GitHub's clients do: they have asked the person for the name."""
    outcome = await asked.site.act(asked.caller, (DeleteRepository(asked.repo.id, asked.repo.name),))
    return Reply(None, 204, {HEIGHT: str(outcome.height)})


@routes.writes("DELETE", "/api/guts/v1/repos/<owner>/<name>", Permission.DELETE_REPOSITORY)
async def delete_confirmed(asked: Asked) -> Reply:
    """Delete a repository whose name is said twice; tells until when it can be restored."""
    _check_confirmed(asked)
    outcome = await asked.site.act(asked.caller, (DeleteRepository(asked.repo.id, asked.repo.name),))
    with asked.site.reader.snapshot() as snapshot:
        deleted = queries.repository_even_deleted(snapshot, asked.repo.id)
        assert deleted is not None
        shown = _deleted(asked, snapshot, deleted)
    return Reply(shown, 200, {HEIGHT: str(outcome.height)})


@routes.reads(_DELETED, Permission.LIST_OWN)
def list_deleted(asked: Asked, snapshot: Snapshot) -> Reply:
    """The account's own repositories that were deleted and can still be restored, the newest deletion first."""
    page = asked_page()
    account = asked.caller.account
    assert account is not None
    ids = snapshot.deleted_by(account.id, snapshot.time - RESTORE_MS)
    part, more = page.of(repo for repo in ids if _reaches(asked.caller.principal.credential, repo))
    found = [one for repo in part if (one := queries.repository_even_deleted(snapshot, repo)) is not None]
    if not asked.private_reads and any(one.private for one in found):
        raise Unavailable("this node has learned of no final block for too long to show private repositories")
    shown = [_deleted(asked, snapshot, one) for one in found]
    return Reply(shown, headers=links(asked, _DELETED, page, more=more))


@routes.writes("POST", f"{_DELETED}/<deleted>/restore", Permission.RESTORE_REPOSITORY)
async def restore_repository(asked: Asked) -> Reply:
    """Bring a deleted repository back under the name it had; 409 when that was taken meanwhile or a day is over."""
    outcome = await asked.site.act(asked.caller, (RestoreRepository(asked.repo.id),))
    return _shown(asked, asked.repo.id, 200, {HEIGHT: str(outcome.height)})


async def _act(asked: Asked, actions: tuple[Action, ...], texts: tuple[Text, ...]) -> Outcome:
    try:
        return await asked.site.act(asked.caller, actions, texts)
    except NameTaken as error:
        raise InvalidFields(FieldError("Repository", "name", "already_exists", str(error))) from None


def _shown(asked: Asked, repo: RepoId, status: int, headers: dict[str, str]) -> Reply:
    with asked.site.reader.snapshot() as snapshot:
        found = queries.repository(snapshot, repo)
        if found is None:
            raise hidden()
        return Reply(shapes.repository(asked, snapshot, found), status, headers)


def _deleted(asked: Asked, snapshot: Snapshot, found: Repository) -> dict[str, Any]:
    owner = queries.account(snapshot, found.owner)
    assert owner is not None
    since = found.deleted or 0
    return {
        "id": found.id.hex(),
        "name": found.name,
        "full_name": f"{owner.name}/{found.name}",
        "private": found.private,
        "deleted": shapes.exact_time_text(since),
        "restorable_until": shapes.exact_time_text(since + RESTORE_MS),
        "restore_url": f"{asked.base_url}{_DELETED}/{found.id.hex()}/restore",
    }


def _reaches(credential: Credential | None, repo: RepoId) -> bool:
    return credential is None or credential.repos is None or repo in credential.repos


def _check_confirmed(asked: Asked) -> None:
    said = asked.argument("confirm")
    if said is None:
        words = "say the repository's name once more: ?confirm=NAME"
        raise InvalidFields(FieldError("Repository", "confirm", "missing_field", words))
    if said.rpartition("/")[2] != asked.repo.name:
        words = f"the repository is called {asked.repo.name}: confirm exactly that"
        raise InvalidFields(FieldError("Repository", "confirm", "invalid", words))


# ---- what a PATCH changes ----


def _wrong(changes: Changes, asked: Asked, snapshot: Snapshot) -> list[FieldError]:
    """Everything that is wrong with the changes, as far as it can be seen before they are ordered."""
    wrong = []
    for field, check in (
        ("name", _check_name),
        ("description", _check_description),
        ("visibility", _check_visibility),
        ("private", _check_private),
        ("default_branch", _check_branch),
    ):
        if getattr(changes, field) is not _UNSAID:
            try:
                check(changes, asked, snapshot)
            except NameTaken as error:
                wrong.append(FieldError("Repository", field, "already_exists", str(error)))
            except Invalid as error:
                wrong.append(FieldError("Repository", field, "invalid", str(error)))
    return wrong


def _check_name(changes: Changes, asked: Asked, snapshot: Snapshot) -> None:
    if repository_name(changes.name).lower() != asked.repo.name.lower():
        free_name(changes.name, asked.repo.owner, snapshot)


def _check_description(changes: Changes, _asked: Asked, _snapshot: Snapshot) -> None:
    if changes.description is not None and len(changes.description.encode()) > TEXT_BYTES_MAX:
        raise Invalid(f"at most {TEXT_BYTES_MAX} bytes")


def _check_visibility(changes: Changes, asked: Asked, snapshot: Snapshot) -> None:
    if changes.visibility not in _VISIBILITIES:
        raise Invalid(f"visibility is one of {', '.join(_VISIBILITIES)}")
    if changes.private is not _UNSAID and changes.private != _VISIBILITIES[changes.visibility]:
        raise Invalid("private and visibility say different things")
    _check_private(changes, asked, snapshot)


def _check_private(changes: Changes, asked: Asked, _snapshot: Snapshot) -> None:
    if _private(changes) and asked.site.reader.genesis.params.followers is Followers.OPEN:
        raise Invalid("anyone may follow this network and read all of it: nothing on it is private")


def _check_branch(changes: Changes, asked: Asked, snapshot: Snapshot) -> None:
    branch = branch_name(BRANCHES + changes.default_branch)
    # The branch of an empty repository is the one that will be pushed.
    if queries.has_branches(snapshot, asked.repo.id) and queries.ref(snapshot, asked.repo.id, branch) is None:
        raise Invalid(f"there is no branch {changes.default_branch}")


def _private(changes: Changes) -> bool | None:
    if changes.visibility is not _UNSAID:
        return _VISIBILITIES.get(changes.visibility)
    return None if changes.private is _UNSAID else changes.private


def _actions(changes: Changes, repository: Repository, text: Text | None) -> tuple[Action, ...]:
    """One action for each thing that changes; what is so already needs none."""
    actions: list[Action] = []
    private = _private(changes)
    if private is not None and private != repository.private:
        actions.append(SetVisibility(repository.id, private))
    if changes.name is not _UNSAID and changes.name != repository.name:
        actions.append(RenameRepository(repository.id, changes.name))
    commitment = None if text is None else text.commitment
    if changes.description is not _UNSAID and commitment != repository.description:
        actions.append(DescribeRepository(repository.id, commitment))
    if changes.default_branch is not _UNSAID and BRANCHES + changes.default_branch != repository.default_branch:
        actions.append(SetDefaultBranch(repository.id, BRANCHES + changes.default_branch))
    return tuple(actions)
