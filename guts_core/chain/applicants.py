"""
What waits for a block at one node: let in by the finalized state, and judged again when that moves on.

Nothing here decides what a block may hold (``admission``, ``judge``); it decides what is worth proposing, and
remembers for a while how it ended with what no block will hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from guts_core.codec import to_bytes
from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.forge.actions import RefUpdate, ReportEvidence
from guts_core.forge.context import Availability
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_core.names import TxId
from guts_core.simplex.ports import Instant
from guts_core.state.view import Overlay, View

from .admission import Candidate, Network, candidate_of, check_signatures, check_witness, place_of
from .execution import Moment, check_pays, governs, perform
from .inadmissible import CannotPay, Inadmissible, TextMissing, TransactionExpired
from .mempool import Mempool
from .standing import Head, Standing, Where
from .transaction import Item, Transaction, Witness, transaction_id

# Transactions whose end is remembered for whoever asks after the mempool let them go.
ENDED_MAX = 10_000
EXPIRED_WORDS = "the transaction expired before any block held it"


class Finalized(Protocol):
    """The chain as far as it is final."""

    @property
    def head(self) -> Head:
        """Its last block."""

    @property
    def network(self) -> Network:
        """What holds in the epoch of the next block."""

    def view(self) -> View:
        """The state after its last block."""

    def is_final(self, tx_id: TxId, /) -> bool:
        """Whether it holds a transaction, as far back as one could be repeated."""

    def next_time(self, wall: int, /) -> int:
        """The block time that would be proposed now."""


class Applicants:
    """Lets transactions into a mempool, and out of it."""

    def __init__(self, mempool: Mempool, chain: Finalized) -> None:
        self.mempool, self._chain = mempool, chain
        self._ended: dict[TxId, Standing] = {}
        self._doubtful: set[TxId] = set()

    def admit(self, item: Item, now: Instant, *, is_own: bool = False) -> TxId:
        """
        Let a transaction wait for a block, judged by the finalized state; raises Refused.

        One that needs a witness waits apart until ``set_witness``. The same one twice is one. ``is_own``: a client
        of this node brings it, who is refused earlier than the other nodes are.
        """
        body_bytes = to_bytes(item.signed.body)
        tx_id = transaction_id(item.signed.body, body_bytes)
        if tx_id in self.mempool:
            return tx_id  # peers repeat what waits: that costs its hash and no more
        candidate = candidate_of(item, self._chain.network, body_bytes)
        if candidate.lacks_texts:
            raise TextMissing("a text that the transaction commits to is not here")
        view, time = self._chain.view(), self._chain.next_time(now.believed)
        place = place_of(candidate, view, time, self._chain.is_final)
        is_governing = governs(candidate, place.payer, view)
        is_urgent = _is_evidence(candidate) or is_governing
        if is_own and not is_urgent:
            self.mempool.require_calm(place.payer, now.monotonic)  # before its signatures, which cost more
        check_signatures(candidate, place, self._chain.network)
        if item.witness is not None or not candidate.needs_witness:
            check_witness(candidate, self._chain.network)
        check_pays(candidate, place.payer, view, self._chain.network, time, is_governing=is_governing)
        self.mempool.add(candidate, place.payer, now.monotonic, is_urgent=is_urgent)
        self._ended.pop(candidate.tx_id, None)
        return tx_id

    def rehearse(self, item: Item) -> None:
        """
        Raise the Refused that the transaction would meet now, on the finalized state with a true witness.

        Its signatures first: what the state says about an action is told to nobody but its author.
        """
        candidate = candidate_of(item, self._chain.network)
        # On an idle chain the last block time may lie far back; admission has judged the expiry.
        time = max(self._chain.head.time + 1, candidate.body.expires - EXPIRY_MS_MAX)
        state = Overlay(self._chain.view())
        place = place_of(candidate, state, time, self._chain.is_final)
        check_signatures(candidate, place, self._chain.network)
        availability = self._availability(candidate.body)
        perform(candidate, place, availability, state, self._chain.network, Moment(self._chain.head.height + 1, time))

    def set_witness(self, tx_id: TxId, witness: Witness) -> None:
        """A quorum holds what a waiting transaction needs: it may be proposed. Raises Refused."""
        waiting = self.mempool.get(tx_id)
        if waiting is None:
            raise NotFound(f"transaction {tx_id.hex()[:16]} does not wait here")
        candidate = waiting.with_witness(witness)
        check_witness(candidate, self._chain.network)
        self.mempool.set_ready(candidate)

    def turn(self, before: Network) -> None:
        """Another epoch: its own attesters vouch for packs, and its own parameters bound what fits into a block."""
        self.mempool.drop_witnesses()
        if before.params == self._chain.network.params:
            return
        for candidate in list(self.mempool):
            try:
                candidate_of(candidate.item, self._chain.network)
            except Inadmissible as refusal:
                self.mempool.discard(candidate.tx_id)
                self._end(candidate.tx_id, Standing(Where.REFUSED, error=refusal.code, message=str(refusal)))

    def left_out(self, doubtful: Iterable[TxId]) -> None:
        """A leader found these inadmissible on a state that is not final."""
        self._doubtful.update(doubtful)

    def after_block(self, held: Collection[TxId], time: int) -> None:
        """A block of this time is final, with these transactions."""
        self.mempool.final(held)
        self._doubtful.difference_update(held)
        for tx_id in self.mempool.drop_expired(time + 1):
            self._end(tx_id, Standing(Where.EXPIRED, error=TransactionExpired.code, message=EXPIRED_WORDS))
        self.mempool.resume(time + 1)
        for tx_id in sorted(self._doubtful):
            self._judge_again(tx_id, time + 1)
        self._doubtful.clear()

    def _judge_again(self, tx_id: TxId, time: int) -> None:
        """A leader left it out on a state that is not final; if the final one agrees, it is over."""
        candidate = self.mempool.get(tx_id)
        if candidate is None:
            return
        try:
            place = place_of(candidate, self._chain.view(), time, self._chain.is_final)
            # With its signatures: the key that signed may have been removed since.
            check_signatures(candidate, place, self._chain.network)
            view = self._chain.view()
            is_governing = governs(candidate, place.payer, view)
            check_pays(candidate, place.payer, view, self._chain.network, time, is_governing=is_governing)
        except CannotPay as refusal:
            self._wait_to_pay(candidate, time, refusal)
        except Inadmissible as refusal:
            self.mempool.discard(tx_id)
            self._end(tx_id, Standing(Where.REFUSED, error=refusal.code, message=str(refusal)))

    def _wait_to_pay(self, candidate: Candidate, time: int, refusal: CannotPay) -> None:
        """Its payer can pay in the next window at the earliest; until then it is no work, or it is over."""
        window = self._chain.network.params.quota_window_ms
        following = (time // window + 1) * window
        if candidate.body.expires >= following:
            self.mempool.postpone(candidate.tx_id, following)
            return
        self.mempool.discard(candidate.tx_id)
        self._end(candidate.tx_id, Standing(Where.REFUSED, error=refusal.code, message=str(refusal)))

    def ended(self, tx_id: TxId) -> Standing:
        """How it ended with a transaction that does not wait, if that is remembered."""
        return self._ended.get(tx_id, Standing(Where.UNKNOWN))

    def _end(self, tx_id: TxId, standing: Standing) -> None:
        if len(self._ended) >= ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[tx_id] = standing

    def _availability(self, body: Transaction) -> Availability | None:
        """What attesters that stand where this node stands would say."""
        for action in body.actions:
            if isinstance(action, RefUpdate):
                repository = queries.repository(self._chain.view(), action.manifest.repo)
                return Availability(repository.objects_epoch, repository.removals) if repository else Availability(0, 0)
        return None


def _is_evidence(candidate: Candidate) -> bool:
    return isinstance(candidate.body.actions[0], ReportEvidence)
