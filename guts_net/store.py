"""
``chain.db``: the committed base of a node in SQLite, one durable transaction per block (F04, P11).

One connection writes and is used by one worker thread at a time; the other reads, on the thread of
the core. In WAL mode neither waits for the other, and a reader sees whole commits only.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

from attrs import astuple

from guts_core.chain import schema
from guts_core.chain.commit import AdmittedPack, Commit, StoredBlock, StoredReceipt, TextName
from guts_core.codec import from_bytes
from guts_core.errors import Corrupt
from guts_core.forge.params import RESTORE_MS
from guts_core.forge.records import Pack, TextRecord, TextState
from guts_core.names import BlockHash, RepoId, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.keys import KEY_PREFIX_BYTES, SCOPE_BYTES, Kind, Scope
from guts_core.state.view import Pair

from .chain_file import WAL_PAGES, connect, open_writer
from .page_cache import StoredPages
from .protocols import Disk
from .seen import seen_in

MissingPack: TypeAlias = AdmittedPack
T = TypeVar("T")

# A row is in one or two pages of the log.
ROWS_IN_LOG = WAL_PAGES // 2
# Above every key: a key begins with its scope type.
_END = b"\xff"

PUT_RECORD = "INSERT INTO records (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
PUT_PAGE = "INSERT INTO pages (path, data) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET data = excluded.data"
PUT_META = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
PUT_BLOCK = "INSERT INTO blocks (height, hash, view, proposal, body, certificate) VALUES (?, ?, ?, ?, ?, ?)"
PUT_RECEIPT = "INSERT INTO receipts (tx_id, height, position, receipt) VALUES (?, ?, ?, ?)"
PUT_REPLAY = "INSERT INTO replay (tx_id, expires) VALUES (?, ?)"
PUT_MISSING = "INSERT OR IGNORE INTO missing (repo, digest, idx_digest, size) VALUES (?, ?, ?, ?)"
PUT_STEP = "INSERT OR REPLACE INTO steps (epoch, step) VALUES (?, ?)"
PUT_MOVE = "INSERT INTO ref_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_DELETED = "INSERT OR REPLACE INTO deleted (repo, owner, time) VALUES (?, ?, ?)"
PUT_MISSING_TEXT = "INSERT OR IGNORE INTO missing_texts (repo, commitment) VALUES (?, ?)"
_DELETE_MISSING_TEXT = "DELETE FROM missing_texts WHERE repo = ? AND commitment = ?"
_FILED = ("ref_log", "missing", "missing_texts")
_SCAN_KIND = "SELECT key, value FROM records WHERE key >= ? AND key < ? AND substr(key, ?, 1) = ?"


class ChainDatabase:
    """A ``ChainStore`` on disk. ``commit`` and the missing rows may be written from any thread."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path, self._disk = path, disk
        self._writing = threading.Lock()
        self._rows = 0  # that commits wrote since the log was copied last
        try:
            self._writer = open_writer(path, disk)
            self._reader = connect(path, read_only=True)
            self._seen = seen_in(self._reader)
            self._pages = StoredPages(self._reader, self._writer, self._writing)
        except sqlite3.DatabaseError as error:
            raise Corrupt(f"{path} does not open as a database: {error}") from error

    def close(self) -> None:
        """Close both connections, after a write under way."""
        with self._writing:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Reads inside see one commit, however many are written meanwhile. Nothing may be awaited inside."""
        self._reader.execute("BEGIN")
        self._pages.is_snapshot = True
        try:
            yield
        finally:
            self._pages.is_snapshot = False
            self._reader.execute("COMMIT")

    def get(self, key: bytes) -> bytes | None:
        """As View.get."""
        return self._one(schema.GET_RECORD, key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan."""
        end = schema.prefix_end(prefix) if prefix else _END
        if after < prefix:
            rows = self._reader.execute(schema.SCAN_RECORDS_FROM, (prefix, end, max(limit, 0)))
        else:
            rows = self._reader.execute(schema.SCAN_RECORDS, (after, end, max(limit, 0)))
        return rows.fetchall()

    def page(self, path: bytes) -> bytes | None:
        """As Store.page."""
        return self._pages.page(path)

    def meta(self, name: str) -> bytes | None:
        """As ChainStore.meta."""
        return self._one(schema.GET_META, name)

    def height(self) -> int:
        """As ChainStore.height."""
        return _top(self._reader)

    def block_at(self, height: int) -> StoredBlock | None:
        """As ChainStore.block_at."""
        row = self._reader.execute(schema.GET_BLOCK, (height,)).fetchone()
        return None if row is None else StoredBlock(*row)

    def block_by_hash(self, block_hash: BlockHash) -> StoredBlock | None:
        """As ChainStore.block_by_hash."""
        row = self._reader.execute(schema.GET_BLOCK_BY_HASH, (block_hash,)).fetchone()
        return None if row is None else StoredBlock(*row)

    def newest_certificate(self, view_at_least: int) -> bytes | None:
        """As ChainStore.newest_certificate."""
        return self._one(schema.GET_NEWEST_CERTIFICATE, view_at_least)

    def epoch_end(self, epoch: int) -> bytes | None:
        """As ChainStore.epoch_end."""
        return self._one(schema.GET_STEP, epoch)

    def receipt(self, tx_id: TxId) -> StoredReceipt | None:
        """As ChainStore.receipt."""
        row = self._reader.execute(schema.GET_RECEIPT, (tx_id,)).fetchone()
        return None if row is None else StoredReceipt(*row)

    def is_replay(self, tx_id: TxId) -> bool:
        """As ChainStore.is_replay."""
        return self._seen.may_hold(tx_id) and self._one(schema.IS_REPLAY, tx_id) is not None

    def list_missing(self) -> list[MissingPack]:
        """The packs that state names and this disk does not hold."""
        return [MissingPack(RepoId(row[0]), *row[1:]) for row in self._reader.execute(schema.LIST_MISSING)]

    def lacks_packs(self, repo: RepoId) -> bool:
        """Whether the state names a pack of this repository that this disk does not hold yet."""
        return self._one(schema.LACKS_PACKS, repo) is not None

    def listed_packs(self, applied: int) -> Iterator[AdmittedPack]:
        """
        Every pack that the committed state has nodes hold at a block time, over a connection of its own.

        Those of a repository that was deleted too long ago to be restored are not held for it any more.
        """
        with closing(connect(self._path, read_only=True)) as reader:
            gone = {repo for repo, _ in reader.execute(schema.DELETED_UNTIL, (-1, applied - RESTORE_MS))}
            for key, value in _all_of(reader, Kind.PACK):
                if key[1:SCOPE_BYTES] in gone:
                    continue
                pack = from_bytes(Pack, value)
                yield AdmittedPack(RepoId(key[1:SCOPE_BYTES]), pack.digest, pack.idx_digest, pack.size)

    def listed_texts(self, applied: int) -> Iterator[TextName]:
        """Every text that the committed state has nodes hold at a block time; otherwise as ``listed_packs``."""
        with closing(connect(self._path, read_only=True)) as reader:
            gone = {repo for repo, _ in reader.execute(schema.DELETED_UNTIL, (-1, applied - RESTORE_MS))}
            for _, value in _all_of(reader, Kind.TEXT):
                record = from_bytes(TextRecord, value)
                if record.state is TextState.PRESENT and record.repo not in gone:
                    yield TextName(RepoId(record.repo), record.commitment)

    def deleted_for_good(self, after: int, applied: int) -> list[tuple[RepoId, int]]:
        """Repositories deleted after a time, and so long before ``applied`` that none can be restored; oldest first."""
        return list(self._reader.execute(schema.DELETED_UNTIL, (after, applied - RESTORE_MS)))

    def first_deleted(self, after: int) -> int | None:
        """When the first repository was deleted after a time, of those that still are."""
        found: int | None = self._reader.execute(schema.FIRST_DELETED, (after,)).fetchone()[0]
        return found

    def has_filed(self, repo: RepoId) -> bool:
        """Whether anything is filed of a repository that ``forget_repository`` would drop."""
        return any(
            self._reader.execute(f"SELECT 1 FROM {table} WHERE repo = ? LIMIT 1", (repo,)).fetchone()  # noqa: S608  # names of ours
            for table in _FILED
        )

    def forget_repository(self, repo: RepoId) -> None:
        """Drop what is filed of a repository that is gone for good: its log of refs, and what was to be fetched."""
        with self._writing, _Transaction(self._writer):
            for table in _FILED:
                self._writer.execute(f"DELETE FROM {table} WHERE repo = ?", (repo,))  # noqa: S608  # names of ours

    def add_missing(self, pack: AdmittedPack) -> None:
        """Note that the state names a pack which this disk does not hold; a row that stands is no error."""
        with self._writing, _Transaction(self._writer):
            self._writer.execute(PUT_MISSING, _missing_row(pack))

    def remove_missing(self, repo: RepoId, digest: bytes) -> None:
        """The pack is here now; no row is no error."""
        with self._writing, _Transaction(self._writer):
            self._writer.execute("DELETE FROM missing WHERE repo = ? AND digest = ?", (repo, digest))

    def list_missing_texts(self) -> list[TextName]:
        """The texts that the state says are to be held and this disk does not hold."""
        rows = self._reader.execute(schema.LIST_MISSING_TEXTS)
        return [TextName(RepoId(repo), commitment) for repo, commitment in rows]

    def add_missing_texts(self, names: Iterable[TextName]) -> None:
        """Note that these are to be held and are not here; rows that stand are no error."""
        with self._writing, _Transaction(self._writer):
            self._writer.executemany(PUT_MISSING_TEXT, [(name.repo, name.commitment) for name in names])

    def remove_missing_texts(self, names: Iterable[TextName]) -> None:
        """The texts are here now; no row is no error."""
        with self._writing, _Transaction(self._writer):
            self._writer.executemany(_DELETE_MISSING_TEXT, [(name.repo, name.commitment) for name in names])

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something beside blocks, in one durable transaction of the only connection that writes. Blocks."""
        with self._writing, _Transaction(self._writer):
            return work(self._writer)

    def first_block(self) -> int:
        """The lowest block that is here: what is below was pruned, or never came."""
        found: int | None = self._reader.execute(schema.FIRST).fetchone()[0]
        return found or 1

    def commit(
        self,
        commit: Commit,
        missing: frozenset[bytes] = frozenset(),
        missing_texts: frozenset[TextName] = frozenset(),
    ) -> None:
        """As ChainStore.commit, with a row for each admitted pack or listed text that is not here. Blocks."""
        with self._writing:
            top = _top(self._writer)
            if commit.height <= top:
                return
            assert commit.height == top + 1, "commits come in order of height"
            self._seen.advance(commit.time)
            self._seen.add(row.tx_id for row in commit.receipts)
            with _Transaction(self._writer):
                _write(self._writer, commit, missing, missing_texts)
            self._disk.observe("commit", self._path.name)
            self._pages.cache.committed(commit.pages)
            self._rows += len(commit.records) + len(commit.pages) + len(commit.receipts)

    @property
    def is_writing(self) -> bool:
        """Whether a commit would wait for something else that is being written."""
        return self._writing.locked()

    @property
    def log_is_long(self) -> bool:
        """Whether it is time for ``copy_log``."""
        return self._rows >= ROWS_IN_LOG

    def copy_log(self) -> None:
        """Copy SQLite's write-ahead log into the database, as far as no reader needs it. Blocks for long."""
        with self._writing:
            if self._writer.in_transaction:  # in which pages were read
                self._writer.execute("COMMIT")
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._rows = 0

    def _one(self, sql: str, argument: bytes | str | int) -> bytes | None:
        row = self._reader.execute(sql, (argument,)).fetchone()
        return None if row is None else row[0]


