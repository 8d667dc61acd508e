"""
Whole nodes whose epochs last two seconds, under everything that goes wrong; and a council that rotates a key, takes a
seat away and gives one to a node that followed. Every seed checks all that the longer campaigns check, by epoch.
"""

from __future__ import annotations

import pytest

from guts_core.sim.forge_cast import KINDS
from guts_core.sim.run import simulate_council, simulate_forge

EPOCH_MS = 2_000
SEEDS = range(len(KINDS))  # every villain once


@pytest.mark.parametrize("seed", range(len(KINDS)))
def test_short_epochs_keep_every_promise(seed: int) -> None:
    report = simulate_forge(seed, epoch_ms=EPOCH_MS)

    assert report.problem is None
    assert report.faults["epochs begun"] >= 3


def test_validators_that_change_keep_every_promise() -> None:
    done, problems = 0, []
    for seed in SEEDS:
        report, changes = simulate_council(seed)
        problems += [(seed, report.problem)] if report.problem else []
        done += changes == 3

    assert problems == []
    # A run is ten seconds long, half of them chaos: most councils come to their end.
    assert done >= len(SEEDS) // 2


@pytest.mark.parametrize("seed", [1, 57])
def test_seeds_that_once_found_something(seed: int) -> None:
    """A node that followed asked itself without end; and one whose answers took longer than a block stood still."""
    assert simulate_council(seed)[0].problem is None


@pytest.mark.parametrize("seed", [104])
def test_epochs_of_a_few_blocks(seed: int) -> None:
    """What a block had decided was asked for again when the epoch turned with it."""
    assert simulate_forge(seed, epoch_ms=600).problem is None
