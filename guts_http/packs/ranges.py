"""One byte range of a file that never changes (RFC 9110, 14): what a request asks for, and what it gets."""

from __future__ import annotations

import re

from attrs import frozen

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)


@frozen
class Part:
    """Bytes ``first`` up to, not including, ``end`` of a file of ``size`` bytes."""

    first: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return (self.first, self.end) == (0, self.size)

    @property
    def content_range(self) -> str:
        """As the header says it."""
        return f"bytes {self.first}-{self.end - 1}/{self.size}"


def part(size: int, asked: str | None, unless_changed: str | None, etag: str) -> Part | None:
    """
    What a ``Range`` header asks for of a file; None where there is no such byte (416).

    What is no single range of bytes is as if it were not said, and so is a range of another file than the
    client has (``If-Range``): all of it then.
    """
    found = None if asked is None else _RANGE.fullmatch(asked.strip())
    if found is None or found[0] == "bytes=-" or (unless_changed is not None and unless_changed.strip() != etag):
        return Part(0, size, size)
    first, last = found[1], found[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return Part(0, size, size)
    return Part(start, end, size) if start < end else None


def is_same(asked: str | None, etag: str) -> bool:
    """Whether an ``If-None-Match`` names this file, also as a cache that packed it says it (W/): the client has it."""
    return asked is not None and (
        asked.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in asked.split(","))
    )
