"""
Transactions that wait for a block, within bounds (``consensus.md`` 4); in which order, ``turns`` says.

A push waits here for its witness and becomes proposable when it is set. Nothing here is durable:
whoever submitted keeps a transaction until it is final or expired.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from heapq import heappop, heappush

from attrs import define

from guts_core.errors import LimitExceeded
from guts_core.names import AccountId, TxId

from .admission import Candidate
from .turns import URGENT_SHARE, Lane, Turns, cost_of

MEMPOOL_BYTES_MAX = 64 << 20
MEMPOOL_TRANSACTIONS_MAX = 50_000
# One payer may hold a twentieth: a flood by one account leaves room for nineteen others.
PAYER_SHARE = 20
# So full, a node takes nothing more from its own clients; the rest is for what clients of the others were promised.
CALM_PERCENT = 80
# With a full block of them waiting, who brings more than a network bears is told so, and not kept waiting for it: what
# waits longer than this is work for every node that makes no block fuller.
CROWD_TRANSACTIONS = 1_000
PATIENCE_US = 1_000_000
# With so many of them what waits is waiting for its turn, and need not be told again and again.
QUEUE_TRANSACTIONS = 256


BUSY_WORDS = "this node has too many waiting transactions: try again in a few seconds"


class Busy(LimitExceeded):
    """Nothing is wrong with the transaction: in a few seconds there may be room for it."""

    code = "busy"


@define
class _Entry:
    candidate: Candidate
    payer: AccountId
    since: int
    is_urgent: bool


@define
class _Load:
    transactions: int = 0
    bytes: int = 0

    def add(self, size: int, sign: int) -> None:
        """Count one transaction in (1) or out (-1)."""
        self.transactions += sign
        self.bytes += sign * size


class Mempool:
    """Candidates by transaction id, in the order in which they came; those that wait for a witness apart."""

    def __init__(self, bytes_max: int = MEMPOOL_BYTES_MAX, transactions_max: int = MEMPOOL_TRANSACTIONS_MAX) -> None:
        self._bytes_max, self._transactions_max = bytes_max, transactions_max
        self._entries: dict[TxId, _Entry] = {}
        self._ready: dict[TxId, Candidate] = {}  # in the order in which they became proposable
        # Heaps by block time; entries that left earlier are skipped.
        self._ends: list[tuple[int, TxId]] = []
        self._postponed: list[tuple[int, TxId]] = []
        self._total = _Load()
        self._loads: dict[AccountId, _Load] = {}
        self._lanes = {True: Lane(), False: Lane()}  # by whether it is urgent

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, tx_id: TxId) -> bool:
        return tx_id in self._entries

    @property
    def bytes(self) -> int:
        """Canonical bytes held."""
        return self._total.bytes

    @property
    def has_ready(self) -> bool:
        """Whether anything could be proposed."""
        return bool(self._ready)

    def get(self, tx_id: TxId) -> Candidate | None:
        """A waiting candidate."""
        entry = self._entries.get(tx_id)
        return None if entry is None else entry.candidate

    def newest_ready(self) -> Iterator[TxId]:
        """Ids of what could be proposed, the newest first."""
        return reversed(self._ready)

    def turns(self, held: Collection[Collection[TxId]], room: int) -> Turns:
        """
        What a leader proposes, in order, in so many bytes.

        ``held`` are the transactions of blocks below that may be final: they count as given, and are left out.
        """
        below = set[TxId]().union(*held)
        given: Counter[AccountId] = Counter()
        for tx_id in below:
            entry = self._entries.get(tx_id)
            if entry is not None and not entry.is_urgent:
                given[entry.payer] += cost_of(entry.candidate)
        return Turns(self._lanes[True], self._lanes[False], given, below, room // URGENT_SHARE)

    def oldest_ready(self) -> int | None:
        """Since when what has waited longest waits (monotonic microseconds), of what could be proposed."""
        return next((entry.since for tx_id, entry in self._entries.items() if tx_id in self._ready), None)

    def is_queued(self, tx_id: TxId) -> bool:
        """Whether it waits for its turn, as most of what waits here does; what is urgent has a part of each block."""
        entry = self._entries.get(tx_id)
        return entry is not None and not entry.is_urgent and len(self._ready) >= QUEUE_TRANSACTIONS

    def require_calm(self, payer: AccountId, now: int) -> None:
        """
        Raise Busy when this node should not take more from its clients (``now``: monotonic microseconds).

        Where blocks are full an account has a say in how long it waits: one that brings more than its turns carry is
        refused, and all others are not.
        """
        transactions = self._total.transactions * 100 >= self._transactions_max * CALM_PERCENT
        if transactions or self._total.bytes * 100 >= self._bytes_max * CALM_PERCENT:
            raise Busy(BUSY_WORDS)
        first = self._lanes[False].first(payer) if len(self._ready) >= CROWD_TRANSACTIONS else None
        if first is not None and now - self._entries[first].since > PATIENCE_US:
            raise Busy("this account has waited for its turn for a while already: try again in a few seconds")

    def add(self, candidate: Candidate, payer: AccountId, now: int, *, is_urgent: bool = False) -> None:
        """
        Let a candidate wait from now on (monotonic microseconds); evidence and governance are urgent.

        Raises Busy when there is no room.
        """
        if candidate.tx_id in self._entries:
            return
        load = self._loads.get(payer, _Load())
        if self._over(self._total, candidate.size, 1):
            raise Busy(BUSY_WORDS)
        if self._over(load, candidate.size, PAYER_SHARE):
            raise Busy("this account has too many waiting transactions: try again in a few seconds")
        self._loads[payer] = load
        entry = self._entries[candidate.tx_id] = _Entry(candidate, payer, now, is_urgent)
        self._count(payer, candidate.size, 1)
        heappush(self._ends, (candidate.body.expires, candidate.tx_id))
        if not candidate.needs_witness or candidate.item.witness is not None:
            self._offer(entry)

    def _offer(self, entry: _Entry) -> None:
        self._ready[entry.candidate.tx_id] = entry.candidate
        self._lanes[entry.is_urgent].put(entry.payer, entry.candidate)

    def _withhold(self, entry: _Entry) -> bool:
        """Whether it could have been proposed until now."""
        tx_id = entry.candidate.tx_id
        self._lanes[entry.is_urgent].take(entry.payer, tx_id)
        return self._ready.pop(tx_id, None) is not None

    def _over(self, load: _Load, size: int, share: int) -> bool:
        return load.transactions >= self._transactions_max // share or load.bytes + size > self._bytes_max // share

    def _count(self, payer: AccountId, size: int, sign: int) -> None:
        self._total.add(size, sign)
        load = self._loads[payer]
        load.add(size, sign)
        if not load.transactions:
            del self._loads[payer]

    def set_ready(self, candidate: Candidate) -> None:
        """Replace a waiting candidate by itself with its witness: from now on it may be proposed."""
        entry = self._entries[candidate.tx_id]
        grown = candidate.size - entry.candidate.size
        self._total.bytes += grown
        self._loads[entry.payer].bytes += grown
        entry.candidate = candidate
        self._offer(entry)

    def drop_witnesses(self) -> None:
        """Another epoch began, and its validators have vouched for nothing yet: what had a witness waits for one."""
        for entry in self._entries.values():
            if entry.candidate.item.witness is None:
                continue
            bare = entry.candidate.with_witness(None)
            shrunk = bare.size - entry.candidate.size
            self._total.bytes += shrunk
            self._loads[entry.payer].bytes += shrunk
            entry.candidate = bare
            self._withhold(entry)

    def postpone(self, tx_id: TxId, time: int) -> None:
        """What waits here cannot be proposed before this block time: till then it waits apart."""
        entry = self._entries.get(tx_id)
        if entry is not None and self._withhold(entry):
            heappush(self._postponed, (time, tx_id))

    def resume(self, time: int) -> None:
        """Let what was postponed to this block time or before be proposed."""
        while self._postponed and self._postponed[0][0] <= time:
            _, tx_id = heappop(self._postponed)
            entry = self._entries.get(tx_id)
            if entry is not None and (entry.candidate.item.witness or not entry.candidate.needs_witness):
                self._offer(entry)

    def final(self, held: Collection[TxId]) -> None:
        """A final block holds these: who they are of was given so much, and they wait no longer."""
        for tx_id in held:
            entry = self._entries.get(tx_id)
            if entry is not None:
                self._lanes[entry.is_urgent].charge(entry.payer, cost_of(entry.candidate))
                self.discard(tx_id)
        for lane in self._lanes.values():
            lane.settle()

    def discard(self, tx_id: TxId) -> None:
        """Forget a candidate, if it is here."""
        entry = self._entries.pop(tx_id, None)
        if entry is not None:
            self._withhold(entry)
            self._count(entry.payer, entry.candidate.size, -1)

    def drop_expired(self, time: int) -> list[TxId]:
        """Forget what no block after this time may hold; their ids."""
        gone = []
        while self._ends and self._ends[0][0] < time:
            _, tx_id = heappop(self._ends)
            if tx_id in self._entries:
                self.discard(tx_id)
                gone.append(tx_id)
        return gone

    def oldest(self) -> Iterator[tuple[Candidate, int]]:
        """What waits, in the order in which it came, and since when."""
        return ((entry.candidate, entry.since) for entry in self._entries.values())

    def __iter__(self) -> Iterator[Candidate]:
        return (entry.candidate for entry in self._entries.values())
