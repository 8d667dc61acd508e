"""
What tests tell of themselves: numbers by section and name, added up over all tests of a run.

``pytest --figures FILE`` appends one line of JSON for each test that told something, and one for each outcome.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from guts_core.sim.report import Report

PROPERTY = "figures"
Told = dict[str, dict[str, int]]
Figure = Callable[[Told], None]
_CAMPAIGN, _FAULTS, _LIARS = "seeds", "faults", "liars"


def seeds_of(name: str, reports: Iterable[Report]) -> Told:
    """What a campaign's reports add up to."""
    sums: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    liars: Counter[str] = Counter()
    for report in reports:
        sums[f"{name}: seeds"] += 1
        sums[f"{name}: events"] += report.events
        sums[f"{name}: simulated us"] += report.simulated_us
        faults.update(report.faults)
        for villain in report.villains:
            liars[villain.name] += villain.achieved
    return {_CAMPAIGN: dict(sums), _FAULTS: dict(faults), _LIARS: dict(liars)}


class Teller:
    """Appends what tests told to a file; workers send it with their reports."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()  # tests go elsewhere

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or its set-up, said how it went."""
        if report.when != "call":
            return
        lines: list[object] = [{"outcomes": {report.outcome: 1}}]
        lines += [told for name, told in report.user_properties if name == PROPERTY]
        with self._path.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)


def added_up(lines: Iterable[str]) -> dict[str, Counter[str]]:
    """By section, the sums of all lines."""
    sums: dict[str, Counter[str]] = {}
    for line in lines:
        for section, numbers in json.loads(line).items():
            sums.setdefault(section, Counter()).update(numbers)
    return sums