class _Transaction:
    """Begin and commit, or roll back when the body or the commit fails."""

    def __init__(self, writer: sqlite3.Connection) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        if self._writer.in_transaction:  # in which pages were read
            self._writer.execute("COMMIT")
        self._writer.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._writer.execute("COMMIT")
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")


def _write(
    writer: sqlite3.Connection, commit: Commit, missing: frozenset[bytes], missing_texts: frozenset[TextName]
) -> None:
    _write_map(writer, commit.records, PUT_RECORD, "DELETE FROM records WHERE key = ?")
    _write_map(writer, commit.pages, PUT_PAGE, "DELETE FROM pages WHERE path = ?")
    view = from_bytes(Proposal, commit.proposal).view
    block = (commit.height, commit.block_hash, view, commit.proposal, commit.body, commit.certificate)
    writer.execute(PUT_BLOCK, block)
    writer.execute("DELETE FROM replay WHERE expires < ?", (commit.time,))
    receipts = [(row.tx_id, commit.height, row.index, row.receipt) for row in commit.receipts]
    writer.executemany(PUT_RECEIPT, receipts)
    writer.executemany(PUT_REPLAY, [(row.tx_id, row.expires) for row in commit.receipts])
    writer.executemany(PUT_MISSING, [_missing_row(pack) for pack in commit.packs if pack.digest in missing])
    writer.executemany(PUT_MOVE, [astuple(move, recurse=False) for move in commit.ref_moves])
    for one in commit.deletions:
        if one.time is None:
            writer.execute("DELETE FROM deleted WHERE repo = ?", (one.repo,))
        else:
            writer.execute(PUT_DELETED, (one.repo, one.owner, one.time))
    writer.executemany(PUT_MISSING_TEXT, [(name.repo, name.commitment) for name in missing_texts])
    writer.executemany(_DELETE_MISSING_TEXT, [(name.repo, name.commitment) for name in commit.erased])
    if commit.step is not None:
        writer.execute(PUT_STEP, commit.step)
    writer.executemany(PUT_META, sorted(commit.meta.items()))


def _write_map(writer: sqlite3.Connection, changes: Mapping[bytes, bytes | None], put: str, delete: str) -> None:
    """In order of keys: neighbours lie in one page of the database."""
    rows = sorted(changes.items())
    writer.executemany(delete, [(key,) for key, value in rows if value is None])
    writer.executemany(put, [row for row in rows if row[1] is not None])


def _all_of(reader: sqlite3.Connection, kind: Kind) -> Iterator[Pair]:
    """Every record of a kind in every repository."""
    low, high = bytes((Scope.REPOSITORY,)), bytes((Scope.REPOSITORY + 1,))
    return reader.execute(_SCAN_KIND, (low, high, KEY_PREFIX_BYTES, bytes((kind,))))


def _missing_row(pack: AdmittedPack) -> tuple[bytes, bytes, bytes, int]:
    return pack.repo, pack.digest, pack.idx_digest, pack.size


def _top(connection: sqlite3.Connection) -> int:
    return connection.execute(schema.TOP).fetchone()[0] or 0
