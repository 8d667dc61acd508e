"""
Lines that are different: hunks of two versions of a file, and changes as a unified patch.

libgit2's copy of git's own differ finds them, on bytes in memory, with git's default settings, so that a patch
looks as ``git diff`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from attrs import frozen

from guts_core.names import Oid

from .changes import Change, Status
from .limits import DIFF_BYTES_MAX, DIFF_LINES_MAX, LOOKED_AT_BYTES_MAX, PATCH_BYTES_MAX
from .objects import Bounded, TooMuchToRead
from .trees import SUBMODULE, Entry

if TYPE_CHECKING:
    import pygit2

CONTEXT_LINES = 3  # git's default
# As far as git looks for a byte that no text has.
_TEXT_BYTES_LOOKED_AT = 8_000
_NO_OBJECT = Oid(bytes(20))
# What git writes for the bytes of a name that are no plain ASCII.
_ESCAPES = {byte: f"\\{byte:03o}" for byte in range(256) if not 32 <= byte < 127} | {
    7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\",
}  # fmt: skip


@frozen
class Hunk:
    """A run of lines that are different, with their context; lines count from 1, as in a patch."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    header: bytes  # "@@ ... @@" with the function that git finds above
    lines: tuple[bytes, ...]  # each begins with " ", "-", "+" or "\\", and ends with a line end


@frozen
class FileDiff:
    """What is different in one file; binary ones and those that are too large to be compared have no hunks."""

    change: Change
    hunks: tuple[Hunk, ...] = ()
    is_binary: bool = False
    is_too_large: bool = False

    @property
    def additions(self) -> int:
        """Lines that were added."""
        return sum(line.startswith(b"+") for hunk in self.hunks for line in hunk.lines)

    @property
    def deletions(self) -> int:
        """Lines that were deleted."""
        return sum(line.startswith(b"-") for hunk in self.hunks for line in hunk.lines)

    def text(self) -> bytes:
        """The hunks as they stand in a patch."""
        return b"".join(hunk.header + b"\n" + b"".join(hunk.lines) for hunk in self.hunks)


def is_binary(data: bytes) -> bool:
    """Whether git takes it for no text."""
    return b"\0" in data[:_TEXT_BYTES_LOOKED_AT]


def is_comparable(data: bytes) -> bool:
    """Whether a text is small enough to be compared, which cannot be stopped once it began."""
    return len(data) <= DIFF_BYTES_MAX and data.count(b"\n") <= DIFF_LINES_MAX


def hunks_of(old: bytes, new: bytes, context: int = CONTEXT_LINES) -> tuple[Hunk, ...]:
    """The hunks between two texts; TooMuchToRead for such as are too large."""
    if not (is_comparable(old) and is_comparable(new)):
        raise TooMuchToRead(
            f"texts are compared up to {DIFF_BYTES_MAX:,} bytes and {DIFF_LINES_MAX:,} lines (patch); clone instead"
        )
    from pygit2 import Patch  # noqa: PLC0415 -- ten MiB, for those nodes that are asked for differences
    from pygit2.enums import DiffOption  # noqa: PLC0415 -- see above

    flags = DiffOption.INDENT_HEURISTIC | DiffOption.FORCE_TEXT
    patch = Patch.create_from(old, new, flag=flags, context_lines=context)
    return tuple(
        Hunk(
            hunk.old_start,
            hunk.old_lines,
            hunk.new_start,
            hunk.new_lines,
            _header(hunk),
            tuple(_lines(hunk)),
        )
        for hunk in patch.hunks
    )


def _header(hunk: pygit2.DiffHunk) -> bytes:
    return hunk.header.encode("utf-8", "replace").rstrip(b"\n")


def _lines(hunk: pygit2.DiffHunk) -> Iterator[bytes]:
    for line in hunk.lines:
        if line.origin in "=><":
            yield b"\\ No newline at end of file\n"
        else:
            content = line.raw_content
            yield line.origin.encode() + content + (b"" if content.endswith(b"\n") else b"\n")


