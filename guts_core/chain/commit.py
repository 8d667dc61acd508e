"""What finalizing a block writes, all in one transaction, and what is read back after a restart."""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen

from guts_core.names import BlockHash, RepoId, TxId
from guts_core.state.view import Store

from .indexed import Deletion, RefMove


@frozen
class AdmittedPack:
    """A pack that this block admits: hard-linked before the commit, or a row in ``missing``."""

    repo: RepoId
    digest: bytes
    idx_digest: bytes
    size: int


@frozen
class TextName:
    """A text, by the repository in which it was committed to."""

    repo: RepoId
    commitment: bytes


@frozen
class ListedText:
    """A text that every node is to hold from this block on; ``data`` is its record, where the body had it."""

    name: TextName
    data: bytes | None = field(repr=False)


@frozen
class ReceiptRow:
    """Where a transaction ended: ``receipt`` is canonical bytes; the id is refused until ``expires``."""

    tx_id: TxId
    index: int
    receipt: bytes
    expires: int


@frozen
class Commit:
    """One finalized block and all it changes. Performed in order of height, each exactly once."""

    height: int
    block_hash: BlockHash
    proposal: bytes  # canonical simplex.Proposal
    body: bytes  # canonical Block, without texts
    certificate: bytes | None  # its own finalization certificate, if there is one
    time: int  # header time, ms: replay rows that expired before it are dropped
    records: dict[bytes, bytes | None]
    pages: dict[bytes, bytes | None]
    receipts: tuple[ReceiptRow, ...]
    packs: tuple[AdmittedPack, ...]
    meta: dict[str, bytes]  # "state_root", "history" (mountain range peaks), ...
    texts: tuple[ListedText, ...] = ()  # durable before the commit, or a row in ``missing_texts``
    erased: tuple[TextName, ...] = ()  # their files are gone before the commit is reported
    ref_moves: tuple[RefMove, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    step: tuple[int, bytes] | None = None  # how an epoch ended, if it did with this block: canonical EpochStep


@frozen
class StoredBlock:
    """A committed block as stored."""

    height: int
    block_hash: BlockHash
    proposal: bytes
    body: bytes
    certificate: bytes | None


@frozen
class StoredReceipt:
    """A transaction's place and receipt."""

    height: int
    index: int
    receipt: bytes


class ChainStore(Store, Protocol):
    """The committed base of a node: state, blocks, receipts, replay ids. Reads see only commits."""

    def meta(self, name: str) -> bytes | None:
        """A value of the last commit's ``meta`` (each name keeps its newest value)."""

    def height(self) -> int:
        """Height of the last committed block; 0 is genesis."""

    def block_at(self, height: int) -> StoredBlock | None:
        """A committed block by height (0 has none: genesis is a file)."""

    def block_by_hash(self, block_hash: BlockHash) -> StoredBlock | None:
        """A committed block by hash."""

    def newest_certificate(self, view_at_least: int) -> bytes | None:
        """The finalization certificate of the highest committed block that has one, if its view is at least this."""

    def epoch_end(self, epoch: int) -> bytes | None:
        """How an epoch ended (canonical EpochStep), if it did: kept for ever, for laggards and proofs walk them."""

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended."""

    def is_replay(self, tx_id: TxId) -> bool:
        """Whether the id stands in the replay table (seen and not yet expired)."""

    def commit(self, commit: Commit) -> None:
        """Write all of it in one durable transaction; a height already committed is a no-op."""
