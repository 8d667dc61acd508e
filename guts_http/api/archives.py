"""``/api/v3/repos/{owner}/{name}/tarball | zipball``: all files of a commit, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from quart import Response, request

from guts_core.forge.permissions import Permission
from guts_core.git.reading import archive
from guts_core.git.reading.archive import Export
from guts_core.git.reading.objects import Bounded
from guts_http.git.in_process import leased_for_archive, opened, pieces
from guts_http.room import hold_until_sent, until_sent
from guts_http.routing import Asked, Routes

from . import git_shapes
from .commits import commit_at, named
from .git_data import REPO
from .pushed_bytes import headers_of

routes = Routes()
_NOT_MODIFIED = 304
_DIGITS = 7  # of a commit's id in the names, as git shortens it
_Writer: TypeAlias = Callable[[Bounded, Export], Iterator[bytes]]


@routes.serves(f"{REPO}/tarball/", Permission.READ_REPOSITORY)
async def get_default_tar(asked: Asked) -> Response:
    """The default branch as tar.gz."""
    return await _archive(asked, None, "tar.gz", archive.tar_gz)


@routes.serves(f"{REPO}/tarball/<path:ref>", Permission.READ_REPOSITORY)
async def get_tar(asked: Asked, ref: str) -> Response:
    """A branch, tag or commit as tar.gz."""
    return await _archive(asked, ref, "tar.gz", archive.tar_gz)


@routes.serves(f"{REPO}/zipball/", Permission.READ_REPOSITORY)
async def get_default_zip(asked: Asked) -> Response:
    """The default branch as zip."""
    return await _archive(asked, None, "zip", archive.zip_)


@routes.serves(f"{REPO}/zipball/<path:ref>", Permission.READ_REPOSITORY)
async def get_zip(asked: Asked, ref: str) -> Response:
    """A branch, tag or commit as zip."""
    return await _archive(asked, ref, "zip", archive.zip_)


async def _archive(asked: Asked, ref: str | None, ending: str, write: _Writer) -> Response:
    """Refused before anything is sent, or sent; a client that has it already is told so."""
    with asked.site.reader.snapshot() as snapshot:
        owner, _, name = git_shapes.repository_path(asked, snapshot).partition("/")
        tip = named(asked, snapshot, ref)
    async with opened(asked.asker) as objects:
        commit = await commit_at(objects, tip, ref)
        called = f"{owner}-{name}-{commit.hex()[:_DIGITS]}"
        headers = {
            "ETag": f'"{commit.hex()}.{ending}"',
            "Content-Disposition": f'attachment; filename="{called}.{ending}"',
            **headers_of(asked),
        }
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(b"", _NOT_MODIFIED, headers)
        leased = await until_sent(request.scope).enter_async_context(leased_for_archive(asked.asker))
        export = await objects.run(partial(archive.plan, commit=commit, prefix=f"{called}/".encode()))
    is_zip = ending == "zip"
    size = export.zip_bytes if is_zip else export.tar_bytes
    hold_until_sent(asked.site.room, request.scope, size, asked.asker.client)
    given = pieces(leased, lambda objects: write(objects, export))
    response = Response(given, 200, headers, content_type="application/zip" if is_zip else "application/gzip")
    response.timeout = None  # the framework's would cut every answer off after a minute
    return response
