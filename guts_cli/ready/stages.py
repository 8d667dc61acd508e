"""What the time of a run went to: with ``GUTS_TRACE=FILE`` each stage adds a line there, its name and milliseconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRACE = "GUTS_TRACE"


@contextmanager
def stage(name: str) -> Iterator[None]:
    """One of them; those of threads overlap. Raises OSError where the file cannot be written."""
    start = time.perf_counter()
    yield
    if path := os.environ.get(TRACE):
        with Path(path).open("a") as lines:
            lines.write(f"{name} {1000 * (time.perf_counter() - start):.1f}\n")
