"""
Whole nodes whose epochs last two seconds, under everything that goes wrong; and a council that rotates a key, takes a
seat away and gives one to a node that followed. Every seed checks all that the longer campaigns check, by epoch.
"""

from __future__ import annotations

import pytest

from guts_core.sim.forge_cast import KINDS
from guts_core.sim.report import Report
from guts_core.sim.run import simulate_council, simulate_forge

EPOCH_MS = 2_000
SEEDS = range(len(KINDS))  # every villain once
COUNCILS = range(12)


@pytest.fixture(scope="module")
def short() -> list[Report]:
    return [simulate_forge(seed, epoch_ms=EPOCH_MS) for seed in SEEDS]


@pytest.fixture(scope="module")
def councils() -> list[tuple[Report, int]]:
    return [simulate_council(seed) for seed in COUNCILS]


def test_short_epochs_keep_every_promise(short: list[Report]) -> None:
    """Two of these once stood still for good: restarts before a boundary held votes back after it."""
    assert [(report.seed, report.problem) for report in short if report.problem] == []
    assert all(report.faults["epochs begun"] for report in short)
    assert sum(report.faults["epochs begun"] for report in short) >= 3 * len(short)


def test_validators_that_change_keep_every_promise(councils: list[tuple[Report, int]]) -> None:
    assert [(report.seed, report.problem) for report, _ in councils if report.problem] == []
    # A run is ten seconds long, half of them chaos: most councils come to their end.
    assert sum(done == 3 for _, done in councils) >= len(councils) // 2


def test_who_lies_gets_through_in_later_epochs_too(short: list[Report], councils: list[tuple[Report, int]]) -> None:
    """Votes of the first epoch would mean nothing there: so each acts in the epoch it is in."""
    villains = [villain for report in [*short, *(report for report, _ in councils)] for villain in report.villains]
    later = {villain.name for villain in villains if sum(villain.by_epoch[1:])}

    assert {kind.name for kind in KINDS} == {villain.name for villain in villains}
    assert all(sum(villain.by_epoch) == villain.achieved for villain in villains)
    assert len(later) >= len(KINDS) * 3 // 4, sorted({kind.name for kind in KINDS} - later)


@pytest.mark.parametrize("seed", [57])
def test_seeds_that_once_found_something(seed: int) -> None:
    """A node that followed asked itself without end; and one whose answers took longer than a block stood still."""
    assert simulate_council(seed)[0].problem is None


@pytest.mark.parametrize("seed", [104])
def test_epochs_of_a_few_blocks(seed: int) -> None:
    """What a block had decided was asked for again when the epoch turned with it."""
    assert simulate_forge(seed, epoch_ms=600).problem is None
