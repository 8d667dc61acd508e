"""
Threads whose work can be left where it is.

Those of ``concurrent.futures`` are waited for when the process ends, so that one that hangs in a read would keep
Ctrl-C waiting for as long as a node may be silent. These are told to stop, given a moment, and left alone; what they
touch afterwards is their own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, wait
from queue import SimpleQueue
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")
# From a stop to the end: a piece that is being written gets there, a read that hangs does not.
STOP_SECONDS = 0.5


class Crew:
    """So many threads for the time of a ``with``; leaving that by an error sets ``stop`` for all who share it."""

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._stop = stop
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(size)]

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have it done; after a stop it is cancelled."""
        future: Future[T] = Future()
        self._work.put(lambda: self._do(work, future))
        return future

    def __enter__(self) -> Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        for _ in self._threads:
            self._work.put(None)
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(None if kind is None else max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _do(self, work: Callable[[], T], future: Future[T]) -> None:
        if self._stop.is_set():
            future.cancel()
            future.set_running_or_notify_cancel()
            return
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- it is raised where the result is asked for
            future.set_exception(error)


def results(futures: Iterable[Future[T]]) -> list[T]:
    """Of all of them, in order; the first error as soon as there is one."""
    asked = list(futures)
    done, _ = wait(asked, return_when=FIRST_EXCEPTION)
    for future in (one for one in asked if one in done):
        if future.cancelled() or future.exception() is not None:
            future.result()
    return [future.result() for future in asked]


def go_on(stop: threading.Event) -> None:
    """Raises CancelledError where somebody said stop."""
    if stop.is_set():
        raise CancelledError
