"""How fast the simulator runs agreement of four nodes: events a processor second, and against real time."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from time import process_time

from guts_core.sim.report import Report
from guts_core.sim.run import run_seed, simulate_forge

from .figures import Figure, figure
from .profiling import told
from .run import Run

EVENTS_BAR, REAL_TIME_BAR = 50_000.0, 100.0
MICROSECONDS = 1e6


def measure(run: Run) -> list[Figure]:
    """Several seeds, liars included; by processor time, so that neighbours count little."""
    run_seed(0)  # what is made once a process is not what one asks
    seeds = range(1, run.times(20, 6) + 1)
    rates, speeds = _rates(run_seed, seeds)
    whole_rates, whole_speeds = _rates(simulate_forge, seeds[: run.times(6, 2)])
    note = _dominant()
    return [
        figure("simulator, n=4", "events/s", rates, bar=EVENTS_BAR, at_least=True, note=note),
        figure("simulator, n=4, of real time", "x", speeds, bar=REAL_TIME_BAR, at_least=True),
        figure("simulator of whole nodes, n=4", "events/s", whole_rates),
        figure("simulator of whole nodes, n=4, of real time", "x", whole_speeds),
    ]


def _rates(play: Callable[[int], Report], seeds: range) -> tuple[list[float], list[float]]:
    rates, speeds = [], []
    for seed in seeds:
        began = process_time()
        report = play(seed)
        seconds = process_time() - began
        assert report.problem is None, report.problem
        rates.append(report.events / seconds)
        speeds.append(report.simulated_us / MICROSECONDS / seconds)
    return rates, speeds


def _dominant() -> str:
    profile = cProfile.Profile()
    profile.runcall(run_seed, 1)
    return f"by profile of one seed: {told(profile)}"
