"""The log of a ref, from finalized history: who moved it from where to where, when, and through which node."""

from __future__ import annotations

from typing import Any

from quart import request

from guts_core.chain.indexed import RefMove
from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.forge.permissions import Permission
from guts_core.git.refs import BRANCHES
from guts_core.names import NodeId
from guts_http.reader import Snapshot
from guts_http.routing import Asked, Reply, Routes

from .paging import asked_page, links
from .shapes import exact_time_text

routes = Routes()


@routes.reads("/api/guts/v1/repos/<owner>/<name>/reflog", Permission.READ_REPOSITORY)
def show_ref_log(asked: Asked, snapshot: Snapshot) -> Reply:
    """How a ref moved, newest first: ``ref`` is its full name, or that of a branch; else the default branch."""
    page, ref = asked_page(), _asked_ref(asked)
    found = snapshot.ref_log(asked.repo.id, ref, page.first, page.size + 1)
    if not found and page.number == 1:
        raise NotFound(f"{ref[:255]!a} never moved in this repository")
    shown = [_line(snapshot, move) for move in found[: page.size]]
    return Reply(shown, headers=links(asked, request.path, page, more=len(found) > page.size, query={"ref": ref}))


def _asked_ref(asked: Asked) -> str:
    said = asked.argument("ref")
    if not said:
        return asked.repo.default_branch
    return said if said.startswith("refs/") else BRANCHES + said


def _line(snapshot: Snapshot, move: RefMove) -> dict[str, Any]:
    author = queries.account(snapshot, move.author)
    gateway = None if move.gateway is None else queries.node(snapshot, NodeId(move.gateway))
    return {
        "ref": move.ref,
        "old": None if move.old is None else move.old.hex(),
        "new": None if move.new is None else move.new.hex(),
        "relation": move.relation.name.lower(),
        "height": move.height,
        "index": move.position,
        "time": exact_time_text(move.time),
        "author": None if author is None else author.name,
        "credential": None if move.credential is None else move.credential.hex(),
        "gateway": None if gateway is None else gateway.name,
        "tx_id": move.tx_id.hex(),
    }
