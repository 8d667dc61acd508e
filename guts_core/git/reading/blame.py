"""
Who wrote each line of a file: commits walked from the newest back, each handing on the lines it did not write.

As ``git blame`` does it: a parent in which the file is the same takes all of it, a file that is not there
under its name is looked for under another, and of a merge the parents take lines in their order.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, frozen

from guts_core.errors import Invalid
from guts_core.names import Oid

from .changes import source_of
from .history import ByDate, Step, step_of
from .hunks import hunks_of, is_binary
from .limits import DIFF_BYTES_MAX, DIFF_LINES_MAX
from .objects import Bounded, TooMuchToRead
from .trees import Entry, entry_at, existing_entry


@frozen
class Blamed:
    """Lines in a row that came with one commit; they count from 0."""

    first: int
    count: int
    commit: Oid
    path: bytes  # what the file was called there
    first_there: int  # where the first of them stood there


@define
class _Version:
    """A file in a commit, and which lines of the final file it may have brought: line there by final line."""

    entry: Entry
    lines: dict[int, int]


def blame(objects: Bounded, commit: Oid, path: bytes) -> tuple[Blamed, ...]:
    """Every line of the file, in order; NotFound without one, Invalid for what has no lines."""
    entry = existing_entry(objects, objects.root(commit), path)
    if not entry.is_blob:
        raise Invalid("only files have lines to blame somebody for")
    data = _text(objects, entry)
    if is_binary(data):
        raise Invalid("a binary file has no lines to blame somebody for")
    count = _line_count(data)
    if count > DIFF_LINES_MAX:
        raise TooMuchToRead(f"the file has {count:,} lines; the limit of blame is {DIFF_LINES_MAX:,} (lines)")
    walk = _Walk(objects)
    walk.suspect(commit, path, entry, {line: line for line in range(count)})
    walk.finish()
    return tuple(_joined(walk.decided))


def _text(objects: Bounded, entry: Entry) -> bytes:
    return objects.blob(entry.oid, DIFF_BYTES_MAX)


def _line_count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


class _Walk:
    def __init__(self, objects: Bounded) -> None:
        self._objects = objects
        self._waiting = ByDate()
        self._steps: dict[Oid, Step] = {}  # of those that wait
        self._suspects: dict[Oid, dict[bytes, _Version]] = {}
        self.decided: dict[int, tuple[Oid, bytes, int]] = {}

    def suspect(self, commit: Oid, path: bytes, entry: Entry, lines: dict[int, int]) -> None:
        """These lines may have come with this commit."""
        if commit not in self._suspects:
            self._steps[commit] = step_of(self._objects, commit)
            self._suspects[commit] = {}
            self._waiting.put(commit, self._steps[commit].seconds)
        version = self._suspects[commit].setdefault(path, _Version(entry, {}))
        version.lines.update(lines)

    def finish(self) -> None:
        """Until every line has its commit."""
        while self._waiting:
            commit = self._waiting.take()
            step = self._steps.pop(commit)
            for path, version in self._suspects.pop(commit).items():
                self._hand_on(commit, step, path, version)

    def _hand_on(self, commit: Oid, step: Step, path: bytes, version: _Version) -> None:
        parents = self._origins(commit, step, path)
        for parent, there, entry in parents:
            if entry.oid == version.entry.oid:
                self.suspect(parent, there, entry, version.lines)
                return
        seen: set[Oid] = set()
        for parent, there, entry in parents:
            if version.lines and entry.oid not in seen:
                seen.add(entry.oid)
                taken = self._taken(version, entry)
                if taken:
                    self.suspect(parent, there, entry, taken)
                    version.lines = {final: line for final, line in version.lines.items() if final not in taken}
        for final, line in version.lines.items():
            self.decided[final] = (commit, path, line)

    def _origins(self, commit: Oid, step: Step, path: bytes) -> list[tuple[Oid, bytes, Entry]]:
        """The file in the parents: under its name, or under the one that it had there."""
        found = []
        for parent in step.parents:
            root = self._objects.root(parent)
            entry = entry_at(self._objects, root, path)
            if entry is not None and entry.is_blob:
                found.append((parent, path, entry))
                continue
            source = source_of(self._objects, root, self._objects.root(commit), path)
            if source is not None:
                found.append((parent, *source))
        return found

    def _taken(self, version: _Version, entry: Entry) -> dict[int, int]:
        """The lines that the parent's file has too, with where they stand in it."""
        old, new = _text(self._objects, entry), _text(self._objects, version.entry)
        same = dict(_same_lines(old, new))
        return {final: same[line] for final, line in version.lines.items() if line in same}


def _same_lines(old: bytes, new: bytes) -> Iterator[tuple[int, int]]:
    """Which line of the new text is which of the old one."""
    old_at = new_at = 0
    for hunk in hunks_of(old, new, context=0):
        # Where a side has no lines its number is that of the line before.
        until = hunk.new_start - 1 if hunk.new_lines else hunk.new_start
        for line in range(new_at, until):
            yield line, old_at + line - new_at
        old_at = (hunk.old_start - 1 if hunk.old_lines else hunk.old_start) + hunk.old_lines
        new_at = until + hunk.new_lines
    for line in range(new_at, _line_count(new)):
        yield line, old_at + line - new_at


def _joined(decided: dict[int, tuple[Oid, bytes, int]]) -> Iterator[Blamed]:
    first = count = 0
    for final in sorted(decided):
        if count and decided[final] == _next_of(decided[first], count):
            count += 1
            continue
        if count:
            yield Blamed(first, count, *decided[first])
        first, count = final, 1
    if count:
        yield Blamed(first, count, *decided[first])


def _next_of(start: tuple[Oid, bytes, int], count: int) -> tuple[Oid, bytes, int]:
    commit, path, line = start
    return commit, path, line + count
