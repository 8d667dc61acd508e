"""Many runs added up: what was simulated, what went wrong, who lied and with what success, and what never happened."""

from __future__ import annotations

from collections import Counter

from attrs import define, field, frozen

from guts_core.simplex.engine import Rule

from .coverage import Coverage
from .report import Report


@frozen
class Failure:
    """A seed in which a promise broke."""

    seed: int
    nodes: int
    problem: str


@define
class Played:
    """One kind of villain over all runs."""

    runs: int = 0
    attempts: int = 0
    achieved: int = 0
    successes: int = 0  # runs in which it achieved anything


@define
class Campaign:
    """The sum of many reports."""

    seeds: int = 0
    events: int = 0
    simulated_us: int = 0
    blocks: int = 0
    faults: Counter[str] = field(factory=Counter)
    rules: Counter[str] = field(factory=Counter)
    work: Counter[str] = field(factory=Counter)
    villains: dict[str, Played] = field(factory=dict)
    sizes: Counter[int] = field(factory=Counter)
    coverage: Coverage = field(factory=Coverage)
    failures: list[Failure] = field(factory=list)

    def add(self, report: Report, coverage: Coverage | None = None) -> None:
        """One more run."""
        self.seeds += 1
        self.events += report.events
        self.simulated_us += report.simulated_us
        self.blocks += max(report.heights, default=0)
        self.sizes[report.nodes] += 1
        self.faults.update(report.faults)
        self.rules.update(report.fired)
        self.work.update(report.work)
        for villain in report.villains:
            played = self.villains.setdefault(villain.name, Played())
            played.runs += 1
            played.attempts += villain.attempts
            played.achieved += villain.achieved
            played.successes += villain.achieved > 0
        if coverage is not None:
            self.coverage.add(coverage)
        if report.problem is not None:
            self.failures.append(Failure(report.seed, report.nodes, report.problem))

    def never(self) -> list[str]:
        """What happens only sometimes, and in this campaign did not: a longer one should reach it."""
        rules = [f"rule {rule.name.lower()}" for rule in Rule if not self.rules[rule.name]]
        idle = [f"{name} achieved something" for name, played in sorted(self.villains.items()) if not played.achieved]
        faults = [f"fault {name}" for name, count in sorted(self.faults.items()) if not count]
        return rules + idle + faults + (self.coverage.missing() if self.coverage.met else [])
