"""
What clients of this node wait for: told to all validators once, and again only while it has reason to be.

Links lose nothing while they stand, and whoever links anew is told everything. What is left are peers that refused
it (their state was a block behind) or dropped it (too much waited), and a network whose blocks are full, where
saying it all again is what it can bear least: so the pauses double, and what waits for its turn there is said again
once soon, for peers that were behind, and then only at the longest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from attrs import define

from guts_core.chain.transaction import Item
from guts_core.codec import to_bytes
from guts_core.names import TxId

from .messages import ITEMS_PER_SUBMIT_MAX, Submit

# A Submit stays this small, so that it fits in a frame of 2 MiB together with the largest last item.
SUBMIT_BYTES_MAX = 1 << 20
# Retries between two times that the same is said, at most: half a minute at the usual pace.
PAUSE_RETRIES_MAX = 16


@define(eq=False)
class _Own:
    item: Item
    size: int
    again_at: int
    pause_us: int


class OwnTransactions:
    """Transactions that were submitted here, without a manifest, until they are final or expired."""

    def __init__(self) -> None:
        self._waiting: dict[TxId, _Own] = {}
        self._unsaid: list[_Own] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, tx_id: TxId) -> bool:
        return tx_id in self._waiting

    def __iter__(self) -> Iterator[TxId]:
        return iter(self._waiting)

    def add(self, tx_id: TxId, item: Item, now: int, retry_us: int) -> None:
        """A client brought it; ``now`` in monotonic microseconds."""
        self._waiting[tx_id] = own = _Own(item, len(to_bytes(item)), now + retry_us, retry_us)
        self._unsaid.append(own)

    def forget(self, tx_id: TxId) -> None:
        """It is final, or will never be."""
        self._waiting.pop(tx_id, None)

    def unsaid(self) -> list[Submit]:
        """What nobody has been told yet."""
        said, self._unsaid = self._unsaid, []
        return _batches(said)

    def all(self) -> list[Submit]:
        """Everything, for who has just linked."""
        return _batches(self._waiting.values())

    def due(self, now: int, retry_us: int, is_queued: Callable[[TxId], bool]) -> list[Submit]:
        """What is to be said again now; what waits for its turn only the first time, and after the longest pauses."""
        longest = PAUSE_RETRIES_MAX * retry_us
        due = {tx_id: own for tx_id, own in self._waiting.items() if own.again_at <= now}
        said = [own for tx_id, own in due.items() if not retry_us < own.pause_us < longest or not is_queued(tx_id)]
        for own in due.values():
            own.pause_us = min(2 * own.pause_us, longest)
            own.again_at = now + own.pause_us
        return _batches(said)


def _batches(own: Iterable[_Own]) -> list[Submit]:
    """In messages that a frame carries."""
    made: list[Submit] = []
    batch: list[Item] = []
    size = 0
    for one in own:
        if batch and (len(batch) == ITEMS_PER_SUBMIT_MAX or size + one.size > SUBMIT_BYTES_MAX):
            made.append(Submit(tuple(batch)))
            batch, size = [], 0
        batch.append(one.item)
        size += one.size
    return [*made, Submit(tuple(batch))] if batch else made
