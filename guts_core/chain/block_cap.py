"""
How large a block this node proposes (``consensus.md`` 4): half as large after one that did not become final, and
a little larger after each that did.

A block that the network cannot carry or execute in time costs a view; the one that made it is who can make it
smaller. It is counted as turns are, a small transaction as 1 KiB: executing many takes as long as carrying much.
Only an own limit: a voter accepts what the network's parameters allow.
"""

from __future__ import annotations

from guts_core.forge.params import Params
from guts_core.names import BlockHash

# Back from the least to a whole mebibyte within 60 own blocks that became final.
STEP_BYTES = 16 * 1024
# 64 small transactions, some 20 ms of executing: no line that carries votes is too slow for them. What is larger than
# the cap stands alone in a block, or it would never stand anywhere.
FLOOR_BYTES = 64 * 1024
# Blocks whose fate is open: some three while the network agrees, and what is older than these tells nothing new.
OFFERED_MAX = 64


class BlockCap:
    """Of one leader; it begins with all that the network allows."""

    def __init__(self) -> None:
        self._bytes: int | None = None
        self._offered: dict[int, BlockHash] = {}

    def bytes(self, params: Params) -> int:
        """How many an own block may have now."""
        most = params.block_bytes_max
        return most if self._bytes is None else min(max(self._bytes, FLOOR_BYTES), most)

    def offered(self, view: int, block_hash: BlockHash) -> None:
        """This node proposed a block."""
        self._offered[view] = block_hash
        if len(self._offered) > OFFERED_MAX:
            del self._offered[next(iter(self._offered))]

    def settled(self, view: int, block_hash: BlockHash, params: Params) -> None:
        """The block of a view is final, and so is what became of own blocks of that view and before."""
        for own in [own for own in self._offered if own <= view]:
            is_final = self._offered.pop(own) == block_hash
            now = self.bytes(params)
            self._bytes = now + STEP_BYTES if is_final else now // 2
            self._bytes = self.bytes(params)
