"""The vote log through power cuts and bad disks: what was promised is there, or we say that it is not."""

from __future__ import annotations

import errno
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.errors import Corrupt
from guts_net.disk import LocalDisk, LocalFile
from guts_net.journal import FRAME_HEAD_BYTES, HEAD_BYTES, Journal

RECORDS = (b"first vote", b"", b"a body" * 30, b"last vote")


def entropy(size: int) -> bytes:
    """The same "random" bytes each time: files can be compared."""
    return b"\xa5\x5a\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"[:size]


def journal_with(path: Path, *batches: tuple[bytes, ...]) -> bytes:
    """Write batches, each synced, and return the file."""
    journal, _ = Journal.open(path, LocalDisk(), entropy)
    for batch in batches:
        journal.append(batch)
        journal.sync()
    journal.close()
    return path.read_bytes()


def records_in(path: Path) -> tuple[bytes, ...]:
    """What the journal says."""
    journal, records = Journal.open(path, LocalDisk())
    journal.close()
    return records


def reopened(path: Path, data: bytes) -> tuple[bytes, ...]:
    """What a journal with these bytes says when it is opened."""
    path.write_bytes(data)
    return records_in(path)


def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "votes.log"
    journal, records = Journal.open(path, LocalDisk())
    assert records == ()
    journal.append(RECORDS[:2])
    journal.append(RECORDS[2:])
    journal.sync()
    size = journal.size
    journal.close()

    again, records = Journal.open(path, LocalDisk())

    assert records == RECORDS
    assert again.size == size == path.stat().st_size
    again.append([b"more"])
    again.sync()
    again.close()
    assert records_in(path) == (*RECORDS, b"more")


def test_the_bytes_of_a_journal(tmp_path: Path) -> None:
    """Golden: a change of format must be seen and meant."""
    data = journal_with(tmp_path / "votes.log", (b"one", b"two"), (b"three",))

    assert data.hex() == GOLDEN


def test_a_journal_cut_at_any_byte_keeps_the_records_before_the_cut(tmp_path: Path) -> None:
    """A power cut may leave any length; the votes in the lost part were never released."""
    path = tmp_path / "votes.log"
    data = journal_with(path, RECORDS)
    ends = [HEAD_BYTES]
    for record in RECORDS:
        ends.append(ends[-1] + FRAME_HEAD_BYTES + len(record))

    for cut in range(HEAD_BYTES, len(data) + 1):
        whole = sum(end <= cut for end in ends) - 1

        assert reopened(path, data[:cut]) == RECORDS[:whole]
        assert path.stat().st_size == ends[whole]


def test_a_journal_goes_on_after_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "votes.log"
    path.write_bytes(journal_with(path, RECORDS)[:-1])

    journal, _ = Journal.open(path, LocalDisk(), entropy)
    journal.append([b"again"])
    journal.sync()
    journal.close()

    assert records_in(path) == (*RECORDS[:-1], b"again")


def test_half_a_head_is_damage(tmp_path: Path) -> None:
    """The file gets its name when it is complete, so nothing honest leaves half a head; an empty log is amnesia."""
    data = journal_with(tmp_path / "votes.log", RECORDS)

    for cut in range(HEAD_BYTES):
        with pytest.raises(Corrupt, match=r"votes\.log does not begin"):
            reopened(tmp_path / "votes.log", data[:cut])


def test_any_flipped_bit_before_the_last_synced_record_stops_the_voter(tmp_path: Path) -> None:
    """It was durable and it is not: the node may have forgotten a vote."""
    path = tmp_path / "votes.log"
    data = journal_with(path, (b"first", b"second"), (b"third",))
    last = len(data) - FRAME_HEAD_BYTES - len(b"third")

    for at in range(last):
        for bit in range(8):
            bad = bytearray(data)
            bad[at] ^= 1 << bit
            with pytest.raises(Corrupt, match=r"votes\.log"):
                reopened(path, bytes(bad))


def test_any_flipped_bit_in_the_last_record_cuts_it(tmp_path: Path) -> None:
    path = tmp_path / "votes.log"
    data = journal_with(path, (b"first",), (b"last",))
    start = len(data) - FRAME_HEAD_BYTES - len(b"last")

    for at in range(start, len(data)):
        bad = bytearray(data)
        bad[at] ^= 0x10
        assert reopened(path, bytes(bad)) == (b"first",)


def test_a_batch_of_which_a_disk_kept_only_the_end_is_a_torn_tail(tmp_path: Path) -> None:
    """Pages of one unsynced batch reach a disk in any order; this is no reason to stop voting."""
    path = tmp_path / "votes.log"
    journal_with(path, (b"promised",))
    durable = path.stat().st_size
    journal, _ = Journal.open(path, LocalDisk(), entropy)
    journal.append([b"x" * 5000])
    journal.append([b"its vote"])
    journal.sync()
    journal.close()
    data = bytearray(path.read_bytes())
    data[durable : durable + 4096] = bytes(4096)

    assert reopened(path, bytes(data)) == (b"promised",)


