"""From a wish to a finalized receipt: compose, sign with what was handed over, submit, wait."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from guts_core.chain.commit import StoredReceipt
from guts_core.chain.compose import sign_with_credential
from guts_core.chain.receipt import Receipt
from guts_core.chain.standing import Where
from guts_core.chain.transaction import Hand, Item, SignedTransaction, Text, Transaction, Via, transaction_id
from guts_core.codec import from_bytes
from guts_core.errors import NotAllowed, Unauthenticated, Unavailable
from guts_core.forge import queries
from guts_core.forge.actions import Action
from guts_core.forge.permissions import Principal, credential_is_active
from guts_core.forge.records import Credential
from guts_core.identity import KeyPair
from guts_core.names import NodeId, TxId
from guts_core.node.events import Event, TransactionSubmitted
from guts_core.node.intake import is_urgent
from guts_core.node.node import Node
from guts_core.node.port import Outcome, Phase, WaitingList
from guts_core.node.waiting import Lagging, waiting_list

from .protocols import Clock
from .space import Space
from .store import ChainDatabase
from .waiting import Waiter, Waiters

# A node so busy that it takes nothing in for this long says so; nothing was submitted then.
HAND_IN_SECONDS = 30.0
# Nothing waits longer than a transaction can live.
WAIT_MS_MAX = 60 * 60 * 1000
_PHASES = {Where.EXPIRED: Phase.EXPIRED, Where.REFUSED: Phase.REFUSED}


@frozen
class Acting:
    """Someone who handed this node a token: the key in it and the credential it stands for."""

    key: KeyPair
    credential: Credential

    @property
    def principal(self) -> Principal:
        """Who they are to ``may``."""
        return Principal(self.credential.account, self.credential)


class Submissions:
    """Submits transactions to the node and waits for what becomes of them."""

    def __init__(
        self,
        node: Node,
        gateway_key: KeyPair,
        database: ChainDatabase,
        clock: Clock,
        waiters: Waiters,
        put: Callable[[Event], Awaitable[None]],
        network_time: Callable[[], int],
        space: Space,
        *,
        lag_ms: Callable[[], int],
        lag_most_ms: int,
    ) -> None:
        self._node, self._gateway, self._database = node, gateway_key, database
        self._clock, self._waiters, self._put = clock, waiters, put
        self._network_time, self.space = network_time, space
        self._lag_ms, self._lag_most_ms = lag_ms, lag_most_ms

    def acting(self, seed: bytes) -> Acting:
        """Who a handed token stands for; Unauthenticated or NotAllowed with words."""
        key = KeyPair(seed)
        view = self._node.ledger.view()
        credential = queries.credential_of_key(view, key.public_key)
        now = max(self._clock.wall_ms(), self._node.ledger.head.time)
        if credential is None or not credential_is_active(credential, now):
            raise Unauthenticated("the token is unknown, expired or revoked")
        if self._own_id() not in credential.gateways:
            raise NotAllowed("this token may not be handed to this node: it is not among the token's gateways")
        return Acting(key, credential)

    def _own_id(self) -> NodeId:
        return queries.gateway_of_key(self._node.ledger.view(), NodeId(self._gateway.public_key))

    def compose(self, acting: Acting, actions: tuple[Action, ...], lifetime_ms: int) -> SignedTransaction:
        """A transaction signed with the handed token and by this gateway."""
        body = Transaction(
            chain_id=self._node.chain_id,
            author=acting.credential.account,
            via=Via(acting.credential.id, self._own_id(), Hand.HANDED),
            actions=actions,
            expires=self._node.ledger.next_time(self._network_time()) + lifetime_ms,
            salt=os.urandom(32),
        )
        return sign_with_credential(body, acting.key, self._gateway)

    async def submit(
        self,
        signed: SignedTransaction,
        texts: tuple[Text, ...],
        wait_ms: int,
        pack: bytes | None = None,
        judged: tuple[int, int] | None = None,
    ) -> Outcome:
        """
        Submit and wait: FINAL, REFUSED, EXPIRED, or PENDING after ``wait_ms``. The same transaction may come again.

        ``judged`` as in ``TransactionSubmitted``: the gateway holds and has checked the pack of this push.
        """
        tx_id = transaction_id(signed.body)
        known = self.outcome(tx_id)
        if known.phase in (Phase.FINAL, Phase.EXPIRED):
            return known
        # Who comes again waits for what was taken in; operators may have to govern a network that lags, and evidence
        # shows who harms it.
        if known.phase is Phase.PENDING or is_urgent(signed.body):
            self.space.check()
        else:
            self.require_room()
            # Here it costs a look, and in the node's queue its turn, and its signatures.
            self._node.ledger.mempool.require_calm(signed.body.author, self._clock.monotonic_us())
        if self._waiters.is_full:
            raise Unavailable("too many clients wait for this node; try again in a moment")
        async with self._waiters.waiting(tx_id) as waiter:
            await self._hand_in(TransactionSubmitted(Item(signed, None, texts), pack, judged))
            with trio.move_on_after(min(max(wait_ms, 0), WAIT_MS_MAX) / 1000):
                await waiter.done.wait()
            return self._after_wait(tx_id, waiter)

    def require_room(self) -> None:
        """Raise Unavailable when this node takes in no new writes: the disk is full, or nothing becomes final."""
        self.space.check()
        lag = self._lag_ms()
        if lag <= self._lag_most_ms:
            return
        missing = self.missing_validators()
        why = f" ({missing} more validator{'s are' if missing > 1 else ' is'} needed for agreement)" if missing else ""
        raise Lagging(
            f"nothing has become final for {lag / 1000:.1f} s though transactions wait{why}: "
            "nothing was submitted, try again in a few seconds"
        )

    async def _hand_in(self, event: TransactionSubmitted) -> None:
        try:
            with trio.fail_after(HAND_IN_SECONDS):
                await self._put(event)
        except trio.TooSlowError:
            raise Unavailable("this node is too busy to take it in; nothing was submitted") from None

    def _final(self, tx_id: TxId, stored: StoredReceipt) -> Outcome:
        receipt = from_bytes(Receipt, stored.receipt)
        missing = self.missing_validators()
        return Outcome(Phase.FINAL, tx_id, stored.height, stored.index, receipt.error, receipt.message, missing)

    def _after_wait(self, tx_id: TxId, waiter: Waiter) -> Outcome:
        if waiter.stored is not None:
            return self._final(tx_id, waiter.stored)
        known = self.outcome(tx_id)
        if waiter.refusal is not None and known.phase not in (Phase.FINAL, Phase.EXPIRED):
            code, message = waiter.refusal
            return Outcome(Phase.REFUSED, tx_id, None, None, code, message, self.missing_validators())
        if known.phase is not Phase.UNKNOWN:
            return known
        return Outcome(Phase.PENDING, tx_id, None, None, None, None, self.missing_validators())

    def outcome(self, tx_id: TxId) -> Outcome:
        """What this node knows of a transaction: FINAL from its disk only, the rest from memory."""
        missing = self.missing_validators()
        stored = self._database.receipt(tx_id)
        if stored is not None:
            return self._final(tx_id, stored)
        standing = self._node.ledger.unstored_status(tx_id)
        if standing.where in _PHASES:
            return Outcome(_PHASES[standing.where], tx_id, None, None, standing.error, standing.message, missing)
        # Final and not on disk yet is still pending: an answer has to survive a power cut.
        waits = standing.where is not Where.UNKNOWN or self._node.knows(tx_id)
        return Outcome(Phase.PENDING if waits else Phase.UNKNOWN, tx_id, None, None, None, None, missing)

    def waiting(self) -> WaitingList:
        """What waits here for a block, as far as anybody may know."""
        ledger = self._node.ledger
        return waiting_list(ledger.mempool, ledger.view(), self._clock.monotonic_us())

    def missing_validators(self) -> int:
        """How many of a quorum are not connected right now."""
        present = len(self._node.connected) + (self._node.index is not None)
        return max(0, self._node.quorum - present)
