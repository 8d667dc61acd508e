"""Turns among a bounded number at once: who waits too long for one is told when to come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from guts_http.problems import TooManyAtOnce


class Turns:
    """So many at once, and how long one is waited for."""

    def __init__(self, most: int, seconds: float, what: str) -> None:
        self._limiter = trio.CapacityLimiter(most)
        self._seconds, self._what = seconds, what

    def one(self) -> AbstractAsyncContextManager[None]:
        """A turn for as long as the block lasts; raises TooManyAtOnce (503, ``Retry-After``)."""
        return turn(self._limiter, self._seconds, self._what)


@asynccontextmanager
async def turn(limiter: trio.CapacityLimiter, seconds: float, what: str) -> AsyncIterator[None]:
    """A turn among so many at once; raises TooManyAtOnce after a while."""
    token = object()
    try:
        limiter.acquire_on_behalf_of_nowait(token)  # also for who is not to wait at all
    except trio.WouldBlock:
        with trio.move_on_after(seconds) as waiting:
            await limiter.acquire_on_behalf_of(token)
        if waiting.cancelled_caught:
            most = int(limiter.total_tokens)
            raise TooManyAtOnce(f"this node serves {most} {what} at once; try again in a moment") from None
    try:
        yield
    finally:
        limiter.release_on_behalf_of(token)
