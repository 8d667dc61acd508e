"""
Shrinking: the same promise broken, with as little as possible going wrong (``consensus.md`` 7.7).

A failing run is data: its plan and what chance said. First the horizon is bisected, then everything that
may be taken away is listed, and taken away in halves, quarters and so on as long as the same promise breaks
(delta debugging); then nodes; then what clients want.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs
from attrs import evolve, frozen

from guts_core.errors import Refused
from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .fates import Tape
from .faults import Clock, Plan
from .report import Report
from .scenario import Scenario, sort_of

T = TypeVar("T")
# Told after each run: the step, runs so far, how much is left to take away, what is left of the run's length in us.
Progress: TypeAlias = Callable[[str, int, int, int], None]
# A horizon is not worth cutting finer.
_HORIZON_STEP_US = 50_000
# Each crowding doubles the time between wishes; after so many nobody wishes anything.
_QUIETER_TIMES = 6


class NothingToShrink(Refused):
    """The run breaks no promise."""

    code = "nothing-to-shrink"


@frozen
class Removal:
    """One thing that can be taken away: a fault of the plan, or answers of chance that become the plain one."""

    place: str  # a field of the plan, "villains", or a question of the tape
    numbers: tuple[int, ...]


@frozen
class Shrunk:
    """The smallest run that was found, and what it took."""

    scenario: Scenario
    report: Report
    runs: int
    before: int  # things that could have been taken away
    after: int


class Shrinker:
    """One failure on its way to a smaller one."""

    def __init__(self, scenario: Scenario, progress: Progress | None = None, runs_max: int | None = None) -> None:
        report, recorded = scenario.recorded()
        if report.problem is None:
            raise NothingToShrink(f"seed {scenario.seed} with {scenario.nodes} nodes breaks no promise")
        self.best, self.report = recorded, report
        self._sort = sort_of(report.problem)
        self._tell = progress or (lambda *_: None)
        self._runs, self._runs_max = 1, runs_max
        self._step = ""

    def run(self) -> Shrunk:
        """All steps; each keeps the same promise broken."""
        before = len(list(removals(self.best)))
        for name, step in (
            ("horizon", self._shorten),
            ("faults", self._take_away),
            ("nodes", self._fewer_nodes),
            ("workload", self._fewer_wishes),
            ("single delays", self._take_away_singly),
        ):
            self._step = name
            step()
        self.best = evolve(self.best, tape=_trimmed(self.best.tape or {}))
        return Shrunk(self.best, self.report, self._runs, before, len(list(removals(self.best))))

    def _breaks(self, candidate: Scenario) -> bool:
        """Whether a smaller run breaks the same promise; if so it is the best so far."""
        if self._runs_max is not None and self._runs >= self._runs_max:
            return False
        self._runs += 1
        report = candidate.play()
        is_same = sort_of(report.problem) == self._sort
        if is_same:
            self.best, self.report = candidate, report
        self._tell(self._step, self._runs, len(list(removals(self.best))), _horizon(self.best))
        return is_same

    # ---- steps ----

    def _shorten(self) -> None:
        """Bisect how long there is chaos, and how long the network then has to heal."""
        plan = self.best.plan
        end = self.report.simulated_us + 1
        if end < _horizon(self.best):  # broken on the way: what would have followed is of no matter
            chaos = min(plan.chaos_us, end)
            self._breaks(evolve(self.best, plan=evolve(plan, chaos_us=chaos, heal_us=end - chaos)))
        for name in ("chaos_us", "heal_us"):
            low, high = 0, getattr(self.best.plan, name)
            while high - low > _HORIZON_STEP_US:
                middle = (low + high) // 2
                shorter = evolve(self.best.plan, **{name: middle})
                low, high = (low, middle) if self._breaks(evolve(self.best, plan=shorter)) else (middle, high)

    def _take_away(self) -> None:
        """First all of one place at once, then what remains by delta debugging."""
        places = list(dict.fromkeys(one.place for one in removals(self.best)))
        for place in places:
            self._breaks(without(self.best, [one for one in removals(self.best) if one.place == place]))
        whole, everything = self.best, list(removals(self.best))
        smallest(everything, lambda kept: self._breaks(without(whole, _others(everything, kept))))

    def _take_away_singly(self) -> None:
        """Delays that went together so far, one by one."""
        whole, everything = self.best, list(removals(self.best, singly=True))
        smallest(everything, lambda kept: self._breaks(without(whole, _others(everything, kept))))

    def _fewer_nodes(self) -> None:
        smaller = True
        while smaller and self.best.nodes > 1:
            honest = [index for index in reversed(range(self.best.nodes)) if index not in self.best.villains]
            smaller = any(self._breaks(one) for gone in honest if (one := without_node(self.best, gone)) is not None)

    def _fewer_wishes(self) -> None:
        if self.best.machine is not None:
            whole = self.best
            smallest(list(whole.commands), lambda kept: self._breaks(evolve(whole, commands=tuple(kept))))
            return
        for _ in range(_QUIETER_TIMES):
            if not self._breaks(evolve(self.best, plan=evolve(self.best.plan, work_us=2 * self.best.plan.work_us))):
                return


def smallest(items: Sequence[T], breaks: Callable[[list[T]], bool]) -> list[T]:
    """Delta debugging (Zeller): a sublist that breaks, of which no single part can be left out."""
    if not items or breaks([]):
        return []
    kept, pieces = list(items), 2
    while len(kept) >= 2:
        size = -(-len(kept) // pieces)
        found = next((rest for rest in _rests(kept, size) if breaks(rest)), None)
        if found is not None:
            kept, pieces = found, max(pieces - 1, 2)
        elif size == 1:
            break
        else:
            pieces = min(2 * pieces, len(kept))
    return kept


def _rests(items: list[T], size: int) -> Iterator[list[T]]:
    for at in range(0, len(items), size):
        yield items[:at] + items[at + size :]


def _others(everything: list[Removal], kept: list[Removal]) -> list[Removal]:
    still = set(kept)
    return [one for one in everything if one not in still]


# ---- what can be taken away ----


def removals(scenario: Scenario, *, singly: bool = False) -> Iterator[Removal]:
    """Faults of the plan one by one, villains, every special delivery, and of each link and disk all that is slow."""
    plan = scenario.plan
    for place, items in faults_of(plan).items():
        yield from (Removal(place, (number,)) for number, item in enumerate(items) if item != _RIGHT)
    for index in sorted(scenario.villains):
        yield Removal("villains", (index,))
    for question, answers in (scenario.tape or {}).items():
        if not question.startswith("dice "):
            yield from _specials(question, answers, plan.delay_us, singly=singly)


_RIGHT = Clock(0, 0, 0)


def faults_of(plan: Plan) -> dict[str, tuple[Any, ...]]:
    """What is to go wrong, by field of the plan. Clocks are one for each node: those that are wrong are set right."""
    found = {at.name: getattr(plan, at.name) for at in attrs.fields(Plan)}
    return {
        name: items for name, items in found.items() if isinstance(items, tuple) and items and attrs.has(type(items[0]))
    }


def _specials(question: str, answers: list[object], delays: tuple[int, int], *, singly: bool) -> Iterator[Removal]:
    """What is lost, late or doubled stands alone; delays within the link's bounds go together."""
    usual: list[int] = []
    for number, answer in enumerate(answers):
        is_slow = answer is not None and answer != plain(question, delays)
        if _is_special(question, answer, delays) or (singly and is_slow):
            yield Removal(question, (number,))
        elif is_slow:
            usual.append(number)
    if usual:
        yield Removal(question, tuple(usual))


