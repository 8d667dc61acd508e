"""
What is different between two trees: files added, deleted, modified, of another type, and renamed.

Renames are found as ``git diff -M`` finds them: the same content first, then the same name with much of the
content, then whatever pair has most in common, at least half. Likeness is counted over lines, and over
pieces of 64 bytes where lines are longer.
"""

from __future__ import annotations

import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import islice

from attrs import evolve, frozen

from guts_core.names import Oid

from .limits import BLOB_BYTES_MAX, CHANGES_MAX, RENAME_BYTES_MAX, RENAME_LINES_MAX, RENAME_PAIRS_MAX
from .objects import Bounded, TooMuchToRead
from .trees import SUBMODULE, Entry

# git's scale of likeness, and its bounds: a half for any pair, three quarters where the name stayed.
_SAME = 60_000
_LIKE = _SAME // 2
_LIKE_WITH_NAME = _SAME * 3 // 4
_SOURCES_KEPT = 4
# So many pieces of a file are counted before it is asked whether there is time left: some milliseconds.
_PIECES_AT_ONCE = 10_000
_PIECE = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")


class Status(Enum):
    """What happened to a file, in git's letters."""

    ADDED = "A"
    DELETED = "D"
    MODIFIED = "M"
    TYPE_CHANGED = "T"
    RENAMED = "R"


@frozen
class Change:
    """One file that is different; ``old`` and ``new`` are None where there is none."""

    status: Status
    old_path: bytes
    new_path: bytes
    old: Entry | None
    new: Entry | None
    likeness: int = 100  # of the contents of a renamed file, in percent

    @property
    def path(self) -> bytes:
        """Where the file stands now, or stood."""
        return self.new_path


def changes(objects: Bounded, old: Oid | None, new: Oid | None, *, renames: bool = True) -> tuple[Change, ...]:
    """The changes from one tree to another (None: an empty one), in order of path."""
    found = _some(_differences(objects, old, new))
    if renames:
        found = _with_renames(objects, found)
    return tuple(sorted(found, key=lambda change: (change.new_path, change.status is not Status.DELETED)))


def _some(found: Iterable[Change]) -> list[Change]:
    """All of them, if they can be held."""
    some = list(islice(found, CHANGES_MAX + 1))
    if len(some) > CHANGES_MAX:
        raise TooMuchToRead(f"more than {CHANGES_MAX:,} files are different (changes); compare smaller steps")
    return some


def _differences(objects: Bounded, old: Oid | None, new: Oid | None) -> Iterator[Change]:
    """Without renames. What is the same in both is not opened."""
    waiting: list[tuple[bytes, Oid | None, Oid | None, int]] = [(b"", old, new, 0)]
    while waiting:
        prefix, before, after, depth = waiting.pop()
        if before == after:
            continue
        objects.budget.check_depth(depth)
        olds, news = _named(objects, before), _named(objects, after)
        different = [name for name in olds.keys() | news.keys() if olds.get(name) != news.get(name)]
        objects.budget.spend_paths(prefix, different)
        for name in different:
            one, other, path = olds.get(name), news.get(name), prefix + name
            trees = (one.oid if one and one.is_tree else None, other.oid if other and other.is_tree else None)
            if any(trees):
                waiting.append((path + b"/", *trees, depth + 1))
            yield from _change(path, None if trees[0] else one, None if trees[1] else other)


def _named(objects: Bounded, tree: Oid | None) -> dict[bytes, Entry]:
    entries = () if tree is None else objects.tree(tree)
    objects.budget.spend(len(entries))
    return {entry.name: entry for entry in entries}


def _change(path: bytes, old: Entry | None, new: Entry | None) -> Iterator[Change]:
    if old is None and new is None:
        return
    if old is None:
        status = Status.ADDED
    elif new is None:
        status = Status.DELETED
    elif stat.S_IFMT(old.mode) != stat.S_IFMT(new.mode):
        status = Status.TYPE_CHANGED
    else:
        status = Status.MODIFIED
    yield Change(status, path, path, old, new)


