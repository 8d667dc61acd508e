"""
Block commit: the texts of a block, its one transaction, and the removal of texts that it erases.

Blocks are made by hand, so that each says in every table which one it is. After a cut the database is that
of some height, wholly, at least the one that was acknowledged, and what the state lists is here or asked for.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from guts_core.chain.commit import AdmittedPack, Commit, ListedText, ReceiptRow, TextName
from guts_core.chain.indexed import Deletion, RefMove
from guts_core.chain.transaction import Text
from guts_core.codec import to_bytes
from guts_core.forge.actions import Relation
from guts_core.forge.records import TextRecord, TextState
from guts_core.names import AccountId, Oid, RefName, RepoId, TxId
from guts_core.state.keys import Kind, Scope, key
from guts_net import store
from guts_net.disk import LocalDisk
from guts_net.protocols import Disk
from guts_net.store import ChainDatabase
from guts_net.texts import TextStore
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk
from tests.properties.state_commits import commit_of

HEIGHTS, FIRST = 9, 3
REPO, AUTHOR = RepoId(b"\7" * 32), AccountId(b"\1" * 32)
# The writer copies its log into the database in the middle of the workload, not only at its end.
WAL_PAGES = 12


def text_of(height: int) -> tuple[TextName, bytes]:
    """The text that a block lists."""
    text = Text(bytes((height,)) * 32, f"words of {height}")
    return TextName(REPO, text.commitment), to_bytes(text)


def _record(name: TextName, state: TextState) -> tuple[bytes, bytes]:
    record = TextRecord(name.commitment, name.repo, AUTHOR, state)
    return key(Scope.REPOSITORY, name.repo, Kind.TEXT, name.commitment), to_bytes(record)


def block_of(height: int) -> Commit:
    """A block that changes every table; from the third on it erases the text of the one two before it."""
    mark = height.to_bytes(4, "big")
    name, data = text_of(height)
    records: dict[bytes, bytes | None] = {
        b"\1newest": mark,
        b"\1of" + mark: mark * 40,
        b"\1of" + (height - 1).to_bytes(4, "big"): None,
        **dict([_record(name, TextState.PRESENT)]),
    }
    erased: tuple[TextName, ...] = ()
    if height > 2:
        erased = (text_of(height - 2)[0],)
        records |= dict([_record(erased[0], TextState.ERASED)])
    tx_id = TxId(mark * 8)
    move = RefMove(REPO, RefName("refs/heads/main"), height, 0, height, tx_id, AUTHOR, None, None, None,
                   Oid(mark * 5), Relation.CREATED)  # fmt: skip
    return commit_of(
        height,
        certificate=mark,
        records=records,
        pages={b"": mark * 900, mark: mark * 300},
        receipts=(ReceiptRow(tx_id, 0, mark, height + 3),),
        packs=(AdmittedPack(REPO, mark * 8, mark * 8, height),),
        meta={"state_root": mark},
        texts=(ListedText(name, data),),
        erased=erased,
        ref_moves=(move,),
        deletions=(Deletion(RepoId(mark * 8), AUTHOR, height),),
    )


@contextmanager
def _opened(directory: Path, disk: Disk) -> Iterator[tuple[ChainDatabase, TextStore]]:
    before, store.ROWS_IN_LOG = store.ROWS_IN_LOG, WAL_PAGES // 2
    try:
        with closing(ChainDatabase(directory / "chain.db", disk)) as database:
            yield database, TextStore(directory, disk, database, lambda: 0)
    finally:
        store.ROWS_IN_LOG = before


def _commit(database: ChainDatabase, texts: TextStore, height: int) -> None:
    """As ``Committer`` does it."""
    commit = block_of(height)
    lacking = texts.keep(commit.texts)
    database.commit(commit, frozenset(pack.digest for pack in commit.packs), lacking)
    texts.forget(commit.erased)
    if database.log_is_long:
        database.copy_log()


def _run(directory: Path, disk: FaultDisk) -> None:
    for heights in (range(1, FIRST), range(FIRST, HEIGHTS)):
        with _opened(directory, disk) as (database, texts):
            for height in heights:
                _commit(database, texts, height)
                disk.promise(height)


@frozen
class Found:
    """What a start found."""

    height: int
    rows: dict[str, list[Any]]
    held: frozenset[TextName]
    missing: frozenset[TextName]
    integrity: str


def _recover(directory: Path, disk: Disk) -> Found:
    """A start: it sweeps its texts, and takes the next block."""
    with _opened(directory, disk) as (database, texts):
        height, rows = database.height(), rows_of(directory / "chain.db")
        texts.sweep()
        listed, missing = frozenset(texts.listed()), frozenset(database.list_missing_texts())
        held = frozenset(listed - set(texts.lacking(listed)))
        files = {path.name for path in (directory / "texts").glob("*/*")}
        assert files == {texts.path(name).name for name in held}, "a text is here that is not to be"
        if height < HEIGHTS:
            _commit(database, texts, height + 1)
            assert database.height() == height + 1
    with closing(sqlite3.connect(directory / "chain.db")) as reader:
        integrity = reader.execute("PRAGMA integrity_check").fetchone()[0]
    return Found(height, rows, held, missing, integrity)


def _check(_: Path, found: Found, promises: list[int]) -> None:
    acknowledged = max(promises, default=0)
    assert found.integrity == "ok"
    assert found.height >= acknowledged, f"block {acknowledged} was acknowledged, and {found.height} is the last"
    for table, rows in expected(found.height).items():
        there = found.rows[table]
        assert there == rows, f"{table} is not that of height {found.height}"
    for name in (text_of(height)[0] for height in (found.height, found.height - 1) if height > 0):
        assert name in found.held or name in found.missing, "a listed text is neither here nor asked for"
        assert name in found.held or found.height > acknowledged, "a text of an acknowledged block is gone"


def leave_log_beside(path: Path, act: Callable[[ChainDatabase], object]) -> None:
    """Do this to a database and cut the power: its newest commit stands in the log beside it alone."""
    aside = path.parent / "aside"
    aside.mkdir()
    with closing(ChainDatabase(path, LocalDisk())) as database:
        act(database)
        for one in (path, path.with_name(f"{path.name}-wal")):
            shutil.copy(one, aside)
    for one in aside.iterdir():
        one.rename(path.parent / one.name)
    aside.rmdir()


@cache
def expected(height: int) -> dict[str, list[Any]]:
    """Every row of a database that was never cut."""
    with TemporaryDirectory() as made:
        with _opened(Path(made), LocalDisk()) as (database, texts):
            for number in range(1, height + 1):
                _commit(database, texts, number)
        return rows_of(Path(made) / "chain.db")


def rows_of(path: Path) -> dict[str, list[Any]]:
    """All rows by table, but for what is yet to be fetched of texts: that is put right at a start."""
    with closing(sqlite3.connect(path)) as reader:
        tables = [name for (name,) in reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
        return {
            table: sorted(reader.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608  # names of ours
            for table in tables
            if table != "missing_texts"
        }


BLOCKS = Workload("block commit", lambda _: None, _run, _recover, _check)