def _is_special(question: str, answer: object, delays: tuple[int, int]) -> bool:
    if question.startswith("carry "):
        return answer is not None and not (
            isinstance(answer, tuple | list) and len(answer) == 1 and answer[0] <= delays[1]
        )
    if question.startswith("bulk "):
        return answer is None
    return question.startswith("tear ")


def plain(question: str, delays: tuple[int, int]) -> object:
    """What chance says where nothing is wrong."""
    return delays[0] if question.startswith("bulk ") else None


def without(scenario: Scenario, gone: Sequence[Removal]) -> Scenario:
    """The run with some things taken away."""
    by_place: dict[str, set[int]] = {}
    for one in gone:
        by_place.setdefault(one.place, set()).update(one.numbers)
    fields: dict[str, Any] = {
        place: _fewer(place, items, by_place[place])
        for place, items in faults_of(scenario.plan).items()
        if place in by_place
    }
    villains = {at: name for at, name in scenario.villains.items() if at not in by_place.get("villains", ())}
    tape = {
        question: _plainer(question, answers, by_place.get(question, set()), scenario.plan.delay_us)
        for question, answers in (scenario.tape or {}).items()
    }
    return evolve(scenario, plan=evolve(scenario.plan, **fields), villains=villains, tape=tape)


def _fewer(place: str, items: tuple[Any, ...], gone: set[int]) -> tuple[Any, ...]:
    if place == "clocks":
        return tuple(_RIGHT if at in gone else one for at, one in enumerate(items))
    return tuple(one for at, one in enumerate(items) if at not in gone)


