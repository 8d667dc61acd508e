"""A run as a value: who plays, what is planned to go wrong, and what chance says. Same value, same trace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import Factory, evolve, field, frozen
from attrs.validators import instance_of

from guts_core.errors import NotFound
from guts_core.simplex.quorum import FaultModel

from . import forge_cast
from .divergence import Doubled
from .fates import Drawn, Fates, Recording, Replayed, Tape
from .faults import Plan
from .forge_cast import ForgeCast
from .forge_world import ForgeWorld
from .ledger import VoteLedger
from .machine import StateMachine
from .report import Report, report_of, uncollected
from .villains import cast as villain_cast
from .villains.cast import cast_of
from .villains.villain import Villain
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
    epoch_ms: int = field(default=forge_cast.DAY_MS, validator=instance_of(int))  # of whole nodes
    remember: bool = True  # off: every delivery is decoded anew, which is slower and must change nothing

    def world(
        self, kind: tuple[type[World], type[ForgeWorld]] = (World, ForgeWorld), fates: Fates | None = None
    ) -> World:
        """A world in which it can be played once."""
        chance = fates or self._fates()
        kinds = {index: kind_of(name) for index, name in self.villains.items()}
        ledger = VoteLedger(self.nodes, self.fault_model, frozenset(kinds))
        if self.whole:
            players = ForgeCast(self.seed, self.nodes, self.fault_model, kinds, epoch_ms=self.epoch_ms)
            return kind[1](self.seed, self.plan, players, self.nodes, ledger, chance)
        machine = None if self.machine is None else Numbered(Doubled(self.machine))
        wishes = None if self.machine is None else Commands(self.commands)
        cast = cast_of(self.seed, self.nodes, self.fault_model, kinds, machine=machine, remember=self.remember)
        return kind[0](self.seed, self.plan, cast, self.nodes, ledger, wishes, chance)

    @uncollected()
    def play(self, *, demanding: bool = False) -> Report:
        """Run it; ``demanding`` makes a run that tested nothing a problem."""
        world = self.world()
        return report_of(self.seed, world, world.cast, demanding=demanding)

    def recorded(self) -> tuple[Report, Scenario]:
        """Run it, and the same with all that chance said as data."""
        fates = self._fates()
        recording = Recording(fates) if self.tape is None else None
        world = self.world(fates=recording or fates)
        report = report_of(self.seed, world, world.cast, demanding=False)
        return report, self if recording is None else evolve(self, tape=recording.tape)

    def _fates(self) -> Fates:
        return Drawn(self.seed, self.plan) if self.tape is None else Replayed(self.tape, self.plan)


def kind_of(name: str) -> type[Villain]:
    """The villain of this name."""
    if name not in KINDS:
        raise NotFound(f"there is no villain {name!r} in this build: there are {', '.join(sorted(KINDS))}")
    return KINDS[name]


def sort_of(problem: str | None) -> str | None:
    """Which promise a problem is about: an invariant's number, or the sentence without its numbers."""
    if problem is None:
        return None
    named = _INVARIANT.match(problem)
    return named[0] if named else _NUMBERS.sub("#", problem.partition(":")[0])
