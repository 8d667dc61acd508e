"""
Letting go of old blocks and receipts (``consensus.md`` 3), where the operator says how long they are wanted.

What stays whatever they say: the state, the ends of all epochs, every block that evidence may still name, that
a transaction could be repeated from, or that goes with a snapshot which is offered. The history of the headers
that go is kept as its peaks, so that newer ones can still be proven.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from guts_core.chain import schema
from guts_core.chain.block import Block, header_of
from guts_core.chain.commit import StoredBlock
from guts_core.chain.genesis import genesis_hash
from guts_core.chain.history import EMPTY, History
from guts_core.chain.pruned import BASE
from guts_core.chain.trail import EpochStep
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes
from guts_core.forge.params import EVIDENCE_EPOCHS, EXPIRY_MS_MAX
from guts_core.names import BlockHash, ChainId, TxId

from . import store
from .chain_file import connect_to_read
from .snapshots import KEPT, Snapshots
from .store import ChainDatabase

# A transaction of so many blocks is over in a fraction of a second, and blocks that become final wait for it.
BLOCKS_A_STEP = 200
_BLOCKS = "SELECT height, hash, body FROM blocks WHERE height >= ? AND height < ? ORDER BY height"


class Pruner:
    """One node's. ``prune_some`` blocks."""

    def __init__(
        self, database: ChainDatabase, path: Path, chain_id: ChainId, snapshots: Snapshots, keep_ms: int
    ) -> None:
        self._database, self._path, self._chain_id = database, path, chain_id
        self._snapshots, self._keep_ms = snapshots, max(keep_ms, EXPIRY_MS_MAX)

    def prune_some(self) -> int:
        """Let go of the oldest blocks that nothing needs, a few; how many there were."""
        with closing(connect_to_read(self._path)) as reader:
            reader.execute("BEGIN")
            first = reader.execute(schema.FIRST).fetchone()[0]
            last = None if first is None else min(self._limit(reader), first + BLOCKS_A_STEP)
            if last is None or last <= first:
                return 0
            old = reader.execute(_BLOCKS, (first, last)).fetchall()
            base = reader.execute(schema.GET_META, (BASE,)).fetchone()
        history = EMPTY.append(genesis_hash(self._chain_id)) if base is None else History.from_bytes(base[0])
        for height, block_hash, _ in old:
            # A node that joined from a snapshot has blocks below the history that came with it.
            if height == history.count:
                history = history.append(BlockHash(block_hash))
        gone = [transaction_id(item.signed.body) for row in old for item in from_bytes(Block, row[2]).items]
        self._database.write(lambda writer: _forget(writer, last, gone, history))
        return len(old)

    def _limit(self, reader: sqlite3.Connection) -> int:
        """The lowest block that is to be kept."""
        held, ended = self._snapshots.held, reader.execute(schema.COUNT_STEPS).fetchone()[0]
        if len(held) < KEPT or ended <= EVIDENCE_EPOCHS:
            return 0
        step = from_bytes(EpochStep, reader.execute(schema.GET_STEP, (ended - EVIDENCE_EPOCHS - 1,)).fetchone()[0])
        bound = min(held[KEPT - 1].manifest.past - 1, step.header.height + 1)
        return self._first_younger(reader, bound)

    def _first_younger(self, reader: sqlite3.Connection, bound: int) -> int:
        """The lowest block that is young enough, at most ``bound``: times grow with heights."""
        top = reader.execute(schema.TOP).fetchone()[0]
        oldest = _time(reader, top) - self._keep_ms
        low: int = reader.execute(schema.FIRST).fetchone()[0]
        high = bound
        while low < high:
            middle = (low + high) // 2
            if _time(reader, middle) < oldest:
                low = middle + 1
            else:
                high = middle
        return low


def _time(reader: sqlite3.Connection, height: int) -> int:
    return header_of(StoredBlock(*reader.execute(schema.GET_BLOCK, (height,)).fetchone()).body).time


def _forget(writer: sqlite3.Connection, below: int, transactions: Sequence[TxId], history: History) -> None:
    writer.execute("DELETE FROM blocks WHERE height < ?", (below,))
    writer.executemany("DELETE FROM receipts WHERE tx_id = ?", [(tx_id,) for tx_id in transactions])
    writer.execute(store.PUT_META, (BASE, history.to_bytes()))
