"""``/api/v3/repos/{owner}/{name}/branches | tags | git/...``: refs and what they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from quart import request

from guts_core.errors import Invalid, NotFound
from guts_core.forge import queries
from guts_core.forge.permissions import Permission
from guts_core.forge.records import Ref
from guts_core.git.refs import BRANCHES, REF_NAME_BYTES_MAX, TAGS, ref_name
from guts_http.git.reading import reading
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Asked, Reply, Routes

from . import git_shapes
from .paging import asked_page, links

routes = Routes()
REPO = "/api/v3/repos/<owner>/<name>"
REFS = "refs/"
# Names are counted from keys alone, 10,000 of them in 10 ms; of a longer list the length is not told.
COUNTED_MAX = 10_000


@routes.reads(f"{REPO}/branches", Permission.READ_REPOSITORY)
def list_branches(asked: Asked, snapshot: Snapshot) -> Reply:
    """The branches, in order of name."""
    refs, headers = _page_of_refs(asked, snapshot, BRANCHES)
    repo = git_shapes.repository_url(asked, snapshot)
    return Reply([git_shapes.branch(repo, ref) for ref in refs], headers=headers)


@routes.serves(f"{REPO}/branches/<path:branch>", Permission.READ_REPOSITORY)
async def get_branch(asked: Asked, branch: str) -> Reply:
    """A branch with the commit at its tip."""
    with asked.site.reader.snapshot() as snapshot:
        ref = existing_ref(asked, snapshot, f"{BRANCHES}{branch}", f"branch {branch[:80]!a}")
        repo = git_shapes.repository_url(asked, snapshot)
    async with reading(asked.asker) as objects:
        commit = (await objects.commits([ref.oid]))[0]
    return Reply(git_shapes.branch_with_commit(repo, ref, commit), headers=height_of(snapshot))


@routes.serves(f"{REPO}/tags", Permission.READ_REPOSITORY)
async def list_tags(asked: Asked) -> Reply:
    """The tags, in order of name, each with the commit that it leads to."""
    with asked.site.reader.snapshot() as snapshot:
        refs, headers = _page_of_refs(asked, snapshot, TAGS)
        repo = git_shapes.repository_url(asked, snapshot)
    async with reading(asked.asker) as objects:
        ends = await objects.ends([ref.oid for ref in refs]) if refs else []
    shown = [git_shapes.tag(repo, ref, end.oid) for ref, end in zip(refs, ends, strict=True)]
    return Reply(shown, headers={**headers, **height_of(snapshot)})


@routes.serves(f"{REPO}/git/ref/<path:ref>", Permission.READ_REPOSITORY)
async def get_ref(asked: Asked, ref: str) -> Reply:
    """A ref by its name without ``refs/``."""
    with asked.site.reader.snapshot() as snapshot:
        found = existing_ref(asked, snapshot, f"{REFS}{ref}", f"ref {ref[:80]!a}")
        repo = git_shapes.repository_url(asked, snapshot)
    shown = await _with_kinds(asked, repo, [found])
    return Reply(shown[0], headers=height_of(snapshot))


@routes.serves(f"{REPO}/git/matching-refs/", Permission.READ_REPOSITORY)
async def list_refs(asked: Asked) -> Reply:
    """Every ref."""
    return await list_matching_refs(asked, "")


@routes.serves(f"{REPO}/git/matching-refs/<path:start>", Permission.READ_REPOSITORY)
async def list_matching_refs(asked: Asked, start: str) -> Reply:
    """The refs whose names begin like this."""
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
        if not _may_begin(start):
            return Reply([], headers=height_of(snapshot))
        refs, headers = _page_of_refs(asked, snapshot, f"{REFS}{start}")
    return Reply(await _with_kinds(asked, repo, refs), headers={**headers, **height_of(snapshot)})


def existing_ref(asked: Asked, snapshot: Snapshot, name: str, called: str) -> Ref:
    """A ref of the repository; NotFound."""
    found = find_ref(asked, snapshot, name)
    if found is None:
        raise NotFound(f"there is no {called}")
    return found


def find_ref(asked: Asked, snapshot: Snapshot, name: str) -> Ref | None:
    """A ref of the repository; None also for what cannot name one."""
    try:
        return queries.ref(snapshot, asked.repo.id, ref_name(name))
    except Invalid:
        return None


def _may_begin(text: str) -> bool:
    """Whether a name can begin like this: what is no text in UTF-8, or longer than any name, is not looked for."""
    encoded = text.encode("utf-8", "ignore")
    return encoded.decode() == text and len(encoded) <= REF_NAME_BYTES_MAX


async def _with_kinds(asked: Asked, repo: str, refs: Sequence[Ref]) -> list[dict[str, Any]]:
    async with reading(asked.asker) as objects:
        kinds = await objects.kinds([ref.oid for ref in refs]) if refs else []
    return [git_shapes.git_ref(repo, ref, kind) for ref, kind in zip(refs, kinds, strict=True)]


def _page_of_refs(asked: Asked, snapshot: Snapshot, under: str) -> tuple[list[Ref], dict[str, str]]:
    """The wanted page of the refs that start like this, and where the others are."""
    page = asked_page()
    refs, more = page.of(queries.refs(snapshot, asked.repo.id, under))
    total = _count(asked, snapshot, under) if more else None
    return refs, links(asked, request.path, page, more=more, total=total)


def _count(asked: Asked, snapshot: Snapshot, under: str) -> int | None:
    """How many refs start like this; None when they are too many to count in passing."""
    found = sum(1 for _ in islice(queries.ref_names(snapshot, asked.repo.id, under), COUNTED_MAX + 1))
    return found if found <= COUNTED_MAX else None


def height_of(snapshot: Snapshot) -> dict[str, str]:
    """What says which height an answer shows."""
    return {HEIGHT: str(snapshot.height)}
