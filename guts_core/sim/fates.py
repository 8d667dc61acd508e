"""
Chance while a run goes: everything that is drawn during a run is asked of ``Fates``, and of nothing else.

What is drawn before a run is data (``faults.Plan``). So a run is a function of its plan and of what its
fates said: ``Recording`` writes that down, and ``Replayed`` says it again without any dice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Protocol

from .crypto import derive
from .faults import HEAL_DELAY_US, HEAL_LOSS_PER_MILLE, SECOND, Plan

Delays = tuple[int, ...]
# The answers of one run by question, in order: "carry 0>1", "bulk 0>1", "sync 2", "commit 2", "tear 2", "dice people".
Tape = dict[str, list[object]]

_LATE_US = SECOND // 2
# So many blocks may wait for the database before it hurries: a disk that is always slower never catches up.
_BACKLOG = 16


class Fates(Protocol):
    """What chance decides, one method for each way in which it does."""

    def carry(self, time: int, sender: int, receiver: int, size: int, /) -> Delays:
        """After how long copies of a message arrive, in us: one delay if all is well, none if it is lost."""

    def bulk(self, time: int, sender: int, receiver: int, /) -> int | None:
        """The same for a pack or text of whole nodes, which is never doubled; None: it is lost."""

    def sync(self, node: int, /) -> int:
        """How long a node's disk takes to sync its log."""

    def commit(self, node: int, waiting: int, /) -> int:
        """How long a block takes to the database, while so many wait."""

    def tear(self, node: int, sizes: tuple[int, ...], /) -> tuple[int, int]:
        """Of unsynced records of these sizes: how many survive a crash whole, and how many bytes of the next."""

    def dice(self, concern: str, /) -> Random:
        """The dice of what clients want; asked for once, before the run."""


def dice(seed: int, concern: str) -> Random:
    """The dice of one concern."""
    return Random(derive(seed, concern))  # noqa: S311  # simulated misfortune, no secret


class Drawn:
    """Fates of a seed within the rates of a plan; each concern has dice of its own."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self._seed, self._plan = seed, plan
        self._network, self._bulk = dice(seed, "network"), dice(seed, "bulk")
        self._disks, self._crashes = dice(seed, "disks"), dice(seed, "crashes")
        self._roll, self._chaos_us = self._network.random, plan.chaos_us
        # Of a thousand so many are lost, and up to so many doubled; the least delay, and how much longer it may be:
        # while things go wrong, and after.
        (low, high), healed = plan.delay_us, min(plan.delay_us[1], HEAL_DELAY_US)
        loss, doubled = plan.loss_per_mille, plan.duplicates_per_mille
        self._rough = loss, loss + doubled, low, high - low
        loss = min(loss, HEAL_LOSS_PER_MILLE)
        self._calm = loss, loss + doubled, min(low, healed), healed - min(low, healed)
        self._has_tail, self._late = plan.has_tail, 1000 - plan.late_per_mille

    def carry(self, time: int, _sender: int, _receiver: int, _size: int, /) -> Delays:
        """Lost, late or doubled, as the plan's rates say."""
        roll = self._roll
        fate = int(roll() * 1000)
        is_chaos = time < self._chaos_us
        loss, doubled, low, span = self._rough if is_chaos else self._calm
        if fate < loss:
            return ()
        if is_chaos:
            delay = low + (_tailed(roll(), span) if self._has_tail else int(roll() * span))
            if fate >= self._late:
                return (delay + int(roll() * _LATE_US),)
        else:
            delay = low + int(roll() * span)
        return (delay,) if fate >= doubled else (delay, 2 * delay)

    def bulk(self, time: int, _sender: int, _receiver: int, /) -> int | None:
        """Lost or not."""
        plan, roll = self._plan, self._bulk.random
        chaos = time < plan.chaos_us
        if roll() * 1000 < (plan.loss_per_mille if chaos else min(plan.loss_per_mille, HEAL_LOSS_PER_MILLE)):
            return None
        low, high = plan.delay_us
        return low + int(roll() * (high - low))

    def sync(self, _node: int, /) -> int:
        """Anything between the plan's bounds."""
        low, high = self._plan.sync_us
        return low + int(self._disks.random() * (high - low))

    def commit(self, _node: int, waiting: int, /) -> int:
        """Now and then slow, and quick again when blocks wait."""
        low, high = self._plan.commit_us
        slowness = self._disks.random() ** 4 if waiting < _BACKLOG else 0
        return low + int(slowness * (high - low))

    def tear(self, _node: int, sizes: tuple[int, ...], /) -> tuple[int, int]:
        """At least one record is lost, torn at any of its bytes."""
        if not sizes:
            return 0, 0
        kept = self._crashes.randrange(len(sizes))
        return kept, self._crashes.randrange(sizes[kept])

    def dice(self, concern: str, /) -> Random:
        """Dice of the seed."""
        return dice(self._seed, concern)


# Quantiles of a lognormal distribution of sigma 1 in thousandths of its median, every sixteenth; whole numbers, since
# mathematical libraries do not all round alike.
_TAIL = (60, 216, 317, 412, 511, 613, 727, 855, 1000, 1170, 1375, 1632, 1960, 2428, 3159, 4637, 20_000)


