"""
Commit objects as bytes, read without trust: people's names, dates and encodings are whatever a tool wrote.

Nothing here refuses a commit. What is not UTF-8 and names no encoding known here stands with replacement
characters, a date that is no number is the epoch, a missing address is empty: a history is shown, not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from guts_core.names import Oid

# git's `encoding` header, by the names that old histories use. UTF-16 and codecs that run are not text here.
_ENCODING = re.compile(
    r"(?:iso-?8859-(?:[1-9]|1[0-6])|latin-?1|windows-125[0-8]|cp125[0-8]|koi8-[ru]|euc-(?:jp|kr)|shift_jis|sjis"
    r"|gbk|gb2312|gb18030|big5)",
    re.ASCII | re.IGNORECASE,
)
_OID = re.compile(rb"[0-9a-f]{40}")
_SECONDS = re.compile(rb"\s*(-?[0-9]{1,18})(?:\s|$)")


@frozen
class Stamp:
    """Who and when, as the commit says; ``seconds`` since 1970, of any size and sign."""

    name: str
    email: str
    seconds: int


@frozen
class CommitObject:
    """What a commit says of itself."""

    tree: Oid | None
    parents: tuple[Oid, ...]
    author: Stamp
    committer: Stamp
    message: str
    is_signed: bool


def parse_commit(data: bytes) -> CommitObject:
    """The commit; also of its beginning only, then with as much of the message as is there."""
    head, _, message = data.partition(b"\n\n")
    headers = list(_headers(head))
    first = dict(reversed(headers))
    encoding = _encoding(first.get(b"encoding", b""))
    parents = (_oid(value) for name, value in headers if name == b"parent")
    return CommitObject(
        tree=_oid(first.get(b"tree", b"")),
        parents=tuple(oid for oid in parents if oid is not None),
        author=_stamp(first.get(b"author", b""), encoding),
        committer=_stamp(first.get(b"committer", b""), encoding),
        message=message.decode(encoding, "replace").rstrip("\n"),
        is_signed=b"gpgsig" in first or b"gpgsig-sha256" in first,
    )


def _headers(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and values; the further lines of a long value begin with a space and are not wanted here."""
    for line in head.split(b"\n"):
        name, space, value = line.partition(b" ")
        if name and space:
            yield name, value


def _encoding(name: bytes) -> str:
    text = name.decode("ascii", "replace").strip()
    return text if _ENCODING.fullmatch(text) else "utf-8"


def _oid(text: bytes) -> Oid | None:
    return Oid(bytes.fromhex(text.decode("ascii"))) if _OID.fullmatch(text) else None


def _stamp(line: bytes, encoding: str) -> Stamp:
    name, _, rest = line.partition(b"<")
    email, closed, when = rest.rpartition(b">")
    found = _SECONDS.match(when) if closed else None
    shown = email if closed else rest
    return Stamp(
        name.strip().decode(encoding, "replace"),
        shown.strip().decode(encoding, "replace"),
        int(found[1]) if found else 0,
    )
