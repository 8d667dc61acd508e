"""
Read-only access to ``chain.db``: one short snapshot a request (``architecture.md`` 2).

A connection is opened once per thread of use and kept; a snapshot is one SQLite read transaction, so
height, state root and records in it belong together. At height 0 nothing is committed yet and the
records are those of genesis.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from guts_core.chain import schema
from guts_core.chain.block import header_of
from guts_core.chain.commit import StoredBlock, StoredReceipt
from guts_core.chain.foundation import Foundation, found_state
from guts_core.chain.genesis import Genesis, chain_id, genesis_hash
from guts_core.chain.indexed import RefMove
from guts_core.errors import Corrupt, Unavailable
from guts_core.forge.actions import Relation
from guts_core.names import AccountId, BlockHash, ChainId, RepoId, TxId
from guts_core.state.view import Overlay, Pair

# A snapshot is held for milliseconds; more connections than this would only wait for the two cores.
IDLE_CONNECTIONS_MAX = 16
BUSY_SECONDS = 5.0


class Reader:
    """Opens snapshots of one node's database."""

    def __init__(self, database: Path, genesis: Genesis) -> None:
        self._database = database
        self.directory = database.parent  # what a node keeps beside its database: texts
        self.genesis = genesis
        self.chain_id: ChainId = chain_id(genesis)
        self._foundation: Foundation = found_state(genesis)
        self._idle: list[sqlite3.Connection] = []
        self._tip: tuple[int, bytes, int] = (0, genesis_hash(self.chain_id), genesis.time)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """The state at one height, for as long as the block lasts; keep it short."""
        try:
            connection = self._idle.pop()  # one step, since threads share the list
        except IndexError:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield self._snapshot(connection)
        except sqlite3.Error as error:
            raise Unavailable(f"the chain database cannot be read now: {error}") from error
        finally:
            self._give_back(connection)

    def _snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        height = connection.execute(schema.TOP).fetchone()[0] or 0
        if height != self._tip[0]:
            row = connection.execute(schema.GET_BLOCK, (height,)).fetchone()
            self._tip = (height, row[1], header_of(row[3]).time)
        return Snapshot(connection, self._foundation, *self._tip)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._database.absolute().as_uri()}?mode=ro"
        try:
            # One thread at a time uses a connection, but not always the same one.
            connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise Unavailable("the chain database cannot be opened") from error
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(self._idle) < IDLE_CONNECTIONS_MAX:
            self._idle.append(connection)
        else:
            connection.close()


class Snapshot:
    """All of the chain at one height: a ``state.View``, and blocks, receipts and roots beside it."""

    def __init__(
        self, connection: sqlite3.Connection, foundation: Foundation, height: int, block_hash: bytes, time: int
    ) -> None:
        self._connection = connection
        self._foundation = foundation
        self.height = height  # last committed; 0 is genesis
        self.block_hash = block_hash
        self.time = time  # its header time, ms

    def get(self, key: bytes) -> bytes | None:
        """The record's canonical bytes, or None."""
        if not self.height:
            return self._foundation.records.get(key)
        value: bytes | None = self._one(schema.GET_RECORD, (key,))
        return value

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """At most ``limit`` (key, value) pairs under prefix with key > after, in bytewise order."""
        if not self.height:
            return self._founded().scan(prefix, after, limit)
        end = schema.prefix_end(prefix)
        if after > prefix:
            return self._connection.execute(schema.SCAN_RECORDS, (after, end, limit)).fetchall()
        return self._connection.execute(schema.SCAN_RECORDS_FROM, (prefix, end, limit)).fetchall()

    @property
    def state_root(self) -> bytes:
        """The root of the state after the block at this height."""
        if not self.height:
            return self._foundation.state_root
        root: bytes | None = self._one(schema.GET_META, ("state_root",))
        if root is None:
            raise Corrupt(f"height {self.height} is committed without a state root")
        return root

    def first_block(self) -> int:
        """The lowest block that is here."""
        return int(self._one(schema.FIRST, ()) or 1)

    def block(self, height: int) -> StoredBlock | None:
        """A committed block; genesis has none."""
        row = self._connection.execute(schema.GET_BLOCK, (height,)).fetchone()
        return None if row is None else _stored_block(row)

    def block_of_hash(self, block_hash: bytes) -> StoredBlock | None:
        """The same by the hash of its header."""
        row = self._connection.execute(schema.GET_BLOCK_BY_HASH, (block_hash,)).fetchone()
        return None if row is None else _stored_block(row)

    def certified_from(self, height: int) -> StoredBlock | None:
        """The nearest block at or above this height that carries a certificate: it proves those below it too."""
        row = self._connection.execute(schema.GET_CERTIFIED_FROM, (height,)).fetchone()
        return None if row is None else _stored_block(row)

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended."""
        row = self._connection.execute(schema.GET_RECEIPT, (tx_id,)).fetchone()
        return None if row is None else StoredReceipt(*row)

    def ref_log(self, repo: RepoId, ref: str, first: int, count: int) -> list[RefMove]:
        """How a ref moved, newest first: so many lines, the first ones left out."""
        rows = self._connection.execute(schema.REF_LOG, (repo, ref, count, first)).fetchall()
        return [_ref_move(row) for row in rows]

    def deleted_by(self, owner: AccountId, after: int) -> list[RepoId]:
        """An account's repositories that were deleted after a block time and still are, newest first."""
        return [RepoId(row[0]) for row in self._connection.execute(schema.DELETED_SINCE, (owner, after))]

    def missing_texts(self) -> int:
        """How many texts this node is to hold and does not hold yet."""
        return int(self._one(schema.COUNT_MISSING_TEXTS, ()) or 0)

    def missing_packs(self) -> int:
        """How many admitted packs this node does not hold yet."""
        return int(self._one(schema.COUNT_MISSING, ()) or 0)

    def _founded(self) -> Overlay:
        overlay = Overlay(_Nothing())
        overlay.writes = self._foundation.records
        return overlay

    def _one(self, sql: str, values: tuple[object, ...]) -> Any:
        row = self._connection.execute(sql, values).fetchone()
        return None if row is None else row[0]


class _Nothing:
    def get(self, key: bytes) -> bytes | None:
        """Nothing stands below genesis."""

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:  # noqa: ARG002 -- a View
        """Nothing stands below genesis."""
        return []


def _ref_move(row: Any) -> RefMove:
    return RefMove(*(*row[:11], Relation(row[11])))


def _stored_block(row: tuple[int, bytes, bytes, bytes, bytes | None]) -> StoredBlock:
    height, block_hash, proposal, body, certificate = row
    return StoredBlock(height, BlockHash(block_hash), proposal, body, certificate)
