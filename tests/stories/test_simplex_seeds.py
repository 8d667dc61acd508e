"""Agreement under everything that goes wrong: seeds, and the same trace for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from guts_core.sim.report import Report
from guts_core.sim.run import run_seed
from guts_core.sim.villains.cast import KINDS
from guts_core.simplex.engine import Rule
from guts_core.simplex.quorum import FaultModel
from tests.figures.told import Figure, seeds_of

FIRST_LARGE = 1000
# Every villain seven times in each part: a part stands for itself, so that any core can take it.
PART = 7 * len(KINDS)
PARTS = 9
THIN_MOST = 2
LARGE_PART, LARGE_PARTS = 10, 5


@pytest.mark.parametrize("part", range(PARTS))
def test_four_nodes_with_a_villain_agree_in_every_seed(part: int, figure: Figure) -> None:
    """Each seed has a crash, a partition and loss; nearly each loses unsynced writes and has at least 15 blocks."""
    reports = [run_seed(seed) for seed in range(part * PART, (part + 1) * PART)]
    figure(seeds_of("agreement, 4 nodes, one Byzantine", reports))

    assert [(report.seed, report.problem) for report in reports if report.problem and not is_thin(report)] == []
    assert sum(map(is_thin, reports)) <= THIN_MOST
    assert all(report.faults["crashed"] for report in reports)
    for name in ("unsynced lost", "cut off"):
        assert sum(bool(report.faults.get(name)) for report in reports) >= len(reports) * 8 // 10, name
    assert all(report.faults["lost"] for report in reports)
    fired = {name for report in reports for name, count in report.fired.items() if count}
    assert {rule.name for rule in Rule} == fired
    assert idle_villains(reports) == []


def is_thin(report: Report) -> bool:
    """No promise broke, but so much went wrong at once that few blocks were agreed on."""
    return report.problem is not None and report.problem.startswith("an honest node finalized fewer")


def idle_villains(reports: list[Report]) -> list[str]:
    """Who got through in fewer than half of its seeds: an attack that is silently a no-op tests nothing."""
    idle = []
    for kind in KINDS:
        played = [villain for report in reports for villain in report.villains if villain.name == kind.name]
        successes = sum(villain.achieved > 0 for villain in played)
        if len(played) != PART // len(KINDS) or 2 * successes < len(played):
            idle.append(f"{kind.name}: {successes} of {len(played)}")
    return idle


@pytest.mark.parametrize("part", range(LARGE_PARTS))
def test_seven_nodes_with_two_villains_agree_in_every_seed(part: int, figure: Figure) -> None:
    first = FIRST_LARGE + part * LARGE_PART
    reports = [run_seed(seed, 7) for seed in range(first, first + LARGE_PART)]
    figure(seeds_of("agreement, 7 nodes, two Byzantine", reports))

    assert [(report.seed, report.problem) for report in reports if report.problem and not is_thin(report)] == []
    assert all(len(report.villains) == 2 for report in reports)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("nodes", "fault_model"),
    [(1, FaultModel.BYZANTINE), (3, FaultModel.BYZANTINE), (3, FaultModel.CRASH)],
)
def test_other_sizes_agree(nodes: int, fault_model: FaultModel, seed: int) -> None:
    assert run_seed(1000 + seed, nodes, fault_model).problem is None


@pytest.mark.parametrize("seed", range(5))
def test_four_honest_nodes_agree(seed: int) -> None:
    assert run_seed(seed, villains=False).problem is None


def test_decoding_every_delivery_anew_changes_nothing() -> None:
    """Nodes exchange bytes: sharing decoded messages must be a mere saving."""
    for seed in (3, 4):
        assert run_seed(seed).trace == run_seed(seed, remember=False).trace


def test_the_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    program = "from guts_core.sim.run import run_seed; print(run_seed(5)); print(run_seed(6, 7).trace)"
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout)

    assert len(outputs) == 1
    assert run_seed(5).trace.encode() in outputs.pop()
    assert run_seed(5).trace != run_seed(6).trace
