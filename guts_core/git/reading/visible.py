"""Whether an object is one that refs show: what no ref reaches is as if it were not there (``reliability.md`` C14)."""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.names import Oid

from .history import steps
from .objects import Bounded, Kind, MissingObject


def is_visible(objects: Bounded, tips: Iterable[Oid], wanted: Oid) -> bool:
    """
    Whether one of the tips leads to this object: through tags, histories and, for trees and blobs, trees.

    A commit costs a walk through the histories at most, anything below a commit one through all their trees.
    """
    tips = frozenset(tips)
    if wanted in tips:
        return True
    try:
        kind = objects.header(wanted).kind
    except MissingObject:
        return False
    ends = set()
    for tip in tips:
        end, path = _path_to_end(objects, tip)
        if wanted in path:
            return True
        ends.add(end)
    if kind == "tag":
        return False
    commits = [oid for oid, what in ends if what == "commit"]
    return _is_below(objects, commits, {oid for oid, what in ends if what == "tree"}, wanted, kind)


def _path_to_end(objects: Bounded, tip: Oid) -> tuple[tuple[Oid, Kind], set[Oid]]:
    """What a tip leads to, and the objects on the way."""
    path = {tip}
    while objects.header(tip).kind == "tag":
        tip = objects.tagged(tip)
        path.add(tip)
    return (tip, objects.header(tip).kind), path


def _is_below(objects: Bounded, commits: list[Oid], trees: set[Oid], wanted: Oid, kind: Kind) -> bool:
    seen: set[Oid] = set()
    if any(_is_in_tree(objects, tree, wanted, seen) for tree in trees):
        return True
    for oid, step in steps(objects, commits):
        if oid == wanted:
            return True
        if kind != "commit" and step.tree is not None and _is_in_tree(objects, step.tree, wanted, seen):
            return True
    return False


def _is_in_tree(objects: Bounded, root: Oid, wanted: Oid, seen: set[Oid]) -> bool:
    """Each tree once, however often it stands somewhere."""
    if root == wanted:
        return True
    waiting = [] if root in seen else [root]
    seen.add(root)
    while waiting:
        entries = objects.tree(waiting.pop())
        objects.budget.spend(len(entries))
        for entry in entries:
            if entry.oid == wanted and (entry.is_tree or entry.is_blob):
                return True
            if entry.is_tree and entry.oid not in seen:
                seen.add(entry.oid)
                waiting.append(entry.oid)
    return False
