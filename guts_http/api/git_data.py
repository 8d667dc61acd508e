"""``/api/v3/repos/{owner}/{name}/branches``: refs and what they lead to."""

from __future__ import annotations

from itertools import islice
from typing import Any

from quart import request

from guts_core.forge import queries
from guts_core.forge.permissions import Permission
from guts_core.forge.records import Ref
from guts_core.git.refs import BRANCHES
from guts_http.reader import Snapshot
from guts_http.routing import Asked, Reply, Routes

from .paging import asked_page, links

routes = Routes()
REPO = "/api/v3/repos/<owner>/<name>"
# Names are counted from keys alone, 10,000 of them in 10 ms; of a longer list the length is not told.
COUNTED_MAX = 10_000


@routes.reads(f"{REPO}/branches", Permission.READ_REPOSITORY)
def list_branches(asked: Asked, snapshot: Snapshot) -> Reply:
    """The branches, in order of name."""
    page = asked_page()
    refs, more = page.of(queries.refs(snapshot, asked.repo.id, BRANCHES))
    total = count_refs(asked, snapshot, BRANCHES) if more else None
    return Reply([_branch(ref) for ref in refs], headers=links(asked, request.path, page, more=more, total=total))


def _branch(ref: Ref) -> dict[str, Any]:
    return {"name": ref.name.removeprefix(BRANCHES), "commit": {"sha": ref.oid.hex()}, "protected": False}


def count_refs(asked: Asked, snapshot: Snapshot, under: str) -> int | None:
    """How many refs start like this; None when they are too many to count in passing."""
    found = sum(1 for _ in islice(queries.ref_names(snapshot, asked.repo.id, under), COUNTED_MAX + 1))
    return found if found <= COUNTED_MAX else None
