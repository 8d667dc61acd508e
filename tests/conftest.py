"""A skipped test is a hole: each one stands in ``skips.toml`` with a date, or the run fails under CI."""

from __future__ import annotations

import os
import signal
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from attrs import Factory, define, frozen

from tests.figures.told import PROPERTY, Figure, Teller

ALLOWED = Path(__file__).with_name("skips.toml")


@frozen
class AllowedSkip:
    """One entry of ``skips.toml``."""

    test: str
    until: date
    reason: str


def allowed_skips(path: Path = ALLOWED) -> tuple[AllowedSkip, ...]:
    """What may be skipped, read strictly: an entry with a missing or unknown key raises TypeError."""
    return tuple(AllowedSkip(**entry) for entry in tomllib.loads(path.read_text()).get("skip", []))


@define(eq=False)
class SkipGate:
    """Collects the skips of a run and names those that nobody allowed."""

    allowed: tuple[AllowedSkip, ...]
    today: date
    holes: dict[str, None] = Factory(dict)

    def saw(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Count a report if it is a skip or an expected failure that is not allowed today."""
        skipped = report.skipped or hasattr(report, "wasxfail")
        if skipped and not any(report.nodeid.startswith(e.test) and self.today <= e.until for e in self.allowed):
            self.holes[report.nodeid] = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or its set-up, said how it went."""
        self.saw(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module may skip itself as a whole."""
        self.saw(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Under CI an unlisted skip fails the run."""
        if self.holes and os.environ.get("CI"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which, and where to allow them."""
        for hole in self.holes:
            terminalreporter.write_line(f"SKIPPED WITHOUT PERMISSION {hole} (see tests/skips.toml)")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the numbers go that tests tell of themselves."""
    parser.addoption("--figures", type=Path, metavar="FILE", help="append what tests tell as lines of JSON")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Tells numbers of this test for the page of figures."""
    return lambda told: record_property(PROPERTY, told)


def pytest_configure(config: pytest.Config) -> None:
    """Install the gate and the teller; let children hear of Ctrl-C."""
    path = config.getoption("--figures")
    if path is not None and not hasattr(config, "workerinput"):  # a worker's reports are told by who started it
        config.pluginmanager.register(Teller(path), "figures")
    # A run that was started in the background ignores it, and so would every program that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(SkipGate(allowed_skips(), datetime.now(UTC).date()), "skip-gate")