def file_diff(objects: Bounded, change: Change) -> FileDiff:
    """What is different in one file; the trees are read already, the file is read now."""
    if _oid(change.old) == _oid(change.new):
        return FileDiff(change)
    old, new = (_content(objects, entry) for entry in (change.old, change.new))
    if old is None or new is None:
        return FileDiff(change, is_too_large=True)
    if is_binary(old) or is_binary(new):
        return FileDiff(change, is_binary=True)
    if not (is_comparable(old) and is_comparable(new)):
        return FileDiff(change, is_too_large=True)
    return FileDiff(change, hunks_of(old, new))


def _content(objects: Bounded, entry: Entry | None) -> bytes | None:
    """As lines are compared; None for what is too large to be read for that."""
    if entry is None:
        return b""
    if entry.mode == SUBMODULE:
        return b"Subproject commit %b\n" % entry.oid.hex().encode()
    if objects.header(entry.oid).size > LOOKED_AT_BYTES_MAX:
        return None
    return objects.blob(entry.oid)


def patch(objects: Bounded, found: Iterable[Change]) -> Iterator[bytes]:
    """
    A unified patch, one file after another, as ``git diff --full-index`` prints it.

    Of a file that is too large to be compared it says so where the hunks would be.
    """
    size = 0
    for change in found:
        for one in _split_by_type(change):
            # Each name stands there twice at least, and with four letters for a byte: looked at before that is made.
            _check_length(size + 2 * (len(one.old_path) + len(one.new_path)))
            text = b"".join(_file_patch(file_diff(objects, one)))
            size += len(text)
            _check_length(size)
            yield text


def _check_length(size: int) -> None:
    if size > PATCH_BYTES_MAX:
        raise TooMuchToRead(
            f"the patch is longer than {PATCH_BYTES_MAX:,} bytes (patch); ask for fewer commits, or clone"
        )


def _split_by_type(change: Change) -> Iterator[Change]:
    """A file that became a link is two patches: lines of the one are none of the other."""
    if change.status is not Status.TYPE_CHANGED:
        yield change
        return
    yield Change(Status.DELETED, change.old_path, change.new_path, change.old, None)
    yield Change(Status.ADDED, change.old_path, change.new_path, None, change.new)


def _file_patch(found: FileDiff) -> Iterator[bytes]:
    change = found.change
    old_name, new_name = _quoted(b"a/" + change.old_path), _quoted(b"b/" + change.new_path)
    yield b"diff --git %b %b\n" % (old_name, new_name)
    yield from _extended(change)
    if not (found.is_binary or found.is_too_large or found.hunks):
        return
    before = old_name if change.old else b"/dev/null"
    after = new_name if change.new else b"/dev/null"
    if found.is_binary:
        yield b"Binary files %b and %b differ\n" % (before, after)
        return
    if found.is_too_large:
        yield b"Files %b and %b differ and are too large for a patch\n" % (before, after)
        return
    yield b"--- %b%b\n+++ %b%b\n" % (before, _tab(before), after, _tab(after))
    yield found.text()


def _tab(name: bytes) -> bytes:
    """A name with a space ends with a tab, so that patch programs find its end."""
    return b"\t" if b" " in name else b""


def _extended(change: Change) -> Iterator[bytes]:
    old, new = change.old, change.new
    if old is None and new is not None:
        yield b"new file mode %06o\n" % new.mode
    elif new is None and old is not None:
        yield b"deleted file mode %06o\n" % old.mode
    elif old is not None and new is not None and old.mode != new.mode:
        yield b"old mode %06o\nnew mode %06o\n" % (old.mode, new.mode)
    if change.status is Status.RENAMED:
        yield b"similarity index %d%%\n" % change.likeness
        yield b"rename from %b\nrename to %b\n" % (_quoted(change.old_path), _quoted(change.new_path))
    if _oid(old) != _oid(new):
        same = b" %06o" % new.mode if old is not None and new is not None and old.mode == new.mode else b""
        yield b"index %b..%b%b\n" % (_oid(old).hex().encode(), _oid(new).hex().encode(), same)


def _oid(entry: Entry | None) -> Oid:
    return _NO_OBJECT if entry is None else entry.oid


def _quoted(path: bytes) -> bytes:
    """As git writes names in patches: what is no plain ASCII stands in quotes, escaped as in C."""
    escaped = path.decode("latin-1").translate(_ESCAPES).encode("ascii")
    return path if escaped == path else b'"%b"' % escaped
