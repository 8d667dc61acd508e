"""What a pushed pack tells about its own updates, at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from attrs import frozen

from guts_core.names import Oid

from .index_file import IndexFile, PackFile

# A push of more commits than this to one branch, or of more branches, can afford git children.
_COMMITS_MAX = 200
_MOVES_MAX = 20

Move = tuple[Oid, Oid]


@frozen
class Glance:
    """Facts that need no other objects: which objects are in the pack, their kinds, and moves known to be forward."""

    kinds: dict[Oid, str]
    forward: frozenset[Move]


NOTHING = Glance({}, frozenset())


def glance(idx: Path, news: Iterable[Oid], moves: Iterable[Move]) -> Glance:
    """Look into the pack with this index (blocks). A move not in ``forward`` may still be forward."""
    with idx.open("rb") as raw_idx, idx.with_suffix(".pack").open("rb") as raw_pack:
        pack = PackFile(raw_pack, IndexFile(raw_idx))
        kinds = {new: kind for new in news if (kind := pack.kind(new)) is not None}
        return Glance(kinds, frozenset(move for move in islice(moves, _MOVES_MAX) if _is_forward(pack, *move)))


def _is_forward(pack: PackFile, old: Oid, new: Oid) -> bool:
    """Whether parents inside the pack lead from new to old."""
    seen, todo = {new}, [new]
    while todo and len(seen) <= _COMMITS_MAX:
        parents = pack.parents(todo.pop()) or ()
        if old in parents:
            return True
        todo += [parent for parent in parents if parent not in seen]
        seen.update(parents)
    return False
