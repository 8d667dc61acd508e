"""Members of the network are served before guests: a stranger takes only what nobody else wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

import trio

P = ParamSpec("P")
T = TypeVar("T")


class Precedence:
    """Two kinds of work, of which one gives way."""

    def __init__(self) -> None:
        self._first = 0
        self._idle = trio.Event()
        self._idle.set()
        self._one_by_one = trio.Lock()

    def wrap(self, serve: Callable[P, Awaitable[T]], *, guest: bool) -> Callable[P, Awaitable[T]]:
        """The same work, at its place: guests' one at a time, and while no member's is done."""

        async def served(*args: P.args, **kwargs: P.kwargs) -> T:
            async with self._last() if guest else self._at_once():
                return await serve(*args, **kwargs)

        return served

    @asynccontextmanager
    async def _at_once(self) -> AsyncIterator[None]:
        if not self._first:
            self._idle = trio.Event()
        self._first += 1
        try:
            yield
        finally:
            self._first -= 1
            if not self._first:
                self._idle.set()

    @asynccontextmanager
    async def _last(self) -> AsyncIterator[None]:
        async with self._one_by_one:
            while self._first:
                await self._idle.wait()
            yield
