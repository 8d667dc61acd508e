"""
What a campaign reached: which message met which fault in which phase, and who was hit (``consensus.md`` 7.8).

Campaigns without it are faster; it is enough that some of their seeds are covered.
"""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from guts_core.simplex.messages import Kind, Message, Propose, Vote

from .forge_world import ForgeWorld
from .place import Place
from .ports import Say
from .report import Report, report_of
from .scenario import Scenario
from .world import World

# What happens on links, by the names that worlds count under.
LINK_FAULTS = ("cut off", "lost", "late", "duplicated")
MESSAGES = ("propose", "notarize", "nullify", "finalize", "certificate", "fetch", "supply")
PHASES = ("chaos", "heal")
ROLES = ("leader", "next leader", "follower")
_VOTES = {Kind.NOTARIZE: "notarize", Kind.NULLIFY: "nullify", Kind.FINALIZE: "finalize"}
# A link fault that exists in the first phase only.
_CHAOS_ONLY = {"cut off", "late"}


@define
class Coverage:
    """Counts of what met what."""

    triples: Counter[tuple[str, str, str]] = field(factory=Counter)  # phase, message, fault
    crashed: Counter[tuple[int, str]] = field(factory=Counter)  # nodes of the network, role of who crashed

    def add(self, other: Coverage) -> None:
        """Another run's, too."""
        self.triples.update(other.triples)
        self.crashed.update(other.crashed)

    def missing(self) -> list[str]:
        """What could have met and never did, in words."""
        wanted = [
            (phase, message, fault)
            for phase in PHASES
            for message in MESSAGES
            for fault in LINK_FAULTS
            if (phase == "chaos" or fault not in _CHAOS_ONLY) and not self.triples[phase, message, fault]
        ]
        unmet = [f"{message} {fault} during {phase}" for phase, message, fault in wanted]
        sizes = sorted({nodes for nodes, _ in self.crashed if nodes >= len(ROLES)})
        spared = [f"crash of the {role} among {n}" for n in sizes for role in ROLES if not self.crashed[n, role]]
        return unmet + spared


class _Covered(World):
    """Counts which message met which fault."""

    coverage: Coverage
    _view = 0

    def _say(self, index: int, say: Say) -> None:
        message = self.cast.read(say.data)
        before = [self.faults[name] for name in LINK_FAULTS]
        super()._say(index, say)
        if message is None:
            return
        if isinstance(message, Propose) and index not in self.cast.villains:
            self._view = max(self._view, message.vote.view)
        phase = PHASES[self.time >= self.plan.chaos_us]
        for name, count in zip(LINK_FAULTS, before, strict=True):
            if self.faults[name] > count:
                self.coverage.triples[phase, _name(message), name] += self.faults[name] - count

    def _crash(self, index: int, place: Place) -> None:
        self.coverage.crashed[self.size, ROLES[min((index - self._view) % self.size, len(ROLES) - 1)]] += 1
        super()._crash(index, place)


class _CoveredWorld(_Covered, World):
    pass


class _CoveredForge(_Covered, ForgeWorld):
    pass


def covered(scenario: Scenario) -> tuple[Report, Coverage]:
    """Run it, and count."""
    world = scenario.world((_CoveredWorld, _CoveredForge))
    assert isinstance(world, _Covered)
    world.coverage = Coverage()
    return report_of(scenario.seed, world, world.cast, demanding=False), world.coverage


def _name(message: Message) -> str:
    return _VOTES[message.kind] if isinstance(message, Vote) else type(message).__name__.lower()
