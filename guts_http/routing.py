"""
A route declares what it needs before it can exist, and the declaration is what is enforced.

``reads`` wraps a plain function over one snapshot: it cannot write (F-05). ``writes`` and ``serves``
wrap async functions without one, since a snapshot is not held while the network agrees. All three
identify the caller and demand the permission before the function runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from attrs import field, frozen
from quart import Quart, Response, request

from guts_core.errors import Unauthenticated
from guts_core.forge.permissions import ROLE_NEEDED, Permission, demand
from guts_core.forge.records import Repository
from guts_core.names import RepoId

from .asker import Asker, client_of
from .auth import Caller
from .problems import BadRequest
from .reader import Snapshot
from .room import hold_until_sent
from .site import Site
from .texts import Texts

MIN_HEIGHT = "Guts-Min-Height"
HEIGHT = "Guts-Height"
# A part of a route's path that a request fills in.
_PLACE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")


class Access(Enum):
    """What is about no repository and no permission of the forge."""

    PUBLIC = "anyone, signed in or not"
    SIGNED_IN = "anyone who says who they are"


Need: TypeAlias = Permission | Access


@frozen
class Asked:
    """One request, as far as it was judged before its handler."""

    site: Site
    texts: Texts
    caller: Caller
    repository: Repository | None
    base_url: str
    private_reads: bool
    client: str | None  # the address, None for a Unix socket

    @property
    def asker(self) -> Asker:
        """Who asks for objects of the repository of a route about one."""
        return Asker(self.site, self.caller.principal, RepoId(self.repo.id), self.client)

    @property
    def repo(self) -> Repository:
        """The repository of a route about one."""
        assert self.repository is not None
        return self.repository

    @staticmethod
    def argument(name: str) -> str | None:
        """What the query says of this name."""
        return request.args.get(name)


@frozen
class Written:
    """A JSON value in bytes: of long ones, so that they are written in the turn and the thread that made them."""

    data: bytes

    @staticmethod
    def of(value: Any) -> Written:
        """As every answer is written."""
        return Written(json.dumps(value, ensure_ascii=False).encode() + b"\n")


@frozen
class Reply:
    """What a handler answers: a JSON value (None: no body), a status, headers."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(factory=dict)


@frozen
class Route:
    """A declared route: the table of them is what the documentation and the tests list."""

    method: str
    path: str
    need: Need
    handler: Callable[..., Any]
    is_read: bool


Reader = TypeVar("Reader", bound=Callable[..., Reply])
Writer = TypeVar("Writer", bound=Callable[..., Awaitable[Reply | Response]])


class Routes:
    """The routes of one noun."""

    def __init__(self) -> None:
        self.declared: list[Route] = []

    def reads(self, path: str, need: Need) -> Callable[[Reader], Reader]:
        """A GET answered from one snapshot: ``handler(asked, snapshot, **path)``."""
        return self._declare("GET", path, need, is_read=True)

    def serves(self, path: str, need: Need) -> Callable[[Writer], Writer]:
        """A GET that asks the node: ``await handler(asked, **path)``."""
        return self._declare("GET", path, need, is_read=False)

    def writes(self, method: str, path: str, need: Need) -> Callable[[Writer], Writer]:
        """Anything else: ``await handler(asked, **path)``."""
        assert method != "GET"
        return self._declare(method, path, need, is_read=False)

    def _declare(self, method: str, path: str, need: Need, *, is_read: bool) -> Callable[[Any], Any]:
        def declare(handler: Any) -> Any:
            self.declared.append(Route(method, path, need, handler, is_read))
            return handler

        return declare


def install(app: Quart, site: Site, texts: Texts, routes: list[Route]) -> None:
    """Give the application these routes; AssertionError for one whose declaration is not whole."""
    for route in routes:
        assert isinstance(route.need, Permission | Access), f"{route.path} declares no permission"
        about_one = "<owner>" in route.path or "<deleted>" in route.path
        assert (route.need in ROLE_NEEDED) <= about_one, f"{route.path} needs a role in no repository"
        endpoint = f"{route.method} {route.path}"
        app.add_url_rule(
            route.path,
            endpoint,
            _view(site, texts, route),
            methods=[route.method],
            # Where the last part may be empty, the slash before it may be missing as well.
            strict_slashes=not route.path.endswith("/"),
        )


