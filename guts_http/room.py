"""
What answers hold in memory until their clients have taken them: so many bytes for all of them together.

The turn of who reads a repository ends when the answer is made: who takes it slowly would keep all others from
reading. What stays of it are bytes, and those are counted here until they are out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from guts_http.middleware import Receive, Send
from guts_http.problems import TooManyAtOnce
from guts_http.serving import AsgiApp

# Eight of the longest answers, 32 MiB each, or two archives with a file of 100 MiB.
ROOM_BYTES_MAX = 256 << 20
# Shorter ones are not counted: so many for each of a thousand connections are 64 MiB.
FREE_BYTES = 64 * 1024
_KEY = "guts.until_sent"


class Room:
    """Bytes that may be held at once."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """So many while the block lasts; raises TooManyAtOnce (503, ``Retry-After``) when there is no room."""
        if size > self._left:
            raise TooManyAtOnce(
                f"this node holds at most {self._most:,} bytes of answers for those who read them slowly;"
                " try again in a moment"
            )
        self._left -= size
        try:
            yield
        finally:
            self._left += size


class UntilSent:
    """Runs an application, and gives back what its answer held when the answer is out, or its client is gone."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        with ExitStack() as stack:
            scope[_KEY] = stack
            await self._app(scope, receive, send)


def hold_until_sent(room: Room, scope: Any, size: int) -> None:
    """Hold so many bytes until the answer to this request is out; raises as ``Room.held`` does."""
    if size > FREE_BYTES:
        scope[_KEY].enter_context(room.held(size))
