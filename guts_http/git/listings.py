"""
Answers to ``ls-refs`` that were given a moment ago: the same question about the same generation has the same one.

Whether the one who asks may read is decided before, each time; what is kept here are bytes that every reader of
the repository gets.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from attrs import frozen

from guts_core.forge.records import Repository
from guts_core.git.ls_refs import LsRefs
from guts_core.names import RepoId

# Ten listings of 10,000 refs: a busy repository is asked the same by everybody until the next push.
KEPT_BYTES_MAX = 8 << 20
# What Python takes for an entry, and for each prefix of its question.
OWN_BYTES, PREFIX_BYTES = 500, 50


@frozen
class Listing:
    """What an answer depends on: ids stand for the same for ever, so the peeled ones add nothing."""

    repo: RepoId
    generation: int
    head: str
    asked: LsRefs


def listing_of(repository: Repository, asked: LsRefs) -> Listing:
    """The key of an answer about a repository as a snapshot has it."""
    return Listing(RepoId(repository.id), repository.generation, repository.default_branch, asked)


class Listings:
    """The answers that were asked for last. Threads share it: snapshots are read in them."""

    def __init__(self, most: int = KEPT_BYTES_MAX) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Listing, bytes] = OrderedDict()
        self._one_at_a_time = Lock()

    def get(self, listing: Listing) -> bytes | None:
        """The answer, if it is kept."""
        with self._one_at_a_time:
            found = self._kept.get(listing)
            if found is not None:
                self._kept.move_to_end(listing)
            return found

    def put(self, listing: Listing, answer: bytes) -> None:
        """Keep one in place of those that nobody asked for since; a long question counts like its answer."""
        size = _size(listing, answer)
        with self._one_at_a_time:
            if listing in self._kept or size > self._most:
                return
            self._kept[listing] = answer
            self._size += size
            while self._size > self._most:
                self._size -= _size(*self._kept.popitem(last=False))


def _size(listing: Listing, answer: bytes) -> int:
    return OWN_BYTES + len(answer) + sum(PREFIX_BYTES + len(prefix) for prefix in listing.asked.prefixes)
