"""
Evidence on its way into the chain: what this node saw two votes of one seat contradict is reported by its own
key, as the node of the seat it has, until it stands on record (``consensus.md`` 1.12).
"""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.chain.compose import LIFETIME_MS, report_evidence
from guts_core.chain.ledger import Ledger
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import Tag, digest, encode, to_bytes
from guts_core.forge import queries
from guts_core.forge.params import EVIDENCE_EPOCHS
from guts_core.identity import Signer
from guts_core.names import AccountId, TxId
from guts_core.simplex.messages import Vote

_Pair = tuple[Vote, Vote]


class Reports:
    """Pairs of votes that are not on record yet, one for each epoch and seat."""

    def __init__(self, ledger: Ledger, signer: Signer | None) -> None:
        self._ledger, self._signer = ledger, signer
        self._pairs: dict[tuple[int, int], _Pair] = {}
        self._sent: dict[tuple[int, int], TxId] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def note(self, pairs: Iterable[_Pair]) -> None:
        """These were found, now or in an earlier life."""
        for first, second in pairs:
            self._pairs.setdefault((first.epoch, first.signer), (first, second))

    def due(self, time: int) -> list[Item]:
        """What to submit now (a block time), signed; nothing while this node has no seat to speak for."""
        self._drop_settled()
        author = self._author()
        if author is None:
            return []
        waiting = [key for key in self._pairs if not self._is_on_its_way(key)]
        return [self._report(key, author, time) for key in waiting]

    def _drop_settled(self) -> None:
        view, epoch = self._ledger.view(), self._ledger.network.epoch
        for key in list(self._pairs):
            if key[0] + EVIDENCE_EPOCHS < epoch or queries.conviction(view, *key) is not None:
                del self._pairs[key]
                self._sent.pop(key, None)

    def _author(self) -> AccountId | None:
        if self._signer is None:
            return None
        mine = self._signer.public_key
        seats = self._ledger.network.seats
        return next((AccountId(seat.operator) for seat in seats if seat.node_key == mine), None)

    def _is_on_its_way(self, key: tuple[int, int]) -> bool:
        sent = self._sent.get(key)
        return sent is not None and self._ledger.is_pending(sent)

    def _report(self, key: tuple[int, int], author: AccountId, time: int) -> Item:
        assert self._signer is not None, "who has an author has a key"
        first, second = self._pairs[key]
        # Nobody has to be kept from guessing it; each attempt needs another.
        salt = digest(Tag.TX_PART, self._signer.public_key, to_bytes(second), encode(time))
        chain = self._ledger.network.chain_id
        signed = report_evidence(chain, author, self._signer, first, second, time + LIFETIME_MS, salt)
        self._sent[key] = transaction_id(signed.body)
        return Item(signed, None, ())
