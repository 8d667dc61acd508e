"""Proofs of a node that let its old blocks go, or never had them: the same paths, or words."""

from __future__ import annotations

import pytest

from guts_core.chain import history
from guts_core.chain.commit import Commit, StoredBlock
from guts_core.chain.history import EMPTY, History, history_of
from guts_core.chain.pruned import Pruned
from guts_core.codec import Tag, digest
from guts_core.names import BlockHash, ChainId
from guts_core.proof.source import Source
from tests.core.proof.proof_world import Snapshot

CHAIN = ChainId(bytes(32))
HEIGHT = 700
HASHES = [BlockHash(CHAIN), *(BlockHash(digest(Tag.HEADER, bytes((n // 256, n % 256)))) for n in range(1, HEIGHT + 1))]


class Kept(Snapshot):
    """Blocks from ``first`` on, and the history of ``base`` headers."""

    def __init__(self, first: int, base: int) -> None:
        super().__init__()
        self._first, self._history = first, history_of(HASHES[:base]) if base else None

    def height(self) -> int:
        """The newest."""
        return HEIGHT

    def first_block(self) -> int:
        """As given."""
        return self._first

    def base(self) -> History | None:
        """As given."""
        return self._history

    def block_at(self, height: int) -> StoredBlock | None:
        """None below the first."""
        return StoredBlock(height, HASHES[height], b"", b"", None) if height >= self._first else None

    def header_hashes(self, first: int, count: int) -> list[bytes]:
        """Only of blocks that are here."""
        assert first >= self._first, "a database would give others"
        return [bytes(one) for one in HASHES[first : first + count]]


def source(first: int, base: int) -> Source:
    none: tuple[Commit, ...] = ()
    return Source(CHAIN, Kept(first, base), none)


@pytest.mark.parametrize("first", [2, 3, 256, 257, 300, 511, 512, 640])
def test_a_path_in_the_history_needs_none_of_the_blocks_that_went(first: int) -> None:
    whole, pruned = source(1, 0), source(first, first)
    root = history_of(HASHES[:HEIGHT]).root

    for index in range(first, HEIGHT, 37):
        path = history.path(pruned.history_node, HEIGHT, index)
        assert path == history.path(whole.history_node, HEIGHT, index)
        assert history.verify(root, HEIGHT, index, HASHES[index], path)


def test_a_block_that_went_is_named_so() -> None:
    with pytest.raises(Pruned, match="block 5 is pruned below 300"):
        source(300, 300).block(5)


def test_where_the_way_leads_through_headers_that_never_came_there_is_no_path() -> None:
    """A node that joined has some blocks below the history it was given: they are shown by parents, or not."""
    joined = source(first=290, base=310)

    with pytest.raises(Pruned):
        history.path(joined.history_node, HEIGHT, 295)
    assert history.path(joined.history_node, HEIGHT, 310)
    assert EMPTY.nodes() == {}
