"""A sign of life while something takes long: on a terminal, on standard error, never beside JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import TYPE_CHECKING

import click

from .shape import JSON_KEY

if TYPE_CHECKING:
    from rich.progress import Progress

# What is done sooner needs no words.
PATIENCE_SECONDS = 1.0


@contextmanager
def working(words: str) -> Iterator[None]:
    """Show these words and the time that passed, if the block takes longer than a second."""
    if not is_watched():
        yield
        return
    sign = _Sign(words)
    timer = Timer(PATIENCE_SECONDS, sign.show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        sign.hide()


def is_watched() -> bool:
    """Whether somebody sits at a terminal, and did not ask for JSON."""
    context = click.get_current_context(silent=True)
    return sys.stderr.isatty() and not (context is not None and context.meta.get(JSON_KEY))


class _Sign:
    """Shown by the timer's thread and taken away by the command's: whichever comes first, nothing is left over."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._lock = Lock()
        self._is_over = False
        self._progress: Progress | None = None

    def show(self) -> None:
        from rich.console import Console  # noqa: PLC0415 -- a tenth of a second to load, for slow things only
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- see above

        with self._lock:
            if self._is_over:
                return
            columns = (SpinnerColumn("line"), TextColumn("{task.description}"), TimeElapsedColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.add_task(self._words, total=None)
            self._progress.start()

    def hide(self) -> None:
        with self._lock:
            self._is_over = True
            if self._progress is not None:
                self._progress.stop()
