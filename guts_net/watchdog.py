"""
Notices that the event loop does not get on (F22): says what it is busy with, and that this node should not lead.

The loop notes the time again and again; a thread looks at the note. When it is old, the thread can still see
which line the loop is at. A process that was paused as a whole is no stall: then the thread was late as well.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from types import FrameType

import trio
from attrs import frozen

from guts_core.node.node import Node

from .logs import Log
from .protocols import Clock
from .tally import Tally

# A log line is cut at some 8,000 characters: what the loop is at stands at the end of its stack.
STACK_CHARS_MAX = 6_000


@frozen
class Patience:
    """How long a loop may be busy."""

    beat_seconds: float = 0.25
    stall_seconds: float = 1.0  # ten times what the slowest honest turn takes
    gray_seconds: float = 10.0  # a leader like that makes all others wait
    aside_seconds: float = 10.0  # should all have stalled at once, the network waits no longer than that


PATIENCE = Patience()


class Watchdog:
    """Of one loop; ``run`` lives in it."""

    def __init__(self, log: Log, tally: Tally, node: Node, clock: Clock, patience: Patience = PATIENCE) -> None:
        """The node is the one that the loop runs."""
        self._log, self._tally, self._node, self._clock, self._patience = log, tally, node, clock, patience
        self._beat = time.monotonic()
        self._loop = 0  # the thread that runs it
        self._was_seen = False  # that the loop stalls, by the thread
        self._over = threading.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started once the thread looks on."""
        self._loop, self._beat = threading.get_ident(), time.monotonic()
        thread = threading.Thread(target=self._look_on, name="watchdog", daemon=True)
        thread.start()
        try:
            task_status.started()
            while True:
                await trio.sleep(self._patience.beat_seconds)
                self._note()
        finally:
            self._over.set()
            thread.join()

    def _note(self) -> None:
        now = time.monotonic()
        late = now - self._beat - self._patience.beat_seconds
        self._beat = now
        if late < self._patience.stall_seconds:
            return
        if not self._was_seen:
            self._log.info("process_paused", seconds=round(late, 1))
            return
        self._was_seen = False
        self._tally.add("loop_stalls")
        self._log.warning("loop_goes_on", seconds=round(late, 1))
        if late >= self._patience.gray_seconds:
            self._stand_aside()

    def _stand_aside(self) -> None:
        """Who could not keep up lets others lead for a while; alone, there is nobody else."""
        if len(self._node.vote_keys) > 1:
            seconds = self._patience.aside_seconds
            self._node.ledger.stands_aside_until = self._clock.monotonic_us() + round(seconds * 1e6)
            self._log.warning("stands_aside", seconds=seconds)

    def _look_on(self) -> None:
        began = time.monotonic()
        while not self._over.wait(self._patience.beat_seconds):
            now = time.monotonic()
            was_late = now - began - self._patience.beat_seconds >= self._patience.stall_seconds / 2
            began = now
            if was_late or self._was_seen:
                continue
            # What was written before a pause is old for another reason: then this thread was late a moment ago.
            if now - self._beat - self._patience.beat_seconds >= self._patience.stall_seconds:
                self._was_seen = True
                self._log.warning("loop_stalls", stack=self._stack())

    def _stack(self) -> str:
        frame: FrameType | None = sys._current_frames().get(self._loop)  # noqa: SLF001 -- documented, in spite of its name
        return "".join(traceback.format_stack(frame))[-STACK_CHARS_MAX:] if frame else ""
