"""
Which rule was applied on which message under which fault: what a campaign reached, and the holes it left.

A run is watched only where it is asked for: it costs a fifth more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from guts_core.simplex.engine import Rule

from .faults import SECOND, Plan
from .links import sort_in
from .ports import Act
from .world import World

# What can make a node act: each sort of message, and what is none.
_VOTES = ("notarize", "nullify", "finalize")
_CERTIFICATES = ("notarization", "nullification", "finalization")
_TIME = "time"
# By rule, what it must have been applied on in any campaign worth its time.
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
CALM, BACK = "calm", "restarted"
FAULTS = (
    CALM,
    BACK,
    "partition",
    "cut",
    "clog",
    "trick",
    "slow disk",
    "clock jumped",
    "loss",
    "after the heal",
    "liar",
)


class Reach(World):
    """A world that is watched; the sums are in ``reached``."""

    reached: Counter[tuple[Rule, str, str]]

    def _step(self, index: int, call: Callable[..., list[Act]], arguments: tuple[Any, ...]) -> None:
        node = self.places[index].node
        if node is None or index in self.liars:
            super()._step(index, call, arguments)
            return
        before = Counter(node.fired)
        super()._step(index, call, arguments)
        applied = node.fired - before
        if applied:
            on, met = self._on(arguments), self._met(index)
            self.reached.update((rule, on, fault) for rule in applied for fault in met)

    def _on(self, arguments: tuple[Any, ...]) -> str:
        match arguments:
            case (int(), bytes(data)):
                return sort_in(self.cast.read(data))
            case ():
                return _TIME
            case _:
                return "other"

    def _met(self, index: int) -> list[str]:
        """What is going wrong at a node right now."""
        plan, time, place = self.plan, self.time, self.places[index]
        calm = time >= plan.chaos_us
        found = [BACK] if place.up_since and time - place.up_since < _LATELY_US else []
        found += ["after the heal"] if calm else _planned(plan, time, index)
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
    return any(cut.cuts(time, index, other) or cut.cuts(time, other, index) for other in others if other != index)


def holes(reached: Counter[tuple[Rule, str, str]]) -> list[str]:
    """What a campaign should have met and did not: a rule on one of its triggers, or a rule under a fault."""
    on = {(rule, sort) for rule, sort, _ in reached}
    under = {(rule, fault) for rule, _, fault in reached}
    untried = [f"{rule.name} on {sort}" for rule, sorts in TRIGGERS.items() for sort in sorts if (rule, sort) not in on]
    unmet = [f"{rule.name} under {fault}" for rule in Rule for fault in FAULTS if (rule, fault) not in under]
    return untried + unmet