def test_a_record_moved_to_another_place_is_not_taken(tmp_path: Path) -> None:
    """A misdirected write: the bytes are good, the place is not."""
    path = tmp_path / "votes.log"
    data = journal_with(path, (b"aaaa",), (b"bbbb",), (b"cccc",))
    size = FRAME_HEAD_BYTES + 4
    first, second = data[HEAD_BYTES : HEAD_BYTES + size], data[HEAD_BYTES + size : HEAD_BYTES + 2 * size]

    with pytest.raises(Corrupt):
        reopened(path, data[:HEAD_BYTES] + second + first + data[HEAD_BYTES + 2 * size :])


def test_rewriting_replaces_everything_at_once(tmp_path: Path) -> None:
    done: list[tuple[str, str]] = []
    path = tmp_path / "votes.log"
    numbers = count()
    journal, _ = Journal.open(
        path, LocalDisk(lambda *seen: done.append(seen)), lambda size: bytes([next(numbers)]) * size
    )
    journal.append(RECORDS * 10)
    journal.sync()
    done.clear()

    journal.rewrite([b"floor", b"vote"])

    beside = str(path) + ".new"
    assert done == [
        ("unlink", beside),
        ("write", beside),
        ("sync", beside),
        ("rename", str(path)),
        ("sync-directory", str(tmp_path)),
    ]
    assert journal.size == path.stat().st_size
    journal.append([b"after"])
    journal.sync()
    journal.close()
    assert records_in(path) == (b"floor", b"vote", b"after")


def test_a_rewritten_journal_that_lost_a_record_stops_the_voter(tmp_path: Path) -> None:
    path = tmp_path / "votes.log"
    journal, _ = Journal.open(path, LocalDisk(), entropy)
    journal.rewrite([b"floor", b"vote"])
    journal.close()
    data = bytearray(path.read_bytes())
    data[HEAD_BYTES + FRAME_HEAD_BYTES] ^= 1

    with pytest.raises(Corrupt, match="record 1"):
        reopened(path, bytes(data))


def test_a_rewrite_that_was_cut_off_leaves_the_old_journal(tmp_path: Path) -> None:
    path = tmp_path / "votes.log"
    journal_with(path, RECORDS)
    path.with_name("votes.log.new").write_bytes(b"half of a new one")

    journal, records = Journal.open(path, LocalDisk())
    journal.close()

    assert records == RECORDS
    assert [path] == list(tmp_path.iterdir())


def test_a_new_journal_is_durable_with_its_name_before_it_takes_a_record(tmp_path: Path) -> None:
    done: list[str] = []
    journal, _ = Journal.open(tmp_path / "votes.log", LocalDisk(lambda operation, _: done.append(operation)))
    journal.close()

    assert done == ["unlink", "unlink", "write", "sync", "rename", "sync-directory", "sync"]


class FailingDisk(LocalDisk):
    """A disk whose syncs begin to fail."""

    failing = False

    def append(self, path: Path) -> LocalFile:
        """A file that fails when told to."""
        file = super().append(path)
        sync = file.sync

        def maybe() -> None:
            if self.failing:
                raise OSError(errno.EIO, "the disk is gone")
            sync()

        file.sync = maybe  # type: ignore[method-assign]  # this one file is broken, not the class
        return file


def test_a_failed_sync_is_never_tried_again(tmp_path: Path) -> None:
    """The kernel forgets the dirty pages after one failure; a second fsync would lie (F11)."""
    disk = FailingDisk()
    journal, _ = Journal.open(tmp_path / "votes.log", disk)
    journal.append([b"vote"])
    disk.failing = True
    with pytest.raises(OSError, match="the disk is gone"):
        journal.sync()
    disk.failing = False

    for attempt in (journal.sync, lambda: journal.append([b"x"]), lambda: journal.rewrite([b"x"])):
        with pytest.raises(Corrupt, match="failed before"):
            attempt()
    journal.close()


@given(
    batches=st.lists(st.lists(st.binary(max_size=40), max_size=4).map(tuple), max_size=4),
    cut=st.integers(min_value=0, max_value=400),
)
def test_records_come_back_as_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[bytes, ...]], cut: int
) -> None:
    """Whatever is cut off the end, what remains is what was written, in order."""
    path = tmp_path_factory.mktemp("journal") / "votes.log"
    data = journal_with(path, *batches)
    written = tuple(record for batch in batches for record in batch)

    records = reopened(path, data[: max(HEAD_BYTES, len(data) - cut)])

    assert records == written[: len(records)]
    assert cut or records == written


# Head: magic, nonce, check. Each frame: mark, length, synced, check, payload.
GOLDEN = (
    "677574736c6f6730" "a55a0102030405060708090a0b0c0d0e" "4b0fc4c44c143706"
    "a55a0102" "00000003" "0000000000000020" "baae0deea399f857" "6f6e65"
    "a55a0102" "00000003" "0000000000000020" "62d0acffbe62dffb" "74776f"
    "a55a0102" "00000005" "0000000000000056" "c3e855954351545f" "7468726565"
)  # fmt: skip
