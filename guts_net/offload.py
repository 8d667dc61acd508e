"""
Blocking work that a thread does, unless handing it over costs more than doing it.

On a good disk a log sync takes a tenth of a millisecond; a worker thread that is woken, takes the interpreter over
and wakes the loop again costs three times that, three times for each block. So work that has been quick lately is
done in place. No call that blocks can be given a limit, so a disk that turns slow holds the loop up once; after that
its work is in threads until it has been quick again for a while, the longer it took the longer (F16).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")

# A loop that is held up this long is not noticed by those it serves: a message to a near peer takes as long.
IN_PLACE_SECONDS = 0.004
# Calls that have to be quick before anything is known.
_FIRST_IN_THREADS = 16


class Offload:
    """
    One kind of blocking work of one loop.

    After a call that took N times ``IN_PLACE_SECONDS`` the next N are in threads: so over time the loop waits at
    most that long a call, whatever the disk does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """The clock gives seconds that never go back."""
        self._clock = clock
        self._owed = _FIRST_IN_THREADS * IN_PLACE_SECONDS

    async def run(self, work: Callable[[], T], *, waits: bool = False) -> T:
        """
        What the work returns or raises; once begun it is not cancelled. A checkpoint only when in a thread.

        ``waits``: it would begin by waiting for another thread, so it has to be in one.
        """
        if self._owed or waits:
            return await trio.to_thread.run_sync(self._timed, work)
        return self._timed(work)

    def _timed(self, work: Callable[[], T]) -> T:
        begun = self._clock()
        try:
            return work()
        finally:
            self._owed = max(0.0, max(self._owed, self._clock() - begun) - IN_PLACE_SECONDS)
