"""Run one seed and say what happened (``guts sim run --seed N``)."""

from __future__ import annotations

import gc

from attrs import evolve, field, frozen

from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .fates import dice
from .faults import Plan, draw, draw_whole
from .forge_cast import DAY_MS, ForgeCast
from .forge_council import NODES, CouncilCast, CouncilWorld
from .forge_world import ForgeWorld
from .ledger import Broken, VoteLedger
from .ports import Cast
from .replica_node import HonestCast
from .villains.cast import VillainCast
from .world import World

# With fewer blocks, what was tested is patience, not agreement.
BLOCKS_MIN = 15


@frozen
class Villainy:
    """What one dishonest node did."""

    node: int
    name: str
    attempts: int
    achieved: int


@frozen
class Report:
    """One run; ``problem`` None means that every invariant held and the run was worth something."""

    seed: int
    nodes: int
    events: int
    simulated_us: int
    heights: tuple[int, ...]  # of honest nodes
    votes: int
    faults: dict[str, int]
    fired: dict[str, int]
    villains: tuple[Villainy, ...]
    trace: str
    problem: str | None
    work: dict[str, int] = field(factory=dict)  # of whole nodes: what people asked for, and what became of it


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
    plan = draw(dice(seed, "faults"), nodes)
    count = faults_tolerated(nodes, fault_model) if villains and fault_model is FaultModel.BYZANTINE else 0
    cast = VillainCast(seed, nodes, count, remember=remember) if count else None
    honest = HonestCast(seed, nodes, fault_model, remember=remember)
    return run_cast(seed, nodes, plan, cast or honest, fault_model)


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
    players = ForgeCast(seed, nodes, fault_model, villains=villains, epoch_ms=epoch_ms)
    ledger = VoteLedger(nodes, fault_model, players.villains)
    drawn = plan or draw_whole(dice(seed, "faults"), nodes)
    world = ForgeWorld(seed, drawn, players, nodes, ledger)
    report = report_of(seed, world, players, demanding=plan is None)
    return evolve(report, work=dict(sorted((world.asked + world.checks.happened).items())))


def simulate_council(seed: int, epoch_ms: int = 2_000) -> tuple[Report, int]:
    """The same with validators that change; how many changes hold at the end."""
    players = CouncilCast(seed, epoch_ms)
    ledger = VoteLedger(NODES, FaultModel.BYZANTINE, players.villains)
    world = CouncilWorld(seed, draw_whole(dice(seed, "faults"), NODES), players, ledger)
    report = report_of(seed, world, players)
    return evolve(report, work=dict(sorted((world.asked + world.checks.happened).items()))), world.done


def run_cast(seed: int, nodes: int, plan: Plan, cast: Cast, fault_model: FaultModel) -> Report:
    """One run of a given plan with given players."""
    return report_of(seed, World(seed, plan, cast, nodes, VoteLedger(nodes, fault_model, cast.villains)), cast)


def report_of(seed: int, world: World, cast: Cast, *, demanding: bool = True) -> Report:
    """Run a world to its end; ``demanding`` makes a run that tested nothing a problem."""
    problem = None
    # What a run makes lives about as long as the run: looking for what died in a circle costs a tenth of it.
    collects = gc.isenabled()
    gc.disable()
    try:
        world.run()
    except Broken as broken:
        problem = str(broken)
    except Exception as error:  # noqa: BLE001 -- what a node or a machine did not expect is a finding of this seed
        problem = _unexpected(error)
    finally:
        if collects:
            gc.enable()
    heights = tuple(node.height for index in world.honest if (node := world.places[index].node) is not None)
    return Report(
        seed=seed,
        nodes=world.size,
        events=world.events,
        simulated_us=world.time,
        heights=heights,
        votes=world.ledger.votes,
        faults=dict(sorted(world.faults.items())),
        fired={rule.name: count for rule, count in sorted(world.fired.items())},
        villains=_villainies(cast, world),
        trace=world.trace,
        problem=problem or (_worthless(world, heights) if demanding else None),
    )


def _unexpected(error: Exception) -> str:
    """An error that nobody caught, with the function that raised it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = "" if at is None else f" in {at.tb_frame.f_code.co_qualname}"
    return f"{type(error).__name__}{place}: {error}"


def _villainies(cast: Cast, world: World) -> tuple[Villainy, ...]:
    if not isinstance(cast, VillainCast | ForgeCast):
        return ()
    return tuple(
        Villainy(index, kind.name, cast.deeds[index].attempts, kind.achieved(cast.deeds[index], world))
        for index, kind in sorted(cast.kinds.items())
    )


def _worthless(world: World, heights: tuple[int, ...]) -> str | None:
    if min(heights, default=0) < BLOCKS_MIN:
        return f"an honest node finalized fewer than {BLOCKS_MIN} blocks: {heights}"
    # Whether a crash found something unsynced, or a partition a message, is the draw of the moment: campaigns ask that.
    needed = ["crashed"] + (["lost"] if world.size > 1 else [])
    missing = [name for name in needed if not world.faults[name]]
    return f"faults that never happened: {', '.join(missing)}" if missing else None