def _with_renames(objects: Bounded, found: list[Change]) -> list[Change]:
    olds = _by_path(change for change in found if change.status is Status.DELETED)
    news = _by_path(change for change in found if change.status is Status.ADDED)
    pairs = _Pairs(objects, olds, news)
    pairs.find()
    gone = {id(change) for pair in pairs.found for change in pair[:2]}
    renamed = [
        evolve(new, status=Status.RENAMED, old_path=old.old_path, old=old.old, likeness=score * 100 // _SAME)
        for old, new, score in pairs.found
    ]
    return [change for change in found if id(change) not in gone] + renamed


def source_of(objects: Bounded, old: Oid, new: Oid, path: bytes) -> tuple[bytes, Entry] | None:
    """Where in the old tree a file came from that the new one has at this path and the old one has not."""
    gone_or_here = (one for one in _differences(objects, old, new) if _may_be_source(one) or _is_new(one, path))
    found = _some(gone_or_here)
    olds = _by_path(change for change in found if _may_be_source(change))
    pairs = _Pairs(objects, olds, [one for one in found if _is_new(one, path)])
    pairs.find()
    return next(((one.old_path, one.old) for one, _, _ in pairs.found if one.old is not None), None)


def _may_be_source(change: Change) -> bool:
    return change.status is Status.DELETED


def _is_new(change: Change, path: bytes) -> bool:
    return change.new_path == path and change.status is Status.ADDED


def _by_path(found: Iterable[Change]) -> list[Change]:
    return sorted(found, key=lambda change: change.path)


class _TooManyLines(Exception):
    """The lines of the files that may be renames are more than are held."""


class _Pairs:
    """Deleted files beside added ones, and which of them are one file."""

    def __init__(self, objects: Bounded, olds: list[Change], news: list[Change]) -> None:
        self._objects = objects
        # By identity and in order: thousands are taken out one by one.
        self._olds, self._news = ({id(change): change for change in some} for some in (olds, news))
        self._pieces: dict[Oid, Counter[bytes]] = {}
        self._piece_count = 0
        self._sizes: dict[Oid, int] = {}
        self.found: list[tuple[Change, Change, int]] = []

    def find(self) -> None:
        """In git's order, each file once."""
        self._same_content()
        if not self._olds or not self._news or len(self._olds) * len(self._news) > RENAME_PAIRS_MAX:
            return
        if not self._can_be_held():
            return
        certain = len(self.found)
        try:
            self._same_name()
            self._most_alike()
        except _TooManyLines:
            del self.found[certain:]

    def _same_content(self) -> None:
        by_oid: dict[tuple[Oid, int], _Sources] = {}
        for old in self._olds.values():
            by_oid.setdefault(_identity(old.old), _Sources()).add(old)
        for new in list(self._news.values()):
            sources = by_oid.get(_identity(new.new))
            same = None if sources is None else sources.take(_name(new))
            if same is not None:
                self._take(same, new, _SAME)

    def _can_be_held(self) -> bool:
        total = 0
        for change in (*self._olds.values(), *self._news.values()):
            entry = change.old or change.new
            assert entry is not None
            if entry.mode != SUBMODULE and entry.oid not in self._sizes:
                self._sizes[entry.oid] = self._objects.header(entry.oid).size
                total += self._sizes[entry.oid]
        return total <= RENAME_BYTES_MAX

    def _same_name(self) -> None:
        olds, news = (Counter(map(_name, some.values())) for some in (self._olds, self._news))
        by_name = {_name(old): old for old in self._olds.values() if olds[_name(old)] == 1}
        for new in list(self._news.values()):
            old = by_name.get(_name(new)) if news[_name(new)] == 1 else None
            if old is not None and (score := self._score(old, new)) >= _LIKE_WITH_NAME:
                self._take(old, new, score)

    def _most_alike(self) -> None:
        olds, news = list(self._olds.values()), list(self._news.values())
        candidates = [(rank, old, new) for new in news for rank, old in self._best(olds, new)]
        for (score, _), old, new in sorted(candidates, key=lambda one: one[0]):  # stable, as git's
            if -score >= _LIKE and id(new) in self._news and id(old) in self._olds:
                self._take(old, new, -score)

    def _best(self, olds: list[Change], new: Change) -> list[tuple[tuple[int, bool], Change]]:
        """The few best sources of a file, in the places where git keeps them: it decides between equal ones by that."""
        best: list[tuple[tuple[int, bool], Change]] = []
        for old in olds:
            rank = (-self._score(old, new), _name(old) != _name(new))
            if len(best) < _SOURCES_KEPT:
                best.append((rank, old))
                continue
            worst = max(range(_SOURCES_KEPT), key=lambda at: best[at][0])  # the first of equal ones
            if rank < best[worst][0]:
                best[worst] = (rank, old)
        return best

    def _take(self, old: Change, new: Change, score: int) -> None:
        del self._olds[id(old)]
        del self._news[id(new)]
        self.found.append((old, new, score))

    def _score(self, old: Change, new: Change) -> int:
        assert old.old is not None
        assert new.new is not None
        if stat.S_IFMT(old.old.mode) != stat.S_IFMT(new.new.mode) or old.old.mode == SUBMODULE:
            return 0
        smaller, larger = sorted((self._sizes[old.old.oid], self._sizes[new.new.oid]))
        if not smaller or smaller * _SAME < larger * _LIKE:
            return 0
        self._objects.budget.spend()
        one, other = self._counted(old.old.oid), self._counted(new.new.oid)
        if len(one) > len(other):
            one, other = other, one
        common = sum(min(count, other[piece]) * len(piece) for piece, count in one.items() if piece in other)
        return common * _SAME // larger

    def _counted(self, oid: Oid) -> Counter[bytes]:
        if oid not in self._pieces:
            self._pieces[oid] = self._count(self._objects.blob(oid, BLOB_BYTES_MAX))
            self._piece_count += len(self._pieces[oid])
        return self._pieces[oid]

    def _count(self, data: bytes) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        pieces = (match[0] for match in _PIECE.finditer(data))
        while some := list(islice(pieces, _PIECES_AT_ONCE)):
            found.update(some)
            self._objects.budget.spend(0)
            if self._piece_count + len(found) > RENAME_LINES_MAX:
                raise _TooManyLines
        return found


class _Sources:
    """Deleted files of one content, and which of them an added one came from: that of its name, or the first."""

    def __init__(self) -> None:
        self._all: dict[int, Change] = {}
        self._by_name: dict[bytes, dict[int, Change]] = {}

    def add(self, old: Change) -> None:
        self._all[id(old)] = old
        self._by_name.setdefault(_name(old), {})[id(old)] = old

    def take(self, name: bytes) -> Change | None:
        """None when all are taken."""
        found = next(iter((self._by_name.get(name) or self._all).values()), None)
        if found is not None:
            del self._all[id(found)]
            del self._by_name[_name(found)][id(found)]
        return found


def _identity(entry: Entry | None) -> tuple[Oid, int]:
    assert entry is not None
    return entry.oid, stat.S_IFMT(entry.mode)


def _name(change: Change) -> bytes:
    return change.path.rpartition(b"/")[2]
