"""
Exports: a tree as tar.gz or zip, the same bytes for the same commit and prefix.

The names, kinds and contents are those of ``git archive``. Only files of modes 644 and 755, directories, and
links that lead to somewhere inside the export are written; any other link is a file with its text
(``reliability.md`` A04, A07). All of the tree is walked and measured before the first byte is given, so
that a bomb is refused and not half sent. Attributes of the repository (``export-subst``, ``export-ignore``)
are not obeyed (B08).

The tar and the order in a zip are the same everywhere; how well they are compressed is up to zlib, so two
nodes with different ones give different bytes of the same content.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, cast

from attrs import frozen

from guts_core.errors import Invalid
from guts_core.names import Oid

from .limits import ARCHIVE_BYTES_MAX, ARCHIVE_ENTRIES_MAX, BLOB_BYTES_MAX, BYTES_MAX
from .objects import Bounded, Budget, TooMuchToRead
from .trees import LINK, PROGRAM, Entry, walk

_FILE_MODE, _RUN_MODE = 0o644, 0o755
_LINK_TEXT_BYTES_MAX = 4_096  # a longer one is no path on any system
# What is held for a client that reads slowly, besides the file that is being written.
_PIECE_BYTES = 64 * 1024
# What is held of an entry besides its name: while its directory is walked, and in a zip until the end is written.
_WALKED_BYTES = 400
_ZIP_ENTRY_BYTES = 600
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
# The years that the two formats can say.
_TAR_SECONDS_MAX = 8**11 - 1
_ZIP_FIRST, _ZIP_LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
_UNIX = 3
_NEVER = frozenset({b"", b".", b"..", b".git"})


@frozen
class Export:
    """A tree that was found small enough to be exported."""

    commit: Oid
    seconds: int  # the commit's date, which every entry gets
    prefix: bytes  # "" or a path that ends with a slash
    root: Oid  # walked again while it is written: a list of all entries would be held as long as a client reads
    entry_count: int
    byte_count: int  # of all contents together
    largest_bytes: int  # the file that is held whole while it is written
    path_bytes: int  # of all names together
    walked_at_once: int  # entries of the directories that are open at one time, at most

    @property
    def tar_bytes(self) -> int:
        """What a tar holds in memory for a client that reads slowly."""
        return self.largest_bytes + 2 * _PIECE_BYTES + _WALKED_BYTES * self.walked_at_once + self.path_bytes

    @property
    def zip_bytes(self) -> int:
        """The same of a zip."""
        return self.tar_bytes + _ZIP_ENTRY_BYTES * self.entry_count + self.path_bytes

    def entries(self, objects: Bounded) -> Iterator[tuple[bytes, Entry]]:
        """What it holds, with whole paths."""
        return ((self.prefix + path, entry) for path, entry in walk(objects, self.root))


def plan(objects: Bounded, commit: Oid, prefix: bytes = b"") -> Export:
    """Walk and measure; raises TooMuchToRead, and Invalid for names that no file may have."""
    if prefix and (not prefix.endswith(b"/") or _NEVER & set(prefix[:-1].split(b"/"))):
        raise Invalid("the prefix of an archive is a path of names that ends with '/'")
    root = objects.root(commit)
    count = total = largest = path_bytes = 0
    open_entries = _OpenEntries()
    for path, entry in walk(objects, root):
        if entry.name.lower() in _NEVER or b"/" in entry.name:
            raise Invalid(f"the tree of {commit.hex()} has a name that no archive may hold")
        size = objects.header(entry.oid).size if entry.is_blob else 0
        if size > BLOB_BYTES_MAX:
            raise TooMuchToRead(f"an archive has files of at most {BLOB_BYTES_MAX:,} bytes (bytes); clone instead")
        count += 1
        total += size
        open_entries.note(path.count(b"/"))
        largest, path_bytes = max(largest, size), path_bytes + len(prefix) + len(path)
        if count > ARCHIVE_ENTRIES_MAX:
            raise TooMuchToRead(f"an archive has at most {ARCHIVE_ENTRIES_MAX:,} entries (entries); clone instead")
        if total > ARCHIVE_BYTES_MAX:
            raise TooMuchToRead(f"an archive has at most {ARCHIVE_BYTES_MAX:,} bytes (bytes); clone instead")
    seconds = max(0, objects.commit(commit).committer.seconds)
    return Export(commit, seconds, prefix, root, count, total, largest, path_bytes, open_entries.most)


class _OpenEntries:
    """How many entries a walk holds at once, at most: of each depth those of its widest directory."""

    def __init__(self) -> None:
        self._here: list[int] = []
        self._widest: list[int] = []

    def note(self, depth: int) -> None:
        """One more at this depth."""
        del self._here[depth + 1 :]
        for counts in (self._here, self._widest):
            counts.extend([0] * (depth + 1 - len(counts)))
        self._here[depth] += 1
        self._widest[depth] = max(self._widest[depth], self._here[depth])

    @property
    def most(self) -> int:
        return sum(self._widest)


def writing_budget(is_late: Callable[[], bool]) -> Budget:
    """For what was planned: twice what a question may read, since the files of an archive may be more."""
    return Budget(byte_count=ARCHIVE_BYTES_MAX + BYTES_MAX, is_late=is_late)


def tar_gz(objects: Bounded, export: Export) -> Iterator[bytes]:
    """The archive in pieces; gzip's header has no name and no time."""
    packing = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for given in tar(objects, export):
        for piece in _pieces(given):
            if packed := packing.compress(piece):
                yield packed
    yield packing.flush()


