"""
The vote log: records in the order they were promised (``consensus.md`` 1.9; F03, F06, F11).

File: ``head 32 bytes``, then frames ``mark 4 | length u32 | synced u64 | check 8 | payload``. The
head holds 16 random bytes of this file; they key every check and give the mark, so nothing that a
payload contains can look like a frame. A check covers the frame's own position, so a frame that a
disk put elsewhere is not taken.

``synced`` is how much of the file was known to be durable when the frame was written. With it a
broken place can be judged: if no good frame follows, or only frames written before the broken one
was synced, it is the torn tail of a power cut (a disk may keep a later page and lose an earlier
one), nothing in it was ever released, and it is cut off. If a good frame says that the broken place
was durable, the disk lost what we promised: the node must not vote.

An ``OSError`` travels up and the journal takes nothing more: a second fsync would "succeed".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path

from attrs import frozen

from guts_core.errors import Corrupt
from guts_net.protocols import Disk, DiskFile

# A proposal of the largest size with its justification, twice over.
RECORD_BYTES_MAX = 4 << 20
HEAD_BYTES = 32
FRAME_HEAD_BYTES = 24

_MAGIC = b"gutslog0"
_NONCE_BYTES = 16
_MARK_BYTES = 4
_CHECK_BYTES = 8


class Journal:
    """An append-only file of records. All methods block; one thread at a time."""

    def __init__(self, path: Path, disk: Disk, entropy: Callable[[int], bytes], nonce: bytes, file: DiskFile) -> None:
        self._path, self._disk, self._entropy = path, disk, entropy
        self._nonce, self._file = nonce, file
        self._size = self._synced = file.tell()
        self._broken = False

    @classmethod
    def open(
        cls, path: Path, disk: Disk, entropy: Callable[[int], bytes] = os.urandom
    ) -> tuple[Journal, tuple[bytes, ...]]:
        """The journal, new if there was none, and its records; raises Corrupt if one that was promised is lost."""
        disk.unlink(_beside(path))
        if not path.exists():
            # Under its name it is complete from the start, so one with half a head is a damaged one.
            _replace(path, disk, entropy(_NONCE_BYTES), ())
        data = path.read_bytes()
        nonce = _nonce_in(path, data)
        scan = _scan(path, data, nonce)
        file = disk.append(path)
        if scan.end < len(data):
            file.truncate(scan.end)
        # What the last life wrote and did not sync becomes durable before anything relies on it.
        file.sync()
        return cls(path, disk, entropy, nonce, file), scan.records

    @property
    def size(self) -> int:
        """Bytes in the file, written or about to be."""
        return self._size

    def append(self, records: Iterable[bytes]) -> None:
        """Add records; not durable before ``sync``."""
        frames = bytearray()
        for record in records:
            assert len(record) <= RECORD_BYTES_MAX, "a record has a size that a journal takes"
            frames += _frame(self._nonce, self._size + len(frames), self._synced, record)
        if frames:
            self._do(lambda file: file.write(bytes(frames)))
            self._size += len(frames)

    def sync(self) -> None:
        """Make every record so far survive a power cut."""
        self._do(lambda file: file.sync())
        self._synced = self._size

    def rewrite(self, records: Iterable[bytes]) -> None:
        """Replace the whole journal by these records, at once and durably."""
        self._do(lambda _: None)
        nonce = self._entropy(_NONCE_BYTES)
        self._broken = True
        _replace(self._path, self._disk, nonce, records)
        self._file.close()
        self._file, self._nonce = self._disk.append(self._path), nonce
        self._size = self._synced = self._file.tell()
        self._broken = False

    def close(self) -> None:
        """Close without syncing."""
        self._broken = True
        self._file.close()

    def _do(self, operation: Callable[[DiskFile], None]) -> None:
        if self._broken:
            raise Corrupt(f"{self._path.name} failed before or is closed; what it holds is known after a restart only")
        self._broken = True
        operation(self._file)
        self._broken = False


def records_in(path: Path) -> int:
    """How many records a journal holds, without opening it for writing; raises Corrupt as ``Journal.open`` does."""
    data = path.read_bytes()
    return len(_scan(path, data, _nonce_in(path, data)).records)


@frozen
class _Scan:
    """What stands in a file: its records, and where they end."""

    records: tuple[bytes, ...]
    end: int


@frozen
class _Frame:
    """One good frame."""

    payload: bytes
    synced: int
    end: int


def _scan(path: Path, data: bytes, nonce: bytes) -> _Scan:
    records, at = [], HEAD_BYTES
    while frame := _frame_at(data, at, nonce):
        records.append(frame.payload)
        at = frame.end
    if _was_durable(data, at, nonce):
        raise Corrupt(
            f"{path.name}: record {len(records) + 1} at byte {at} is damaged, and later ones prove that it was "
            "complete; this node may have forgotten votes and must not vote again under its key"
        )
    return _Scan(tuple(records), at)


def _was_durable(data: bytes, broken: int, nonce: bytes) -> bool:
    """Whether a good frame after the broken place was written when that place was synced."""
    mark = nonce[:_MARK_BYTES]
    at = data.find(mark, broken + 1)
    while at >= 0:
        frame = _frame_at(data, at, nonce)
        if frame and frame.synced > broken:
            return True
        at = data.find(mark, at + 1)
    return False


def _frame_at(data: bytes, at: int, nonce: bytes) -> _Frame | None:
    start = at + FRAME_HEAD_BYTES
    head = data[at:start]
    size = int.from_bytes(head[4:8], "big")
    end = start + size
    if len(head) < FRAME_HEAD_BYTES or size > RECORD_BYTES_MAX or end > len(data) or head[:4] != nonce[:_MARK_BYTES]:
        return None
    payload = data[start:end]
    if _check(nonce, at, head[4:16], payload) != head[16:]:
        return None
    return _Frame(payload, int.from_bytes(head[8:16], "big"), end)


def _frame(nonce: bytes, position: int, synced: int, payload: bytes) -> bytes:
    numbers = len(payload).to_bytes(4, "big") + synced.to_bytes(8, "big")
    return nonce[:_MARK_BYTES] + numbers + _check(nonce, position, numbers, payload) + payload


def _check(nonce: bytes, position: int, numbers: bytes, payload: bytes) -> bytes:
    state = blake2b(position.to_bytes(8, "big") + numbers, digest_size=_CHECK_BYTES, key=nonce)
    state.update(payload)
    return state.digest()


def _head(nonce: bytes) -> bytes:
    head = _MAGIC + nonce
    return head + blake2b(head, digest_size=_CHECK_BYTES).digest()


def _nonce_in(path: Path, data: bytes) -> bytes:
    nonce = data[len(_MAGIC) : len(_MAGIC) + _NONCE_BYTES]
    if data[:HEAD_BYTES] != _head(nonce):
        raise Corrupt(f"{path.name} does not begin as a journal does: it is damaged or of another build")
    return nonce


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _replace(path: Path, disk: Disk, nonce: bytes, records: Iterable[bytes]) -> None:
    """A whole journal at this path: written beside, synced, renamed, directory synced."""
    data = bytearray(_head(nonce))
    for record in records:
        # Synced up to its own place: a frame exists under this name only after all of it was durable.
        data += _frame(nonce, len(data), len(data), record)
    disk.unlink(_beside(path))
    file = disk.append(_beside(path))
    try:
        file.write(bytes(data))
        file.sync()
    finally:
        file.close()
    disk.rename(_beside(path), path)
    disk.sync_directory(path.parent)
