"""A disk that fills: clients are refused in words, agreement goes on, and everything comes back by itself (F13)."""

from __future__ import annotations

import errno
import io
import sqlite3
from pathlib import Path

import pytest
import trio
import trio.testing

from guts_net.disk import LocalDisk, LocalFile
from guts_net.journal import Journal
from guts_net.logs import Log
from guts_net.space import BALLAST_BYTES_MOST, BALLAST_FILE, LOOK_SECONDS, DiskLow, Space, is_full

MIB = 1 << 20
GIB = 1 << 30


class SmallDisk(LocalDisk):
    """A disk whose size is what a test says."""

    def __init__(self, free: int, total: int = 100 * GIB) -> None:
        super().__init__()
        self.free, self.total = free, total

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 -- as LocalDisk has it
        """As the test says, without the ballast."""
        return self.free

    def total_bytes(self, path: Path) -> int:  # noqa: ARG002 -- as LocalDisk has it
        """As the test says."""
        return self.total


def a_space(path: Path, disk: SmallDisk, reserve: int | None = None) -> Space:
    return Space(disk, path, reserve, Log("test"))


@pytest.mark.parametrize(
    ("total", "given", "reserve"),
    [(100 * GIB, None, GIB), (10 * GIB, None, 10 * GIB // 20), (100 * GIB, 5 * MIB, 5 * MIB), (100 * GIB, 0, 0)],
)
def test_the_reserve_is_a_share_of_the_disk_unless_it_is_given(
    tmp_path: Path, total: int, given: int | None, reserve: int
) -> None:
    """5 % or 1 GiB, whichever is less."""
    assert a_space(tmp_path, SmallDisk(GIB, total), given).reserve == reserve


def test_below_the_reserve_clients_are_refused_and_above_it_they_are_not(tmp_path: Path) -> None:
    """At once, either way: the disk is asked each time."""
    disk = SmallDisk(GIB)
    space = a_space(tmp_path, disk)
    space.check()

    disk.free = GIB - 1
    with pytest.raises(DiskLow, match=r"low on disk space \(1023 MiB free, 1024 MiB are kept for agreement\)"):
        space.check()

    disk.free = GIB
    space.check()


def test_without_a_reserve_nothing_is_refused_and_nothing_kept(tmp_path: Path) -> None:
    """The operator's word."""
    space = a_space(tmp_path, SmallDisk(0), 0)
    space.look()
    space.check()

    assert list(tmp_path.iterdir()) == []


def test_a_ballast_lies_while_there_is_room_for_it(tmp_path: Path) -> None:
    """It is given up once, laid again when space returns, and gone when the node stops."""
    disk, ballast = SmallDisk(GIB + BALLAST_BYTES_MOST), tmp_path / BALLAST_FILE
    space = a_space(tmp_path, disk)
    space.look()
    assert ballast.stat().st_size == BALLAST_BYTES_MOST
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES_MOST

    disk.free = 0
    assert space.make_room()
    assert not ballast.exists()
    assert not space.make_room()
    space.look()
    assert not ballast.exists()

    disk.free = 2 * GIB
    space.look()
    assert ballast.exists()
    space.close()
    assert not ballast.exists()


def test_a_ballast_that_finds_no_room_is_none(tmp_path: Path) -> None:
    """Somebody else took the space first."""

    class Full(SmallDisk):
        def allocate(self, path: Path, size: int) -> None:  # noqa: ARG002 -- as LocalDisk has it
            path.write_bytes(b"a part")
            raise OSError(errno.ENOSPC, "No space left on device")

    space = a_space(tmp_path, Full(2 * GIB))
    space.look()

    assert list(tmp_path.iterdir()) == []


class FullAt(io.FileIO):
    """A file on a disk that is full after so many bytes, until there is room again."""

    room = 10**9

    def write(self, data: object) -> int:
        """As much as fits."""
        taken = bytes(data)[: FullAt.room]  # type: ignore[call-overload]  # any buffer, as FileIO takes
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        FullAt.room -= len(taken)
        return super().write(taken)


class FillingDisk(LocalDisk):
    """A disk on which promised files may find no room."""

    def append(self, path: Path) -> LocalFile:
        """As LocalDisk, with such a file."""
        super().append(path).close()
        raw = FullAt(path, "r+")
        raw.seek(0, io.SEEK_END)
        return LocalFile(self, path, raw, promised=True)


def test_fault_F13_a_vote_finds_room_on_a_full_disk(tmp_path: Path) -> None:
    """What was written before the disk was full stays, the rest follows when the ballast is gone."""
    disk = FillingDisk()
    disk.make_room = make_room = Room()
    journal, _ = Journal.open(tmp_path / "votes.log", disk)
    FullAt.room = 30
    journal.append([b"vote " * 20])
    journal.sync()
    journal.close()

    assert make_room.calls == 1
    assert records_in(tmp_path / "votes.log") == (b"vote " * 20,)


def test_fault_F13_without_room_the_node_ends_and_forgets_nothing(tmp_path: Path) -> None:
    """A write that failed travels up: a vote that is not durable is not sent."""
    disk = FillingDisk()
    journal, _ = Journal.open(tmp_path / "votes.log", disk)
    FullAt.room = 10**9
    journal.append([b"first"])
    journal.sync()
    FullAt.room = 0
    with pytest.raises(OSError, match="No space left"):
        journal.append([b"second"])
    journal.close()
    FullAt.room = 10**9

    assert records_in(tmp_path / "votes.log") == (b"first",)


def records_in(path: Path) -> tuple[bytes, ...]:
    """What a restart finds."""
    journal, records = Journal.open(path, LocalDisk())
    journal.close()
    return records


class Room:
    """Something that is given up."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bool:
        """There is room now."""
        self.calls += 1
        FullAt.room = 10**9
        return True


def a_full_database(path: Path) -> sqlite3.OperationalError:
    """What SQLite says of a database that cannot grow."""
    connection = sqlite3.connect(path / "x.db", isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 3")
    try:
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("INSERT INTO t VALUES (?)", (bytes(100_000),))
    finally:
        connection.close()
    return full.value


def test_a_full_disk_is_told_from_other_errors(tmp_path: Path) -> None:
    """Only want of space goes away by waiting."""
    assert is_full(a_full_database(tmp_path))
    assert is_full(OSError(errno.ENOSPC, "x"))
    assert is_full(OSError(errno.EDQUOT, "x"))
    assert not is_full(OSError(errno.EIO, "x"))
    assert not is_full(ValueError("x"))
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.OperationalError) as other:
        connection.execute("SELECT nonsense")
    connection.close()
    assert not is_full(other.value)


async def test_fault_F13_a_commit_waits_for_room(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    """First the ballast is given up, then it is tried again and again; other errors travel up at once."""
    disk = SmallDisk(2 * GIB)
    space = a_space(tmp_path, disk)
    space.look()
    full, tries = a_full_database(tmp_path), 0

    async def write() -> str:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise full
        return "written"

    assert await space.persist(write) == "written"
    assert not (tmp_path / BALLAST_FILE).exists()
    assert trio.current_time() == 3 * LOOK_SECONDS

    async def broken() -> None:
        raise OSError(errno.EIO, "the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await space.persist(broken)
