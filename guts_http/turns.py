"""
Turns among a bounded number at once: who waits too long for one is told when to come back.

Each address has a share of them, so that one client who takes all it can leaves most to others. A trusted proxy
that does not say for whom it asks, and a Unix socket, speak for many and have no share of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil
from weakref import WeakValueDictionary

import trio
from attrs import frozen

from .clients import Trusted, group_of, is_loopback
from .problems import TooManyAtOnce

# Programs of this machine share one address and are its operator's own; the rest is still for those outside.
LOOPBACK_TIMES = 2


@frozen
class Shares:
    """How much of all turns one address may hold."""

    percent: int
    trusted: Trusted

    def of(self, most: int, client: str | None) -> int:
        """So many of ``most``: one at least."""
        if not client or client in self.trusted:
            return most
        times = LOOPBACK_TIMES if is_loopback(client) else 1
        return max(1, min(most, times * ceil(most * self.percent / 100)))


EVERYTHING = Shares(100, Trusted())


class Turns:
    """So many at once, so many of one address, and how long one is waited for."""

    def __init__(self, most: int, seconds: float, what: str, shares: Shares = EVERYTHING) -> None:
        self.all = trio.CapacityLimiter(most)
        self.seconds, self.what = seconds, what
        self._shares = shares
        self._held: WeakValueDictionary[str, trio.CapacityLimiter] = WeakValueDictionary()

    def of(self, client: str | None) -> Turn:
        """The way of this address to a turn; its time runs from now."""
        return Turn(self, self._share(client))

    @asynccontextmanager
    async def one(self, client: str | None) -> AsyncIterator[None]:
        """A turn of this address for as long as the block lasts; raises TooManyAtOnce (503, ``Retry-After``)."""
        mine = self.of(client)
        async with mine.share(), mine.place():
            yield

    def check(self, client: str | None) -> None:
        """Raise TooManyAtOnce while there is none to be had at once."""
        share = self._share(client)
        if share.available_tokens < 1:
            raise _too_many(share, self.what_of(share))
        if self.all.available_tokens < 1:
            raise _too_many(self.all, self.what)

    def what_of(self, share: trio.CapacityLimiter) -> str:
        """What there are as many of as a share, in words."""
        return self.what if share.total_tokens >= self.all.total_tokens else f"{self.what} of one address"

    def _share(self, client: str | None) -> trio.CapacityLimiter:
        """What this address has of them; it is forgotten when nobody holds or waits for any of it."""
        group = group_of(client or "")
        found = self._held.get(group)
        if found is None:
            found = self._held[group] = trio.CapacityLimiter(self._shares.of(int(self.all.total_tokens), client))
        return found


class Turn:
    """One client's way to a turn: first one of those of its address, then one of all; both within one time."""

    def __init__(self, turns: Turns, share: trio.CapacityLimiter) -> None:
        self._turns, self._share = turns, share
        self._deadline = trio.current_time() + turns.seconds

    @asynccontextmanager
    async def share(self) -> AsyncIterator[None]:
        """One of those of this address, while the block lasts: nobody else waits for it."""
        async with turn(self._share, self._left(), self._turns.what_of(self._share)):
            yield

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of all, for who has one of those of its address."""
        async with turn(self._turns.all, self._left(), self._turns.what):
            yield

    def _left(self) -> float:
        return max(0.0, self._deadline - trio.current_time())


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
            raise _too_many(limiter, what) from None
    try:
        yield
    finally:
        limiter.release_on_behalf_of(token)


def _too_many(limiter: trio.CapacityLimiter, what: str) -> TooManyAtOnce:
    return TooManyAtOnce(f"this node serves {int(limiter.total_tokens)} {what} at once; try again in a moment")
