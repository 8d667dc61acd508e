"""Connections that did not say yet who they are: bounded, so that silent ones keep nobody out."""

from __future__ import annotations

from collections import Counter

import trio

from guts_core.errors import PeerFault
from guts_core.link.handshake import Listener, Session
from guts_net.logs import Log

from .limits import REFUSALS_LOGGED, TokenBucket
from .link import welcome

log = Log("peers")


class Handshakes:
    """Those under way at the door."""

    def __init__(self, most: int, counters: Counter[str]) -> None:
        self._most, self._counters = most, counters
        self._open: dict[trio.CancelScope, None] = {}
        self._logged: TokenBucket | None = None

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._open)

    async def welcome(self, stream: trio.abc.Stream, listener: Listener) -> Session | None:
        """Who it is; None if it is nobody we talk to, or gave way."""
        self._make_room()
        session: Session | None = None
        with trio.CancelScope() as scope:
            self._open[scope] = None
            try:
                session = await welcome(stream, listener)
            except (PeerFault, trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
                self.refused(str(error) or "too slow")
            finally:
                self._open.pop(scope, None)
        return session

    def _make_room(self) -> None:
        while len(self._open) >= self._most:
            oldest = next(iter(self._open))
            self._open.pop(oldest)
            oldest.cancel()
            self.refused("its handshake was the oldest of too many")

    def refused(self, reason: str) -> None:
        """Count it, and say so if that was not said too often."""
        self._counters["handshakes_refused"] += 1
        self._logged = self._logged or TokenBucket(REFUSALS_LOGGED, trio.current_time())
        if self._logged.take(trio.current_time()):
            log.info("handshake_refused", reason=reason)
