"""
Single flight: clients who ask the same of the same generation at one moment share one git child.

There is no task behind it: whichever reader has come to the end of what is there asks the child for more,
and the last one that leaves ends the child. So it lives exactly as long as somebody waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, TypeAlias

import trio
from attrs import frozen

from guts_core.errors import GutsError, remade
from guts_http.turns import Turn

from .room import Rooms
from .spool import Spool


@frozen
class Question:
    """
    What makes two fetches one: the projected directory (so repository, generation and HEAD), and the request.

    Who may read a repository sees all that such a directory shows. Whether they may is asked of each reader by
    itself, once the answer has begun and before any of it is theirs.
    """

    directory: str
    request: bytes


class Source(Protocol):
    """Where an answer comes from."""

    async def read(self) -> bytes:
        """The next bytes, b"" at the end; cancelled, it has taken none."""

    async def last_words(self) -> bytes:
        """What there was to complain of, at the end."""


Start: TypeAlias = Callable[[AsyncExitStack], Awaitable[Source]]


class Flight:
    """One child and what it answered so far."""

    def __init__(self, start: Start, rooms: Rooms) -> None:
        self._start = start
        self._waiting: set[trio.CancelScope] = set()  # those who are let go on when it is known how it begins
        self._held = AsyncExitStack()  # the child and its turn
        self._child: Source | None = None
        self._one_at_a_time = trio.Lock()
        self._rooms = rooms
        self._spool = Spool(rooms)
        self._failure: GutsError | None = None
        self._has_ended = False
        self.readers = 0
        self.complaint = b""  # what the child had to say when its answer ended

    @property
    def can_be_joined(self) -> bool:
        """Whether somebody may read it from the start, and there is room to keep for one what another has read."""
        return self._spool.is_whole and self._failure is None and self._rooms.is_ample

    async def begin(self, turn: Turn) -> None:
        """
        Return when the child runs, in a turn of one of its readers; raises to each what stood in its way.

        Each waits for a share of its own address until one has begun: who has none left holds nobody else up.
        """
        with trio.CancelScope() as waiting:
            self._waiting.add(waiting)
            try:
                await self._begin_in(turn, waiting)
            finally:
                self._waiting.discard(waiting)
        if self._failure is not None:
            raise remade(type(self._failure), str(self._failure))

    async def _begin_in(self, turn: Turn, waiting: trio.CancelScope) -> None:
        if self._has_begun:
            return
        async with AsyncExitStack() as held:
            await held.enter_async_context(turn.share())
            async with self._one_at_a_time:
                self._waiting.discard(waiting)
                if not self._has_begun:
                    await self._try(turn, held)

    @property
    def _has_begun(self) -> bool:
        return self._child is not None or self._failure is not None

    async def _try(self, turn: Turn, held: AsyncExitStack) -> None:
        """Whoever comes first; when its client leaves meanwhile, the next one tries."""
        try:
            await held.enter_async_context(turn.place())
            self._child = await self._start(held)
            self._held = held.pop_all()
        except GutsError as failure:
            self._failure = failure
        for waiting in self._waiting:
            waiting.cancel()

    async def read(self, at: int) -> bytes:
        """The answer from a position on, a piece of it; b"" at the end."""
        while at >= self._spool.size and not self._has_ended:
            async with self._one_at_a_time:
                if at >= self._spool.size and not self._has_ended:
                    data = await self._pull()
                    if data:
                        return data
        return b"" if at >= self._spool.size else await self._spool.read(at)

    async def close(self) -> None:
        """End the child, give its turn back."""
        with trio.CancelScope(shield=True):
            await self._held.aclose()
        self._spool.close()

    async def _pull(self) -> bytes:
        assert self._child is not None
        await self._spool.look(shared=self.readers > 1)
        data = await self._child.read()
        with trio.CancelScope(shield=True):  # the child has given it up: it is kept, or nobody will have it
            if data:
                await self._spool.append(data, shared=self.readers > 1)
            else:
                self.complaint = await self._child.last_words()
                self._has_ended = True
                await self._held.aclose()  # others may have the turn while slow ones read on
        return data


class Flights:
    """Those that are under way."""

    def __init__(self, rooms: Rooms) -> None:
        self._open: dict[Question, Flight] = {}
        self._rooms = rooms

    @asynccontextmanager
    async def join(self, question: Question, start: Start, client: str | None = None) -> AsyncIterator[Flight]:
        """
        The flight for this question; the last one that leaves closes it. A new one if there is none to join.

        What a new one keeps is charged to this address, which began it.
        """
        flight = self._open.get(question)
        if flight is None or not flight.can_be_joined:
            flight = self._open[question] = Flight(start, self._rooms.of(client))
        flight.readers += 1
        try:
            yield flight
        finally:
            flight.readers -= 1
            if not flight.readers:
                if self._open.get(question) is flight:
                    del self._open[question]
                await flight.close()
