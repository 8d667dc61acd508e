"""``/api/v3/user``: who the caller is, and their repositories."""

from __future__ import annotations

import os

from attrs import frozen

from guts_core.chain.transaction import TEXT_BYTES_MAX, Text
from guts_core.errors import Invalid, Unavailable
from guts_core.forge import queries
from guts_core.forge.accounts import NameTaken
from guts_core.forge.actions import CreateRepository
from guts_core.forge.ids import repository_id
from guts_core.forge.permissions import Permission, may
from guts_core.forge.records import ObjectFormat
from guts_core.forge.repositories import PLACEMENT_ALL
from guts_core.names import repository_name
from guts_core.node.port import Outcome
from guts_http.problems import FieldError, InvalidFields
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Access, Asked, Reply, Routes, body
from guts_http.strict import structured
from guts_http.texts import commit_to

from . import shapes
from .paging import asked_page, links

routes = Routes()
DEFAULT_BRANCH = "refs/heads/main"


@frozen
class NewRepository:
    """The body of ``POST /user/repos``, as far as it is understood here."""

    name: str
    description: str | None = None
    private: bool = False
    auto_init: bool = False


@routes.reads("/api/v3/user", Access.SIGNED_IN)
def get_user(asked: Asked, _snapshot: Snapshot) -> Reply:
    """The account that the token stands for."""
    account = asked.caller.account
    assert account is not None
    shown = shapes.user(account, asked.base_url)
    return Reply({**shown, "name": account.name, "created_at": shapes.time_text(account.created)})


@routes.reads("/api/v3/user/repos", Permission.LIST_OWN)
def list_repositories(asked: Asked, snapshot: Snapshot) -> Reply:
    """Repositories that the account owns or collaborates in, as far as the token reaches."""
    page = asked_page()
    account = asked.caller.account
    assert account is not None
    visible = (
        found
        for found in queries.repositories_of(snapshot, account.id)
        if may(asked.caller.principal, Permission.READ_REPOSITORY, found, snapshot)
    )
    found, more = page.of(visible)
    if not asked.private_reads and any(one.private for one in found):
        raise Unavailable("this node has learned of no final block for too long to show private repositories")
    shown = [shapes.repository(asked, snapshot, one) for one in found]
    return Reply(shown, headers=links(asked, "/api/v3/user/repos", page, more=more))


@routes.writes("POST", "/api/v3/user/repos", Permission.CREATE_REPOSITORY)
async def create_repository(asked: Asked) -> Reply:
    """Create a repository under the caller's account."""
    wanted = structured(NewRepository, await body(), "Repository", forbid_unknown=False)
    _check(wanted)
    account = asked.caller.account
    assert account is not None
    text = commit_to(wanted.description)
    action = CreateRepository(
        name=wanted.name,
        salt=os.urandom(32),
        private=wanted.private,
        default_branch=DEFAULT_BRANCH,
        object_format=ObjectFormat.SHA1,
        placement=PLACEMENT_ALL,
        description=None if text is None else text.commitment,
    )
    outcome = await _create(asked, action, () if text is None else (text,))
    with asked.site.reader.snapshot() as snapshot:
        found = queries.repository(snapshot, repository_id(asked.site.reader.chain_id, account.id, action.salt))
        assert found is not None, "what is final is committed before it is answered"
        shown = shapes.repository(asked, snapshot, found)
    return Reply(shown, 201, {"Location": shown["url"], HEIGHT: str(outcome.height)})


async def _create(asked: Asked, action: CreateRepository, texts: tuple[Text, ...]) -> Outcome:
    try:
        return await asked.site.act(asked.caller, (action,), texts)
    except NameTaken as error:
        raise InvalidFields(FieldError("Repository", "name", "already_exists", str(error))) from None


def _check(wanted: NewRepository) -> None:
    errors = []
    try:
        repository_name(wanted.name)
    except Invalid as error:
        errors.append(FieldError("Repository", "name", "invalid", str(error)))
    if wanted.description is not None and len(wanted.description.encode()) > TEXT_BYTES_MAX:
        errors.append(FieldError("Repository", "description", "invalid", f"at most {TEXT_BYTES_MAX} bytes"))
    if wanted.auto_init:
        errors.append(FieldError("Repository", "auto_init", "invalid", "push the first commit instead"))
    if errors:
        raise InvalidFields(*errors)
