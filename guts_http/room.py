"""
What answers hold in memory until their clients have taken them: so many bytes for all of them together.

Each address has a share, as it has of turns, and one answer at least: else two clients that do not read hold it all.

The turn of who reads a repository ends when the answer is made: who takes it slowly would keep all others from
reading. What stays of it are bytes, and those are counted here until they are out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from guts_http.clients import group_of
from guts_http.middleware import Receive, Send
from guts_http.problems import TooManyAtOnce
from guts_http.serving import AsgiApp
from guts_http.turns import EVERYTHING, Shares

# Eight of the longest answers, 32 MiB each, or two archives with a file of 100 MiB.
ROOM_BYTES_MAX = 256 << 20
# Shorter ones are not counted: so many for each of a thousand connections are 64 MiB.
FREE_BYTES = 64 * 1024
_KEY = "guts.until_sent"


class Room:
    """Bytes that may be held at once, and how many of them each address holds."""

    def __init__(self, most: int, shares: Shares = EVERYTHING) -> None:
        self.most = self.left = most
        self.shares = shares
        self.held_by: dict[str, int] = {}

    def of(self, client: str | None) -> Part:
        """What one more answer for this address takes of it: nothing yet."""
        return Part(self, client)

    @contextmanager
    def held(self, size: int, client: str | None) -> Iterator[None]:
        """So many while the block lasts; raises TooManyAtOnce (503, ``Retry-After``) when there is no room."""
        part = self.of(client)
        if not part.take(size):
            raise self._full(size, part)
        try:
            yield
        finally:
            part.give(size)

    def _full(self, size: int, part: Part) -> TooManyAtOnce:
        most, whose = (self.most, "clients") if size > self.left else (part.share, "one address")
        words = f"{most:,} bytes of answers for {whose} that take them slowly"
        return TooManyAtOnce(f"this node holds at most {words}; try again in a moment")


class Part:
    """What one answer takes of a room: within its address's share, or all there is when its address has no other."""

    def __init__(self, room: Room, client: str | None) -> None:
        self.share = room.shares.of(room.most, client)
        self._room, self._group = room, group_of(client or "")
        self._taken = 0

    def of(self, client: str | None) -> Part:
        """What another answer takes of the same room."""
        return self._room.of(client)

    @property
    def left(self) -> int:
        """How much more this one may take."""
        held = self._room.held_by.get(self._group, 0)
        return self._room.left if held == self._taken else max(0, min(self._room.left, self.share - held))

    def take(self, count: int) -> bool:
        """Whether there was room for so many more; ``give`` gives them back."""
        if count > self.left:
            return False
        self._change(count)
        return True

    def give(self, count: int) -> None:
        """So many are needed no more."""
        self._change(-count)

    def _change(self, count: int) -> None:
        self._taken += count
        self._room.left -= count
        held = self._room.held_by.pop(self._group, 0) + count
        if held:
            self._room.held_by[self._group] = held


class UntilSent:
    """Runs an application, and gives back what its answer held when the answer is out, or its client is gone."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        async with AsyncExitStack() as stack:
            scope[_KEY] = stack
            await self._app(scope, receive, send)


def until_sent(scope: Any) -> AsyncExitStack:
    """What is entered here ends when the answer to this request is out, in another task than the handler's."""
    held = scope[_KEY]
    assert isinstance(held, AsyncExitStack)
    return held


def hold_until_sent(room: Room, scope: Any, size: int, client: str | None) -> None:
    """Hold so many bytes until the answer to this request is out; raises as ``Room.held`` does."""
    if size > FREE_BYTES:
        until_sent(scope).enter_context(room.held(size, client))