def _pieces(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES))


def tar(objects: Bounded, export: Export) -> Iterator[bytes]:
    """The same uncompressed; the commit's id stands in front, where ``git get-tar-commit-id`` finds it."""
    yield tarfile.TarInfo.create_pax_global_header({"comment": export.commit.hex()})
    if export.prefix:
        yield _tar_head(export, export.prefix, 0, tarfile.DIRTYPE)
    for path, entry in export.entries(objects):
        yield from _tar_entry(objects, export, path, entry)
    yield _TAR_END


def _tar_entry(objects: Bounded, export: Export, path: bytes, entry: Entry) -> Iterator[bytes]:
    if not entry.is_blob:
        yield _tar_head(export, path + b"/", 0, tarfile.DIRTYPE)
        return
    data = objects.blob(entry.oid)
    if entry.mode == LINK and _is_inside(path.removeprefix(export.prefix), data):
        yield _tar_head(export, path, 0, tarfile.SYMTYPE, data)
        return
    yield _tar_head(export, path, len(data), tarfile.REGTYPE, runs=entry.mode == PROGRAM)
    yield data
    yield bytes(-len(data) % tarfile.BLOCKSIZE)


def _tar_head(export: Export, path: bytes, size: int, kind: bytes, link: bytes = b"", *, runs: bool = False) -> bytes:
    info = tarfile.TarInfo(path.decode("utf-8", "surrogateescape"))
    info.size, info.type = size, kind
    info.linkname = link.decode("utf-8", "surrogateescape")
    info.mode = _RUN_MODE if runs or kind == tarfile.DIRTYPE else 0o777 if kind == tarfile.SYMTYPE else _FILE_MODE
    info.mtime = min(export.seconds, _TAR_SECONDS_MAX)
    info.uname = info.gname = "root"  # as git writes: nobody's own name
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _is_inside(path: bytes, target: bytes) -> bool:
    """Whether a link at this path leads to a place inside the export."""
    if not target or len(target) > _LINK_TEXT_BYTES_MAX or target.startswith(b"/") or b"\0" in target:
        return False
    if b"\\" in target or b":" in target.split(b"/")[0]:
        return False  # an absolute path, or one with other parts, on Windows
    depth = path.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return False
    return True


def zip_(objects: Bounded, export: Export) -> Iterator[bytes]:
    """The archive in pieces; names that are no UTF-8 stand with their odd bytes as ``%FF``."""
    sink = _Sink()
    with zipfile.ZipFile(cast("BinaryIO", sink), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = export.commit.hex().encode("ascii")
        if export.prefix:
            archive.writestr(_zip_head(export, export.prefix, 0o040000 | _RUN_MODE), b"")
        for path, entry in export.entries(objects):
            for _ in _zip_entry(objects, export, archive, path, entry):
                yield from sink.full_pieces()
    yield from sink.rest()


def _zip_entry(objects: Bounded, export: Export, archive: zipfile.ZipFile, path: bytes, entry: Entry) -> Iterator[None]:
    """Write one, and say each time that something may be there to be taken."""
    if not entry.is_blob:
        archive.writestr(_zip_head(export, path + b"/", 0o040000 | _RUN_MODE), b"")
        yield
        return
    data = objects.blob(entry.oid)
    is_link = entry.mode == LINK and _is_inside(path.removeprefix(export.prefix), data)
    mode = LINK | 0o777 if is_link else 0o100000 | (_RUN_MODE if entry.mode == PROGRAM else _FILE_MODE)
    head = _zip_head(export, path, mode)
    head.file_size = len(data)
    if is_link or not data:
        head.compress_type = zipfile.ZIP_STORED
    with archive.open(head, "w") as file:
        for piece in _pieces(data):
            file.write(piece)
            yield
    yield


def _zip_head(export: Export, path: bytes, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(_zip_name(path), _zip_time(export.seconds))
    info.create_system = _UNIX
    info.external_attr = mode << 16 | (0x10 if path.endswith(b"/") else 0)
    info.compress_type = zipfile.ZIP_STORED if path.endswith(b"/") else zipfile.ZIP_DEFLATED
    return info


def _zip_name(path: bytes) -> str:
    """A backslash parts directories where zips are mostly opened, so it does not stand for itself."""
    text = path.replace(b"\\", b"%5C").decode("utf-8", "surrogateescape")
    return "".join(f"%{ord(char) - 0xDC00:02X}" if "\udc80" <= char <= "\udcff" else char for char in text)


def _zip_time(seconds: int) -> tuple[int, int, int, int, int, int]:
    if seconds >= 4_354_819_200:  # 2108
        return _ZIP_LAST
    time = datetime.fromtimestamp(seconds, UTC)
    found = (time.year, time.month, time.day, time.hour, time.minute, time.second)
    return max(found, _ZIP_FIRST)


class _Sink:
    """What a ZipFile writes to: no file, so it cannot go back, and what is written can be given away at once."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        self._held += data
        return len(data)

    def flush(self) -> None:
        """Everything is given already."""

    def full_pieces(self) -> Iterator[bytes]:
        """What was written since; a beginning of a piece waits for the rest of it."""
        while len(self._held) >= _PIECE_BYTES:
            yield bytes(self._held[:_PIECE_BYTES])
            del self._held[:_PIECE_BYTES]

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        yield from self.full_pieces()
        if self._held:
            yield bytes(self._held)
