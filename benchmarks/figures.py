"""Figures with their spread, the bars they have to meet, and the machine they were taken on."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

# The spread leaves out the tenth at either end; of nine runs or fewer it leaves out none.
SPREAD = (0.1, 0.9)


@frozen
class Figure:
    """One measured thing: median and spread of some runs, with a bar if it has one."""

    name: str
    unit: str
    median: float
    low: float
    high: float
    runs: int
    bar: float | None = None
    at_least: bool = False  # whether the bar is a floor
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether there is a bar and the median misses it."""
        if self.bar is None:
            return False
        return self.median < self.bar if self.at_least else self.median > self.bar


def figure(
    name: str, unit: str, values: Sequence[float], *, bar: float | None = None, at_least: bool = False, note: str = ""
) -> Figure:
    """The figure of these runs."""
    low, high = (percentile(values, fraction) for fraction in SPREAD)
    return Figure(name, unit, statistics.median(values), low, high, len(values), bar, at_least, note)


def percentile(values: Sequence[float], fraction: float) -> float:
    """The value at or below which this fraction of them lies (nearest rank)."""
    ordered = sorted(values)
    # Rounded first: 0.9 of 10 shall be the ninth, whatever 0.9 is in binary.
    return ordered[max(0, math.ceil(round(fraction * len(ordered), 9)) - 1)]


def ratios(ours: Sequence[float], peers: Sequence[float]) -> list[float]:
    """Each run against the peer's run next to it, so that what slows the machine slows both."""
    return [our / peer for our, peer in zip(ours, peers, strict=True)]


def machine() -> dict[str, str | int]:
    """What this was measured on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "memory_gib": round(int(memory) / (1 << 20)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "git": git,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
