"""
The pytest plugin: tests decorated with ``guts_core.simulated`` run all their seeds as one item.

A failure prints the one line that replays it. Nothing of the simulator is loaded by a run without such a test.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from guts_core.sim.simulated import SimulatedTest

# The attribute by which guts_core.sim.simulated marks what it decorated.
ATTRIBUTE = "simulated_test"
SECTION = "simulation"
_FAILED_AT = pytest.StashKey[int]()


def _is_not_ours(error: pytest.ExceptionInfo[BaseException]) -> bool:
    """Our frames are hidden from a failure of the test's own; of one of ours something must be left to show."""
    return not error.errisinstance(pytest.fail.Exception)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which seeds simulated tests run."""
    group = parser.getgroup("guts", "simulated networks (guts_core.simulated)")
    group.addoption("--guts-seed", type=int, metavar="N", help="run simulated tests with this seed alone")
    group.addoption("--guts-seeds", type=int, metavar="N", help="run simulated tests with seeds 0 to N-1")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the seeds of a simulated test."""
    __tracebackhide__ = True
    subject: SimulatedTest | None = getattr(pyfuncitem.obj, ATTRIBUTE, None)
    if subject is None:
        return None
    owner = getattr(pyfuncitem.obj, "__self__", None)
    arguments = () if owner is None else (owner,)
    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 -- pytest's own runner of functions reads it so
    run_seeds(pyfuncitem, subject, arguments, {name: pyfuncitem.funcargs[name] for name in names})
    return True


def run_seeds(item: pytest.Function, subject: SimulatedTest, arguments: Sequence[Any], named: dict[str, Any]) -> None:
    """All chosen seeds, and then once under other orders of sets; the seed of a failure is remembered."""
    __tracebackhide__ = _is_not_ours
    seeds = chosen_seeds(item.config, subject.campaign.seeds)
    item.user_properties.append(("guts-seeds", len(seeds)))
    simulation = None
    for seed in seeds:
        item.stash[_FAILED_AT] = seed
        simulation = subject.run(seed)
        if simulation.report.problem is not None:
            pytest.fail(f"seed {seed}: {simulation.report.problem}", pytrace=False)
        subject.judge(simulation, arguments, named)
    if simulation is not None and subject.campaign.machine is not None:
        _compare_hashes(item, subject, simulation.order)
    del item.stash[_FAILED_AT]


def chosen_seeds(config: pytest.Config, own: Sequence[int]) -> Sequence[int]:
    """Those of the test, unless the command line says which."""
    one, many = config.getoption("--guts-seed"), config.getoption("--guts-seeds")
    if one is not None:
        return (one,)
    return own if many is None else range(many)


def _compare_hashes(item: pytest.Function, subject: SimulatedTest, order: Sequence[bytes]) -> None:
    from .simulation.other_hashes import NotComparable, parted  # noqa: PLC0415 -- for those alone who simulate

    __tracebackhide__ = _is_not_ours
    try:
        problem = parted(subject.campaign.machine, order)
    except NotComparable as error:
        item.add_report_section("call", SECTION, f"not compared under another PYTHONHASHSEED: {error}")
        return
    if problem is not None:
        pytest.fail(problem, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under a failure, the line that replays it."""
    report = yield
    seed = item.stash.get(_FAILED_AT, None)
    if call.when == "call" and report.failed and seed is not None:
        report.sections.append((SECTION, replay_line(item, seed)))
    return report


def replay_line(item: pytest.Item, seed: int) -> str:
    """What to type to see this failure again, and it alone."""
    return f"replay it: pytest {shlex.quote(item.nodeid)} --guts-seed {seed}"
