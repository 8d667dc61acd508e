"""
Proofs made by a running node: one snapshot of ``chain.db`` and the final blocks above it, taken in one step.

A proof is built on a thread of its own, one at a time, while blocks go on; the snapshot is a read
transaction of its own connection, which no commit changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import trio

from guts_core.chain import schema
from guts_core.chain.commit import Commit, StoredBlock, StoredReceipt
from guts_core.chain.history import History
from guts_core.chain.pruned import BASE
from guts_core.errors import Unavailable
from guts_core.names import BlockHash, ChainId, TxId
from guts_core.node.port import PROOF_PIECE_BYTES, AskProof, ProofAnswer
from guts_core.proof.prove import prove
from guts_core.proof.source import HistoryNodes, Source
from guts_core.state.view import Pair

from .conversation import Conversation

# A small proof takes a millisecond or two; whoever would wait behind more than this is better served elsewhere.
WAITING_MAX = 64
# Reading does not wait for writing in WAL mode; only a checkpoint that resets the log may be met.
BUSY_SECONDS = 5.0

_NEWEST_CERTIFIED = (
    "SELECT height, hash, proposal, body, certificate FROM blocks"
    " WHERE certificate IS NOT NULL ORDER BY view DESC LIMIT 1"
)
_HASHES = "SELECT hash FROM blocks WHERE height >= ? ORDER BY height LIMIT ?"


class ChainSnapshot:
    """A ``CommittedChain``: what one read transaction sees."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._height: int = self._row(schema.TOP, ())[0] or 0

    def get(self, key: bytes) -> bytes | None:
        """As View.get."""
        return self._value(schema.GET_RECORD, key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan."""
        sql = schema.SCAN_RECORDS_FROM if after < prefix else schema.SCAN_RECORDS
        return self._connection.execute(sql, (max(prefix, after), schema.prefix_end(prefix), max(limit, 0))).fetchall()

    def page(self, path: bytes) -> bytes | None:
        """As Store.page."""
        return self._value(schema.GET_PAGE, path)

    def height(self) -> int:
        """The applied height."""
        return self._height

    def first_block(self) -> int:
        """The lowest block that is here."""
        return int(self._row(schema.FIRST, ())[0] or 1)

    def base(self) -> History | None:
        """The history of headers that are not here any more."""
        row = self._row(schema.GET_META, (BASE,))
        return None if row is None else History.from_bytes(row[0])

    def block_at(self, height: int) -> StoredBlock | None:
        """A committed block."""
        return self._block(schema.GET_BLOCK, (height,))

    def certified_from(self, height: int) -> StoredBlock | None:
        """The lowest committed block at or above this height that has a certificate."""
        return self._block(schema.GET_CERTIFIED_FROM, (height,))

    def newest_certified(self) -> StoredBlock | None:
        """The highest committed block that has a certificate."""
        return self._block(_NEWEST_CERTIFIED, ())

    def header_hashes(self, first: int, count: int) -> list[bytes]:
        """The hashes of so many committed blocks in order of height."""
        return [row[0] for row in self._connection.execute(_HASHES, (first, count))]

    def epoch_end(self, epoch: int) -> bytes | None:
        """How an epoch ended, if it did."""
        row = self._row(schema.GET_STEP, (epoch,))
        return None if row is None else row[0]

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended."""
        row = self._row(schema.GET_RECEIPT, (tx_id,))
        return None if row is None else StoredReceipt(*row)

    def _block(self, sql: str, values: tuple[int, ...]) -> StoredBlock | None:
        row = self._row(sql, values)
        return None if row is None else StoredBlock(row[0], BlockHash(row[1]), *row[2:])

    def _value(self, sql: str, key: bytes) -> bytes | None:
        row = self._row(sql, (key,))
        return None if row is None else row[0]

    def _row(self, sql: str, values: tuple[bytes | int | str, ...]) -> Any:
        return self._connection.execute(sql, values).fetchone()


@contextmanager
def open_snapshot(database: Path) -> Iterator[ChainSnapshot]:
    """The chain as it is committed now, for as long as the block lasts; for one thread at a time."""
    uri = f"{database.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
    with closing(connection):
        connection.execute("BEGIN")
        yield ChainSnapshot(connection)


class Prover:
    """Makes the proofs that are asked for over the port."""

    def __init__(self, database: Path, chain_id: ChainId, uncommitted: Callable[[], tuple[Commit, ...]]) -> None:
        self._database, self._chain_id, self._uncommitted = database, chain_id, uncommitted
        self._turn = trio.Lock()
        self._nodes = HistoryNodes()

    async def answer(self, conversation: Conversation, asked: AskProof) -> None:
        """Say the proof, in pieces; raises Refused or Unavailable where there is none."""
        height, proof = await self.prove(asked)
        for at in range(0, len(proof), PROOF_PIECE_BYTES):
            await conversation.say(ProofAnswer(height, len(proof), proof[at : at + PROOF_PIECE_BYTES]))

    async def prove(self, asked: AskProof) -> tuple[int, bytes]:
        """The applied height, and the proof file."""
        if self._turn.statistics().tasks_waiting >= WAITING_MAX:
            raise Unavailable("this node makes too many proofs at once; try again in a moment")
        async with self._turn:
            # In one step: what is final and not in the snapshot is among what the ledger still holds.
            with open_snapshot(self._database) as snapshot:
                source = Source(self._chain_id, snapshot, self._uncommitted(), self._nodes)
                proof = await trio.to_thread.run_sync(prove, source, asked.question, asked.repo)
                return source.height(), proof