def check_all_declared(app: Quart, routes: list[Route]) -> None:
    """AssertionError unless every rule of the application came from a declaration."""
    declared = {f"{route.method} {route.path}" for route in routes}
    undeclared = {rule.endpoint for rule in app.url_map.iter_rules()} - declared
    assert not undeclared, f"routes without a declared permission: {sorted(undeclared)}"


def _view(site: Site, texts: Texts, route: Route) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        await _wait_for_min_height(site)
        node = await site.node_id() if request.headers.get("Authorization") else None
        named = dict(path)
        private_reads = not _may_show_private(route) or (await site.recent_status()).private_reads
        with site.reader.snapshot() as snapshot:
            asked = _judge(site, texts, route, snapshot, node, private_reads, path)
            moved = _moved(asked, route, named)
            if route.is_read and moved is None:
                reply = route.handler(asked, snapshot, **path)
                reply.headers.setdefault(HEIGHT, str(snapshot.height))
        if route.is_read and asked.repository is not None and asked.repository.private:
            await site.check_private_reads()
        if moved is not None:
            return respond(moved, personal=not asked.caller.is_anonymous)
        if not route.is_read:
            reply = await route.handler(asked, **path)
        answer = reply if isinstance(reply, Response) else respond(reply, personal=not asked.caller.is_anonymous)
        hold_until_sent(site.room, request.scope, answer.content_length or 0, client_of(request.scope))
        return answer

    return view


def _moved(asked: Asked, route: Route, named: dict[str, str]) -> Reply | None:
    """As GitHub answers who reads a repository under a name that it had before; ours is told directly."""
    if route.method != "GET" or not route.path.startswith("/api/v3/") or asked.repository is None:
        return None
    if asked.repository.name.lower() == named["name"].lower():
        return None
    named = {**named, "name": asked.repository.name}
    path = _PLACE.sub(lambda place: quote(named[place[1]]), route.path)
    query = request.query_string.decode("latin-1")
    url = f"{asked.base_url}{path}{'?' if query else ''}{query}"
    return Reply({"message": "Moved Permanently", "url": url}, 301, {"Location": url})


def _may_show_private(route: Route) -> bool:
    return route.need is Permission.LIST_OWN


def _judge(
    site: Site, texts: Texts, route: Route, snapshot: Snapshot, node: Any, private_reads: bool, path: dict[str, str]
) -> Asked:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    caller = site.caller(headers, request.query_string, snapshot, node)
    repository = None
    if isinstance(route.need, Permission) and route.need in ROLE_NEEDED:
        if "deleted" in path:
            repository = site.deleted_repository(snapshot, caller, path.pop("deleted"), route.need)
        else:
            repository = site.repository(snapshot, caller, path.pop("owner"), path.pop("name"), route.need)
    elif isinstance(route.need, Permission):
        demand(caller.principal, route.need, None, snapshot)
    elif route.need is Access.SIGNED_IN and caller.is_anonymous:
        raise Unauthenticated("Requires authentication")
    base_url = site.base_url(request.headers.get("Host"), request.scheme)
    return Asked(site, texts, caller, repository, base_url, private_reads, client_of(request.scope))


async def _wait_for_min_height(site: Site) -> None:
    asked = request.headers.get(MIN_HEIGHT)
    if asked is None:
        return
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 15):
        raise BadRequest(f"{MIN_HEIGHT} is a height: a whole number")
    await site.wait_for_height(int(asked))


async def body() -> bytes:
    """The request's body, which BodyLimit bounds."""
    data = await request.get_data(as_text=False)
    assert isinstance(data, bytes)
    return data


def _body_of(reply: Reply) -> bytes:
    if reply.body is None:
        return b""
    return reply.body.data if isinstance(reply.body, Written) else Written.of(reply.body).data


def cache_control(*, personal: bool) -> str:
    """What is for one caller is for no cache (E11)."""
    return "private, no-store" if personal else "no-cache"


def respond(reply: Reply, *, personal: bool) -> Response:
    """A reply as HTTP."""
    response = Response(_body_of(reply), status=reply.status)
    response.headers["Content-Type"] = "application/json; charset=utf-8"
    if reply.body is None:
        del response.headers["Content-Type"]
    response.headers["Cache-Control"] = cache_control(personal=personal)
    response.headers["Vary"] = "Authorization"
    response.headers["X-Content-Type-Options"] = "nosniff"
    for name, value in reply.headers.items():
        response.headers[name] = value
    return response
