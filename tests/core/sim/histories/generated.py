"""
Histories of a store that is right, and of stores that break one promise each.

A store executes at one moment between question and answer, or, for some operations, after nobody waits any
more. Values are written once each, so that what a broken store did can be seen from its answers alone;
a history in which nobody looked at the damage is not handed out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen

from guts_core.sim.histories import Forge, Model, Operation, Outcome, Refs, Value

PROCESSES, SPAN = 4, 400
REFS = ("main", "next")


@frozen
class Intent:
    """What somebody asks, and when; the arguments are chosen when the store executes it."""

    process: str
    invoked: int
    point: int
    completed: int
    choice: int
    fate: Outcome


@define
class Chain:
    """A store in one order: states by height, and where each write went."""

    model: Model
    dice: Random
    state: Any = None
    states: list[Any] = field(factory=list)  # after each block, from genesis on
    places: dict[int, tuple[int, int]] = field(factory=dict)
    place: tuple[int, int] = (1, -1)

    def __attrs_post_init__(self) -> None:
        self.state = self.model.initial
        self.states = [self.state]

    def execute(self, number: int, action: str, arguments: tuple[Any, ...]) -> Value:
        """The next operation of the order."""
        if action not in self.model.reads:
            self._next_place()
            self.places[number] = self.place
        self.state, answer = self.model.step(self.state, action, arguments)
        return answer

    def _next_place(self) -> None:
        height, index = self.place
        if index >= 0 and self.dice.random() < 0.5:
            self.states.append(self.state)
            self.place = (height + 1, 0)
        else:
            self.place = (height, index + 1)


def intents(dice: Random, count_of: int) -> list[Intent]:
    """Questions of a few processes, each of which asks one after another; in order of execution."""
    made: list[Intent] = []
    clocks = dict.fromkeys((f"p{n}" for n in range(PROCESSES)), 0)
    for number in range(count_of):
        process = dice.choice(sorted(clocks))
        invoked = clocks[process] + dice.randrange(SPAN)
        completed = invoked + 1 + dice.randrange(SPAN)
        fate = dice.choices(list(Outcome), (12, 1, 2))[0]
        point = dice.randrange(invoked, completed + 1)
        if fate is Outcome.UNKNOWN:
            point += dice.randrange(3) * SPAN
            clocks[f"{process}-{number}"] = completed
            del clocks[process]
        else:
            clocks[process] = completed
        made.append(Intent(process, invoked, point, completed, dice.randrange(1 << 30), fate))
    return sorted(made, key=lambda one: one.point)


@define
class Told:
    """A finished history, with the log of its chain."""

    model: Model
    operations: list[Operation]
    log: list[tuple[tuple[int, int], int]]

    def changed(self, number: int, **fields: Any) -> Told:
        """With one operation told otherwise."""
        changed = [evolve(one, **fields) if one.number == number else one for one in self.operations]
        return Told(self.model, changed, self.log)


Asks = Callable[[Random, Any, Iterator[int]], "tuple[str, tuple[Any, ...]]"]


def good(seed: int, model: Model, asks: Asks, size: int = 24, *, lagging: bool = False) -> Told:
    """What a store that is right told. ``lagging`` reads are of an older height, which they name."""
    dice, fresh = Random(seed), count(1)  # noqa: S311  # reproducible on purpose
    chain = Chain(model, dice)
    seen: dict[str, int] = {}
    operations = []
    for number, one in enumerate(intents(dice, size)):
        action, arguments = asks(Random(one.choice), chain.state, fresh)  # noqa: S311  # as above
        base = Operation(number, one.process, action, arguments, one.invoked)
        if one.fate is Outcome.FAILED or (one.fate is Outcome.UNKNOWN and dice.random() < 0.5):
            end = one.completed if one.fate is Outcome.FAILED else None
            operations.append(evolve(base, completed=end, outcome=one.fate))
            continue
        if lagging and action in model.reads:
            base = _lagging(base, chain, seen, dice)
            answer = model.step(chain.states[base.height or 0], action, arguments)[1]
        else:
            answer = chain.execute(number, action, arguments)
        if one.fate is Outcome.OK:
            place = chain.places.get(number)
            base = evolve(base, completed=one.completed, outcome=Outcome.OK, answer=answer, position=place)
        else:
            base = evolve(base, node=None, height=None)
        operations.append(base)
    return Told(model, operations, sorted((place, number) for number, place in chain.places.items()))


def _lagging(one: Operation, chain: Chain, seen: dict[str, int], dice: Random) -> Operation:
    node = f"node{dice.randrange(3)}"
    newest = len(chain.states) - 1
    seen[node] = dice.randint(seen.get(node, 0), newest)
    return evolve(one, node=node, height=seen[node], min_height=dice.choice([None, dice.randint(0, seen[node])]))


# ---- what is asked ----


def asks_refs(dice: Random, state: Any, fresh: Iterator[int]) -> tuple[str, tuple[Any, ...]]:
    """Mostly updates from the value that is there, each to a value that was never there before."""
    ref, there = dice.choice(REFS), dict(state)
    kind = dice.random()
    if kind < 0.35:
        return "read", ("repo", ref)
    old = there.get(ref) if dice.random() < 0.75 else "elsewhere"
    return "update", ("repo", ref, old, f"v{next(fresh)}")


def asks_pushes(dice: Random, state: Any, fresh: Iterator[int]) -> tuple[str, tuple[Any, ...]]:
    """As above, with pushes of both refs at once and listings of both."""
    kind, there = dice.random(), dict(state)
    if kind < 0.25:
        return "push", ("repo", tuple((ref, there.get(ref), f"v{next(fresh)}") for ref in REFS))
    if kind < 0.5:
        return "list", ("repo",)
    return asks_refs(dice, state, fresh)


def asks_forge(dice: Random, state: Any, fresh: Iterator[int]) -> tuple[str, tuple[Any, ...]]:
    """An account's life: keys come and go, repositories, their refs."""
    if not state.exists:
        return "create_account", ("ada", f"k{next(fresh)}")
    known = sorted(state.keys) + sorted(state.spent)[:2]
    by, kind = (dice.choice(known) if known else "nobody"), dice.random()
    if kind < 0.2:
        return "add_key", ("ada", by, f"k{next(fresh)}")
    if kind < 0.3:
        return "revoke_key", ("ada", by, dice.choice(known or ["nobody"]))
    if kind < 0.4:
        return "create_repository", ("ada", by, f"r{next(fresh)}")
    repos = state.refs()
    if kind < 0.7 and repos:
        repo = dice.choice(sorted(repos))
        old = dict(repos[repo]).get("main") if dice.random() < 0.8 else "elsewhere"
        return "update", ("ada", by, repo, "main", old, f"v{next(fresh)}")
    return dice.choice([("keys", ("ada",)), ("repositories", ("ada",))])


