"""
What a campaign reached, and the holes it left: rule x message x fault, and who was hit (``consensus.md`` 7.8).

Whatever becomes of a message is counted with its sort and with what was going wrong just then: a rule of the
protocol that it led to at an honest node, or a fate on its link (lost, late, doubled, cut off).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from operator import ne
from typing import Any

from attrs import define, field

from guts_core.simplex.engine import Rule

from .faults import SECOND, Clog, Cut, Partition, Plan, SlowDisk
from .forge_world import ForgeWorld
from .links import SORTS, sort_in
from .place import Place
from .report import Report, report_of, uncollected
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
    """
    Counts which rule or fate met which message under which fault.

    While it runs, things are counted as they are at hand; what they mean is told once, of each sort of them.
    """

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  # whatever the world takes
        self._met: Counter[tuple[tuple[bool, ...], str, tuple[str, ...]]] = Counter()  # by rule whether applied
        self._crashed: Counter[str] = Counter()  # by role
        # What is going wrong at each node, and until when that does not change.
        self._wrong: list[tuple[str, ...]] = [()] * self.size
        self._until = [0] * self.size
        self._turns = _turns_of(self.plan)

    @property
    def coverage(self) -> Coverage:
        """All that was counted."""
        found = Coverage(crashed=Counter({(self.size, role): times for role, times in self._crashed.items()}))
        for (applied, sort, faults), times in self._met.items():
            for rule in Rule:
                if applied[rule]:
                    found.met.update({(rule.name, sort, fault): times for fault in faults})
        for (fate, sort, is_chaos), times in self.links.met.items():
            found.met[fate, sort, "chaos" if is_chaos else HEALED] += times
        return found

    def _applied(self, index: int, arguments: tuple[Any, ...], before: list[int], after: list[int]) -> None:
        self._met[tuple(map(ne, before, after)), self._on(arguments), self._going_wrong(index)] += 1

    def _on(self, arguments: tuple[Any, ...]) -> str:
        if not arguments:
            return _TIME
        # A message is what a node hears of a peer; the rest is one thing each.
        return sort_in(self.cast.read(arguments[1])) if len(arguments) > 1 else "other"

    def _boot(self, index: int) -> None:
        super()._boot(index)
        node = self.places[index].node
        self._rules_of[index] = [] if node is None or index in self.liars else node.fired
        self._until[index] = 0

    def _crash(self, index: int, place: Place) -> None:
        self._crashed[ROLES[min((index - self.ledger.proposed) % self.size, len(ROLES) - 1)]] += 1
        super()._crash(index, place)
        self._until[index] = 0

    def _going_wrong(self, index: int) -> tuple[str, ...]:
        """At a node, right now."""
        if self.time >= self._until[index]:
            self._wrong[index] = self._look(index)
            back = self.places[index].up_since + _LATELY_US
            turns = [*self._turns[bisect_right(self._turns, self.time) :][:1], *([back] if back > self.time else [])]
            self._until[index] = min(turns, default=self._end_us + 1)
        return self._wrong[index]

    def _look(self, index: int) -> tuple[str, ...]:
        plan, time, place = self.plan, self.time, self.places[index]
        calm = time >= plan.chaos_us
        found = [BACK] if place.up_since and time - place.up_since < _LATELY_US else []
        found += [HEALED] if calm else _planned(plan, time, index)
        found += ["clock jumped"] if place.jump_ms and not calm else []
        found += ["slow disk"] if place.slowness(time) else []
        found += ["liar"] if self.cast.villains else []
        return tuple(found) or (CALM,)


def _turns_of(plan: Plan) -> list[int]:
    """When what is planned to go wrong begins, ends, or comes and goes."""
    spans: list[Partition | Cut | Clog | SlowDisk] = [*plan.partitions, *plan.cuts, *plan.clogs, *plan.slow_disks]
    turns = {plan.chaos_us, *(span.since for span in spans), *(span.until for span in spans)}
    for cut in plan.cuts:
        if cut.period:
            halves = range((cut.until - cut.since) * 2 // cut.period + 1)
            turns.update(cut.since - -half * cut.period // 2 for half in halves)
    return sorted(turns)


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


@uncollected()
def covered(scenario: Scenario) -> tuple[Report, Coverage]:
    """Run it, and count."""
    world = scenario.world((_CoveredWorld, _CoveredForge))
    assert isinstance(world, _Covered)
    return report_of(scenario.seed, world, world.cast, demanding=False), world.coverage
