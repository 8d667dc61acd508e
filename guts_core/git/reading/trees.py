"""
Trees: their entries, the one that a path names, and all below one.

Names are bytes, compared byte for byte, as git compares them: nothing is decoded, normalised or joined to a
path of any machine (``reliability.md`` A05). No walk recurses.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dulwich.objects
from attrs import frozen
from dulwich.errors import ObjectFormatException

from guts_core.errors import NotFound
from guts_core.names import Oid

if TYPE_CHECKING:
    from .objects import Bounded

_OID_BYTES = 20
FILE, PROGRAM, LINK, TREE, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o040000, 0o160000
_OWNER_RUNS = 0o100


@frozen
class Entry:
    """A name in a tree. ``mode`` is one of five, as git reads what old tools wrote."""

    name: bytes
    mode: int
    oid: Oid

    @property
    def is_tree(self) -> bool:
        """Whether it is a directory."""
        return self.mode == TREE

    @property
    def is_blob(self) -> bool:
        """Whether its object is a blob: a file, a program or a symbolic link."""
        return self.mode in (FILE, PROGRAM, LINK)


def parse_tree(data: bytes) -> tuple[Entry, ...] | None:
    """The entries of a tree object; None for bytes of another form."""
    found = _parsed(data)
    return None if found is None else tuple(_entry(*one) for one in found)


def is_tree(data: bytes) -> bool:
    """Whether the bytes have the form of a tree."""
    return _parsed(data) is not None


def find_entry(data: bytes, name: bytes) -> Entry | None:
    """The one of this name in a tree object, without making all others; None also for bytes of another form."""
    return next((_entry(*one) for one in _parsed(data) or () if one[0] == name), None)


def _parsed(data: bytes) -> list[tuple[bytes, int, bytes]] | None:
    try:
        return list(dulwich.objects.parse_tree(data, _OID_BYTES))
    except ObjectFormatException:
        return None


def _entry(name: bytes, mode: int, oid: bytes) -> Entry:
    return Entry(name, _mode(mode), Oid(bytes.fromhex(oid.decode("ascii"))))


def _mode(mode: int) -> int:
    """What git makes of a mode: 100664 and 040000 with a zero too many are in histories that everybody has."""
    if stat.S_ISREG(mode):
        return PROGRAM if mode & _OWNER_RUNS else FILE
    if stat.S_ISLNK(mode):
        return LINK
    return TREE if stat.S_ISDIR(mode) else SUBMODULE


def entry_at(objects: Bounded, root: Oid, path: bytes) -> Entry | None:
    """What stands at a path below a tree; the tree itself at the empty one; None if nothing does."""
    return Finder(objects, path).at(root)


class Finder:
    """Looks for one path in many trees, most of which are the same below."""

    def __init__(self, objects: Bounded, path: bytes) -> None:
        self._objects = objects
        self._parts = path.split(b"/") if path else []
        self._known: dict[tuple[int, Oid], Entry | None] = {}
        objects.budget.check_depth(len(self._parts))

    def at(self, root: Oid) -> Entry | None:
        """What stands there below this tree."""
        found: Entry | None = Entry(b"", TREE, root)
        passed = []
        for at, part in enumerate(self._parts):
            if found is None or not found.is_tree:
                found = None
                break
            passed.append((at, found.oid))
            if passed[-1] in self._known:
                found = self._known[passed[-1]]
                break
            found = self._objects.entry(found.oid, part)
        self._known.update(dict.fromkeys(passed, found))
        return found


def existing_entry(objects: Bounded, root: Oid, path: bytes) -> Entry:
    """The same; NotFound."""
    found = entry_at(objects, root, path)
    if found is None:
        raise NotFound(f"there is nothing at the path {path[:200].decode('utf-8', 'replace')!a}")
    return found


def walk(objects: Bounded, root: Oid) -> Iterator[tuple[bytes, Entry]]:
    """
    Everything below a tree with its path, directories before what is in them, in git's order.

    Each entry and the bytes of its path are taken from the budget before the path is made, for twelve trees can
    stand for ten thousand million paths, and for longer ones than any memory holds (C04).
    """
    waiting = [_below(objects, root, b"", 0)]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        yield found
        path, entry = found
        if entry.is_tree:
            waiting.append(_below(objects, entry.oid, path + b"/", len(waiting)))


def _below(objects: Bounded, tree: Oid, prefix: bytes, depth: int) -> Iterator[tuple[bytes, Entry]]:
    objects.budget.check_depth(depth)
    entries = objects.tree(tree)
    objects.budget.spend(len(entries))
    objects.budget.spend_paths(prefix, (entry.name for entry in entries))
    return ((prefix + entry.name, entry) for entry in entries)
