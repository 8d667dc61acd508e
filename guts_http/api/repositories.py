"""``/api/v3/repos/{owner}/{name}``: a repository and its collaborators."""

from __future__ import annotations

from attrs import frozen
from quart import request

from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.forge.actions import RemoveCollaborator, SetCollaborator
from guts_core.forge.permissions import Permission, demand
from guts_core.forge.records import Account, Role
from guts_http.problems import FieldError, InvalidFields
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Asked, Reply, Routes, body
from guts_http.strict import structured

from . import shapes
from .paging import asked_page, links

routes = Routes()
# GitHub's words and the plain ones.
ROLES = {
    "pull": Role.READ,
    "read": Role.READ,
    "push": Role.WRITE,
    "write": Role.WRITE,
    "admin": Role.ADMIN,
}
ROLE_NAMES = {Role.READ: "read", Role.WRITE: "write", Role.ADMIN: "admin"}


@frozen
class NewCollaborator:
    """The body of ``PUT .../collaborators/{user}``; GitHub's default is push."""

    permission: str = "push"


@routes.reads("/api/v3/repos/<owner>/<name>", Permission.READ_REPOSITORY)
def get_repository(asked: Asked, snapshot: Snapshot) -> Reply:
    """A repository."""
    return Reply(shapes.repository(asked, snapshot, asked.repo))


@routes.reads("/api/v3/repos/<owner>/<name>/collaborators", Permission.WRITE_REPOSITORY)
def list_collaborators(asked: Asked, snapshot: Snapshot) -> Reply:
    """Who has a role, the owner first; for those who may push, as on GitHub."""
    page = asked_page()
    people = [(asked.repo.owner, Role.ADMIN)]
    people += [(one.account, one.role) for one in queries.collaborators(snapshot, asked.repo.id)]
    first = (page.number - 1) * page.size
    shown = []
    for account_id, role in people[first : first + page.size]:
        account = queries.account(snapshot, account_id)
        assert account is not None
        may = {"admin": role >= Role.ADMIN, "push": role >= Role.WRITE, "pull": True}
        shown.append({**shapes.user(account, asked.base_url), "permissions": may, "role_name": ROLE_NAMES[role]})
    return Reply(shown, headers=links(asked, request.path, page, more=len(people) > first + page.size))


@routes.writes("PUT", "/api/v3/repos/<owner>/<name>/collaborators/<user>", Permission.ADMIN_REPOSITORY)
async def set_collaborator(asked: Asked, user: str) -> Reply:
    """Give an account a role; there is no invitation to accept."""
    wanted = structured(NewCollaborator, await body(), "Collaborator", forbid_unknown=False)
    role = ROLES.get(wanted.permission)
    if role is None:
        words = f"permission is one of {', '.join(ROLES)}"
        raise InvalidFields(FieldError("Collaborator", "permission", "invalid", words))
    action = SetCollaborator(asked.repo.id, _account(asked, user).id, role)
    outcome = await asked.site.act(asked.caller, (action,))
    return Reply(None, 204, {HEIGHT: str(outcome.height)})


@routes.writes("DELETE", "/api/v3/repos/<owner>/<name>/collaborators/<user>", Permission.LEAVE_REPOSITORY)
async def remove_collaborator(asked: Asked, user: str) -> Reply:
    """Take an account's role away: an administrator anyone's, everyone their own."""
    account = _account(asked, user)
    if account.id != asked.caller.principal.account:
        with asked.site.reader.snapshot() as snapshot:
            demand(asked.caller.principal, Permission.ADMIN_REPOSITORY, asked.repo, snapshot)
    outcome = await asked.site.act(asked.caller, (RemoveCollaborator(asked.repo.id, account.id),))
    return Reply(None, 204, {HEIGHT: str(outcome.height)})


def _account(asked: Asked, name: str) -> Account:
    with asked.site.reader.snapshot() as snapshot:
        found = queries.account_by_name(snapshot, name)
    if found is None:
        raise NotFound(f"there is no account {name[:60]!a}")
    return found
