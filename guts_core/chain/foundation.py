"""The state at height 0: what genesis writes, the same on every node."""

from __future__ import annotations

from attrs import frozen

from guts_core.forge.founding import found
from guts_core.names import Root
from guts_core.state.keys import tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import PageWrites, Tree
from guts_core.state.view import Overlay, Pair

from .genesis import Genesis


@frozen
class Foundation:
    """Records and pages of height 0, and the root over them."""

    records: dict[bytes, bytes | None]
    pages: PageWrites
    state_root: Root


class _Nothing:
    """The state before genesis."""

    def get(self, _key: bytes) -> bytes | None:
        return None

    def scan(self, _prefix: bytes, _after: bytes = b"", _limit: int = 1000) -> list[Pair]:
        return []


def found_state(genesis: Genesis) -> Foundation:
    """What every node starts with; block 1 carries it into the store."""
    state = Overlay(_Nothing())
    found(
        state,
        genesis.accounts,
        genesis.validators,
        genesis.time,
        frozenset(genesis.reserved_names),
        rules=genesis.rules,
        params=genesis.params,
    )
    written = {tree_key(key): value for key, value in state.writes.items()}
    root, pages = Tree(lambda _path: None).apply(EMPTY_ROOT, written)
    return Foundation(dict(state.writes), pages, root)
