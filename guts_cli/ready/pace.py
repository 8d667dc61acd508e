"""
How slow a node may be: one that says a byte now and then is not silent, and would hold a download for ever.

Every window of time has to bring so many bytes, from the request's beginning on: heads of answers are no exception.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from typing import Any, Literal

from attrs import define, field, frozen

# As long as a node may say nothing at all, so that one that reads from a slow disk first is no worse off.
WINDOW_SECONDS = 20.0
# 6.4 KiB a second of each of four parts at once: less than that on a line of the last century. Whoever's own line is
# slower has every node found too slow, and gets git's own protocol, which waits for any.
WINDOW_BYTES = 128 * 1024


class TooSlow(OSError):
    """A node that gives less than it has to."""


@frozen
class Pace:
    """So many bytes in so many seconds at least."""

    least: int = WINDOW_BYTES
    seconds: float = WINDOW_SECONDS
    clock: Callable[[], float] = time.monotonic


PACE = Pace()


@define
class Watch:
    """One answer held against it."""

    pace: Pace
    _began: float = field(init=False)
    _came: int = 0

    def __attrs_post_init__(self) -> None:
        self._began = self.pace.clock()

    def took(self, size: int) -> None:
        """More came; raises TooSlow at the end of a window that brought too little."""
        self._came += size
        now = self.pace.clock()
        if now - self._began < self.pace.seconds:
            return
        if self._came < self.pace.least:
            raise TooSlow(f"{self._came} bytes in {now - self._began:.0f} s")
        self._began, self._came = now, 0


class Watched(io.RawIOBase):
    """What a socket says, watched."""

    def __init__(self, raw: socket.SocketIO, pace: Pace) -> None:
        self._raw, self._watch = raw, Watch(pace)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As much as is there."""
        size = self._raw.readinto(buffer)
        self._watch.took(size or 0)
        return size

    def close(self) -> None:
        """Also what it reads from: a socket is closed when nobody reads from it any more."""
        self._raw.close()
        super().close()


class WatchedSocket:
    """The part of a socket that ``http.client`` uses."""

    def __init__(self, connected: socket.socket, pace: Pace) -> None:
        self._socket, self._pace = connected, pace
        self.sendall = connected.sendall
        self.close = connected.close

    def makefile(self, mode: Literal["rb"]) -> io.BufferedReader:
        """To read the answer."""
        return io.BufferedReader(Watched(self._socket.makefile(mode, buffering=0), self._pace))
