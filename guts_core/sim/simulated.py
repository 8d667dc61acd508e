"""
``@simulated``: a test that is run in as many simulated networks as there are seeds.

The decorated function looks to a test runner like one test. It needs none: called, it runs all its seeds.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from inspect import isfunction
from random import Random
from typing import Any, TypeAlias

from attrs import frozen

from guts_core.errors import GutsError, Invalid
from guts_core.simplex.quorum import FaultModel

from .faults import Plan
from .machine import StateMachine
from .place import dice
from .report import Report
from .run import run_seed, simulate_forge
from .simulate import Simulation, simulate

SEEDS = 200
# What a test may ask for; its other parameters come from its caller, fixtures for example.
GIVEN = ("simulation", "report", "seed")

Commands: TypeAlias = Sequence[bytes] | Callable[[Random], Sequence[bytes]]
Machine: TypeAlias = StateMachine[Any] | Callable[[], StateMachine[Any]]


class FailedSeed(GutsError, AssertionError):
    """In this seed a promise of the network or of the machine did not hold: any test runner counts it as a failure."""

    code = "failed-seed"


@frozen
class Campaign:
    """What is run, for which seeds."""

    machine: Any  # a Machine or None
    commands: Commands
    nodes: int
    seeds: Sequence[int]
    fault_model: FaultModel
    villains: bool
    whole: bool
    plan: Plan | None

    def made(self) -> StateMachine[Any] | None:
        """The machine: a class, or a function, makes a new one for each seed."""
        is_maker = isinstance(self.machine, type) or isfunction(self.machine)
        machine: StateMachine[Any] | None = self.machine() if is_maker else self.machine
        return machine

    def wanted(self, seed: int) -> Sequence[bytes]:
        """The commands of one seed: the same for all, or drawn from dice of the seed."""
        return self.commands(dice(seed, "commands")) if callable(self.commands) else self.commands

    def run(self, seed: int) -> Simulation[Any]:
        """One seed."""
        machine = self.made()
        if machine is None:
            return Simulation(self._built_in(seed), (), None)
        return simulate(
            machine,
            self.wanted(seed),
            seed=seed,
            nodes=self.nodes,
            fault_model=self.fault_model,
            villains=self.villains,
            plan=self.plan,
        )

    def _built_in(self, seed: int) -> Report:
        if self.whole:
            return simulate_forge(seed, self.nodes, self.fault_model, villains=self.villains, plan=self.plan)
        return run_seed(seed, self.nodes, self.fault_model, villains=self.villains)


class SimulatedTest:
    """A decorated test: what to run for a seed, and what to say of the outcome."""

    def __init__(self, test: Callable[..., Any], campaign: Campaign) -> None:
        self.test, self.campaign = test, campaign
        self._asked = [name for name in inspect.signature(test).parameters if name in GIVEN]

    def run(self, seed: int) -> Simulation[Any]:
        """Run a seed."""
        return self.campaign.run(seed)

    def judge(self, simulation: Simulation[Any], arguments: Sequence[Any], named: dict[str, Any]) -> None:
        """What the test says of a run; raises what the test raises."""
        given = {"simulation": simulation, "report": simulation.report, "seed": simulation.report.seed}
        self.test(*arguments, **named, **{name: given[name] for name in self._asked})


# Where a test runner finds what it runs.
ATTRIBUTE = "simulated_test"


def simulated(
    machine: Machine | None = None,
    commands: Commands = (),
    *,
    nodes: int = 4,
    seeds: int | Iterable[int] = SEEDS,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    villains: bool = True,
    whole: bool = False,
    plan: Plan | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """
    Run the decorated test in a simulated network for each seed, under everything that goes wrong.

    The test may take ``simulation``, ``report`` and ``seed``. Without a machine it is agreement alone that
    runs, or whole forge nodes with ``whole``. ``commands`` may be a function of the seed's dice. A broken
    promise fails the test by itself. With pytest, ``--guts-seed N`` runs one seed and ``--guts-seeds N`` so many.
    """
    chosen = range(seeds) if isinstance(seeds, int) else tuple(seeds)
    if not chosen:
        raise Invalid("a simulated test needs at least one seed: it would test nothing")
    campaign = Campaign(machine, commands, nodes, chosen, fault_model, villains, whole, plan)

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        if inspect.iscoroutinefunction(test):
            raise Invalid(
                f"{test.__name__} is async: a simulation has no event loop; the test of its outcome needs none"
            )
        subject = SimulatedTest(test, campaign)

        @functools.wraps(test)
        def run_all(*arguments: Any, **named: Any) -> None:
            for seed in subject.campaign.seeds:
                simulation = subject.run(seed)
                if simulation.report.problem is not None:
                    raise FailedSeed(f"seed {seed}: {simulation.report.problem}")
                subject.judge(simulation, arguments, named)

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in GIVEN]
        run_all.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]  # what inspect documents
        setattr(run_all, ATTRIBUTE, subject)
        return run_all

    return decorate
