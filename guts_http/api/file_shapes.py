"""Files, trees and differences as the JSON that clients of GitHub's API read."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from attrs import frozen

from guts_core.git.reading.changes import Change, Status
from guts_core.git.reading.objects import TooMuchToRead
from guts_core.git.reading.trees import LINK, SUBMODULE, TREE, Entry
from guts_core.names import Oid

from .shapes import node_id

# Of the paths in one answer that repeats each of them up to ten times, as links and with three letters for a byte:
# 300 files of the longest path that a disk takes.
PATH_BYTES_MAX = 1_200_000
_TYPES = {LINK: "symlink", SUBMODULE: "submodule", TREE: "dir"}
_STATUSES = {
    Status.ADDED: "added",
    Status.DELETED: "removed",
    Status.MODIFIED: "modified",
    Status.TYPE_CHANGED: "changed",
    Status.RENAMED: "renamed",
}


@frozen
class Place:
    """Where files of one commit are shown: the repository's URL in the API, and the name the commit was asked by."""

    repo: str
    ref: str

    @property
    def page(self) -> str:
        """The repository's own page."""
        return self.repo.replace("/api/v3/repos/", "/", 1)


def check_paths(paths: Iterable[bytes], prefix_bytes: int = 0) -> None:
    """Raise TooMuchToRead unless these paths, each with so many bytes in front, fit into one answer with links."""
    if sum(prefix_bytes + len(path) for path in paths) > PATH_BYTES_MAX:
        raise TooMuchToRead(f"this shows at most {PATH_BYTES_MAX:,} bytes of paths (paths); ask git/trees, or clone")


def text(name: bytes) -> str:
    """A name as JSON can have it: what is no UTF-8 has replacement characters."""
    return name.decode("utf-8", "replace")


def _in_url(path: bytes) -> str:
    return quote(path, safe="/")


def content(at: Place, path: bytes, entry: Entry, size: int) -> dict[str, Any]:
    """A file, directory, link or submodule in a list."""
    shown, sha = _in_url(path), entry.oid.hex()
    kind = _TYPES.get(entry.mode, "file")
    url = f"{at.repo}/contents/{shown}?ref={quote(at.ref, safe='')}"
    git = None if kind == "submodule" else f"{at.repo}/git/{'trees' if kind == 'dir' else 'blobs'}/{sha}"
    html = f"{at.page}/{'tree' if kind == 'dir' else 'blob'}/{quote(at.ref, safe='/')}/{shown}"
    return {
        "type": kind,
        "size": size,
        "name": text(path.rpartition(b"/")[2]),
        "path": text(path),
        "sha": sha,
        "url": url,
        "git_url": git,
        "html_url": html,
        "download_url": None,
        "_links": {"self": url, "git": git, "html": html},
    }


def file(at: Place, path: bytes, entry: Entry, size: int, data: bytes | None) -> dict[str, Any]:
    """A single one with what is in it; None for what is too large to be shown in JSON."""
    shown = content(at, path, entry, size)
    if entry.mode == LINK:
        return {**shown, "target": text(data or b"")}
    if entry.mode == SUBMODULE:
        return {**shown, "submodule_git_url": None}
    if data is None:
        return {**shown, "content": "", "encoding": "none"}
    return {**shown, "content": encodebytes(data).decode("ascii"), "encoding": "base64"}


def blob(repo: str, oid: Oid, data: bytes) -> dict[str, Any]:
    """A blob by its id."""
    sha = oid.hex()
    return {
        "sha": sha,
        "node_id": node_id("Blob", oid),
        "size": len(data),
        "url": f"{repo}/git/blobs/{sha}",
        "content": encodebytes(data).decode("ascii"),
        "encoding": "base64",
    }


def tree(repo: str, oid: Oid, entries: list[tuple[bytes, Entry, int | None]], *, truncated: bool) -> dict[str, Any]:
    """A tree by its id, with the sizes of its files."""
    sha = oid.hex()
    return {
        "sha": sha,
        "url": f"{repo}/git/trees/{sha}",
        "tree": [_tree_entry(repo, path, entry, size) for path, entry, size in entries],
        "truncated": truncated,
    }


def _tree_entry(repo: str, path: bytes, entry: Entry, size: int | None) -> dict[str, Any]:
    kind = "tree" if entry.is_tree else "commit" if entry.mode == SUBMODULE else "blob"
    sha = entry.oid.hex()
    shown: dict[str, Any] = {"path": text(path), "mode": f"{entry.mode:06o}", "type": kind, "sha": sha}
    if size is not None:
        shown["size"] = size
    if kind != "commit":
        shown["url"] = f"{repo}/git/{kind}s/{sha}"
    return shown


@frozen
class ShownChange:
    """One file of a comparison. ``patch`` is empty for binary files, and for those that are too large."""

    change: Change
    additions: int
    deletions: int
    patch: bytes
    is_too_large: bool


def changed_file(at: Place, found: ShownChange) -> dict[str, Any]:
    """The same as JSON; where there is no patch since it would be too large it says so, which GitHub does not."""
    change = found.change
    entry = change.new or change.old
    assert entry is not None
    path = _in_url(change.path)
    shown: dict[str, Any] = {
        "sha": entry.oid.hex(),
        "filename": text(change.new_path),
        "status": _STATUSES[change.status],
        "additions": found.additions,
        "deletions": found.deletions,
        "changes": found.additions + found.deletions,
        "blob_url": f"{at.page}/blob/{at.ref}/{path}",
        "raw_url": f"{at.page}/raw/{at.ref}/{path}",
        "contents_url": f"{at.repo}/contents/{path}?ref={at.ref}",
    }
    if change.status is Status.RENAMED:
        shown["previous_filename"] = text(change.old_path)
    if found.patch:
        shown["patch"] = text(found.patch).removesuffix("\n")
    if found.is_too_large:
        shown["patch_too_large"] = True
    return shown
