"""A run as a value: who plays, what is planned to go wrong, and what chance says. Same value, same trace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import Factory, evolve, field, frozen
from attrs.validators import instance_of

from guts_core.errors import NotFound
from guts_core.simplex.quorum import FaultModel, faults_tolerated

from . import forge_cast
from .divergence import Doubled
from .fates import Drawn, Fates, Recording, Replayed, Tape, dice
from .faults import Plan, draw, draw_whole
from .forge_cast import ForgeCast
from .forge_world import ForgeWorld
from .ledger import VoteLedger
from .machine import StateMachine
from .replica_node import HonestCast
from .run import Report, report_of
from .villains import cast as villain_cast
from .villains.cast import VillainCast
from .villains.villain import Deeds, Villain
from .workload import Commands, Numbered
from .world import World

KINDS: Mapping[str, type[Villain]] = {kind.name: kind for kind in (*villain_cast.KINDS, *forge_cast.KINDS)}
# What a sentence names by number: nodes, views, heights, hashes. Without them two sentences are of one sort.
_NUMBERS = re.compile(r"\b(?:[0-9a-f]{8,}|\d+)\b|\([^)]*\)|\[[^]]*\]")
_INVARIANT = re.compile(r"[IL]\d+")


@frozen
class Scenario:
    """Everything that a run depends on."""

    seed: int = field(validator=instance_of(int))  # of keys and names; dice only while a tape is recorded
    nodes: int = field(validator=instance_of(int))
    plan: Plan
    fault_model: FaultModel = FaultModel.BYZANTINE
    whole: bool = False
    villains: Mapping[int, str] = Factory(dict)
    machine: StateMachine[Any] | None = None
    commands: tuple[bytes, ...] = ()
    tape: Tape | None = None  # None: drawn from the seed

    def world(self, kind: tuple[type[World], type[ForgeWorld]] = (World, ForgeWorld)) -> World:
        """A world in which it can be played once."""
        fates = self._fates()
        if self.whole:
            players = ForgeCast(self.seed, self.nodes, self.fault_model, villains=False)
            self._appoint(players)
            return kind[1](self.seed, self.plan, players, self.nodes, self._ledger(), fates)
        machine = None if self.machine is None else Numbered(Doubled(self.machine))
        wishes = None if self.machine is None else Commands(self.commands)
        cast: HonestCast | VillainCast
        if self.villains:
            cast = VillainCast(self.seed, self.nodes, 1, machine=machine)
            self._appoint(cast)
        else:
            cast = HonestCast(self.seed, self.nodes, self.fault_model, machine=machine)
        return kind[0](self.seed, self.plan, cast, self.nodes, self._ledger(), wishes, fates)

    def play(self) -> Report:
        """Run it."""
        return self._played(self.world())

    def recorded(self) -> tuple[Report, Scenario]:
        """Run it, and the same with all that chance said as data."""
        world = self.world()
        report = self._played(world)
        tape = world.fates.tape if isinstance(world.fates, Recording) else self.tape
        return report, evolve(self, tape=tape)

    def _played(self, world: World) -> Report:
        return report_of(self.seed, world, world.cast, demanding=False)

    def _fates(self) -> Fates:
        return Recording(Drawn(self.seed, self.plan)) if self.tape is None else Replayed(self.tape, self.plan)

    def _ledger(self) -> VoteLedger:
        return VoteLedger(self.nodes, self.fault_model, frozenset(self.villains))

    def _appoint(self, cast: VillainCast | ForgeCast) -> None:
        """Whoever was drawn, these are the villains."""
        cast.kinds = {index: kind_of(name) for index, name in self.villains.items()}
        cast.deeds = {index: Deeds(index, self.nodes) for index in self.villains}


def kind_of(name: str) -> type[Villain]:
    """The villain of this name."""
    if name not in KINDS:
        raise NotFound(f"there is no villain {name!r} in this build: there are {', '.join(sorted(KINDS))}")
    return KINDS[name]


def scenario_of(
    seed: int,
    nodes: int = 4,
    fault_model: FaultModel = FaultModel.BYZANTINE,
    *,
    whole: bool = False,
    villains: bool = True,
    machine: StateMachine[Any] | None = None,
    commands: Sequence[bytes] = (),
) -> Scenario:
    """What the seed draws, before anything happens: the same as ``run_seed`` and ``simulate_forge`` do."""
    plan = draw_whole(dice(seed, "faults"), nodes) if whole else draw(dice(seed, "faults"), nodes)
    count = faults_tolerated(nodes, fault_model) if villains and fault_model is FaultModel.BYZANTINE else 0
    kinds: Mapping[int, type[Villain]] = {}
    if count:
        kinds = (ForgeCast(seed, nodes, fault_model) if whole else VillainCast(seed, nodes, count)).kinds
    names = {index: kind.name for index, kind in sorted(kinds.items())}
    return Scenario(seed, nodes, plan, fault_model, whole, names, machine, tuple(commands))


def sort_of(problem: str | None) -> str | None:
    """Which promise a problem is about: an invariant's number, or the sentence without its numbers."""
    if problem is None:
        return None
    named = _INVARIANT.match(problem)
    return named[0] if named else _NUMBERS.sub("#", problem.partition(":")[0])
