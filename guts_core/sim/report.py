"""What a run of one world came to: the promise that broke, if one did, and what was counted on the way."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

from attrs import field, frozen

from .forge_cast import ForgeCast
from .forge_world import ForgeWorld
from .ledger import Broken
from .ports import Cast
from .villains.cast import VillainCast
from .villains.villain import Deeds, Villain
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
    by_epoch: tuple[int, ...] = ()  # of it, in each epoch that the network was in; of agreement alone there is one


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


@contextmanager
def uncollected() -> Iterator[None]:
    """
    Nobody looks for what died in a circle: what a run makes lives about as long as the run, and that costs a tenth.

    Best around all that the world is known in: who looks when it is gone has little to look at.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@uncollected()
def report_of(seed: int, world: World, cast: Cast, *, demanding: bool = True) -> Report:
    """Run a world to its end; ``demanding`` makes a run that tested nothing a problem."""
    problem = None
    try:
        world.run()
    except Broken as broken:
        problem = str(broken)
    except Exception as error:  # noqa: BLE001 -- what a node or a machine did not expect is a finding of this seed
        problem = _unexpected(error)
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
        work=dict(sorted((world.asked + world.checks.happened).items())) if isinstance(world, ForgeWorld) else {},
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
        _villainy(kind, cast.deeds[index], world, world.achieved_before if isinstance(world, ForgeWorld) else [])
        for index, kind in sorted(cast.kinds.items())
    )


def _villainy(kind: type[Villain], deeds: Deeds, world: World, before: list[Counter[int]]) -> Villainy:
    achieved = kind.achieved(deeds, world)
    sums = [0, *(one[deeds.index] for one in before), achieved]
    by_epoch = tuple(later - earlier for earlier, later in pairwise(sums))
    return Villainy(deeds.index, kind.name, deeds.attempts, achieved, by_epoch)


def _worthless(world: World, heights: tuple[int, ...]) -> str | None:
    if min(heights, default=0) < BLOCKS_MIN:
        return f"an honest node finalized fewer than {BLOCKS_MIN} blocks: {heights}"
    # Whether a crash found something unsynced, or a partition a message, is the draw of the moment: campaigns ask that.
    needed = ["crashed"] + (["lost"] if world.size > 1 else [])
    missing = [name for name in needed if not world.faults[name]]
    return f"faults that never happened: {', '.join(missing)}" if missing else None
