"""
Histories: commits from some tips back, the newest first, also only those that changed a path.

The order and the choice are those of ``git rev-list``: by committer date, and with a path each merge that is
like one of its parents there is followed to that parent alone (git's history simplification).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice

from attrs import frozen

from guts_core.git.commits import CommitObject
from guts_core.names import Oid

from .objects import Bounded
from .trees import Entry, Finder


@frozen
class Logged:
    """A commit of a history."""

    oid: Oid
    commit: CommitObject


@frozen
class Step:
    """What a walk must know of a commit; walks hold many, so no more of it is kept."""

    tree: Oid | None
    parents: tuple[Oid, ...]
    seconds: int  # of the committer


def step_of(objects: Bounded, oid: Oid) -> Step:
    """Each parent of a merge is taken from the budget: an octopus costs as much as so many commits (C07)."""
    commit = objects.commit(oid)
    if len(commit.parents) > 1:
        objects.budget.spend(len(commit.parents))
    return Step(commit.tree, commit.parents, commit.committer.seconds)


@frozen
class LogPage:
    """Some commits, and whether more follow."""

    commits: tuple[Logged, ...]
    more: bool


class ByDate:
    """Commits that wait, the newest first, and of one second those that came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Oid]] = []
        self._count = 0

    def put(self, oid: Oid, seconds: int) -> None:
        """Add one with its committer date."""
        self._count += 1
        heappush(self._heap, (-seconds, self._count, oid))

    def take(self) -> Oid:
        """The next one; IndexError when none waits."""
        return heappop(self._heap)[2]

    @property
    def newest(self) -> int:
        """The date of the next one."""
        return -self._heap[0][0]

    def __bool__(self) -> bool:
        return bool(self._heap)


def page(objects: Bounded, tips: Iterable[Oid], *, path: bytes = b"", skip: int = 0, count: int = 30) -> LogPage:
    """``count`` commits of a history after its first ``skip`` ones."""
    found = list(islice(log(objects, tips, path), skip, skip + count + 1))
    return LogPage(tuple(found[:count]), len(found) > count)


def log(objects: Bounded, tips: Iterable[Oid], path: bytes = b"") -> Iterator[Logged]:
    """The commits that the tips reach, each once; with a path those that changed what stands there."""
    for oid, _ in steps(objects, tips, path):
        yield Logged(oid, objects.commit(oid))


def steps(objects: Bounded, tips: Iterable[Oid], path: bytes = b"") -> Iterator[tuple[Oid, Step]]:
    """The same without what the commits say."""
    met: set[Oid] = set()
    waiting = ByDate()
    known = _Known(objects, path)
    followed = tuple(tips)
    while True:
        for oid in followed:
            if oid not in met:
                met.add(oid)
                waiting.put(oid, known.step(oid).seconds)
        if not waiting:
            return
        oid = waiting.take()
        followed, is_shown = known.simplified(oid) if path else (known.step(oid).parents, True)
        if is_shown:
            yield oid, known.step(oid)
        known.forget(oid)


class _Known:
    """Commits that were read and still matter, and what stands at one path in many trees, most of them the same."""

    def __init__(self, objects: Bounded, path: bytes) -> None:
        self._objects, self._finder = objects, Finder(objects, path)
        self._steps: dict[Oid, Step] = {}

    def step(self, oid: Oid) -> Step:
        """A commit, read once until it is forgotten."""
        if oid not in self._steps:
            self._steps[oid] = step_of(self._objects, oid)
        return self._steps[oid]

    def forget(self, oid: Oid) -> None:
        """It was walked past."""
        self._steps.pop(oid, None)

    def simplified(self, oid: Oid) -> tuple[tuple[Oid, ...], bool]:
        """Which parents of a commit are followed, and whether it changed the path."""
        step = self.step(oid)
        mine = self._standing(step.tree)
        if not step.parents:
            return (), mine is not None
        for parent in step.parents:
            if self._standing(self.step(parent).tree) == mine:
                return (parent,), False
        return step.parents, True

    def _standing(self, tree: Oid | None) -> Entry | None:
        return None if tree is None else self._finder.at(tree)
