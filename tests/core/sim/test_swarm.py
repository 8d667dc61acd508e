"""Seeds that draw first what goes wrong at all: within the bound all is kept, beyond it liars are convicted."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from guts_core.sim.faults import SECOND, Plan
from guts_core.sim.forge_world import ForgeWorld
from guts_core.sim.ledger import Broken
from guts_core.sim.links import SORTS
from guts_core.sim.reach import Reach, holes
from guts_core.sim.report import report_of
from guts_core.sim.scenario import Scenario
from guts_core.sim.swarm import SIZES, swarm, words
from guts_core.sim.villains.cast import KINDS
from guts_core.simplex.engine import Rule

SEEDS = range(60)
# What only some seeds meet, and a campaign must.
SOMETIMES = (
    *("clock jumped", "clogged", "cut off", "disk full", "knocked out", "late", "lost for good", "quorum held back"),
    *("put back: both", "put back: database", "put back: log", "refused its disk", "rotten log", "scripted away"),
    *("shown to one node only", "slow sync", "stood still", "torn", "unsynced lost", "waited for other bytes"),
    *("eight final blocks waited for the database", "held evidence", "knew of finality before it had the blocks"),
    *("final before the last commit ended", "log compacted", "sixteen views were open"),
)
# More liars than four nodes bear, and links on which each has his way.
BEYOND = evolve(
    Plan.calm(4), chaos_us=3 * SECOND, heal_us=SECOND, delay_us=(5_000, 20_000), loss_per_mille=100, is_beyond=True
)
LIARS = {0: "twins", 1: "nullify and finalize", 2: "twins"}


@pytest.fixture(scope="module")
def campaign() -> tuple[Counter[tuple[Rule, str, str]], Counter[str], list[str]]:
    """What sixty seeds of four nodes reached, met and broke."""
    reached: Counter[tuple[Rule, str, str]] = Counter()
    faults: Counter[str] = Counter()
    problems = []
    for seed in SEEDS:
        scenario = swarm(seed, 4)
        world = scenario.world((Reach, ForgeWorld))
        assert isinstance(world, Reach)
        world.reached = reached
        report = report_of(seed, world, world.cast, demanding=False)
        faults.update(world.faults)
        problems += [f"{seed}: {report.problem} ({words(scenario)})"] if report.problem else []
    return reached, faults, problems


def test_every_promise_is_kept(campaign: tuple[object, object, list[str]]) -> None:
    assert campaign[2] == []


def test_every_rule_met_every_fault(campaign: tuple[Counter[tuple[Rule, str, str]], object, object]) -> None:
    """A rule that was never applied on a message, or under a fault, is a hole in the campaign."""
    assert holes(campaign[0]) == []


def test_what_happens_sometimes_happened(campaign: tuple[object, Counter[str], object]) -> None:
    assert [name for name in SOMETIMES if not campaign[1][name]] == []


def test_a_campaign_of_nothing_is_full_of_holes() -> None:
    found = holes(Counter())

    assert {"HELP on nullify", "RETRY under liar", "FINALIZE under partition"} <= set(found)


def test_all_sizes_and_villains_are_drawn() -> None:
    scenarios = [swarm(seed) for seed in range(400)]

    assert set(SIZES) == {scenario.nodes for scenario in scenarios}
    assert {kind.name for kind in KINDS} == {name for one in scenarios for name in one.villains.values()}
    assert set(SORTS[:7]) | {""} == {script.said for one in scenarios for script in one.plan.scripts}
    assert len({words(scenario) for scenario in scenarios}) > 390


@pytest.mark.parametrize("nodes", [1, 3, 5, 7, 10])
def test_other_sizes_bear_a_swarm(nodes: int) -> None:
    for seed in range(3):
        report = swarm(seed, nodes).play()
        assert report.problem is None, report.problem


def test_a_fork_names_its_liars() -> None:
    """Two quorums of three among four share two nodes: so many are convicted by their own votes."""
    forks = 0
    for seed in range(10):
        world = Scenario(seed, 4, BEYOND, villains=LIARS).world()
        world.run()
        assert world.ledger.guilty <= set(LIARS)
        if world.verdict.startswith("detected: I"):
            assert len(world.ledger.guilty) >= 2
            forks += 1
        else:
            assert world.verdict in {"held", "halted"}

    assert forks >= 2


def test_a_fork_that_convicts_nobody_is_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Honest nodes that count two of four as a quorum fork by themselves, whoever lies beside them."""
    monkeypatch.setattr("guts_core.simplex.committee.quorum", lambda _n, _model: 2)

    world = Scenario(1, 4, BEYOND, villains=LIARS).world()
    with pytest.raises(Broken, match=r"I[34]: node 3"):
        world.run()
