"""
Whole nodes under everything that goes wrong: people push, packs travel, nodes crash and lie.

Every seed checks I1 to I10 and I12 after every event, L1 and L2 after the heal, and that no wish is
left without an answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from guts_core.sim.forge_cast import KINDS
from guts_core.sim.report import Report
from guts_core.sim.run import simulate_forge
from guts_core.simplex.engine import Rule
from guts_core.simplex.quorum import FaultModel

SEEDS = range(6 * len(KINDS))  # every villain six times
# Each misfortune that the push path has to survive, and must have met.
MISFORTUNES = (
    "crashed",
    "unsynced lost",
    "unsynced packs lost",
    "cut off",
    "lost",
    "bulk lost",
    "late",
    "duplicated",
    "log compacted",
    "final before the last commit ended",
    "committed without a pack",
    "packs pulled",
    "packs repaired",
    "packs swept",
    "committed without a text",
    "texts repaired",
)
# Each way in which a transaction ends, and must have ended.
OUTCOMES = (
    "brought again",
    "checks failed",
    "final: ok",
    "final: stale",
    "final: removals-moved",
    "ref created",
    "ref fast_forward",
    "ref forced",
    "ref deleted",
    "refused: stale",
    "refused: transaction-expired",
    "refused: credential-ended",
    "refused: wrong-signatures",
    "repository renamed",
    "repository deleted",
    "repository restored",
    "key removed",
    "text erased",
)
# What people ask for; the moves of refs are counted where they end.
REQUESTS = (
    "register",
    "create credential",
    "revoke credential",
    "create repository",
    "collaborator",
    "push to create",
    "describe",
    "erase",
    "rename",
    "delete",
    "restore",
    "change keys",
)


@pytest.fixture(scope="module")
def campaign() -> list[Report]:
    return [simulate_forge(seed) for seed in SEEDS]


def test_four_whole_nodes_with_a_villain_keep_every_promise(campaign: list[Report]) -> None:
    assert [(report.seed, report.problem) for report in campaign if report.problem] == []


def test_every_seed_crashes_cuts_and_loses(campaign: list[Report]) -> None:
    """A run in which nothing went wrong tested nothing; one in which nobody pushed tested no push."""
    for name in ("crashed", "lost"):
        assert [report.seed for report in campaign if not report.faults.get(name)] == []
    for name in ("unsynced lost", "cut off"):
        assert sum(bool(report.faults.get(name)) for report in campaign) >= len(campaign) * 8 // 10, name
    assert [report.seed for report in campaign if report.work["final: ok"] < 20] == []
    assert [report.seed for report in campaign if report.work.get("ref created", 0) == 0] == []


def test_the_campaign_meets_every_misfortune_and_every_outcome(campaign: list[Report]) -> None:
    faults: Counter[str] = Counter()
    work: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    for report in campaign:
        faults.update(report.faults)
        work.update(report.work)
        fired.update(report.fired)

    assert [name for name in MISFORTUNES if not faults[name]] == []
    assert [name for name in (*REQUESTS, *OUTCOMES) if not work[name]] == []
    assert {rule.name for rule in Rule} == {name for name, count in fired.items() if count}


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_every_villain_got_through_to_whole_nodes(campaign: list[Report], name: str) -> None:
    """An attack that is silently a no-op tests nothing: what each achieved is counted."""
    played = [villain for report in campaign for villain in report.villains if villain.name == name]
    assert len(played) == len(SEEDS) // len(KINDS)
    assert all(villain.attempts for villain in played)
    assert sum(villain.achieved > 0 for villain in played) >= len(played) * 3 // 4


@pytest.mark.parametrize("seed", range(1000, 1003))
@pytest.mark.parametrize(
    ("nodes", "fault_model"),
    [(1, FaultModel.BYZANTINE), (3, FaultModel.BYZANTINE), (3, FaultModel.CRASH), (7, FaultModel.BYZANTINE)],
)
def test_other_sizes_keep_every_promise(nodes: int, fault_model: FaultModel, seed: int) -> None:
    assert simulate_forge(seed, nodes, fault_model).problem is None


@pytest.mark.parametrize(("seed", "nodes"), [(3, 4), (67, 4), (5077, 4), (6039, 3), (8130, 4), (10005, 1)])
def test_seeds_that_once_found_something(seed: int, nodes: int) -> None:
    """
    The first two: pushes that nobody would look at twice, though a block later they were in order, or over.
    The third: what a dying gateway passed on, brought again to one that had not heard of its author yet.
    The fourth: a push whose gateway alone took it in before its key was removed, and waited for others till it expired.
    The others: a villain that restarted and had nothing to equivocate with, and a gateway that died with its wish.
    """
    assert simulate_forge(seed, nodes, villains=True).problem is None
    assert simulate_forge(seed, nodes, villains=False).problem is None


def test_the_same_seed_of_whole_nodes_gives_the_same_trace_under_any_hash_seed() -> None:
    program = (
        "from guts_core.sim.run import simulate_forge; print(simulate_forge(4)); print(simulate_forge(7, 3).trace)"
    )
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout)

    assert len(outputs) == 1
    assert simulate_forge(4).trace.encode() in outputs.pop()
    assert simulate_forge(4).trace != simulate_forge(5).trace
