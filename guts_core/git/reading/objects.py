"""
Objects by id, as bytes: the door through which everything in this package reads, and its budget.

An ``Objects`` gives bytes and knows nothing of what is in them. ``Bounded`` counts what is taken, and reads
commits and trees out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, Protocol, TypeAlias

from attrs import define, frozen

from guts_core.errors import Invalid, LimitExceeded, Unavailable
from guts_core.git.commits import CommitObject, parse_commit
from guts_core.git.pack_limits import TREE_DEPTH_MAX
from guts_core.names import Oid

from .limits import (
    BLOB_BYTES_MAX,
    BYTES_MAX,
    COMMIT_BYTES_KEPT,
    NODES_MAX,
    PATH_BYTES_MAX,
    TAG_DEPTH_MAX,
    TEXT_OBJECT_BYTES_MAX,
    TREE_BYTES_MAX,
)
from .trees import Entry, find_entry, is_tree, parse_tree

Kind: TypeAlias = Literal["commit", "tree", "blob", "tag"]


class TooMuchToRead(LimitExceeded):
    """An answer would cost more than anybody's question may; the message names the limit and its value."""

    code = "too-much-to-read"


class MissingObject(Unavailable):
    """An object that the repository refers to is not on this node."""

    code = "missing-object"

    def __init__(self, oid: Oid) -> None:
        super().__init__(f"object {oid.hex()} is not on this node; try another node, or again when it has caught up")


class WrongKind(Invalid):
    """An object is not what it is used as, or its bytes are not what such an object has."""

    code = "wrong-kind"


@frozen
class Header:
    """What an object is, and its size in bytes."""

    kind: Kind
    size: int


class Objects(Protocol):
    """Where objects come from. Both methods raise MissingObject, and Corrupt for bytes that are not their id's."""

    def header(self, oid: Oid) -> Header:
        """Kind and size, without holding the content."""

    def read(self, oid: Oid) -> bytes:
        """The content, whole, without git's header; it is asked for after its size is known to be allowed."""


def _never() -> bool:
    return False


@define
class Budget:
    """
    What is left for one question. ``spend`` and the others raise TooMuchToRead with the limit and its value.

    ``is_late`` says whether the time of the caller is over; it is asked with each object and each loop.
    """

    nodes: int = NODES_MAX  # objects read, and entries of trees walked
    byte_count: int = BYTES_MAX  # bytes of objects read
    path_bytes: int = PATH_BYTES_MAX  # bytes of the paths that walks make
    depth: int = TREE_DEPTH_MAX  # directories inside one another
    is_late: Callable[[], bool] = _never
    _spent_nodes: int = 0
    _spent_bytes: int = 0
    _spent_path_bytes: int = 0

    def spend(self, nodes: int = 1, byte_count: int = 0) -> None:
        """Take from it."""
        self._spent_nodes += nodes
        self._spent_bytes += byte_count
        if self._spent_nodes > self.nodes:
            raise _too_much(f"{self.nodes:,} objects and entries (nodes)")
        if self._spent_bytes > self.byte_count:
            raise _too_much(f"{self.byte_count:,} bytes of objects (bytes)")
        if self.is_late():
            raise _too_much("the time that this node has for one question (time)")

    def spend_paths(self, prefix: bytes, names: Iterable[bytes]) -> None:
        """The paths that these names have below a prefix, before any of them is made."""
        self._spent_path_bytes += sum(len(prefix) + len(name) for name in names)
        if self._spent_path_bytes > self.path_bytes:
            raise _too_much(f"{self.path_bytes:,} bytes of paths (paths)")

    def check_depth(self, depth: int) -> None:
        """So many directories inside one another."""
        if depth > self.depth:
            raise _too_much(f"{self.depth:,} directories inside one another (depth)")


def _too_much(limit: str) -> TooMuchToRead:
    return TooMuchToRead(f"to answer this takes more than {limit}; ask for less of it, or clone the repository")


def _no_tree(oid: Oid) -> WrongKind:
    return WrongKind(f"object {oid.hex()} does not have the form of a tree")


class Bounded:
    """One repository for one question: each object read is taken from the budget."""

    def __init__(self, objects: Objects, budget: Budget | None = None) -> None:
        self._objects = objects
        self.budget = Budget() if budget is None else budget

    def header(self, oid: Oid) -> Header:
        """Kind and size."""
        self.budget.spend()
        return self._objects.header(oid)

    def blob(self, oid: Oid, bytes_max: int = BLOB_BYTES_MAX) -> bytes:
        """The content of a file."""
        return self._read(oid, "blob", bytes_max)

    def commit(self, oid: Oid) -> CommitObject:
        """A commit, as far as its bytes make sense; broken ones are shown, not refused, of long ones the beginning."""
        return parse_commit(self._read(oid, "commit", TEXT_OBJECT_BYTES_MAX)[:COMMIT_BYTES_KEPT])

    def tree(self, oid: Oid) -> tuple[Entry, ...]:
        """The entries of a tree in its own order."""
        entries = parse_tree(self._read(oid, "tree", TREE_BYTES_MAX))
        if entries is None:
            raise _no_tree(oid)
        return entries

    def entry(self, tree: Oid, name: bytes) -> Entry | None:
        """The entry of this name in a tree."""
        data = self._read(tree, "tree", TREE_BYTES_MAX)
        found = find_entry(data, name)
        if found is None and not is_tree(data):
            raise _no_tree(tree)
        return found

    def root(self, commit: Oid) -> Oid:
        """The tree of a commit."""
        tree = self.commit(commit).tree
        if tree is None:
            raise WrongKind(f"commit {commit.hex()} names no tree")
        return tree

    def peeled(self, oid: Oid) -> tuple[Oid, Kind]:
        """What an object leads to through tag objects, and what that is."""
        for _ in range(TAG_DEPTH_MAX):
            kind = self.header(oid).kind
            if kind != "tag":
                return oid, kind
            oid = self.tagged(oid)
        raise _too_much(f"{TAG_DEPTH_MAX} tags of tags (depth)")

    def tagged(self, oid: Oid) -> Oid:
        """What a tag object names."""
        line = self._read(oid, "tag", TEXT_OBJECT_BYTES_MAX).partition(b"\n")[0]
        digits = line.removeprefix(b"object ")
        try:
            found = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            found = b""
        if len(found) != len(oid) or digits == line:
            raise WrongKind(f"object {oid.hex()} does not have the form of a tag")
        return Oid(found)

    def _read(self, oid: Oid, kind: Kind, bytes_max: int) -> bytes:
        header = self._objects.header(oid)
        if header.kind != kind:
            raise WrongKind(f"object {oid.hex()} is a {header.kind}, no {kind}")
        if header.size > bytes_max:
            raise TooMuchToRead(f"{kind} {oid.hex()} has {header.size:,} bytes; the limit here is {bytes_max:,}")
        self.budget.spend(1, header.size)
        return self._objects.read(oid)
