"""
How large a block this node proposes (``consensus.md`` 4): half as large after one that did not become final, and
a little larger after each that did in good time.

A block that the network cannot carry or execute in time costs a view; the one that made it is who can make it
smaller. It is counted as turns are, a small transaction as 1 KiB: executing many takes as long as carrying much.
No block holds more transactions than one that was agreed on lately, or twice as many where that was quick; and where
several views in a row came to nothing each next one is half as large. So a network that is offered more than it can
execute learns what it can, and hardly loses a view for that.
Only an own limit: a voter accepts what the network's parameters allow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from attrs import frozen

from guts_core.forge.params import Params
from guts_core.names import BlockHash

from .turns import ITEM_BYTES_LEAST

# Back from the least to a whole mebibyte within 60 own blocks that became final.
STEP_BYTES = 16 * 1024
# 64 small transactions, some 20 ms of executing: no line that carries votes is too slow for them. What is larger than
# the cap stands alone in a block, or it would never stand anywhere.
FLOOR_BYTES = 64 * 1024
# Blocks whose fate is open: some three while the network agrees, and what is older than these tells nothing new.
OFFERED_MAX = 64
# What became final in two thirds of the time that a view has leaves room for more. In all of that time three hops may
# have taken as long as they may, whatever the block held: then it grows as well, or no loss would ever be won back, but
# slowly, for under overload this is as large as may be.
QUICK_DELTAS, VIEW_DELTAS = 2, 3
SLOW_STEP_BYTES = STEP_BYTES // 4
# Some 0.1 s of executing; and which blocks are of late.
ITEMS_FIRST, AGREED_BLOCKS = 256, 16
ITEMS_LEAST = FLOOR_BYTES // ITEM_BYTES_LEAST
# One view that came to nothing tells of its leader, and more of them in a row of what they were to carry.
_LEADERS_AWAY = 1


@frozen
class _Offer:
    block_hash: BlockHash
    cost: int
    since: int  # monotonic microseconds


class BlockCap:
    """Of one leader; it begins with all that the network allows."""

    def __init__(self) -> None:
        self._bytes: int | None = None
        self._offered: dict[int, _Offer] = {}  # by view
        self._heard: dict[int, int] = {}  # when this node began with the block of a view
        self._agreed = deque[int]((), AGREED_BLOCKS)

    def bytes(self, params: Params, lost: int = 0) -> int:
        """How many an own block may have now, above so many views in a row that came to nothing."""
        most = params.block_bytes_max
        own = most if self._bytes is None else self._bytes
        return min(max(own >> max(0, lost - _LEADERS_AWAY), FLOOR_BYTES), most)

    def items(self, lost: int = 0) -> int:
        """How many transactions it may hold."""
        return max(max(ITEMS_FIRST, *self._agreed, 0) >> max(0, lost - _LEADERS_AWAY), ITEMS_LEAST)

    def heard(self, view: int, now: int) -> None:
        """This node begins to execute the block of a view (monotonic microseconds)."""
        self._heard.setdefault(view, now)
        if len(self._heard) > OFFERED_MAX:
            del self._heard[next(iter(self._heard))]

    def offered(self, view: int, block_hash: BlockHash, cost: int = 0, now: int = 0) -> None:
        """This node proposed a block, so large, now (monotonic microseconds)."""
        self.heard(view, now)
        self._offered[view] = _Offer(block_hash, cost, now)
        if len(self._offered) > OFFERED_MAX:
            del self._offered[next(iter(self._offered))]

    def passed(self, view: int, below: Container[BlockHash], params: Params) -> None:
        """Agreement is in a later view, above these blocks: what is not among them will never be final."""
        for own in [own for own, offer in self._offered.items() if own < view and offer.block_hash not in below]:
            self._lost(self._offered.pop(own), params)

    def settled(self, view: int, block_hash: BlockHash, params: Params, items: int = 0, now: int = 0) -> None:
        """The block of a view is final, with so many transactions, and so is the fate of own ones up to that view."""
        begun = self._heard.get(view)  # of what it is told late, while it catches up, it cannot say how long it took
        is_quick = begun is not None and now - begun <= params.delta_ms * 1000
        self._agreed.append(2 * items if is_quick else items)
        for own in [own for own in self._offered if own <= view]:
            offer = self._offered.pop(own)
            if offer.block_hash != block_hash:
                self._lost(offer, params)
            else:
                self._set(self.bytes(params) + _step(now - offer.since, params), params)

    def _lost(self, offer: _Offer, params: Params) -> None:
        now = self.bytes(params)
        self._set(min(now, offer.cost if offer.cost > FLOOR_BYTES else now) // 2, params)

    def _set(self, size: int, params: Params) -> None:
        self._bytes = min(max(size, FLOOR_BYTES), params.block_bytes_max)


def _step(took_us: int, params: Params) -> int:
    """How many bytes more may be proposed after an own block that was final in this time."""
    delta_us = params.delta_ms * 1000
    if took_us <= QUICK_DELTAS * delta_us:
        return STEP_BYTES
    return SLOW_STEP_BYTES if took_us <= VIEW_DELTAS * delta_us else 0
