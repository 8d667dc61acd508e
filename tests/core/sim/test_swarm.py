"""Seeds that draw first what goes wrong at all: within the bound all is kept, beyond it liars are convicted."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.sim.campaign import Campaign
from guts_core.sim.coverage import Coverage, covered
from guts_core.sim.faults import SECOND, Plan
from guts_core.sim.ledger import Broken
from guts_core.sim.links import SORTS
from guts_core.sim.scenario import Scenario
from guts_core.sim.swarm import SIZES, swarm, words
from guts_core.sim.villains.cast import KINDS
from tests.figures.told import Figure

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
def campaign() -> Campaign:
    """Sixty seeds of four nodes."""
    campaign = Campaign()
    for seed in SEEDS:
        campaign.add(*covered(swarm(seed, 4)))
    return campaign


def test_every_promise_is_kept(campaign: Campaign) -> None:
    assert [(one.seed, one.problem, words(swarm(one.seed, 4))) for one in campaign.failures] == []


def test_every_rule_met_every_message_and_fault(campaign: Campaign, figure: Figure) -> None:
    """What could have met and never did is a hole in the campaign: a rule left at 0, or an idle liar, too."""
    figure({"coverage": {"meetings of rule, message and fault": len(campaign.coverage.met)}})

    assert campaign.never() == []


def test_what_happens_sometimes_happened(campaign: Campaign) -> None:
    assert [name for name in SOMETIMES if not campaign.faults[name]] == []


def test_a_campaign_of_nothing_is_full_of_holes() -> None:
    found = Coverage().missing()

    assert {
        "HELP on nullify",
        "RETRY under liar",
        "FINALIZE under partition",
        "propose lost after the heal",
        "fetch cut off before the heal",
    } <= set(found)


def test_a_rule_that_a_campaign_leaves_at_zero_is_named() -> None:
    campaign = Campaign()
    campaign.add(swarm(0, 1).play())

    assert "rule help" in campaign.never()


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


@pytest.mark.parametrize("seed", range(6))
def test_whole_nodes_bear_a_swarm(seed: int) -> None:
    """The same misfortunes, liars and phases: disks put back, nodes lost for good, more liars than agreement bears."""
    scenario = swarm(seed, 4, whole=True)
    report = scenario.play()

    assert report.problem is None, words(scenario)
    assert report.work["final: ok"] > 0


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
