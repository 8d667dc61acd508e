"""``/api/v3/repos/{owner}/{name}/compare/{base}...{head}``: what one commit has that another has not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from attrs import frozen
from quart import Response, request

from guts_core.errors import NotFound
from guts_core.forge.permissions import Permission
from guts_core.git.commits import CommitObject
from guts_core.git.reading import ancestry, changes, hunks
from guts_core.git.reading.ancestry import Comparison
from guts_core.git.reading.changes import Change
from guts_core.git.reading.objects import Bounded
from guts_core.names import Oid
from guts_http.git.in_process import opened
from guts_http.problems import BadRequest
from guts_http.routing import Asked, Reply, Routes, Written

from . import file_shapes, git_shapes
from .commits import commit_at, named
from .file_shapes import Place, ShownChange
from .git_data import REPO, height_of
from .paging import Page, asked_page, links
from .pushed_bytes import as_pushed

routes = Routes()
# GitHub's number: further files are not listed.
FILES_MAX = 300
# Of all patches in one answer; what comes after has none, as with GitHub.
PATCHES_BYTES_MAX = 4 << 20
_DIFF = "application/vnd.github.diff"


@frozen
class _Found:
    comparison: Comparison
    base: CommitObject
    merge_base: CommitObject
    commits: list[tuple[Oid, CommitObject]]
    files: list[ShownChange]


@routes.serves(f"{REPO}/compare/<path:basehead>", Permission.READ_REPOSITORY)
async def compare(asked: Asked, basehead: str) -> Reply | Response:
    """Two branches, tags or ids: the commits between, and the files that differ since they parted."""
    base, dots, head = basehead.partition("...")
    if not (base and dots and head):
        raise BadRequest("a comparison is BASE...HEAD, each a branch, a tag or the id of a commit")
    page = asked_page()
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
        tips = [(named(asked, snapshot, text), text) for text in (base, head)]
    async with opened(asked.asker) as objects:
        old, new = [await commit_at(objects, tip, text) for tip, text in tips]
        if request.headers.get("Accept", "").startswith(_DIFF):
            patch = await objects.run(partial(_patch, base=old, head=new))
            return as_pushed(asked, patch, f"{_DIFF}; charset=utf-8")
        work = partial(_written, repo=repo, basehead=basehead, base=old, head=new, page=page)
        total, shown = await objects.run(work)
    more = page.first + page.size < total
    where = links(asked, request.path, page, more=more, total=total)
    return Reply(shown, headers={**where, **height_of(snapshot)})


def _written(objects: Bounded, repo: str, basehead: str, base: Oid, head: Oid, page: Page) -> tuple[int, Written]:
    """How many commits there are in all, and the answer."""
    found = _compare(objects, base, head, page)
    return len(found.comparison.ahead), Written.of(_shown(repo, basehead, base, head, found))


def _compare(objects: Bounded, base: Oid, head: Oid, page: Page) -> _Found:
    comparison = _related(objects, base, head)
    oldest_first = comparison.ahead[::-1][page.first : page.first + page.size]
    return _Found(
        comparison,
        objects.commit(base),
        objects.commit(comparison.merge_bases[0]),
        [(oid, objects.commit(oid)) for oid in oldest_first],
        # As GitHub: files come with the first page only.
        list(_files(objects, _changes(objects, comparison, head)[:FILES_MAX])) if page.number == 1 else [],
    )


def _related(objects: Bounded, base: Oid, head: Oid) -> Comparison:
    comparison = ancestry.compare(objects, base, head)
    if not comparison.merge_bases:
        raise NotFound("the two have no history in common, so there is nothing to compare since they parted")
    return comparison


def _changes(objects: Bounded, comparison: Comparison, head: Oid) -> tuple[Change, ...]:
    return changes.changes(objects, objects.root(comparison.merge_bases[0]), objects.root(head))


def _files(objects: Bounded, found: Sequence[Change]) -> Iterator[ShownChange]:
    """Each with its patch as long as all of them fit; of the others only the numbers are kept."""
    file_shapes.check_paths(path for change in found for path in {change.old_path, change.new_path})
    size = 0
    for change in found:
        diff = hunks.file_diff(objects, change)
        patch = diff.text()
        size += len(patch)
        fits = size <= PATCHES_BYTES_MAX
        too_large = diff.is_too_large or (not fits and bool(patch))
        yield ShownChange(change, diff.additions, diff.deletions, patch if fits else b"", too_large)


def _patch(objects: Bounded, base: Oid, head: Oid) -> bytes:
    return b"".join(hunks.patch(objects, _changes(objects, _related(objects, base, head), head)))


def _shown(repo: str, basehead: str, base: Oid, head: Oid, found: _Found) -> dict[str, Any]:
    comparison = found.comparison
    at = Place(repo, head.hex())
    url = f"{at.page}/compare/{base.hex()}...{head.hex()}"
    return {
        "url": f"{repo}/compare/{basehead}",
        "html_url": f"{at.page}/compare/{basehead}",
        "permalink_url": url,
        "diff_url": f"{url}.diff",
        "patch_url": f"{url}.patch",
        "base_commit": git_shapes.commit(repo, base, found.base),
        "merge_base_commit": git_shapes.commit(repo, comparison.merge_bases[0], found.merge_base),
        "status": _status(comparison),
        "ahead_by": len(comparison.ahead),
        "behind_by": len(comparison.behind),
        "total_commits": len(comparison.ahead),
        "commits": [git_shapes.commit(repo, oid, one) for oid, one in found.commits],
        "files": [file_shapes.changed_file(at, one) for one in found.files],
    }


def _status(comparison: Comparison) -> str:
    if comparison.ahead and comparison.behind:
        return "diverged"
    return "ahead" if comparison.ahead else "behind" if comparison.behind else "identical"
