"""
``chain.db``: the committed base of a node over SQLite (``architecture.md`` 2 and 3).

One writer connection, used by one worker thread at a time; one reader connection for the core's
synchronous reads. ``synchronous=FULL`` in WAL mode: a commit that returned survives a power cut.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from attrs import frozen

from guts_core.chain import schema
from guts_core.chain.commit import AdmittedPack, Commit, StoredBlock, StoredReceipt
from guts_core.codec import from_bytes
from guts_core.errors import Corrupt
from guts_core.forge.records import Pack
from guts_core.names import BlockHash, RepoId, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.keys import KEY_PREFIX_BYTES, SCOPE_BYTES, Kind, Scope
from guts_core.state.view import Pair

from .disk import Disk

# Pages of state that a reader keeps in memory; a hundred thousand repositories touch more than fits.
_CACHE_KIB = 32 * 1024
_FULL = 2
_BUSY_SECONDS = 30.0


class WrongBuild(Corrupt):
    """The database was made by another build; it is never reinterpreted."""

    code = "wrong-build"


@frozen
class MissingPack:
    """A pack that state lists and this disk lacks."""

    repo: RepoId
    digest: bytes
    idx_digest: bytes
    size: int


class ChainDatabase:
    """Implements ``guts_core.chain.commit.ChainStore``."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._writer = _connect(path)
        _prepare(self._writer, path)
        self._reader = _connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._disk.sync_directory(path.parent)

    def close(self) -> None:
        """Close both connections; commits under way have ended."""
        self._reader.close()
        self._writer.close()

    # ---- state ----

    def get(self, key: bytes) -> bytes | None:
        """A record by store key."""
        return self._one(schema.GET_RECORD, (key,))

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """Records under a prefix, in bytewise order."""
        end = schema.prefix_end(prefix)
        if after >= prefix:
            return self._reader.execute(schema.SCAN_RECORDS, (after, end, limit)).fetchall()
        return self._reader.execute(schema.SCAN_RECORDS_FROM, (prefix, end, limit)).fetchall()

    def page(self, path: bytes) -> bytes | None:
        """A page of the state tree."""
        return self._one(schema.GET_PAGE, (path,))

    # ---- blocks ----

    def meta(self, name: str) -> bytes | None:
        """A value of the last commit."""
        return self._one(schema.GET_META, (name,))

    def height(self) -> int:
        """Of the last committed block; 0 is genesis."""
        row = self._reader.execute(schema.TOP).fetchone()
        return int(row[0] or 0)

    def block_at(self, height: int) -> StoredBlock | None:
        """A block by height."""
        return _block(self._reader.execute(schema.GET_BLOCK, (height,)).fetchone())

    def block_by_hash(self, block_hash: BlockHash) -> StoredBlock | None:
        """A block by hash."""
        return _block(self._reader.execute(schema.GET_BLOCK_BY_HASH, (block_hash,)).fetchone())

    def newest_certificate(self, view_at_least: int) -> bytes | None:
        """The finalization certificate of the highest certified block."""
        return self._one(schema.GET_NEWEST_CERTIFICATE, (view_at_least,))

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """Where a transaction ended."""
        row = self._reader.execute(schema.GET_RECEIPT, (tx_id,)).fetchone()
        return None if row is None else StoredReceipt(*row)

    def is_replay(self, tx_id: TxId) -> bool:
        """Whether the id was seen and has not expired."""
        return self._reader.execute(schema.IS_REPLAY, (tx_id,)).fetchone() is not None

    def commit(self, commit: Commit, missing: AbstractSet[bytes] = frozenset()) -> None:
        """One durable transaction; ``missing`` are digests of admitted packs that are not held."""
        connection = self._writer
        top = connection.execute(schema.TOP).fetchone()[0] or 0
        if commit.height <= top:
            return
        if commit.height != top + 1:
            raise Corrupt(f"block {commit.height} comes after block {top} of the database")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _write(connection, commit, missing)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._disk.observe("commit", "chain.db")

    # ---- packs ----

    def listed_packs(self) -> Iterator[AdmittedPack]:
        """Every pack that the state lists (reads the whole table; at start only)."""
        where = "SELECT key, value FROM records WHERE substr(key, 1, 1) = ? AND substr(key, ?, 1) = ?"
        rows = self._reader.execute(
            where, (bytes((Scope.REPOSITORY,)), KEY_PREFIX_BYTES, bytes((Kind.PACK,)))
        ).fetchall()
        for key, value in rows:
            pack = from_bytes(Pack, value)
            yield AdmittedPack(RepoId(key[1:SCOPE_BYTES]), pack.digest, pack.idx_digest, pack.size)

    def list_missing(self) -> list[MissingPack]:
        """What is to be fetched."""
        rows = self._reader.execute(schema.LIST_MISSING).fetchall()
        return [MissingPack(RepoId(repo), digest, idx_digest, size) for repo, digest, idx_digest, size in rows]

    def add_missing(self, pack: AdmittedPack) -> None:
        """A pack turned out not to be held."""
        _add_missing(self._writer, pack)

    def remove_missing(self, repo: RepoId, digest: bytes) -> None:
        """A pack is held and linked."""
        self._writer.execute("DELETE FROM missing WHERE repo = ? AND digest = ?", (repo, digest))

    def _one(self, sql: str, parameters: tuple[object, ...]) -> bytes | None:
        row = self._reader.execute(sql, parameters).fetchone()
        return None if row is None else row[0]


