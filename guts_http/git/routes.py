"""Which requests are git's, and who may make them (issue contract: 401, 403 and 404 for git clients)."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

from attrs import frozen

from guts_core.errors import Unauthenticated
from guts_core.forge import queries
from guts_core.forge.permissions import Permission, demand, hidden, may
from guts_core.forge.records import Repository
from guts_core.names import NodeId, repository_name
from guts_http.asker import SIGN_IN
from guts_http.auth import Caller
from guts_http.problems import BadRequest
from guts_http.reader import Snapshot
from guts_http.site import Site

_PATH = re.compile(
    rb"/(?P<owner>[A-Za-z0-9-]{1,39})/(?P<name>[A-Za-z0-9._-]{1,104}?)(?:\.git)?"
    rb"/(?P<tail>info/refs|git-upload-pack|git-receive-pack)"
)


class Service(Enum):
    """git's two services."""

    UPLOAD_PACK = "git-upload-pack"
    RECEIVE_PACK = "git-receive-pack"


@frozen
class GitRequest:
    """What a git client asks for."""

    owner: str
    name: str
    service: Service
    is_advertisement: bool


@frozen
class Target:
    """The repository that was asked for, and who asked; ``repository`` None: a push that creates it."""

    caller: Caller
    repository: Repository | None


def is_git(scope: Any) -> bool:
    """Whether a request belongs to this door."""
    return scope["type"] == "http" and _PATH.fullmatch(scope["raw_path"]) is not None


def parse(scope: Any) -> GitRequest:
    """What a request of this door asks for; BadRequest or NotFound in words."""
    matched = _PATH.fullmatch(scope["raw_path"])
    assert matched is not None
    owner, name, tail = (matched[part].decode("ascii") for part in ("owner", "name", "tail"))
    if tail == "info/refs":
        _expect(scope, "GET")
        return GitRequest(owner, name, _service(scope["query_string"]), is_advertisement=True)
    _expect(scope, "POST")
    return GitRequest(owner, name, Service(tail), is_advertisement=False)


def _expect(scope: Any, method: str) -> None:
    if scope["method"] != method:
        raise BadRequest(f"this address answers {method} only")


def _service(query: bytes) -> Service:
    for service in Service:
        if query == f"service={service.value}".encode():
            return service
    raise BadRequest("git's dumb HTTP protocol is not served: use git 1.6.6 or later")


def target(site: Site, snapshot: Snapshot, scope: Any, request: GitRequest, node: NodeId) -> Target:
    """Who asks for which repository, if they may; raises what the client is to see."""
    caller = site.caller(scope["headers"], scope["query_string"], snapshot, node)
    found = queries.repository_by_name(snapshot, request.owner, request.name)
    if request.service is Service.UPLOAD_PACK:
        return Target(caller, _readable(snapshot, caller, found))
    if caller.is_anonymous:
        raise Unauthenticated(SIGN_IN)
    if found is None:
        return _created(snapshot, caller, request)
    demand(caller.principal, Permission.WRITE_REPOSITORY, found, snapshot)
    return Target(caller, found)


def _readable(snapshot: Snapshot, caller: Caller, found: Repository | None) -> Repository:
    if found is not None and may(caller.principal, Permission.READ_REPOSITORY, found, snapshot):
        return found
    raise Unauthenticated(SIGN_IN) if caller.is_anonymous else hidden()


def _created(snapshot: Snapshot, caller: Caller, request: GitRequest) -> Target:
    owner = queries.account_by_name(snapshot, request.owner)
    if owner is None or owner.id != caller.principal.account:
        raise hidden()
    repository_name(request.name)
    demand(caller.principal, Permission.CREATE_REPOSITORY, None, snapshot)
    return Target(caller, None)
