"""Agreement under everything that goes wrong: seeds, and the same trace for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from guts_core.sim.run import Report, run_seed
from guts_core.sim.villains.cast import KINDS
from guts_core.simplex.engine import Rule
from guts_core.simplex.quorum import FaultModel

SEEDS = range(112)  # every villain eight times


@pytest.fixture(scope="module")
def campaign() -> list[Report]:
    return [run_seed(seed) for seed in SEEDS]


def test_four_nodes_with_a_villain_agree_in_every_seed(campaign: list[Report]) -> None:
    """Each seed has a crash that loses unsynced writes, a partition, loss, and at least 20 blocks per honest node."""
    assert [(report.seed, report.problem) for report in campaign if report.problem] == []
    assert all(report.faults["crashed"] and report.faults["unsynced lost"] for report in campaign)
    assert all(report.faults["cut off"] and report.faults["lost"] for report in campaign)


def test_the_campaign_reaches_every_rule(campaign: list[Report]) -> None:
    fired: Counter[str] = Counter()
    for report in campaign:
        fired.update(report.fired)
    assert {rule.name for rule in Rule} == {name for name, count in fired.items() if count}


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_every_villain_got_through_to_honest_code(campaign: list[Report], name: str) -> None:
    """An attack that is silently a no-op tests nothing: what each achieved is counted."""
    played = [villain for report in campaign for villain in report.villains if villain.name == name]
    assert len(played) == len(SEEDS) // len(KINDS)
    assert all(villain.attempts for villain in played)
    assert sum(villain.achieved > 0 for villain in played) >= len(played) * 3 // 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("nodes", "fault_model"),
    [(1, FaultModel.BYZANTINE), (3, FaultModel.BYZANTINE), (3, FaultModel.CRASH), (7, FaultModel.BYZANTINE)],
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
