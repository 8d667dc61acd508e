"""
``/api/guts/v1/repos/OWNER/NAME/packs``: the list, and each pack and index with ranges.

Files never change under their digest, so a client may take parts of one from several nodes. A cache may keep one,
but asks each time before it gives it to anybody: a repository becomes private, and a pack loses its place when what it
holds was taken back. Only a clean list is served: other packs hold objects that nobody may have any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

import trio
from attrs import frozen

from guts_core.errors import Conflict, GutsError, NotFound, Unavailable
from guts_core.forge.permissions import Permission
from guts_core.forge.records import Repository
from guts_core.names import RepoId
from guts_core.node.pack_list import ListedPack
from guts_http.asker import Asker, client_of
from guts_http.leaving import while_there
from guts_http.middleware import Receive, Send, refuse
from guts_http.problems import BadRequest, answer_to
from guts_http.site import Site

from .listing import Leased, leased_packs
from .ranges import Part, is_same, part

# Held once for each download; larger pieces do not make loopback faster.
PIECE_BYTES = 256 * 1024
_PATH = re.compile(
    rb"/api/guts/v1/repos/(?P<owner>[A-Za-z0-9-]{1,39})/(?P<name>[A-Za-z0-9._-]{1,104})"
    rb"/packs(?:/(?P<digest>[0-9a-f]{64})\.(?P<kind>pack|idx))?"
)
_NOT_KEPT = (b"cache-control", b"no-store")
_TYPES = {"pack": b"application/x-git-packed-objects", "idx": b"application/x-git-packed-objects-toc"}


class UncleanPacks(Conflict):
    """The packs of this repository are not handed out as they are: git's own protocol serves it."""

    code = "unclean-packs"


def is_packs(scope: Any) -> bool:
    """Whether a request belongs to this door."""
    return scope["type"] == "http" and _PATH.fullmatch(scope["raw_path"]) is not None


@frozen
class _Asked:
    owner: str
    name: str
    file: tuple[bytes, str] | None  # a digest, and pack or idx
    is_head: bool
    headers: dict[bytes, bytes]

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class PacksDoor:
    """An ASGI application for what ``is_packs`` recognizes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._downloads = site.turns(site.settings.fetches_max, "downloads of packs")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = False

        async def tell(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with while_there(receive):
                await self._serve(scope, tell)
        except GutsError as error:
            if begun:  # only cutting it off tells of a failure now
                raise
            answer = answer_to(error)
            headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
            await refuse(send, answer.status, answer.message, headers)

    async def _serve(self, scope: Any, send: Send) -> None:
        asked = _parse(scope)
        asker = await self._asker(scope, asked)
        async with (
            self._downloads.one(asker.client),
            leased_packs(self._site, asker.repo) as leased,
        ):
            repository = await asker.check()
            if asked.file is None:
                await _list(leased, send)
            else:
                await _file(leased, repository, asked, asked.file, send)

    async def _asker(self, scope: Any, asked: _Asked) -> Asker:
        node = await self._site.node_id()
        with self._site.reader.snapshot() as snapshot:
            caller = self._site.caller(scope["headers"], scope["query_string"], snapshot, node)
            found = self._site.repository(snapshot, caller, asked.owner, asked.name, Permission.READ_REPOSITORY)
        if found.private:
            await self._site.check_private_reads()
        return Asker(self._site, caller.principal, RepoId(found.id), client_of(scope))


def _parse(scope: Any) -> _Asked:
    found = _PATH.fullmatch(scope["raw_path"])
    assert found is not None
    if scope["method"] not in ("GET", "HEAD"):
        raise BadRequest("packs are read only: GET or HEAD")
    file = None if found["digest"] is None else (bytes.fromhex(found["digest"].decode()), found["kind"].decode())
    headers = {name.lower(): value for name, value in scope["headers"]}
    return _Asked(found["owner"].decode(), found["name"].decode(), file, scope["method"] == "HEAD", headers)


# ---- the list ----


async def _list(leased: Leased, send: Send) -> None:
    packs = leased.packs
    body = {
        "height": packs.height,
        "generation": packs.generation,
        "clean": packs.unclean is None,
        "reason": packs.unclean,
        "packs": [_shown(pack) for pack in packs.packs],
    }
    data = json.dumps(body).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"private, no-store"),
        (b"vary", b"Authorization"),
        (b"x-content-type-options", b"nosniff"),
        (b"guts-height", str(packs.height).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data, "more_body": False})


def _shown(pack: ListedPack) -> dict[str, object]:
    return {
        "seq": pack.seq,
        "digest": pack.digest.hex(),
        "idx_digest": pack.idx_digest.hex(),
        "size": pack.size,
        "objects": pack.objects,
        "held": pack.is_held,
    }


# ---- one file ----


async def _file(leased: Leased, repository: Repository, asked: _Asked, file: tuple[bytes, str], send: Send) -> None:
    digest, kind = file
    listed = next((pack for pack in leased.packs.packs if pack.digest == digest), None)
    if listed is None:
        raise NotFound("this repository lists no such pack")
    if leased.packs.unclean is not None:
        raise UncleanPacks(f"{leased.packs.unclean}: clone by git's own protocol")
    etag = f'"{(digest if kind == "pack" else listed.idx_digest).hex()}"'
    headers = _headers(repository, kind, etag)
    if is_same(asked.header(b"if-none-match"), etag):
        await _whole(send, 304, headers)
        return
    async with _opened(leased, f"{digest.hex()}.{kind}") as (raw, size):
        if kind == "pack" and size != listed.size:
            await leased.suspect()
            raise Unavailable("this node's copy of the pack is damaged; another node has it")
        wanted = part(size, asked.header(b"range"), asked.header(b"if-range"), etag)
        if wanted is None:
            await _whole(send, 416, [(b"content-range", f"bytes */{size}".encode()), _NOT_KEPT])
            return
        await _send(raw, wanted, headers, send, is_head=asked.is_head)


def _headers(repository: Repository, kind: str, etag: str) -> list[tuple[bytes, bytes]]:
    reach = b"private, " if repository.private else b""
    return [
        (b"content-type", _TYPES[kind]),
        (b"etag", etag.encode()),
        (b"cache-control", reach + b"no-cache"),
        (b"accept-ranges", b"bytes"),
        (b"vary", b"Authorization"),
        (b"x-content-type-options", b"nosniff"),
    ]


@asynccontextmanager
async def _opened(leased: Leased, name: str) -> AsyncIterator[tuple[BinaryIO, int]]:
    """An open file stays readable whatever becomes of its name."""
    try:
        raw = await trio.to_thread.run_sync(leased.file(name).open, "rb", 0)
    except FileNotFoundError:
        raise Unavailable("this node is still fetching that pack; try another node") from None
    with raw:
        yield raw, raw.seek(0, 2)


async def _send(raw: BinaryIO, wanted: Part, headers: list[tuple[bytes, bytes]], send: Send, *, is_head: bool) -> None:
    length = (b"content-length", str(wanted.end - wanted.first).encode())
    more = [] if wanted.is_whole else [(b"content-range", wanted.content_range.encode())]
    status = 200 if wanted.is_whole else 206
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length, *more]})
    raw.seek(wanted.first)
    left = 0 if is_head else wanted.end - wanted.first
    while left:
        piece = await trio.to_thread.run_sync(raw.read, min(left, PIECE_BYTES))
        if not piece:
            raise Unavailable("the file became shorter while it was read")
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _whole(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 304 else [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
