"""The machine's two clocks, read in one place."""

from __future__ import annotations

import time

from guts_core.simplex.ports import Instant


class MachineClock:
    """A ``protocols.Clock``; ``offset_ms`` shifts the wall clock, for rehearsals."""

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms

    def now(self) -> Instant:
        """Both clocks at this moment."""
        return Instant(self.monotonic_us(), self.wall_ms())

    def monotonic_us(self) -> int:
        """Microseconds that never go back and ignore the wall clock being set."""
        return time.monotonic_ns() // 1000

    def wall_ms(self) -> int:
        """Milliseconds since 1970 as this machine believes; where it believes in a time before, 1970."""
        return max(0, time.time_ns() // 1_000_000 + self._offset_ms)
