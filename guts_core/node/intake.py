"""
What clients want ordered, until this node comes to it: agreement does not wait behind their signatures.

A transaction costs a node ten times what a vote does, and many come at once. In one queue with the votes they delayed
these beyond the views that they were for; the work of such views was done again, and the more was offered the less
became final. So every step judges a few of them after all else that came, whoever brought them in turns. Beyond its
room nothing is taken in: own clients are told so, and peers say again what waits.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TypeAlias, TypeGuard

from guts_core.chain.mempool import BUSY_WORDS, Busy
from guts_core.chain.transaction import Transaction, transaction_id
from guts_core.chain.turns import URGENT_SHARE
from guts_core.codec import to_bytes
from guts_core.forge.actions import GOVERNING, ReportEvidence
from guts_core.names import AccountId, TxId

from .events import Event, PeerSaid, TransactionSubmitted
from .messages import Submit

# Some 10 ms of one processor: a vote that comes meanwhile waits no longer.
STEP_TRANSACTIONS = 64
# Of own clients in one turn: what they bring is passed on in messages of so many, and of a peer it is one message.
TURN_TRANSACTIONS = 32
# Seconds of judging what one peer passes on, and a second of what own clients bring: who waits longer had better know.
PEER_BYTES_MAX = 4 << 20
OWN_MAX = 1_024
# What operators decide, and evidence, stands before the rest in a quarter of a step as it does in one of a block. Whose
# it is nobody has checked yet, so it holds little, and of one author what an operator has to say at once.
URGENT_TURN = STEP_TRANSACTIONS // URGENT_SHARE
URGENT_MAX = 64
URGENT_OF_AUTHOR = 4

# A deadline that has passed: what waits here needs no event.
AT_ONCE = 0

Brought: TypeAlias = TransactionSubmitted | PeerSaid

_SUBMIT = to_bytes(Submit(()))[:3]
_SMALL_BYTES = 256  # a peer's message counts as so many transactions as it could hold


def is_urgent(body: Transaction) -> bool:
    """Whether this is, by its own words, what no flood may keep from a network: governing, or evidence."""
    return all(isinstance(action, (*GOVERNING, ReportEvidence)) for action in body.actions)


class Intake:
    """Transactions by who brought them: a peer, or own clients (None)."""

    def __init__(self) -> None:
        self._queues: dict[int | None, deque[Brought]] = {}  # whose turn is next comes first
        self._urgent: deque[TransactionSubmitted] = deque()  # of own clients; its turn is always next
        self._bytes: dict[int, int] = {}
        self._own: Counter[TxId] = Counter()  # the same may be brought again meanwhile

    def __bool__(self) -> bool:
        return bool(self._queues or self._urgent)

    def __contains__(self, tx_id: TxId) -> bool:
        """Whether an own client brought this, and it waits for its turn."""
        return tx_id in self._own

    @staticmethod
    def is_for(event: Event) -> TypeGuard[Brought]:
        """Whether this may wait here."""
        return isinstance(event, TransactionSubmitted) or (isinstance(event, PeerSaid) and event.data[:3] == _SUBMIT)

    def put(self, event: Brought) -> tuple[TxId, Busy] | None:
        """Let it wait for its turn; of an own client's what there is no room for, and why."""
        if isinstance(event, PeerSaid):
            self._put_of_peer(event)
            return None
        body = event.item.signed.body
        tx_id = transaction_id(body)
        if is_urgent(body) and self._has_urgent_room(body.author):
            self._urgent.append(event)
        elif len(own := self._queues.setdefault(None, deque())) < OWN_MAX:
            own.append(event)
        else:
            return tx_id, Busy(BUSY_WORDS)
        self._own[tx_id] += 1
        return None

    def _has_urgent_room(self, author: AccountId) -> bool:
        of_author = sum(event.item.signed.body.author == author for event in self._urgent)
        return len(self._urgent) < URGENT_MAX and of_author < URGENT_OF_AUTHOR

    def _put_of_peer(self, event: PeerSaid) -> None:
        size = self._bytes.get(event.peer, 0) + len(event.data)
        queue = self._queues.setdefault(event.peer, deque())
        if not queue or size <= PEER_BYTES_MAX:
            queue.append(event)
            self._bytes[event.peer] = size

    def take(self) -> list[Brought]:
        """What a step judges: some of what is urgent, and of one source after another, until it is enough."""
        taken: list[Brought] = [self._urgent.popleft() for _ in range(min(len(self._urgent), URGENT_TURN))]
        room = STEP_TRANSACTIONS - sum(map(self._weight, taken))
        for source in list(self._queues):
            if room <= 0:
                break
            queue = self._queues.pop(source)
            most = TURN_TRANSACTIONS if source is None else 1
            turn = [queue.popleft() for _ in range(min(len(queue), most))]
            if queue:
                self._queues[source] = queue  # behind the others
            room -= sum(map(self._weight, turn))
            taken += turn
        return taken

    def _weight(self, event: Brought) -> int:
        if isinstance(event, TransactionSubmitted):
            self._let_go(transaction_id(event.item.signed.body))
            return 1
        self._bytes[event.peer] -= len(event.data)
        return -(-len(event.data) // _SMALL_BYTES)

    def _let_go(self, tx_id: TxId) -> None:
        self._own[tx_id] -= 1
        if not self._own[tx_id]:
            del self._own[tx_id]

    def lost(self, peer: int) -> None:
        """The link to a peer closed: when it opens again, all that waits there is said again."""
        self._queues.pop(peer, None)
        self._bytes.pop(peer, None)
