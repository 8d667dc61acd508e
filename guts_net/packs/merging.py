"""
Merges, squashes and rebases of stored commits, by libgit2 over a scratch directory of objects.

The engine that ``Params`` names (``architecture.md`` 5): the same commits give the same tree bytes on every
node, so nothing of the machine may be heard. libgit2 is told to look for no configuration or attributes
outside the repository, author, date and message come from the caller, and no hook, filter or driver
runs. What is new stays in the scratch directory until it is asked for as a pack.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import pygit2
from attrs import field, frozen
from pygit2.enums import ConfigLevel, MergeFlag, ObjectType

from guts_core.errors import Invalid
from guts_core.git.commits import parse_commit
from guts_core.git.pack_limits import COMMIT_BYTES_MAX
from guts_core.git.reading.ancestry import compare
from guts_core.git.reading.changes import changes
from guts_core.git.reading.limits import BLOB_BYTES_MAX, MERGE_NODES_MAX, MERGE_PATH_BYTES_MAX, REBASE_COMMITS_MAX
from guts_core.git.reading.objects import Bounded, Budget, TooMuchToRead
from guts_core.git.reading.trees import walk
from guts_core.names import Oid

from .stored_objects import stored_objects

_ZONE = re.compile(r"[+-](?:0\d|1[0-4])[0-5]\d", re.ASCII)
_NEVER_IN_NAMES = re.compile(r"[<>\n\0]")
_LEVELS = (ConfigLevel.PROGRAMDATA, ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL)


@frozen
class Person:
    """Who and when, as it will stand in a commit; Invalid for what git could not read back."""

    name: str = field()
    email: str = field()
    seconds: int = field()  # since 1970
    zone: str = "+0000"

    def __attrs_post_init__(self) -> None:
        if not self.name.strip() or _NEVER_IN_NAMES.search(self.name + self.email):
            raise Invalid("the name and address of a commit are one line without '<' and '>', the name not empty")
        if self.seconds < 0 or not _ZONE.fullmatch(self.zone):
            raise Invalid("the date of a commit is seconds since 1970 and a zone such as +0130")

    def line(self) -> bytes:
        """As a commit has it."""
        return f"{self.name.strip()} <{self.email.strip()}> {self.seconds} {self.zone}".encode()


@frozen
class Clash:
    """A path that both sides changed in ways that exclude each other; what each has there, None where nothing is."""

    path: bytes
    base: Oid | None
    ours: Oid | None
    theirs: Oid | None


@frozen
class Merged:
    """What came of it: the commit and its tree, or the clashes."""

    commit: Oid | None
    tree: Oid | None
    clashes: tuple[Clash, ...] = ()
    stopped_at: Oid | None = None  # the commit that a rebase could not apply


class Merger:
    """
    Merges into a scratch directory that has the repository's objects as alternate (``bare.make_scratch``).

    Its methods compute for as long as the budget lets them: call them in a thread. Raises TooMuchToRead for
    trees that are too large, MissingObject, and Corrupt.
    """

    def __init__(self, git_dir: Path, budget: Budget | None = None) -> None:
        for level in _LEVELS:
            pygit2.settings.search_path[level] = ""
        self._git_dir = git_dir
        self._repository = pygit2.Repository(str(git_dir))
        self._stored = stored_objects(git_dir)
        self._objects = Bounded(self._stored, budget or Budget(nodes=MERGE_NODES_MAX, path_bytes=MERGE_PATH_BYTES_MAX))
        self._made: list[Oid] = []

    def merge(self, base: Oid, head: Oid, author: Person, message: str, committer: Person | None = None) -> Merged:
        """A merge commit of ``head`` into ``base``."""
        found = self._merged_trees(base, head)
        return self._committed(found, (base, head), author.line(), (committer or author).line(), message.encode())

    def squash(self, base: Oid, head: Oid, author: Person, message: str, committer: Person | None = None) -> Merged:
        """The same tree as one commit on ``base``."""
        found = self._merged_trees(base, head)
        return self._committed(found, (base,), author.line(), (committer or author).line(), message.encode())

    def rebase(self, base: Oid, head: Oid, committer: Person) -> Merged:
        """
        Each commit that ``base`` has not, on top of it; authors and messages stay, signatures go.

        Merges are left out, and so is what would change nothing any more, as ``git rebase`` does.
        """
        ahead = compare(self._objects, base, head).ahead
        if len(ahead) > REBASE_COMMITS_MAX:
            raise TooMuchToRead(f"{len(ahead):,} commits to rebase; the limit is {REBASE_COMMITS_MAX} (commits)")
        tip, tree = base, self._objects.root(base)
        for oid in self._oldest_first(ahead):
            picked = self._picked(oid, tip, tree, committer)
            if picked.clashes:
                return picked
            if picked.commit is not None and picked.tree is not None:
                tip, tree = picked.commit, picked.tree
        return Merged(tip, tree)

    def new_objects(self) -> tuple[Oid, ...]:
        """What the commits made here have that the repository has not."""
        loose = {Oid(bytes.fromhex(path.parent.name + path.name)) for path in self._git_dir.glob("objects/??/*")}
        found: dict[Oid, None] = {}
        waiting = [oid for oid in reversed(self._made) if oid in loose]
        while waiting:
            oid = waiting.pop()
            if oid in found:
                continue
            found[oid] = None
            waiting += [one for one in self._names(oid) if one in loose]
        return tuple(found)

    def write_pack(self, directory: Path) -> Path | None:
        """The new objects as a pack with its index in this directory; None where nothing is new."""
        oids = self.new_objects()
        if not oids:
            return None
        builder = pygit2.PackBuilder(self._repository)
        builder.set_threads(1)
        for oid in oids:
            builder.add(pygit2.Oid(raw=oid))
        before = set(directory.glob("*.pack"))
        builder.write(str(directory))
        return next(iter(set(directory.glob("*.pack")) - before), None)

    # How it is done.

    def _merged_trees(self, base: Oid, head: Oid) -> Merged:
        for commit in (base, head):
            self._measure(self._objects.root(commit))
        ancestors = compare(self._objects, base, head).merge_bases
        if not ancestors:
            raise Invalid("the two have no history in common: they cannot be merged")
        for ancestor in ancestors:
            self._measure(self._objects.root(ancestor))
            self._check_contents(self._objects.root(ancestor), self._objects.root(base), self._objects.root(head))
        index = self._repository.merge_commits(_id(base), _id(head), flags=MergeFlag.FIND_RENAMES)
        return self._result(index)

    def _picked(self, oid: Oid, tip: Oid, tree: Oid, committer: Person) -> Merged:
        """One commit of a rebase on a new parent; without a commit where it changes nothing."""
        commit = self._objects.commit(oid)
        if len(commit.parents) > 1:
            return Merged(None, None)
        theirs = self._objects.root(oid)
        before = self._objects.root(commit.parents[0]) if commit.parents else self._empty_tree()
        self._measure(theirs)
        self._check_contents(before, tree, theirs)
        index = self._repository.merge_trees(_id(before), _id(tree), _id(theirs), flags=MergeFlag.FIND_RENAMES)
        found = self._result(index)
        if found.clashes:
            return Merged(None, None, found.clashes, oid)
        if found.tree == tree:
            return Merged(None, None)
        author, extra, message = _kept(self._stored.read(oid))
        return self._committed(found, (tip,), author, committer.line(), message, extra)

    def _oldest_first(self, ahead: Sequence[Oid]) -> list[Oid]:
        """Parents before children; the dates of commits may lie."""
        left = {oid: set(self._objects.commit(oid).parents) & set(ahead) for oid in reversed(ahead)}
        found: list[Oid] = []
        while left:
            ready = next(oid for oid, parents in left.items() if parents.isdisjoint(left))
            found.append(ready)
            del left[ready]
        return found

    def _result(self, index: pygit2.index.Index) -> Merged:
        if index.conflicts is not None:
            clashes = sorted((_clash(sides) for sides in index.conflicts), key=lambda clash: clash.path)
            return Merged(None, None, tuple(clashes))
        return Merged(None, Oid(bytes(index.write_tree(self._repository).raw)))

    def _committed(
        self,
        found: Merged,
        parents: Iterable[Oid],
        author: bytes,
        committer: bytes,
        message: bytes,
        extra: bytes = b"",
    ) -> Merged:
        if found.tree is None:
            return found
        lines = [b"tree %b" % found.tree.hex().encode()]
        lines += [b"parent %b" % parent.hex().encode() for parent in parents]
        lines += [b"author %b" % author, b"committer %b" % committer]
        data = b"\n".join(lines) + b"\n" + extra + b"\n" + message.rstrip(b"\n") + b"\n"
        if len(data) > COMMIT_BYTES_MAX or b"\0" in data:
            raise Invalid(f"a commit has at most {COMMIT_BYTES_MAX:,} bytes, and none of them is zero")
        oid = Oid(bytes(self._repository.odb.write(ObjectType.COMMIT, data).raw))
        self._made.append(oid)
        return Merged(oid, found.tree)

    def _measure(self, tree: Oid) -> None:
        """Walk a tree once: TooMuchToRead for one that libgit2 would walk for hours (C04)."""
        for _ in walk(self._objects, tree):
            pass

    def _check_contents(self, base: Oid, ours: Oid, theirs: Oid) -> None:
        """What both sides changed is held whole, three times."""
        mine = {change.path: change.new for change in changes(self._objects, base, ours, renames=False)}
        for change in changes(self._objects, base, theirs, renames=False):
            for entry in (mine.get(change.path), change.new) if change.path in mine else ():
                size = self._objects.header(entry.oid).size if entry is not None and entry.is_blob else 0
                if size > BLOB_BYTES_MAX:
                    name = change.path.decode("utf-8", "replace")
                    raise TooMuchToRead(f"{name!a} has {size:,} bytes; files are merged up to {BLOB_BYTES_MAX:,}")

    def _empty_tree(self) -> Oid:
        return Oid(bytes(self._repository.odb.write(ObjectType.TREE, b"").raw))

    def _names(self, oid: Oid) -> list[Oid]:
        """The objects that a new object leads to."""
        match self._stored.header(oid).kind:
            case "commit":
                commit = parse_commit(self._stored.read(oid))
                return [one for one in (commit.tree, *commit.parents) if one is not None]
            case "tree":
                return [entry.oid for entry in self._objects.tree(oid)]
            case _:
                return []


def _id(oid: Oid) -> pygit2.Oid:
    return pygit2.Oid(raw=oid)


def _clash(sides: tuple[object, object, object]) -> Clash:
    entries = cast("tuple[pygit2.IndexEntry | None, ...]", sides)
    path = next(entry.path for entry in entries if entry is not None)
    base, ours, theirs = (None if entry is None else Oid(bytes(entry.id.raw)) for entry in entries)
    return Clash(os.fsencode(path), base, ours, theirs)


def _kept(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Of a commit that is applied elsewhere: who wrote it, the encoding of its words, and the words."""
    head, _, message = data.partition(b"\n\n")
    lines = head.split(b"\n")
    author = next((line.removeprefix(b"author ") for line in lines if line.startswith(b"author ")), b"")
    extra = b"".join(line + b"\n" for line in lines if line.startswith(b"encoding "))
    return author, extra, message
