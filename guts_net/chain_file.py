"""How ``chain.db`` is opened: by one that writes durably and others that read, and only in a layout of this build."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from guts_core.chain import schema
from guts_core.errors import Corrupt, Refused
from guts_core.version import VERSION

from .protocols import Disk

SYNCHRONOUS_FULL = 2
# Writing waits this long for a checkpoint of a reader that holds on; then the error travels up.
BUSY_MS = 10_000
# 32 MiB: a page that many blocks change is copied into the database once per so much log.
WAL_PAGES = 8192
# What SQLite keeps of the database file, per connection; pages of the tree have a cache above it.
SQLITE_CACHE_KIB = 16 * 1024
_DESCRIBED = (
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
)


class OtherBuild(Refused):
    """The directory belongs to a build with another layout; it is not touched."""

    code = "other-build"


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that reads what is committed; for one thread at a time, and to be closed."""
    return connect(path, read_only=True)


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """A connection that may be used by one thread at a time."""
    mode = "ro" if read_only else "rwc"
    # Committed from worker threads in turn, under a lock.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE_KIB}")
    return connection


def open_writer(path: Path, disk: Disk) -> sqlite3.Connection:
    """The connection that writes, to a database of this build; a file that is not there is created."""
    writer = connect(path, read_only=False)
    try:
        is_new = not writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        _check_version(
            path, writer.execute("PRAGMA user_version").fetchone()[0], 0 if is_new else schema.SCHEMA_VERSION
        )
        _make_durable(writer)
        if is_new:
            writer.executescript(f"BEGIN; {schema.TABLES} PRAGMA user_version = {schema.SCHEMA_VERSION}; COMMIT;")
            disk.sync_directory(path.parent)
    except BaseException:
        writer.close()
        raise
    return writer


def _check_version(path: Path, found: int, expected: int) -> None:
    if found != expected:
        age = "an older" if found < schema.SCHEMA_VERSION else "a newer"
        raise OtherBuild(
            f"{path} has layout {found}, of {age} build, and this build, Guts {VERSION}, reads layout "
            f"{schema.SCHEMA_VERSION}: use the build that made it, or start the node in an empty directory"
        )


def check_tables(reader: sqlite3.Connection) -> None:
    """Raises Corrupt unless the file describes its tables as this build does: SQLite reads rows by those words."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(schema.TABLES)
        if reader.execute(_DESCRIBED).fetchall() != made.execute(_DESCRIBED).fetchall():
            raise Corrupt("chain.db describes its tables otherwise than this build made them")


def _make_durable(writer: sqlite3.Connection) -> None:
    """Write-ahead log, synced at every commit: what is acknowledged survives a power cut."""
    mode = writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    writer.execute("PRAGMA synchronous = FULL")
    # At twice what ``copy_log`` waits for: for what writes without commits, and not in the middle of one.
    writer.execute(f"PRAGMA wal_autocheckpoint = {2 * WAL_PAGES}")
    synchronous = writer.execute("PRAGMA synchronous").fetchone()[0]
    assert (mode, synchronous) == ("wal", SYNCHRONOUS_FULL), f"journal {mode}, synchronous {synchronous}"
