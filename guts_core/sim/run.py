"""Run one seed of the standing campaigns and say what happened."""

from __future__ import annotations

from attrs import evolve

from guts_core.simplex.quorum import FaultModel

from .fates import dice
from .faults import Plan
from .forge_cast import DAY_MS
from .forge_council import NODES, SEATS, CouncilCast, CouncilWorld
from .ledger import VoteLedger
from .report import Report, report_of
from .swarm import draw, liars_of, scenario_of


def run_seed(
    seed: int,
    nodes: int = 4,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    *,
    villains: bool = True,
    remember: bool = True,
) -> Report:
    """
    One seed, from its number alone: same number, same trace, everywhere.

    ``remember`` off decodes every delivery anew, which is slower and must change nothing.
    """
    drawn = scenario_of(seed, nodes, fault_model, villains=villains)
    return evolve(drawn, remember=remember).play(demanding=True)


def simulate_forge(
    seed: int,
    nodes: int = 4,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    *,
    villains: bool = True,
    plan: Plan | None = None,
    epoch_ms: int = DAY_MS,
) -> Report:
    """
    One seed of whole nodes: people, pushes, packs and the forge's rules under the same misfortunes.

    With a plan of its own, the misfortunes are those, be they none, and the rest is the seed's.
    """
    drawn = scenario_of(seed, nodes, fault_model, whole=True, villains=villains)
    return evolve(drawn, plan=plan or drawn.plan, epoch_ms=epoch_ms).play(demanding=plan is None)


def simulate_council(seed: int, epoch_ms: int = 2_000) -> tuple[Report, int]:
    """The same with validators that change; how many changes hold at the end."""
    # The one who leaves is honest, and sits last, so that no seat moves.
    players = CouncilCast(seed, liars_of(seed, SEATS - 1, FaultModel.BYZANTINE, whole=True), epoch_ms)
    ledger = VoteLedger(NODES, FaultModel.BYZANTINE, players.villains)
    world = CouncilWorld(seed, draw(dice(seed, "faults"), NODES, whole=True), players, ledger)
    return report_of(seed, world, players), world.done
