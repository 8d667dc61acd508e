"""A ``ChainStore`` in memory, for simulations: the same answers as the database, and gone with its owner."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from guts_core.codec import from_bytes
from guts_core.names import BlockHash, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.view import Pair

from .commit import Commit, StoredBlock, StoredReceipt


class MemoryStore:
    """The committed base of a simulated node."""

    def __init__(self) -> None:
        self._records: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []  # of the records, ascending
        self._pages: dict[bytes, bytes] = {}
        self._blocks: list[StoredBlock] = []  # height 1 first
        self._heights: dict[BlockHash, int] = {}
        self._certified: tuple[int, bytes] | None = None  # view and certificate, newest
        self._receipts: dict[TxId, StoredReceipt] = {}
        self._replay: dict[TxId, int] = {}
        self._meta: dict[str, bytes] = {}
        self._steps: dict[int, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """As View.get."""
        return self._records.get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan."""
        at = bisect_left(self._keys, prefix) if after < prefix else bisect_right(self._keys, after)
        found: list[Pair] = []
        while len(found) < limit and at < len(self._keys) and self._keys[at].startswith(prefix):
            found.append((self._keys[at], self._records[self._keys[at]]))
            at += 1
        return found

    def page(self, path: bytes) -> bytes | None:
        """As Store.page."""
        return self._pages.get(path)

    def meta(self, name: str) -> bytes | None:
        """As ChainStore.meta."""
        return self._meta.get(name)

    def height(self) -> int:
        """As ChainStore.height."""
        return len(self._blocks)

    def block_at(self, height: int) -> StoredBlock | None:
        """As ChainStore.block_at."""
        return self._blocks[height - 1] if 1 <= height <= len(self._blocks) else None

    def block_by_hash(self, block_hash: BlockHash) -> StoredBlock | None:
        """As ChainStore.block_by_hash."""
        height = self._heights.get(block_hash)
        return None if height is None else self.block_at(height)

    def newest_certificate(self, view_at_least: int) -> bytes | None:
        """As ChainStore.newest_certificate."""
        if self._certified is None or self._certified[0] < view_at_least:
            return None
        return self._certified[1]

    def epoch_end(self, epoch: int) -> bytes | None:
        """As ChainStore.epoch_end."""
        return self._steps.get(epoch)

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """As ChainStore.receipt."""
        return self._receipts.get(tx_id)

    def is_replay(self, tx_id: TxId) -> bool:
        """As ChainStore.is_replay."""
        return tx_id in self._replay

    def commit(self, commit: Commit) -> None:
        """As ChainStore.commit."""
        if commit.height <= self.height():
            return
        assert commit.height == self.height() + 1, "commits come in order of height"
        self._write_records(commit.records)
        for path, page in commit.pages.items():
            if page is None:
                self._pages.pop(path, None)
            else:
                self._pages[path] = page
        self._write_block(commit)
        self._replay = {tx_id: expires for tx_id, expires in self._replay.items() if expires >= commit.time}
        for row in commit.receipts:
            self._receipts[row.tx_id] = StoredReceipt(commit.height, row.index, row.receipt)
            self._replay[row.tx_id] = row.expires
        self._meta.update(commit.meta)
        if commit.step is not None:
            self._steps[commit.step[0]] = commit.step[1]

    def _write_records(self, records: dict[bytes, bytes | None]) -> None:
        for key, value in records.items():
            if value is None:
                if self._records.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
                continue
            if key not in self._records:
                insort(self._keys, key)
            self._records[key] = value

    def _write_block(self, commit: Commit) -> None:
        block = StoredBlock(commit.height, commit.block_hash, commit.proposal, commit.body, commit.certificate)
        self._blocks.append(block)
        self._heights[commit.block_hash] = commit.height
        if commit.certificate is not None:
            self._certified = (from_bytes(Proposal, commit.proposal).view, commit.certificate)
