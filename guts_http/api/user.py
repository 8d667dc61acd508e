"""``/api/v3/user``: who the caller is, and their repositories."""

from __future__ import annotations

import os
from itertools import islice

from attrs import field, frozen
from quart import request

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
from guts_http.problems import BadRequest, FieldError, InvalidFields
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Access, Asked, Reply, Routes, body
from guts_http.strict import structured

from . import shapes

routes = Routes()
DEFAULT_BRANCH = "refs/heads/main"
# GitHub's own bounds.
PER_PAGE, PER_PAGE_MAX = 30, 100
PAGE_MAX = 1_000


@frozen
class NewRepository:
    """The body of ``POST /user/repos``, as far as it is understood here."""

    name: str
    description: str | None = None
    private: bool = False
    auto_init: bool = False


@frozen
class Page:
    """Which part of a list is wanted."""

    number: int = field(default=1)
    size: int = field(default=PER_PAGE)


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
    first = (page.number - 1) * page.size
    found = list(islice(visible, first, first + page.size + 1))
    if not asked.private_reads and any(one.private for one in found):
        raise Unavailable("this node has learned of no final block for too long to show private repositories")
    shown = [shapes.repository(asked, snapshot, one) for one in found[: page.size]]
    return Reply(shown, headers=links(asked, "/api/v3/user/repos", page, more=len(found) > page.size))


@routes.writes("POST", "/api/v3/user/repos", Permission.CREATE_REPOSITORY)
async def create_repository(asked: Asked) -> Reply:
    """Create a repository under the caller's account."""
    wanted = structured(NewRepository, await body(), "Repository", forbid_unknown=False)
    _check(wanted)
    account = asked.caller.account
    assert account is not None
    text = Text(os.urandom(32), wanted.description) if wanted.description else None
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
    if text is not None:
        asked.texts.remember(text.commitment, text.text)
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


def asked_page() -> Page:
    """The page that the query asks for; BadRequest for what is no number."""
    return Page(_number("page", 1, PAGE_MAX), min(_number("per_page", PER_PAGE, 10**9), PER_PAGE_MAX))


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise BadRequest(f"{name} is a whole number from 1 to {most}")
    return int(text)


def links(asked: Asked, path: str, page: Page, *, more: bool) -> dict[str, str]:
    """The Link header by which clients find the other pages."""
    url = f"{asked.base_url}{path}?per_page={page.size}&page="
    found = []
    if more:
        found.append(f'<{url}{page.number + 1}>; rel="next"')
    if page.number > 1:
        found.append(f'<{url}{page.number - 1}>; rel="prev"')
    return {"Link": ", ".join(found)} if found else {}