def _tailed(chance: float, median: int) -> int:
    """A delay beyond the least one: mostly about the median, and now and then twenty times that."""
    at, rest = divmod(int(chance * 16_000), 1000)
    thousandths = _TAIL[at] + (_TAIL[at + 1] - _TAIL[at]) * rest // 1000
    return median * thousandths // 1000


class Recording:
    """Other fates, written down as they speak."""

    def __init__(self, fates: Fates) -> None:
        self._fates = fates
        self.tape: Tape = {}

    def carry(self, time: int, sender: int, receiver: int, size: int, /) -> Delays:
        """Written down by link."""
        delays = self._fates.carry(time, sender, receiver, size)
        self._note(f"carry {sender}>{receiver}", delays)
        return delays

    def bulk(self, time: int, sender: int, receiver: int, /) -> int | None:
        """Written down by link."""
        delay = self._fates.bulk(time, sender, receiver)
        self._note(f"bulk {sender}>{receiver}", delay)
        return delay

    def sync(self, node: int, /) -> int:
        """Written down by node."""
        delay = self._fates.sync(node)
        self._note(f"sync {node}", delay)
        return delay

    def commit(self, node: int, waiting: int, /) -> int:
        """Written down by node."""
        delay = self._fates.commit(node, waiting)
        self._note(f"commit {node}", delay)
        return delay

    def tear(self, node: int, sizes: tuple[int, ...], /) -> tuple[int, int]:
        """Written down by node."""
        torn = self._fates.tear(node, sizes)
        self._note(f"tear {node}", torn)
        return torn

    def dice(self, concern: str, /) -> Random:
        """Dice whose every throw is written down."""
        return _RecordedDice(self._fates.dice(concern), self.tape.setdefault(f"dice {concern}", []))

    def _note(self, question: str, answer: object) -> None:
        self.tape.setdefault(question, []).append(answer)


class Replayed:
    """
    What a tape says, question by question; where it ends, nothing goes wrong any more.

    A run that was cut down asks in another order, but what is said of a link or a node stays in its order.
    """

    def __init__(self, tape: Mapping[str, list[object]], plan: Plan) -> None:
        self._plan = plan
        self._left = {question: iter(answers) for question, answers in tape.items()}

    def carry(self, _time: int, sender: int, receiver: int, _size: int, /) -> Delays:
        """As before, else quick."""
        found = self._next(f"carry {sender}>{receiver}")
        if not isinstance(found, tuple | list):
            return (self._plan.delay_us[0],)
        return tuple(int(delay) for delay in found)

    def bulk(self, _time: int, sender: int, receiver: int, /) -> int | None:
        """As before, else quick."""
        found = self._next(f"bulk {sender}>{receiver}", self._plan.delay_us[0])
        return found if isinstance(found, int) else None

    def sync(self, node: int, /) -> int:
        """As before, else quick."""
        found = self._next(f"sync {node}")
        return found if isinstance(found, int) else self._plan.sync_us[0]

    def commit(self, node: int, _waiting: int, /) -> int:
        """As before, else quick."""
        found = self._next(f"commit {node}")
        return found if isinstance(found, int) else self._plan.commit_us[0]

    def tear(self, node: int, sizes: tuple[int, ...], /) -> tuple[int, int]:
        """As before as far as there are such records, else nothing unsynced survives."""
        found = self._next(f"tear {node}")
        if not isinstance(found, tuple | list) or not sizes:
            return 0, 0
        kept = min(int(found[0]), len(sizes) - 1)
        return kept, min(int(found[1]), sizes[kept] - 1)

    def dice(self, concern: str, /) -> Random:
        """Dice that fall as before."""
        return _ReplayedDice(self._left.get(f"dice {concern}", iter(())))

    def _next(self, question: str, otherwise: object = None) -> object:
        answers = self._left.get(question)
        return otherwise if answers is None else next(answers, otherwise)


class _RecordedDice(Random):
    def __init__(self, inner: Random, throws: list[object]) -> None:
        super().__init__(0)
        self._inner, self._throws = inner, throws

    def random(self) -> float:
        # Kept as the 53 bits that it was made of: JSON and every machine read an integer the same way.
        thrown = self._inner.random()
        self._throws.append(int(thrown * (1 << 53)))
        return thrown

    def getrandbits(self, k: int, /) -> int:
        thrown = self._inner.getrandbits(k)
        self._throws.append(thrown)
        return thrown


class _ReplayedDice(Random):
    def __init__(self, throws: Iterator[object]) -> None:
        super().__init__(0)
        self._throws = throws
        self._beyond = 0

    def random(self) -> float:
        return (self._throw() & ((1 << 53) - 1)) / (1 << 53)

    def getrandbits(self, k: int, /) -> int:
        return self._throw() & ((1 << k) - 1)

    def _throw(self) -> int:
        found = next(self._throws, None)
        if isinstance(found, int):
            return found
        # Beyond the tape the dice count: any rule does, but for one that never gives two different numbers.
        self._beyond += 1
        return self._beyond
