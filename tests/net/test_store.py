"""The database of a node: durable, whole blocks or nothing, and its own build's only."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from guts_core.chain.commit import AdmittedPack, Commit, ReceiptRow, StoredBlock, StoredReceipt
from guts_core.codec import to_bytes
from guts_core.errors import Corrupt
from guts_core.forge.records import Pack
from guts_core.names import RepoId, TxId
from guts_core.state.keys import Kind, Scope, key
from guts_net import store
from guts_net.chain_file import OtherBuild
from guts_net.disk import LocalDisk
from guts_net.page_cache import ASKED_AGAIN_MAX, ASKED_ONCE_MAX, PageCache
from guts_net.store import ChainDatabase
from tests.properties.state_commits import block_hash, commit_of

REPO, OTHER_REPO = RepoId(bytes((7,)) * 32), RepoId(bytes((8,)) * 32)
HELD, LACKED = (AdmittedPack(REPO, bytes((n,)) * 32, bytes((n + 1,)) * 32, 1000 + n) for n in (1, 3))
TX = TxId(bytes((9,)) * 32)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ChainDatabase]:
    with closing(ChainDatabase(tmp_path / "chain.db", LocalDisk())) as opened:
        yield opened


def full_commit(height: int = 1) -> Commit:
    """A commit in which no field is empty."""
    return commit_of(
        height,
        certificate=b"certificate",
        time=1000,
        records={b"\x01key": b"value", b"\x01gone": None},
        pages={b"": b"root page", b"\x00\x01\x80": b"child"},
        receipts=(ReceiptRow(TX, 0, b"receipt", 2000),),
        packs=(HELD, LACKED),
        meta={"state_root": b"root", "history": b"peaks"},
    )


def test_a_commit_with_every_field_is_read_back_after_a_restart(tmp_path: Path) -> None:
    """Nothing of a block is lost between its finality and the next start."""
    commit = full_commit()
    with closing(ChainDatabase(tmp_path / "chain.db", LocalDisk())) as first:
        first.commit(commit, frozenset({LACKED.digest}))

    with closing(ChainDatabase(tmp_path / "chain.db", LocalDisk())) as database:
        assert database.height() == 1
        assert database.get(b"\x01key") == b"value"
        assert database.scan(b"\x01") == [(b"\x01key", b"value")]
        assert database.page(b"") == b"root page"
        stored = StoredBlock(1, block_hash(1), commit.proposal, b"body", b"certificate")
        assert database.block_at(1) == stored
        assert database.block_by_hash(block_hash(1)) == stored
        assert database.newest_certificate(3) == b"certificate"
        assert database.newest_certificate(4) is None
        assert database.receipt(TX) == StoredReceipt(1, 0, b"receipt")
        assert database.is_replay(TX)
        assert database.list_missing() == [LACKED]
        assert (database.meta("state_root"), database.meta("history")) == (b"root", b"peaks")


def test_every_write_waits_for_the_disk(database: ChainDatabase) -> None:
    """With less than FULL an acknowledged push does not survive a power cut: NORMAL syncs at checkpoints only."""
    synchronous = database._writer.execute("PRAGMA synchronous").fetchone()[0]
    journal = database._writer.execute("PRAGMA journal_mode").fetchone()[0]

    assert synchronous == 2  # FULL
    assert journal == "wal"


def test_a_commit_is_told_to_the_disk_door_once_it_is_durable(tmp_path: Path) -> None:
    """The order of commit and answer can be watched; what changes nothing is not told."""
    seen: list[tuple[str, str, int]] = []
    path = tmp_path / "chain.db"

    def observe(operation: str, subject: str) -> None:
        if operation == "commit":
            with closing(sqlite3.connect(path)) as other:
                seen.append((operation, subject, other.execute("SELECT max(height) FROM blocks").fetchone()[0]))

    with closing(ChainDatabase(path, LocalDisk(observe))) as database:
        database.commit(commit_of(1))
        database.commit(commit_of(1))

    assert seen == [("commit", "chain.db", 1)]


def test_a_power_cut_before_commit_leaves_the_old_block_whole(tmp_path: Path) -> None:
    """Copies of the files taken at every statement of a commit open as the old state or the new one (F04)."""
    path = tmp_path / "chain.db"
    with closing(ChainDatabase(path, LocalDisk())) as database:
        database.commit(full_commit())
        copies: list[Path] = []

        def copy(_statement: str) -> None:
            target = tmp_path / f"cut-{len(copies)}"
            target.mkdir()
            copies.append(target)
            for file in tmp_path.glob("chain.db*"):
                shutil.copy(file, target / file.name)

        database._writer.set_trace_callback(copy)
        # Enough that SQLite spills to the log before the end of the transaction.
        pages: dict[bytes, bytes | None] = {b"%d" % at: bytes(3900) for at in range(40)}
        database._writer.execute("PRAGMA cache_size = 10")
        second = commit_of(2, time=3000, records={b"\x01key": b"new"}, pages=pages, meta={"state_root": b"2"})
        database.commit(second)
        database._writer.set_trace_callback(None)
        copy("after the commit")

    heights = [_whole_height(target / "chain.db", pages) for target in copies]
    assert heights[-1] == 2
    assert len(heights) > 40
    assert set(heights[:-1]) == {1}


def _whole_height(path: Path, pages: dict[bytes, bytes | None]) -> int:
    with closing(ChainDatabase(path, LocalDisk())) as found:
        height = found.height()
        told = (found.get(b"\x01key"), found.meta("state_root"), found.is_replay(TX), found.block_at(2) is None)
        assert told == {1: (b"value", b"root", True, True), 2: (b"new", b"2", False, False)}[height]
        assert {found.page(page) for page in pages} == {pages[b"0"] if height == 2 else None}
        return height


def test_a_failed_commit_leaves_nothing_and_the_next_one_works(database: ChainDatabase) -> None:
    """An id that already has a receipt is our own mistake; it may not half-write a block."""
    database.commit(full_commit())

    with pytest.raises(sqlite3.IntegrityError):
        database.commit(commit_of(2, records={b"\x01key": b"x"}, receipts=(ReceiptRow(TX, 0, b"again", 9000),)))

    assert (database.height(), database.get(b"\x01key")) == (1, b"value")
    database.commit(commit_of(2))
    assert database.height() == 2


def test_commits_come_in_order(database: ChainDatabase) -> None:
    """A gap would make a state that no block describes."""
    with pytest.raises(AssertionError, match="order"):
        database.commit(commit_of(2))

    assert database.height() == 0


def test_a_page_is_never_older_than_the_last_commit(database: ChainDatabase) -> None:
    """Pages are cached above the database: a commit must replace and remove them there too."""
    path, gone = b"\x00\x01\x80", b"\x00\x02\x80"
    database.commit(commit_of(1, pages={path: b"one", gone: b"one"}))
    assert (database.page(path), database.page(gone)) == (b"one", b"one")

    database.commit(commit_of(2, pages={path: b"two", gone: None}))

    assert (database.page(path), database.page(gone)) == (b"two", None)


def test_a_page_read_while_a_commit_ends_is_not_remembered(database: ChainDatabase) -> None:
    """The reading thread may hold the page of before when the committing one has already told the cache."""
    database.commit(commit_of(1, pages={b"\x00": b"one"}))
    commits = database._pages.cache.commits
    database.commit(commit_of(2, pages={b"\x00": b"two"}))

    database._pages.cache.learn(b"\x00", b"one", commits)

    assert database.page(b"\x00") == b"two"


def test_pages_are_read_beside_a_commit_too(database: ChainDatabase) -> None:
    """The connection that writes reads them while it is free, the other one while it is not, and all writes go on."""
    database.commit(commit_of(1, pages={b"\x00": b"one", b"\x01": b"one"}))
    database._pages.cache = PageCache()

    assert (database.page(b"\x00"), database._writer.in_transaction) == (b"one", True)
    seen = database.write(lambda _: (database.page(b"\x01"), database.page(b"\x00")))
    database.commit(commit_of(2, pages={b"\x00": b"two", b"\x01": None}))

    database._pages.cache = PageCache()
    assert seen == (b"one", b"one")
    assert (database.page(b"\x00"), database.page(b"\x01")) == (b"two", None)


def test_a_snapshot_shows_the_pages_of_its_commit(database: ChainDatabase) -> None:
    """Nor are those remembered, which are older than what was committed meanwhile."""
    database.commit(commit_of(1, pages={b"\x00": b"one"}))
    with database.snapshot():
        assert database.height() == 1
        database.commit(commit_of(2, pages={b"\x00": b"two"}))
        database._pages.cache = PageCache()
        assert database.page(b"\x00") == b"one"

    assert database.page(b"\x00") == b"two"


def test_pages_asked_for_again_outlive_those_asked_for_once() -> None:
    """The upper pages of a large tree stay, however many lowest pages are read and written; memory is bounded."""
    cache = PageCache()
    cache.committed({b"root": b"1"})
    assert cache.get(b"root") == b"1"
    lowest = [b"%d" % at for at in range(ASKED_ONCE_MAX + 10)]
    for path in lowest:
        cache.learn(path, b"page", cache.commits)
    cache.committed({b"root": b"2", lowest[-1]: None})

    assert cache.get(b"root") == b"2"
    assert [cache.get(path) for path in (lowest[9], lowest[10], lowest[-1])] == [None, b"page", None]
    for at in range(ASKED_AGAIN_MAX):
        cache.learn(b"%d" % -at, b"page", cache.commits)
        cache.get(b"%d" % -at)
    assert cache.get(b"root") is None
    assert len(cache._again) == ASKED_AGAIN_MAX


def test_the_log_is_copied_apart_from_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes as long as many commits, so it is a step of its own; afterwards the file alone holds everything."""
    monkeypatch.setattr(store, "ROWS_IN_LOG", 6)
    with closing(ChainDatabase(tmp_path / "chain.db", LocalDisk())) as database:
        database.commit(commit_of(1, pages={b"\x00": b"one", b"\x01": b"two"}))
        assert not database.log_is_long
        for height in (2, 3):
            database.commit(commit_of(height, pages={b"\x00": b"%d" % height, b"\x01": b"x"}))
        assert database.log_is_long
        database._pages.cache = PageCache()
        assert database.page(b"\x00") == b"3"  # in a transaction of the connection that copies

        database.copy_log()

        assert not database.log_is_long
        shutil.copyfile(tmp_path / "chain.db", tmp_path / "alone.db")
    with closing(ChainDatabase(tmp_path / "alone.db", LocalDisk())) as alone:
        assert (alone.height(), alone.page(b"\x00")) == (3, b"3")


