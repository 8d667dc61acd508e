"""``/api/v3/repos/{owner}/{name}/commits``: histories, of what a ref of the repository reaches and of nothing else."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from quart import request

from guts_core.errors import Conflict, Invalid, NotFound
from guts_core.forge.permissions import Permission
from guts_core.git.refs import BRANCHES, TAGS, branch_of
from guts_core.names import Oid, RefName
from guts_http.git.in_process import Opened
from guts_http.git.reading import Filter, Reading, reading
from guts_http.problems import BadRequest
from guts_http.reader import Snapshot
from guts_http.routing import Asked, Reply, Routes

from . import git_shapes
from .git_data import REPO, find_ref, height_of
from .paging import asked_page, links

routes = Routes()
HEAD = "HEAD"
# Seven digits are what git shows of an id at least; fewer name too many.
_DIGITS = re.compile(r"[0-9a-fA-F]{7,40}", re.ASCII)
# git takes any text here; a name, an address and a path are shorter.
AUTHOR_CHARS_MAX = 200
PATH_CHARS_MAX = 4_096
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)


@routes.serves(f"{REPO}/commits", Permission.READ_REPOSITORY)
async def list_commits(asked: Asked) -> Reply:
    """A history, the newest first."""
    page, wanted, start = asked_page(), _filter(), request.args.get("sha") or None
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
        tip = named(asked, snapshot, start)
    async with reading(asked.asker) as objects:
        tip = await commit_of(objects, tip, start)
        part = await objects.history(tip, wanted, page.first, page.size)
        found = await objects.commits(part.oids)
    shown = [git_shapes.commit(repo, oid, one) for oid, one in zip(part.oids, found, strict=True)]
    kept = {name: request.args.get(name) for name in ("sha", "path", "author", "since", "until")}
    where = links(asked, request.path, page, more=part.more, total=part.total, query=kept)
    return Reply(shown, headers={**where, **height_of(snapshot)})


@routes.serves(f"{REPO}/commits/<path:ref>", Permission.READ_REPOSITORY)
async def get_commit(asked: Asked, ref: str) -> Reply:
    """The commit that a branch, a tag or an id leads to."""
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
        tip = named(asked, snapshot, ref)
    async with reading(asked.asker) as objects:
        oid = await commit_of(objects, tip, ref)
        found = (await objects.commits([oid]))[0]
    return Reply(git_shapes.commit(repo, oid, found), headers=height_of(snapshot))


def named(asked: Asked, snapshot: Snapshot, text: str | None) -> Oid | None:
    """What a ref of this name holds; None when it is no ref, and may be an id. Conflict: there is nothing at all."""
    if not asked.repo.refs:
        raise Conflict("Git Repository is empty.")
    default = asked.repo.default_branch
    names = [default] if text in (None, HEAD) else [f"{BRANCHES}{text}", f"{TAGS}{text}", f"refs/{text}", str(text)]
    found = next((ref for name in names if (ref := find_ref(asked, snapshot, name)) is not None), None)
    if found is None and text in (None, HEAD):
        raise NotFound(f"the default branch {branch_of(RefName(default))} has no commit yet; name another as sha")
    return None if found is None else found.oid


async def commit_of(objects: Reading, tip: Oid | None, text: str | None) -> Oid:
    """The commit at the end of a tag, or the one whose id was named; NotFound."""
    called = _no_commit(text)
    if tip is not None:
        end = (await objects.ends([tip]))[0]
        if end.kind != "commit":
            raise NotFound(called)
        return end.oid
    if not _DIGITS.fullmatch(text or ""):
        raise NotFound(called)
    found = await objects.visible_commits(str(text).lower())
    if not found:
        raise NotFound(called)
    if len(found) > 1:
        raise Invalid(f"{text} is the beginning of {len(found)} commits' ids; say more of it")
    return found[0]


async def commit_at(objects: Opened, tip: Oid | None, text: str | None) -> Oid:
    """The same by reading here; what was named by digits of its id is found by git."""
    if tip is None:
        return await commit_of(objects.by_git, None, text)
    end, kind = await objects.run(lambda bounded: bounded.peeled(tip))
    if kind != "commit":
        raise NotFound(_no_commit(text))
    return end


def _no_commit(text: str | None) -> str:
    return f"there is no branch, tag or commit {(text or HEAD)[:80]!a} in this repository"


def _filter() -> Filter:
    return Filter(
        path=_path(),
        author=_text("author", AUTHOR_CHARS_MAX),
        since=_seconds("since"),
        until=_seconds("until"),
    )


def _text(name: str, most: int) -> str | None:
    text = request.args.get(name)
    if text and (len(text) > most or _CONTROL.search(text)):
        raise BadRequest(f"{name} is one line of at most {most} characters")
    return text or None


def _path() -> str | None:
    """A path inside the repository."""
    text = (_text("path", PATH_CHARS_MAX) or "").strip("/")
    if any(part in (".", "..") for part in text.split("/")):
        raise BadRequest("path is one of the repository, without '.' and '..'")
    return text or None


def _seconds(name: str) -> int | None:
    """A time of the query in seconds since 1970; without a zone it is UTC."""
    text = request.args.get(name)
    if not text:
        return None
    # In a query a plus is a space, and clients forget it.
    text = re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text
    try:
        time = datetime.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        time = None
    if time is None:
        raise BadRequest(f"{name} is a time such as 2030-01-31T12:00:00Z")
    return max(0, int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()))
