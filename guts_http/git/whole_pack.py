"""
A full clone that is answered with the one pack that holds it, as it is stored, without a git child.

Only where the node has judged that its list is clean and one pack, and only whoever wants exactly what all refs
of that same generation name: the pack holds what they reach and nothing else. Who wants anything else, or asks
before that is judged, gets a child.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import trio
from attrs import frozen

from guts_core.errors import Unavailable
from guts_core.git.fetch_arguments import Fetch
from guts_core.git.pkt_line import BAND_DATA_BYTES_MAX, FLUSH, Band, side_band
from guts_core.names import RepoId
from guts_core.node.pack_list import ListedPack, PackList
from guts_http.asker import Asker
from guts_http.middleware import Send
from guts_http.packs.listing import Leased, leased_packs
from guts_http.site import Site

from . import answers
from .upload_pack import RESULT, Lease
from .wants import tips_of

# A stream costs a file and a piece in memory, a child 20 to 50 MB.
STREAMS_PER_CHILD = 8
# Four packets are read at once: a thread is asked for each.
PIECE_BYTES = 4 * BAND_DATA_BYTES_MAX
# The sum that ends a pack is looked at while it is read, but not for each of many clones at one time.
CHECK_AGAIN_SECONDS = 600.0
SUM_BYTES = 20
# Twenty bytes of digest each; when it is full it begins anew.
CHECKED_MAX = 10_000


@frozen
class WholePack:
    """The pack that answers a clone; its file stays while the lease does."""

    pack: ListedPack
    leased: Leased

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.leased.file(f"{self.pack.digest.hex()}.pack")


class WholePacks:
    """What streams of packs share: turns, and when each pack was found whole."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turns = site.turns(STREAMS_PER_CHILD * site.settings.fetches_max, "clones of whole packs")
        self._checked: dict[bytes, float] = {}

    @asynccontextmanager
    async def found(self, repo: RepoId, asked: Fetch, leased: Lease) -> AsyncIterator[WholePack | None]:
        """The pack that is the whole answer to this fetch of a leased generation; None: there is none such."""
        if not await trio.to_thread.run_sync(_wants_all, asked, leased.directory):
            yield None
            return
        async with leased_packs(self._site, repo, seconds=0) as listed:
            pack = _only(listed.packs, leased.generation)
            yield None if pack is None else WholePack(pack, listed)

    async def stream(self, whole: WholePack, asker: Asker, head: bytes, send: Send) -> None:
        """
        The answer to ``fetch`` from its head on, for who may still read when there is a turn.

        Unavailable, in the middle if need be, for a file that changed.
        """
        async with self._turns.one(asker.client):
            await asker.check()
            try:
                raw = await trio.to_thread.run_sync(whole.path.open, "rb", 0)
            except FileNotFoundError:
                raise Unavailable("this node is still fetching a pack of this repository; try another node") from None
            with raw:
                await self._copy(raw, whole, head, send)

    async def _copy(self, raw: BinaryIO, whole: WholePack, head: bytes, send: Send) -> None:
        pieces = _Pieces(raw, whole.pack.size, is_checked=not self._is_fresh(whole.pack.digest))
        data = await self._next(pieces, whole)
        await answers.start(send, RESULT)
        await answers.more(send, head)
        while data:
            for at in range(0, len(data), BAND_DATA_BYTES_MAX):
                await answers.more(send, side_band(Band.DATA, data[at : at + BAND_DATA_BYTES_MAX]))
            data = await self._next(pieces, whole)
        await answers.more(send, FLUSH)
        await answers.end(send)
        self._note(whole.pack.digest)

    async def _next(self, pieces: _Pieces, whole: WholePack) -> bytes:
        data = await trio.to_thread.run_sync(pieces.read)
        if data is None:
            await whole.leased.suspect()
            raise Unavailable("this node's copy of the pack is damaged; another node has it")
        return data

    def _is_fresh(self, digest: bytes) -> bool:
        return trio.current_time() - self._checked.get(digest, -CHECK_AGAIN_SECONDS) < CHECK_AGAIN_SECONDS

    def _note(self, digest: bytes) -> None:
        if not self._is_fresh(digest):
            if len(self._checked) >= CHECKED_MAX:
                self._checked.clear()
            self._checked[digest] = trio.current_time()


class _Pieces:
    """A pack in pieces; the last one is not given unless its sum says that it is what was written."""

    def __init__(self, raw: BinaryIO, size: int, *, is_checked: bool) -> None:
        self._raw, self._left = raw, size
        self._sum = hashlib.sha1(usedforsecurity=False) if is_checked else None
        self._has_size = raw.seek(0, 2) == size
        raw.seek(0)

    def read(self) -> bytes | None:
        """The next bytes, b"" behind the last; None: these are not what was written. For a thread."""
        if not self._has_size:
            return None
        data = _exactly(self._raw, min(PIECE_BYTES, max(self._left - SUM_BYTES, 0)))
        self._left -= len(data)
        if self._sum is not None:
            self._sum.update(data)
        if self._left == SUM_BYTES:
            end = _exactly(self._raw, SUM_BYTES)
            self._left -= len(end)
            is_whole = len(end) == SUM_BYTES and (self._sum is None or self._sum.digest() == end)
            return data + end if is_whole else None
        return data if data or not self._left else None


def _exactly(raw: BinaryIO, size: int) -> bytes:
    data = raw.read(size)
    while len(data) < size and (more := raw.read(size - len(data))):
        data += more
    return data


def _wants_all(asked: Fetch, directory: str) -> bool:
    """Whether it asks for all that all refs reach, and reads what stored packs are made of."""
    return asked.is_full_clone and "ofs-delta" in asked.flags and frozenset(asked.wants) == tips_of(directory)


def _only(listed: PackList, generation: int) -> ListedPack | None:
    if listed.unclean is not None or listed.generation != generation or len(listed.packs) != 1:
        return None
    return listed.packs[0] if listed.packs[0].is_held else None
