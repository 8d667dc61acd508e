"""
A state made anew from the pieces of a snapshot, and the root that it has: the only check that matters.

Pages of the state tree are no format between nodes: each makes its own. Piece by piece, so that a large
state is never in memory.
"""

from __future__ import annotations

from attrs import frozen

from guts_core.names import Root
from guts_core.state.keys import tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import GetPage, PageWrites, Tree
from guts_core.state.view import Pair

from .pieces import read_piece


@frozen
class Written:
    """What one piece brings into a store."""

    records: tuple[Pair, ...]
    pages: PageWrites


class Rebuilding:
    """Takes pieces in order; ``get_page`` reads the pages of those taken before, which the caller writes."""

    def __init__(self, get_page: GetPage) -> None:
        self.root: Root = EMPTY_ROOT
        self.records = 0
        self._tree = Tree(get_page)
        self._last = b""

    def take(self, piece: bytes) -> Written:
        """The records and pages of the next piece; raises Malformed for one that is none."""
        records = read_piece(piece, self._last)
        self._last = records[-1][0]
        self.records += len(records)
        self.root, pages = self._tree.apply(self.root, {tree_key(key): value for key, value in records})
        return Written(tuple(records), pages)
