"""
What proofs are made from: one snapshot of the committed chain, and the final blocks above it that are
still on their way to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from guts_core.chain import history
from guts_core.chain.commit import Commit, StoredBlock, StoredReceipt
from guts_core.chain.history import History
from guts_core.chain.pruned import pruned
from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes
from guts_core.errors import NotFound
from guts_core.names import ChainId, TxId
from guts_core.state.tree import Tree
from guts_core.state.view import Pair, Store

# Nodes over this many headers are kept: 150 bytes for each 256, and no path needs to read more than a few runs again.
KEPT_LEVEL = 8


class CommittedChain(Store, Protocol):
    """One snapshot of what is on disk."""

    def height(self) -> int:
        """The applied height: that of the state; 0 is genesis."""

    def first_block(self) -> int:
        """The lowest block that is here: those below were pruned, or never came."""

    def base(self) -> History | None:
        """The history of the headers that are not here any more, and perhaps of some that are; None: all are."""

    def block_at(self, height: int) -> StoredBlock | None:
        """A committed block."""

    def certified_from(self, height: int) -> StoredBlock | None:
        """The lowest committed block at or above this height that has a certificate."""

    def newest_certified(self) -> StoredBlock | None:
        """The highest committed block that has a certificate."""

    def header_hashes(self, first: int, count: int) -> list[bytes]:
        """The hashes of so many committed blocks in order of height, from ``first``, which is not genesis."""

    def epoch_end(self, epoch: int) -> bytes | None:
        """As ``ChainStore.epoch_end``."""

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended."""


class HistoryNodes:
    """
    Nodes of the history that were hashed before, and ends of epochs that were read.

    What is final never changes, so they serve every snapshot.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], bytes] = {}
        self.steps: dict[int, EpochStep] = {}


class Source:
    """A snapshot with the final blocks above it; good for as long as the snapshot is."""

    def __init__(
        self,
        chain_id: ChainId,
        store: CommittedChain,
        above: Iterable[Commit] = (),
        nodes: HistoryNodes | None = None,
    ) -> None:
        self.chain_id = chain_id
        self._store = store
        self._height = store.height()
        waiting = [commit for commit in above if commit.height > self._height]
        self._above = [_stored(commit) for commit in waiting]
        self._ends = dict(commit.step for commit in waiting if commit.step is not None)
        self._first = store.first_block()
        self._nodes = nodes or HistoryNodes()
        base = store.base()
        self._peaks = {} if base is None else base.nodes()
        self.tree = Tree(store.page)

    def get(self, key: bytes) -> bytes | None:
        """As View.get, at the applied height."""
        return self._store.get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan, at the applied height."""
        return self._store.scan(prefix, after, limit)

    def height(self) -> int:
        """The applied height."""
        return self._height

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended, at or below the applied height."""
        return self._store.receipt(tx_id)

    def block(self, height: int) -> StoredBlock:
        """A final block, also above the applied height; raises NotFound."""
        at = height - self._height - 1
        found = self._store.block_at(height) if at < 0 else self._above[at] if at < len(self._above) else None
        if found is None and 0 < height < self._first:
            raise pruned(height, self._first)
        if found is None:
            raise NotFound(f"there is no block {height}: the newest here is {self._height + len(self._above)}")
        return found

    def certified_from(self, height: int) -> StoredBlock | None:
        """The lowest final block at or above this height that has a certificate."""
        found = self._store.certified_from(height)
        return found or next((b for b in self._above if b.height >= height and b.certificate is not None), None)

    def newest_certified(self) -> StoredBlock | None:
        """The highest final block that has a certificate."""
        found = next((block for block in reversed(self._above) if block.certificate is not None), None)
        return found or self._store.newest_certified()

    def epoch_end(self, epoch: int) -> EpochStep | None:
        """How an epoch ended, if it did."""
        found = self._nodes.steps.get(epoch)
        if found is None:
            stored = self._ends.get(epoch) or self._store.epoch_end(epoch)
            if stored is None:
                return None
            found = self._nodes.steps[epoch] = from_bytes(EpochStep, stored)
        return found

    def history_node(self, level: int, index: int) -> bytes:
        """As ``history.Node``, over final headers."""
        found = self._nodes.kept.get((level, index)) or self._peaks.get((level, index))
        if found is None:
            found = self._fold(level, index)
            if level >= KEPT_LEVEL:
                self._nodes.kept[level, index] = found
        return found

    def _fold(self, level: int, index: int) -> bytes:
        is_cut = self._first - 1 > 0 and (index << level) < self._first
        if is_cut and level == 0:
            raise pruned(index, self._first)
        if is_cut or level > KEPT_LEVEL:
            return history.above(self.history_node(level - 1, 2 * index), self.history_node(level - 1, 2 * index + 1))
        hashes = self._hashes(index << level, 1 << level)
        while len(hashes) > 1:
            hashes = [history.above(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def _hashes(self, first: int, count: int) -> Sequence[bytes]:
        """Of so many headers, genesis at 0 with the chain's id, those on disk in one reading."""
        genesis: list[bytes] = [self.chain_id] if first == 0 else []
        start, end = max(first, 1), first + count
        stored = self._store.header_hashes(start, max(0, min(end, self._height + 1) - start))
        above = [self.block(height).block_hash for height in range(max(start, self._height + 1), end)]
        return [*genesis, *stored, *above]


def _stored(commit: Commit) -> StoredBlock:
    return StoredBlock(commit.height, commit.block_hash, commit.proposal, commit.body, commit.certificate)
