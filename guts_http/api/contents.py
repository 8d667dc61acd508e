"""``/api/v3/repos/{owner}/{name}/contents | languages | git/trees | git/blobs``: files as they stand in a commit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from quart import Response, request

from guts_core.errors import LimitExceeded
from guts_core.forge.permissions import Permission
from guts_core.git.reading import trees
from guts_core.git.reading.languages import languages
from guts_core.git.reading.objects import Bounded
from guts_core.git.reading.trees import Entry
from guts_core.names import Oid
from guts_http.git.in_process import Opened, opened
from guts_http.problems import BadRequest
from guts_http.routing import Asked, Reply, Routes, Written

from . import file_shapes, git_shapes
from .commits import HEAD, commit_at, named
from .file_shapes import Place
from .git_data import REPO, height_of
from .pushed_bytes import as_pushed

routes = Routes()
# As GitHub: a longer file is shown without its content, and by git/blobs.
SHOWN_BYTES_MAX = 1 << 20
# In JSON it is a third longer, and it is held some three times; who wants more clones or takes an archive.
BLOB_BYTES_MAX = 16 << 20
# GitHub shows 1,000 of a directory; a megabyte of JSON has some 2,000.
DIRECTORY_ENTRIES_MAX = 5_000
# As many as one answer of 30 MB holds; GitHub's limits too. More are cut off, and it is said.
TREE_ENTRIES_MAX = 100_000
TREE_PATH_BYTES_MAX = 7 << 20
_OID = re.compile(r"[0-9a-fA-F]{40}", re.ASCII)
_RAW = "application/vnd.github.raw"


@routes.serves(f"{REPO}/contents/", Permission.READ_REPOSITORY)
async def get_root(asked: Asked) -> Reply | Response:
    """The files of a commit."""
    return await get_contents(asked, "")


@routes.serves(f"{REPO}/contents/<path:path>", Permission.READ_REPOSITORY)
async def get_contents(asked: Asked, path: str) -> Reply | Response:
    """A file with what is in it, or the files of a directory."""
    wanted, start = path.strip("/").encode("utf-8", "replace"), request.args.get("ref") or None
    with asked.site.reader.snapshot() as snapshot:
        at = Place(git_shapes.repository_url(asked, snapshot), start or HEAD)
        tip = named(asked, snapshot, start)
    async with opened(asked.asker) as objects:
        commit = await commit_at(objects, tip, start)
        if request.headers.get("Accept", "").startswith(_RAW):
            return as_pushed(asked, await objects.run(partial(_raw_file, commit=commit, path=wanted)))
        shown = await objects.run(partial(_contents, at=at, commit=commit, path=wanted))
    return Reply(shown, headers=height_of(snapshot))


def _contents(objects: Bounded, at: Place, commit: Oid, path: bytes) -> Written:
    entry = trees.existing_entry(objects, objects.root(commit), path)
    if not entry.is_tree:
        size = _size(objects, entry) or 0
        data = objects.blob(entry.oid) if entry.is_blob and size <= SHOWN_BYTES_MAX else None
        file_shapes.check_paths([path])
        return Written.of(file_shapes.file(at, path, entry, size, data))
    entries = objects.tree(entry.oid)
    if len(entries) > DIRECTORY_ENTRIES_MAX:
        raise LimitExceeded(
            f"the directory has {len(entries):,} entries; contents shows {DIRECTORY_ENTRIES_MAX:,}: ask git/trees"
        )
    prefix = path + b"/" if path else b""
    file_shapes.check_paths((one.name for one in entries), len(prefix))
    return Written.of([file_shapes.content(at, prefix + one.name, one, _size(objects, one) or 0) for one in entries])


def _raw_file(objects: Bounded, commit: Oid, path: bytes) -> bytes:
    entry = trees.existing_entry(objects, objects.root(commit), path)
    if not entry.is_blob:
        raise BadRequest("only files have raw contents")
    return objects.blob(entry.oid, BLOB_BYTES_MAX)


def _size(objects: Bounded, entry: Entry) -> int | None:
    return objects.header(entry.oid).size if entry.is_blob else None


@routes.serves(f"{REPO}/languages", Permission.READ_REPOSITORY)
async def get_languages(asked: Asked) -> Reply:
    """What the default branch is written in: bytes by language."""
    with asked.site.reader.snapshot() as snapshot:
        tip = named(asked, snapshot, None)
    async with opened(asked.asker) as objects:
        commit = await commit_at(objects, tip, None)
        found = await objects.run(partial(languages, commit=commit))
    return Reply(found, headers=height_of(snapshot))


@routes.serves(f"{REPO}/git/trees/<path:sha>", Permission.READ_REPOSITORY)
async def get_tree(asked: Asked, sha: str) -> Reply:
    """A tree by its id, or that of a commit, branch or tag; ``recursive`` with all below it."""
    recursive = bool(request.args.get("recursive"))
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
        tip = named(asked, snapshot, sha)
    async with opened(asked.asker) as objects:
        root = await _tree_of(objects, tip, sha)
        shown = await objects.run(partial(_tree, repo=repo, root=root, recursive=recursive))
    return Reply(shown, headers=height_of(snapshot))


async def _tree_of(objects: Opened, tip: Oid | None, sha: str) -> Oid:
    """The tree that was meant; NotFound."""
    if tip is None and _OID.fullmatch(sha):
        oid = Oid(bytes.fromhex(sha))
        await objects.check_visible(oid)
        return await objects.run(partial(_root_of, oid=oid))
    commit = await commit_at(objects, tip, sha)
    return await objects.run(lambda bounded: bounded.root(commit))


def _root_of(objects: Bounded, oid: Oid) -> Oid:
    end, kind = objects.peeled(oid)
    return objects.root(end) if kind == "commit" else end


def _that_fit(every: Iterable[tuple[bytes, Entry]]) -> tuple[list[tuple[bytes, Entry]], bool]:
    """The first ones, and whether others follow."""
    found: list[tuple[bytes, Entry]] = []
    size = 0
    for path, entry in every:
        size += len(path)
        if len(found) == TREE_ENTRIES_MAX or size > TREE_PATH_BYTES_MAX:
            return found, True
        found.append((path, entry))
    return found, False


def _tree(objects: Bounded, repo: str, root: Oid, *, recursive: bool) -> Written:
    every = trees.walk(objects, root) if recursive else ((one.name, one) for one in objects.tree(root))
    entries, more = _that_fit(every)
    shown = [(path, one, _size(objects, one)) for path, one in entries]
    return Written.of(file_shapes.tree(repo, root, shown, truncated=more))


@routes.serves(f"{REPO}/git/blobs/<sha>", Permission.READ_REPOSITORY)
async def get_blob(asked: Asked, sha: str) -> Reply | Response:
    """A blob by its id, which a ref must reach."""
    if not _OID.fullmatch(sha):
        raise BadRequest("a blob is asked for by the 40 hexadecimal digits of its id")
    oid = Oid(bytes.fromhex(sha))
    with asked.site.reader.snapshot() as snapshot:
        repo = git_shapes.repository_url(asked, snapshot)
    async with opened(asked.asker) as objects:
        await objects.check_visible(oid)
        if request.headers.get("Accept", "").startswith(_RAW):
            return as_pushed(asked, await objects.run(lambda bounded: bounded.blob(oid, BLOB_BYTES_MAX)))
        shown = await objects.run(partial(_blob, repo=repo, oid=oid))
    return Reply(shown, headers=height_of(snapshot))


def _blob(objects: Bounded, repo: str, oid: Oid) -> Written:
    return Written.of(file_shapes.blob(repo, oid, objects.blob(oid, BLOB_BYTES_MAX)))
