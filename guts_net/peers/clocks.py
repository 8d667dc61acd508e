"""What the clocks of connected peers show, as they told when they connected."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio


class PeerClocks:
    """Each peer's clock against our monotonic one, so that setting this machine's clock moves nothing."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._offsets: dict[int, int] = {}  # ms

    def told(self, index: int, skew_ms: int) -> None:
        """A handshake showed this difference."""
        self._offsets[index] = self._now_ms() + skew_ms - int(trio.current_time() * 1000)

    def forget(self, index: int) -> None:
        """That number is nobody's any more."""
        self._offsets.pop(index, None)

    def shows(self, index: int) -> int:
        """What this peer's clock shows now, milliseconds since 1970."""
        return self._offsets[index] + int(trio.current_time() * 1000)

    def common(self, peers: Iterable[int]) -> int:
        """What most of these peers and this node believe; between two, what is nearer to our own."""
        ours = self._now_ms()
        believed = sorted([ours, *(self.shows(index) for index in sorted(peers))])
        low, high = believed[(len(believed) - 1) // 2], believed[len(believed) // 2]
        return low if abs(low - ours) < abs(high - ours) else high