def _connect(path: Path) -> sqlite3.Connection:
    # Autocommit mode: transactions begin and end where this module says so.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_BUSY_SECONDS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if connection.execute("PRAGMA synchronous").fetchone()[0] != _FULL:
        raise Corrupt("SQLite does not commit with synchronous=FULL here")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == schema.SCHEMA_VERSION:
        return
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version or tables:
        raise WrongBuild(
            f"{path.name} has format {version}, this build reads {schema.SCHEMA_VERSION}: use its own build"
        )
    connection.executescript(f"BEGIN IMMEDIATE;{schema.TABLES};PRAGMA user_version = {schema.SCHEMA_VERSION};COMMIT;")


def _block(row: tuple[int, bytes, bytes, bytes, bytes | None] | None) -> StoredBlock | None:
    if row is None:
        return None
    height, block_hash, proposal, body, certificate = row
    return StoredBlock(height, BlockHash(block_hash), proposal, body, certificate)


def _write(connection: sqlite3.Connection, commit: Commit, missing: AbstractSet[bytes]) -> None:
    _write_map(connection, "records", "key", "value", commit.records)
    _write_map(connection, "pages", "path", "data", commit.pages)
    view = from_bytes(Proposal, commit.proposal).view
    connection.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
        (commit.height, commit.block_hash, view, commit.proposal, commit.body, commit.certificate),
    )
    connection.executemany(
        "INSERT INTO receipts VALUES (?, ?, ?, ?)",
        [(row.tx_id, commit.height, row.index, row.receipt) for row in commit.receipts],
    )
    connection.execute("DELETE FROM replay WHERE expires < ?", (commit.time,))
    connection.executemany("INSERT INTO replay VALUES (?, ?)", [(row.tx_id, row.expires) for row in commit.receipts])
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(commit.meta.items()))
    for pack in commit.packs:
        if pack.digest in missing:
            _add_missing(connection, pack)


def _write_map(  # table and column names are this module's own
    connection: sqlite3.Connection, table: str, key: str, value: str, writes: dict[bytes, bytes | None]
) -> None:
    puts = [(name, data) for name, data in writes.items() if data is not None]
    gone = [(name,) for name, data in writes.items() if data is None]
    connection.executemany(f"INSERT OR REPLACE INTO {table} ({key}, {value}) VALUES (?, ?)", puts)  # noqa: S608  # our names
    connection.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)  # noqa: S608  # our names


def _add_missing(connection: sqlite3.Connection, pack: AdmittedPack) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO missing VALUES (?, ?, ?, ?)", (pack.repo, pack.digest, pack.idx_digest, pack.size)
    )
