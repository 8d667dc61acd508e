"""Many seeds, one after another or in several processes, until they or the time are used up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count, islice
from multiprocessing import get_context
from time import monotonic
from typing import Protocol, TypeVar

from attrs import frozen

from guts_core.sim.campaign import Campaign
from guts_core.sim.coverage import Coverage, covered
from guts_core.sim.report import Report
from guts_core.sim.swarm import scenario_of
from guts_core.sim.swarm import swarm as swarm_of
from guts_core.sim.village import run_clients
from guts_core.simplex.quorum import FaultModel

# In so many seeds, so many of each size; what a larger network costs grows with the square of its nodes.
MIXED = (4, 4, 7, 4, 3, 4, 5, 4, 1, 4, 10, 4, 4, 7, 4, 4)
# One job is always at hand for a process that has finished.
_AHEAD = 2

Told = Callable[[Campaign], None]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Runs(Protocol[T_co]):
    """A task: it can be sent to another process, and run there."""

    def run(self) -> T_co:
        """Do it."""


@frozen
class Task:
    """One run."""

    seed: int
    nodes: int
    fault_model: FaultModel
    whole: bool
    clients: bool
    swarm: bool

    def run(self) -> tuple[Report, Coverage]:
        """Do it."""
        if self.clients:
            return run_clients(self.seed, self.nodes, self.fault_model), Coverage()
        if self.swarm:
            return covered(swarm_of(self.seed, self.nodes))
        return covered(scenario_of(self.seed, self.nodes, self.fault_model, whole=self.whole))


def tasks(
    seeds: Iterable[int],
    nodes: int | None,
    fault_model: FaultModel,
    *,
    whole: bool,
    clients: bool = False,
    swarm: bool = False,
) -> Iterator[Task]:
    """A task for each seed; without a number of nodes they are of mixed sizes."""
    for seed in seeds:
        size = nodes or (swarm_of(seed).nodes if swarm else MIXED[seed % len(MIXED)])
        yield Task(seed, size, fault_model, whole, clients, swarm)


def run_all(work: Iterator[Task], jobs: int, told: Told, deadline: float | None = None) -> Campaign:
    """Add up all runs; after the deadline (on the monotonic clock) no more begin. Ctrl-C ends it early."""
    campaign = Campaign()
    results = each(work, jobs)
    try:
        for report, coverage in results:
            campaign.add(report, coverage)
            told(campaign)
            if deadline is not None and monotonic() >= deadline:
                break
    except KeyboardInterrupt:
        pass  # what was found so far is worth showing
    finally:
        results.close()
    return campaign


def from_seed(first: int) -> Iterator[int]:
    """Seeds without end."""
    return count(first)


def each(work: Iterator[Runs[T]], jobs: int) -> Generator[T, None, None]:
    """What each task gives, as they end; close it when no more is wanted."""
    if jobs > 1:
        yield from _in_processes(work, jobs)
        return
    for task in work:
        yield task.run()


def _in_processes(work: Iterator[Runs[T]], jobs: int) -> Generator[T, None, None]:
    # Fresh processes: a fork of one that has threads may never run.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(task.run) for task in islice(work, jobs * _AHEAD)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    running |= {pool.submit(task.run) for task in islice(work, 1)}
                    yield future.result()
        finally:
            _drop(running)


def _drop(running: Iterable[Future[T]]) -> None:
    for future in running:
        future.cancel()
