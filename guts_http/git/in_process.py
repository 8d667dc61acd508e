"""
Objects of one repository, read in this process over the leased directory (``guts_core.git.reading``).

What is asked runs in a thread, within a budget of objects and bytes and the same time that a git child has.
It ends when its client goes away, since every object read looks for that.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from guts_core.errors import Corrupt, NotFound
from guts_core.forge.records import Repository
from guts_core.git.reading.objects import Bounded, Budget, Objects
from guts_core.names import Oid
from guts_http.problems import TooManyAtOnce
from guts_http.site import Site

from .reading import READ_SECONDS, Reading
from .turns import turn
from .upload_pack import Lease, lease
from .wants import NotOurRef, check_wants

T = TypeVar("T")


class Opened:
    """One repository at one generation: ids are found by git, everything else is read here."""

    def __init__(self, leased: Lease) -> None:
        self._leased = leased
        self._objects: Objects | None = None
        self.by_git = Reading(leased.directory)

    async def run(self, work: Callable[[Bounded], T]) -> T:
        """What the work answers, in its own budget."""
        try:
            return await trio.to_thread.run_sync(self._do, work, _budget(READ_SECONDS))
        except Corrupt as error:
            await self._leased.judge(b"corrupt")  # the node looks at its packs (F09)
            raise error from None

    def _do(self, work: Callable[[Bounded], T], budget: Budget) -> T:
        if self._objects is None:
            self._objects = _objects_of(self._leased)
        return work(Bounded(self._objects, budget))

    async def check_visible(self, oid: Oid) -> None:
        """NotFound unless a ref of the repository reaches this object (C14)."""
        try:
            await check_wants(self._leased.directory, [oid])
        except NotOurRef:
            raise NotFound(f"there is no object {oid.hex()} in this repository") from None


def _objects_of(leased: Lease) -> Objects:
    from pygit2 import Odb  # noqa: PLC0415 -- ten MiB, for those nodes that are asked for files

    from guts_core.git.reading.odb import OdbObjects  # noqa: PLC0415 -- see above

    return OdbObjects(Odb(f"{leased.directory}/objects"))


def _budget(seconds: float) -> Budget:
    end = time.monotonic() + seconds

    def is_late() -> bool:
        trio.from_thread.check_cancelled()
        return time.monotonic() > end

    return Budget(is_late=is_late)


@asynccontextmanager
async def opened(site: Site, repository: Repository) -> AsyncIterator[Opened]:
    """A repository's objects for one request, in a turn of those who read; raises as ``reading`` does."""
    if repository.private:
        await site.check_private_reads()
    async with (
        turn(site.git_reads, site.settings.queue_seconds, "readers of histories"),
        lease(site, repository.id) as leased,
    ):
        yield Opened(leased)


def check_archives(site: Site) -> None:
    """Raise TooManyAtOnce while as many archives are on their way as may be."""
    if site.archives.available_tokens < 1:
        most = int(site.archives.total_tokens)
        raise TooManyAtOnce(f"this node sends {most} archives at once; try again in a moment")


async def pieces(
    site: Site, repository: Repository, work: Callable[[Bounded], Iterator[bytes]]
) -> AsyncIterator[bytes]:
    """
    What the work gives, piece by piece, as fast as the client takes it, in a turn of those who take archives.

    Its time is that of its client. What goes wrong now cuts the answer off, for its beginning is sent:
    ``check_archives`` refuses before that.
    """
    async with (
        turn(site.archives, site.settings.queue_seconds, "archives"),
        lease(site, repository.id) as leased,
    ):
        objects = await trio.to_thread.run_sync(_objects_of, leased)
        given = work(Bounded(objects, _budget(float("inf"))))
        while (piece := await trio.to_thread.run_sync(next, given, None)) is not None:
            yield piece