GOOD: dict[str, tuple[Model, Asks]] = {
    "refs": (Refs(), asks_refs),
    "pushes": (Refs(), asks_pushes),
    "forge": (Forge(), asks_forge),
}


# ---- what is planted ----


def _moved(told: Told) -> list[Operation]:
    return [one for one in told.operations if one.action == "update" and one.answer == "ok"]


def stale_read(told: Told, dice: Random) -> Told | None:
    """A read that began after a value was replaced, or names a height at which it was, and was told it."""
    found = [
        (read, write)
        for write in _moved(told)
        for read in told.operations
        if read.action == "read"
        and read.outcome is Outcome.OK
        and read.arguments == write.arguments[:2]
        and (write.ends_before(read) if read.height is None else _has_seen(read, write))
    ]
    if not found:
        return None
    read, write = dice.choice(found)
    return told.changed(read.number, answer=write.arguments[2])


def _has_seen(read: Operation, write: Operation) -> bool:
    return write.position is not None and read.height is not None and read.height >= write.position[0]


def split_brain(told: Told, dice: Random) -> Told | None:
    """Two halves of the network each took an update from the same value."""
    found = [
        (one, write)
        for write in _moved(told)
        for one in told.operations
        if one.action == "update"
        and one.answer == "stale"
        and one.completed is not None
        and one.arguments[:2] == write.arguments[:2]
    ]
    if not found:
        return None
    one, write = dice.choice(found)
    repo, ref, _, new = one.arguments
    return told.changed(one.number, answer="ok", arguments=(repo, ref, write.arguments[2], new))


def lost_update(told: Told, dice: Random) -> Told | None:
    """An update that was acknowledged, and after which its ref is what it was before, and goes on from there."""
    found = [
        (lost, later)
        for lost in _moved(told)
        for later in _moved(told)
        if lost.ends_before(later) and later.arguments[:2] == lost.arguments[:2]
    ]
    if not found:
        return None
    lost, later = dice.choice(found)
    repo, ref, _, new = later.arguments
    return told.changed(later.number, arguments=(repo, ref, lost.arguments[2], new))


def double_execution(told: Told, dice: Random) -> Told | None:
    """An update, one that takes it back, and then it is there again though nobody asked."""
    end = max(one.completed or one.invoked for one in told.operations) + 5 * SPAN
    first = len(told.operations)
    height = max((place[0] for place, _ in told.log), default=0) + 1
    steps = (
        ("update", ("repo", "again", None, "a"), "ok"),
        ("update", ("repo", "again", "a", "b"), "ok"),
        ("update", ("repo", "again", "b", "a"), "ok"),
        ("read", ("repo", "again"), "b"),
    )
    added = []
    for at, (action, arguments, answer) in enumerate(steps):
        place = None if action == "read" else (height + at, 0)
        seen = height + at if action == "read" else None
        added.append(
            Operation(
                first + at,
                f"p{dice.randrange(PROCESSES)}",
                action,
                arguments,
                end + at * SPAN,
                end + at * SPAN + dice.randrange(SPAN),
                Outcome.OK,
                answer,
                place,
                height=seen,
            )
        )
    log = [*told.log, *((one.position, one.number) for one in added if one.position is not None)]
    return Told(told.model, [*told.operations, *added], log)


def write_after_revocation(told: Told, dice: Random) -> Told | None:
    """A key that was revoked is obeyed."""
    found = [
        (revoked, one)
        for revoked in told.operations
        for one in told.operations
        if revoked.action == "revoke_key"
        and revoked.answer == "ok"
        and one.answer == "denied"
        and revoked.ends_before(one)
    ]
    if not found:
        return None
    revoked, one = dice.choice(found)
    account, _, *rest = one.arguments
    return told.changed(one.number, answer="ok", arguments=(account, revoked.arguments[2], *rest))


PLANTED = {
    "stale read": (stale_read, "refs"),
    "lost update": (lost_update, "refs"),
    "split brain": (split_brain, "refs"),
    "double execution": (double_execution, "refs"),
    "write after revocation": (write_after_revocation, "forge"),
}


def planted(name: str, number: int, *, lagging: bool = False) -> Iterator[Told]:
    """So many histories with this anomaly, each of another seed."""
    plant, of = PLANTED[name]
    model, asks = GOOD[of]
    found = 0
    for seed in count():
        told = plant(good(seed, model, asks, 40, lagging=lagging), Random(seed))  # noqa: S311  # as above
        if told is not None:
            yield told
            found += 1
            if found == number:
                return