def _plainer(question: str, answers: list[object], gone: set[int], delays: tuple[int, int]) -> list[object]:
    return [plain(question, delays) if at in gone else answer for at, answer in enumerate(answers)] if gone else answers


def without_node(scenario: Scenario, gone: int) -> Scenario | None:
    """The run without a node, the others moved up; None where its villains would be too many."""
    size = scenario.nodes - 1
    allowed = faults_tolerated(size, scenario.fault_model) if scenario.fault_model is FaultModel.BYZANTINE else 0
    if len(scenario.villains) > allowed:
        return None
    names = {old: old - (old > gone) for old in range(scenario.nodes) if old != gone}
    fields: dict[str, Any] = {
        place: tuple(one for one in (_about(item, names) for item in items) if one is not None)
        for place, items in faults_of(scenario.plan).items()
        if place != "clocks"
    }
    clocks = tuple(one for at, one in enumerate(scenario.plan.clocks) if at != gone)
    smaller = evolve(scenario.plan, clocks=clocks, **fields)
    villains = {names[at]: name for at, name in scenario.villains.items()}
    return evolve(scenario, nodes=size, plan=smaller, villains=villains, tape=_renamed(scenario.tape or {}, names))


# How faults name nodes, here by one, there by several. Below zero stands for all of them.
_ONE, _SEVERAL, _LINKS = ("node", "sender", "receiver"), ("left", "receivers"), "links"


def _about(fault: Any, names: dict[int, int]) -> Any:
    """A fault of the nodes that are left; None where it is about nobody any more."""
    fields: dict[str, Any] = {}
    for at in attrs.fields(type(fault)):
        value = getattr(fault, at.name)
        if at.name in _ONE and value >= 0:
            fields[at.name] = names.get(value)
        elif at.name in _SEVERAL:
            fields[at.name] = frozenset(names[one] for one in value if one in names)
        elif at.name == _LINKS:
            fields[at.name] = frozenset((names[a], names[b]) for a, b in value if a in names and b in names)
    if None in fields.values() or frozenset() in fields.values():
        return None
    return evolve(fault, **fields)


def _renamed(tape: Tape, names: dict[int, int]) -> Tape:
    """Answers about the nodes that are left."""
    renamed: Tape = {}
    for question, answers in tape.items():
        sort, about = question.split(" ", 1)
        ends = [] if sort == "dice" else [int(end) for end in about.split(">")]
        if all(end in names for end in ends):
            about = ">".join(str(names[end]) for end in ends) or about
            renamed[f"{sort} {about}"] = answers
    return renamed


def _trimmed(tape: Tape) -> Tape:
    """Without plain answers at the ends: where a tape ends, nothing goes wrong."""
    trimmed: Tape = {}
    for question, answers in tape.items():
        used = max((at for at, answer in enumerate(answers, 1) if answer is not None), default=0)
        if used or question.startswith("bulk "):
            trimmed[question] = answers if question.startswith("bulk ") else answers[:used]
    return trimmed


def _horizon(scenario: Scenario) -> int:
    return scenario.plan.chaos_us + scenario.plan.heal_us
