"""
How often one client may ask: token buckets by address and by account; beyond them 429 and when to return.

Reading is cheap but not free, and one process serves all: without a bound one script that polls in a
loop takes the turns of everybody else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from math import ceil
from typing import Any

import trio

from .clients import group_of, is_loopback
from .middleware import Receive, Send
from .problems import TooManyRequests
from .serving import AsgiApp

# So much of the rate may come at once: a page with its parts, a script that catches up.
BURST_SECONDS = 10
# The least recently seen are forgotten beyond this: a bucket is some 200 bytes.
KEYS_MAX = 20_000
# Programs of this machine share one address and are its operator's own.
LOOPBACK_COST = 0.1


class Rates:
    """One bucket a key, all of the same size."""

    def __init__(self, per_second: float, now: Callable[[], float] = trio.current_time) -> None:
        self._per_second, self._now = per_second, now
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, cost: float = 1.0) -> None:
        """Count one request; raises TooManyRequests, which counts nothing."""
        now, most = self._now(), self._per_second * BURST_SECONDS
        tokens, at = self._buckets.pop(key, (most, now))
        tokens = min(most, tokens + (now - at) * self._per_second)
        if tokens < cost:
            self._buckets[key] = tokens, now
            raise TooManyRequests(ceil((cost - tokens) / self._per_second))
        self._buckets[key] = tokens - cost, now
        if len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)


class RateLimit:
    """Refuses requests of an address that asks too often; ``refuse`` says it in the door's own shape."""

    def __init__(
        self, app: AsgiApp, rates: Rates, refuse: Callable[[Any, Send, TooManyRequests], Awaitable[None]]
    ) -> None:
        self._app, self._rates, self._refuse = app, rates, refuse

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application within one request."""
        client = scope.get("client")
        if scope["type"] == "http" and client is not None:
            try:
                self._rates.take(group_of(client[0]), LOOPBACK_COST if is_loopback(client[0]) else 1.0)
            except TooManyRequests as refusal:
                await self._refuse(scope, send, refusal)
                return
        await self._app(scope, receive, send)
