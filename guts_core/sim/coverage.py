"""
What a campaign reached, and the holes it left: rule x message x fault, and who was hit (``consensus.md`` 7.8).

Whatever becomes of a message is counted with its sort and with what was going wrong just then: a rule of the
protocol that it led to at an honest node, or a fate on its link (lost, late, doubled, cut off). A run is watched only
where it is asked for: it costs a fifth more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define, field

from guts_core.simplex.engine import Rule
from guts_core.simplex.messages import Propose

from .faults import SECOND, Plan
from .forge_world import ForgeWorld
from .links import SORTS, sort_in
from .place import Place
from .ports import Act, Say
from .report import Report, report_of
from .scenario import Scenario
from .world import World

# By rule, what it must have been applied on in any campaign worth its time: sorts of messages, and what is none.
_VOTES = ("notarize", "nullify", "finalize")
_CERTIFICATES = ("notarization", "nullification", "finalization")
_TIME = "time"
TRIGGERS: dict[Rule, tuple[str, ...]] = {
    Rule.ENTER: ("notarize", "nullify", "propose", *_CERTIFICATES, "supply"),
    Rule.PROPOSE: ("notarize", "nullify", "notarization", "nullification", "other", _TIME),
    Rule.NOTARIZE: ("propose", "supply"),  # a proposal shows what it stands on
    Rule.NULLIFY: ("nullify", "propose", _TIME),
    Rule.FINALIZE: ("notarize", "notarization", "propose", "supply"),
    Rule.FINALIZED: ("finalize", "finalization", "propose", "supply"),
    Rule.CERTIFY: (*_VOTES, *_CERTIFICATES, "propose", "supply"),
    Rule.RETRY: (_TIME,),
    Rule.HELP: _VOTES,
}
# A node that came back this lately is still coming back.
_LATELY_US = SECOND // 2
# What is going wrong at a node, and after the heal nothing but loss.
CALM, BACK, HEALED = "calm", "restarted", "after the heal"
FAULTS = (BACK, "partition", "cut", "clog", "trick", "slow disk", "clock jumped", "loss", HEALED, "liar")
# What becomes of messages on links, by the names that worlds count under: while things go wrong, and after.
FATES = {False: ("cut off", "lost", "late", "duplicated"), True: ("lost", "duplicated")}
_FATES = FATES[False]
ROLES = ("leader", "next leader", "follower")


@define
class Coverage:
    """Counts of what met what."""

    met: Counter[tuple[str, str, str]] = field(factory=Counter)  # rule or fate, sort of message, fault
    crashed: Counter[tuple[int, str]] = field(factory=Counter)  # nodes of the network, role of who crashed

    def add(self, other: Coverage) -> None:
        """Another run's, too."""
        self.met.update(other.met)
        self.crashed.update(other.crashed)

    def missing(self) -> list[str]:
        """What could have met and never did, in words."""
        return [*self._untried(), *self._unmet(), *self._spared()]

    def _untried(self) -> Iterator[str]:
        on = {(what, sort) for what, sort, _ in self.met}
        for rule, sorts in TRIGGERS.items():
            yield from (f"{rule.name} on {sort}" for sort in sorts if (rule.name, sort) not in on)
        for healed, fates in FATES.items():
            seen = {(what, sort) for what, sort, fault in self.met if (fault == HEALED) == healed}
            when = HEALED if healed else "before the heal"
            yield from (f"{sort} {fate} {when}" for fate in fates for sort in SORTS[:-1] if (fate, sort) not in seen)

    def _unmet(self) -> Iterator[str]:
        under = {(what, fault) for what, _, fault in self.met}
        for rule in Rule:
            yield from (f"{rule.name} under {fault}" for fault in FAULTS if (rule.name, fault) not in under)

    def _spared(self) -> Iterator[str]:
        for nodes in sorted({nodes for nodes, _ in self.crashed if nodes >= len(ROLES)}):
            yield from (f"crash of the {role} among {nodes}" for role in ROLES if not self.crashed[nodes, role])


class _Covered(World):
    """Counts which rule or fate met which message under which fault."""

    coverage: Coverage
    _view = 0

    def _step(self, index: int, call: Callable[..., list[Act]], arguments: tuple[Any, ...]) -> None:
        node = self.places[index].node
        if node is None or index in self.liars:
            super()._step(index, call, arguments)
            return
        before = dict(node.fired)
        super()._step(index, call, arguments)
        if dict.__eq__(node.fired, before):  # that of counters goes through every count by itself
            return
        on, fired = self._on(arguments), node.fired
        applied = [rule.name for rule, count in fired.items() if count > before.get(rule, 0)]
        self.coverage.met.update((rule, on, fault) for fault in self._going_wrong(index) for rule in applied)

    def _on(self, arguments: tuple[Any, ...]) -> str:
        match arguments:
            case (int(), bytes(data)):
                return sort_in(self.cast.read(data))
            case ():
                return _TIME
            case _:
                return "other"

    def _say(self, index: int, say: Say) -> None:
        message = self.cast.read(say.data)
        if message is None:
            super()._say(index, say)
            return
        before = [self.faults[name] for name in _FATES]
        super()._say(index, say)
        if isinstance(message, Propose) and index not in self.liars:
            self._view = max(self._view, message.proposal.view)
        fault = HEALED if self.time >= self.plan.chaos_us else "chaos"
        for name, count in zip(_FATES, before, strict=True):
            if self.faults[name] > count:
                self.coverage.met[name, sort_in(message), fault] += self.faults[name] - count

    def _crash(self, index: int, place: Place) -> None:
        self.coverage.crashed[self.size, ROLES[min((index - self._view) % self.size, len(ROLES) - 1)]] += 1
        super()._crash(index, place)

    def _going_wrong(self, index: int) -> list[str]:
        """At a node, right now."""
        plan, time, place = self.plan, self.time, self.places[index]
        calm = time >= plan.chaos_us
        found = [BACK] if place.up_since and time - place.up_since < _LATELY_US else []
        found += [HEALED] if calm else _planned(plan, time, index)
        found += ["clock jumped"] if place.jump_ms and not calm else []
        found += ["slow disk"] if place.slowness(time) else []
        found += ["liar"] if self.cast.villains else []
        return found or [CALM]


def _planned(plan: Plan, time: int, index: int) -> list[str]:
    others = range(len(plan.clocks))
    found = ["partition"] if any(_is_cut(cut, time, index, others) for cut in plan.partitions) else []
    found += ["cut"] if any(_is_cut(cut, time, index, others) for cut in plan.cuts) else []
    found += ["clog"] if any(clog.since <= time < clog.until and clog.receiver == index for clog in plan.clogs) else []
    found += ["trick"] if plan.tricks else []
    found += ["loss"] if plan.loss_per_mille else []
    return found


def _is_cut(cut: Any, time: int, index: int, others: range) -> bool:
    if not cut.since <= time < cut.until:
        return False
    return any(cut.cuts(time, index, other) or cut.cuts(time, other, index) for other in others if other != index)


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
