"""Which packs each repository lists, as a model in dictionaries: from which height on, and until which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import define, frozen

from guts_core.forge.activities import PackAdmitted, PacksReplaced
from guts_core.names import Oid, RepoId

from .ledger import Broken
from .objects import Parents, parents_in, reached


@define
class _Listed:
    """A pack on a list."""

    repo: RepoId
    digest: bytes
    since: int
    until: int | None = None  # the block that replaced it


@frozen
class Wanted:
    """A pack that who is at some height has to hold."""

    repo: RepoId
    digest: bytes
    since: int


class PackLists:
    """All lists at all heights. ``read`` gives the bytes of any pack that anybody ever sent."""

    def __init__(self, read: Callable[[bytes], bytes]) -> None:
        self._read = read
        self._ever: list[_Listed] = []

    def admit(self, admitted: PackAdmitted, height: int) -> None:
        """A pack joined a list."""
        self._ever.append(_Listed(RepoId(admitted.repo), admitted.digest, height))

    def replace(self, replaced: PacksReplaced, tips: Iterable[Oid], height: int) -> None:
        """Packs left a list; raises Broken unless exactly what was to go went with them."""
        repo = RepoId(replaced.repo)
        before = self.objects(repo)
        for one in self._ever:
            if one.repo == repo and one.until is None and one.digest in replaced.digests:
                one.until = height
        after = self.objects(repo)
        needed = reached(before, tips) if replaced.drops else set(before)
        if set(after) != needed:
            lost, left = len(needed - set(after)), len(set(after) - needed)
            raise Broken(f"I10: the repack at height {height} lost {lost} objects, and left {left} that were to go")

    def objects(self, repo: RepoId) -> Parents:
        """What the packs hold that a repository lists now."""
        found: dict[Oid, Oid | None] = {}
        for one in self._ever:
            if one.repo == repo and one.until is None:
                found.update(parents_in(self._read(one.digest)))
        return found

    def at(self, height: int) -> Iterator[Wanted]:
        """What a node at this height has to hold, or know to be missing."""
        for one in self._ever:
            if one.since <= height and (one.until is None or one.until > height):
                yield Wanted(one.repo, one.digest, one.since)
