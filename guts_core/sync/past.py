"""
The blocks of the hour before a snapshot: those whose transactions could be repeated after it.

They lead down from the snapshot's own block by the hashes of parents, so each is either exactly that block or
is refused; the receipts are bound by its header. A node that joined so looks like one that pruned its past.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from guts_core.chain.audit import audit_block
from guts_core.chain.block import Block, header_of
from guts_core.chain.commit import StoredBlock
from guts_core.chain.header import Header, block_hash
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, PeerFault
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_core.names import BlockHash

from .records import PastBlock


class BadPast(PeerFault):
    """A block that is not the one of its hash, or a run of them that does not hang together."""

    code = "bad-past"


def reaches_back(time: int, boundary_time: int) -> bool:
    """Whether a transaction of a block with this time could still stand in a block after the boundary."""
    return time + EXPIRY_MS_MAX >= boundary_time


@frozen
class Past:
    """How far down the blocks are known; the next one wanted is ``wanted``, None when that is all."""

    boundary_time: int
    wanted: BlockHash | None
    height: int  # of the wanted one; when all are known, one below the lowest
    count: int = 0

    @classmethod
    def below(cls, boundary: Header) -> Past:
        """Nothing known yet, not even the boundary's own body."""
        return cls(boundary.time, block_hash(boundary), boundary.height)

    def after(self, block: PastBlock) -> Past:
        """One block further down; raises BadPast unless it is the wanted one."""
        if self.wanted is None:
            raise BadPast(f"a block below height {self.height + 1}, where no more are wanted")
        try:
            header = header_of(block.body)
            stored = StoredBlock(self.height, self.wanted, b"", block.body, None)
            audit_block(stored, [to_bytes(receipt) for receipt in block.receipts])
        except (Corrupt, PeerFault) as error:
            raise BadPast(f"block {self.height}: {error}") from error
        if any(item.texts for item in from_bytes(Block, block.body).items):
            raise BadPast(f"block {self.height} carries texts, which nobody asked for")
        ends = header.height == 1 or not reaches_back(header.time, self.boundary_time)
        below = None if ends else BlockHash(header.parent_hash)
        return Past(self.boundary_time, below, self.height - 1, self.count + 1)

    def after_all(self, blocks: Iterable[PastBlock]) -> Past:
        """A whole run further down; raises BadPast for the first block that is not the wanted one."""
        past = self
        for block in blocks:
            past = past.after(block)
        return past