def test_it_is_told_whether_a_commit_would_wait(database: ChainDatabase) -> None:
    assert not database.is_writing
    assert database.write(lambda _: database.is_writing)
    assert not database.is_writing


def test_missing_rows_come_and_go(database: ChainDatabase) -> None:
    """A pack may be missing in one repository and held in another."""
    elsewhere = AdmittedPack(OTHER_REPO, LACKED.digest, LACKED.idx_digest, LACKED.size)
    database.add_missing(LACKED)
    database.add_missing(LACKED)
    database.add_missing(elsewhere)
    database.remove_missing(REPO, LACKED.digest)
    database.remove_missing(REPO, HELD.digest)

    assert database.list_missing() == [elsewhere]


def test_listed_packs_are_those_of_the_state(database: ChainDatabase) -> None:
    """What the sweep must keep: every pack record of every repository, and no other record."""
    records: dict[bytes, bytes | None] = {
        key(Scope.REPOSITORY, REPO, Kind.PACK, b"\0\1"): to_bytes(
            Pack(1, HELD.digest, HELD.idx_digest, HELD.size, 5, 1)
        ),
        key(Scope.REPOSITORY, REPO, Kind.REF, b"refs/heads/main"): b"a ref",
        key(Scope.ACCOUNT, REPO, Kind.ACCOUNT): b"an account",
    }
    database.commit(commit_of(1, records=records))

    assert list(database.listed_packs(0)) == [HELD]


def test_another_builds_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Until 1.0 a layout is never reinterpreted."""
    path = tmp_path / "chain.db"
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE theirs (x); PRAGMA user_version = 77;")
    before = path.read_bytes()

    with pytest.raises(OtherBuild, match=r"layout 77.*empty directory"):
        ChainDatabase(path, LocalDisk())

    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_told_as_such(tmp_path: Path) -> None:
    """The operator learns which file, not which line of ours."""
    path = tmp_path / "chain.db"
    path.write_bytes(b"not a database, whatever its name says" * 100)

    with pytest.raises(Corrupt, match=r"chain\.db"):
        ChainDatabase(path, LocalDisk())
