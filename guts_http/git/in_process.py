"""
Objects of one repository, read in this process over the leased directory (``guts_core.git.reading``).

What is asked runs in a thread, within a budget of objects and bytes and the time that a request has, whoever
works for it. It ends when its client goes away, since every object read looks for that.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, TypeVar

import trio

from guts_core.errors import Corrupt, NotFound, Unavailable
from guts_core.git.reading.archive import writing_budget
from guts_core.git.reading.objects import Bounded, Budget
from guts_core.names import Oid
from guts_http.asker import Asker

from .reading import READ_SECONDS, Reading, leased_for_reading
from .upload_pack import Lease, lease
from .wants import NotOurRef, check_wants

if TYPE_CHECKING:
    from guts_core.git.reading.odb import OdbObjects

T = TypeVar("T")


class _Time:
    """How long a thread may go on working; it asks with each object."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """All of it is left again."""
        self._end = time.monotonic() + self._seconds

    def is_late(self) -> bool:
        """Whether it is over; raises trio.Cancelled for whom nobody waits any more."""
        if time.monotonic() > self._end:
            return True
        trio.from_thread.check_cancelled()
        return False


class Opened:
    """One repository at one generation: ids are found by git, everything else is read here."""

    def __init__(self, leased: Lease) -> None:
        self._leased = leased
        self._objects: OdbObjects | None = None
        self._time = _Time(READ_SECONDS)  # of the whole request, whatever it asks
        self.by_git = Reading(leased.directory)

    async def run(self, work: Callable[[Bounded], T]) -> T:
        """What the work answers, in its own budget."""
        try:
            return await trio.to_thread.run_sync(self._do, work, Budget(is_late=self._time.is_late))
        except Corrupt as error:
            await self._leased.judge(b"corrupt")  # the node looks at its packs (F09)
            raise error from None

    def _do(self, work: Callable[[Bounded], T], budget: Budget) -> T:
        if self._objects is None:
            self._objects = _objects_of(self._leased)
        return work(Bounded(self._objects, budget))

    def close(self) -> None:
        """Nothing more is read."""
        if self._objects is not None:
            self._objects.close()

    async def check_visible(self, oid: Oid) -> None:
        """NotFound unless a ref of the repository reaches this object (C14)."""
        try:
            await check_wants(self._leased.directory, [oid])
        except NotOurRef:
            raise NotFound(f"there is no object {oid.hex()} in this repository") from None


def _objects_of(leased: Lease) -> OdbObjects:
    from pygit2 import Odb  # noqa: PLC0415 -- ten MiB, for those nodes that are asked for files

    from guts_core.git.reading.odb import OdbObjects  # noqa: PLC0415 -- see above

    return OdbObjects(Odb(f"{leased.directory}/objects"))


@asynccontextmanager
async def opened(asker: Asker) -> AsyncIterator[Opened]:
    """A repository's objects for one request; raises as ``leased_for_reading`` does."""
    async with leased_for_reading(asker) as leased:
        with closing(Opened(leased)) as one:
            yield one


@asynccontextmanager
async def leased_for_archive(asker: Asker) -> AsyncIterator[Lease]:
    """
    A repository's directory for as long as its archive is on its way, in a turn of those who take archives.

    Raises TooManyAtOnce while as many are on their way as may be, to all or to this address: nobody waits for one.
    """
    turns = asker.site.archives
    turns.check(asker.client)
    async with turns.one(asker.client), AsyncExitStack() as stack:  # one is free, so it is had at once
        with trio.move_on_after(READ_SECONDS) as patience:
            leased = await stack.enter_async_context(lease(asker.site, asker.repo))
        if patience.cancelled_caught:
            raise Unavailable("this node is too busy to begin an archive; try again in a moment")
        yield leased


async def pieces(leased: Lease, work: Callable[[Bounded], Iterator[bytes]]) -> AsyncIterator[bytes]:
    """
    What the work gives, piece by piece, as fast as the client takes it.

    Each piece has the time of a request, all of them together that of the client. What goes wrong now cuts the
    answer off, for its beginning is sent.
    """
    clock = _Time(READ_SECONDS)
    with closing(await trio.to_thread.run_sync(_objects_of, leased)) as objects:
        given = work(Bounded(objects, writing_budget(clock.is_late)))
        while (piece := await trio.to_thread.run_sync(_next, given, clock)) is not None:
            yield piece


def _next(given: Iterator[bytes], clock: _Time) -> bytes | None:
    clock.begin()
    return next(given, None)
