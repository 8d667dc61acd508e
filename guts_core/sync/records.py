"""
What a snapshot of the state is made of (``consensus.md`` 3): the same bytes on every node that makes one.

The records stand in pieces of at most a mebibyte, in order of their keys; a manifest names the pieces by
hash, and the block after which the state was so. Nothing of it is believed because of who sent it: pieces
are held against the manifest as they come, and all of them together against a header that a quorum signed.
"""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.chain.history import History
from guts_core.chain.receipt import Receipt
from guts_core.chain.trail import EpochStep
from guts_core.codec import HASH_BYTES, Limit, Tag, digest, kinds, record, to_bytes
from guts_core.codec.fields import ABlockHash, AChainId, AHash, ARoot
from guts_core.simplex.messages import BODY_BYTES_MAX

# One piece and what is around it travel in one frame.
PIECE_BYTES_MAX = 1 << 20
# A manifest of 32,768 pieces has a mebibyte itself, and its state 32 GiB: far beyond what nodes hold today.
PIECES_MAX = 1 << 15
# 2**64 headers.
PEAKS_MAX = 64
# More than the nodes keep.
OFFERS_MAX = 8
# Key and value of each: the smallest record has twenty bytes beside its key of 34.
ENTRIES_MAX = PIECE_BYTES_MAX // 16
RUN_MAX = 4096
STEPS_MAX = 64
RECEIPTS_MAX = 8192


@record(kinds.STATE_PIECE)
@frozen
class Piece:
    """Some records in order: key, value, key, value..."""

    entries: Annotated[tuple[bytes, ...], Limit(most=ENTRIES_MAX)]


@record(kinds.STATE_MANIFEST)
@frozen
class StateManifest:
    """One snapshot: the state after the last block of an epoch."""

    chain_id: AChainId
    epoch: int  # the one that ended
    height: int
    block_hash: ABlockHash
    state_root: ARoot
    pieces: Annotated[tuple[AHash, ...], Limit(most=PIECES_MAX)]
    records: int
    peaks: Annotated[tuple[AHash, ...], Limit(most=PEAKS_MAX)]  # of the history of headers 0 to height - 1
    past: int  # the lowest block of which a transaction may still be repeated; they are fetched beside the pieces

    @property
    def history(self) -> History:
        """All headers below its block."""
        return History(self.height, self.peaks)


@record(kinds.STATE_OFFER)
@frozen
class Offer:
    """A snapshot that a node holds whole."""

    height: int
    digest: AHash  # of the manifest


@record(kinds.PAST_BLOCK)
@frozen
class PastBlock:
    """A final block without its texts, with what became of its transactions."""

    body: Annotated[bytes, Limit(most=BODY_BYTES_MAX)]
    receipts: Annotated[tuple[Receipt, ...], Limit(most=RECEIPTS_MAX)]


@record(kinds.PAST_RUN)
@frozen
class PastRun:
    """Blocks downwards, each the parent of the one before it."""

    blocks: Annotated[tuple[PastBlock, ...], Limit(most=RUN_MAX, least=1)]


@record(kinds.PROVEN_STEPS)
@frozen
class ProvenSteps:
    """Steps from one epoch to the next, as a node that joins keeps them between two starts."""

    first: int
    steps: Annotated[tuple[EpochStep, ...], Limit(most=STEPS_MAX, least=1)]


def manifest_digest(manifest: StateManifest) -> bytes:
    """What a snapshot is called."""
    return digest(Tag.SNAPSHOT, to_bytes(manifest))


def piece_hash(piece: bytes) -> bytes:
    """What a manifest says of a piece."""
    return digest(Tag.SNAPSHOT_PIECE, piece)


assert HASH_BYTES * PIECES_MAX <= 1 << 20
