"""
``ls-refs`` of protocol version 2: what it asks, and its answer from the refs of one snapshot (gitprotocol-v2).

The answer is byte for byte that of ``git upload-pack`` over the same refs, in a time that no list of
prefixes multiplies: they are brought down to those that none of the others covers, and looked up by halving.
"""

from __future__ import annotations

from binascii import hexlify
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import frozen

from guts_core.names import Oid

from .pkt_line import FLUSH
from .v2_arguments import ArgumentRefused, shown

# As many as git reads: beyond them it forgets all, and shows every ref.
PREFIXES_MAX = 65_536
HEAD = b"HEAD"
_LENGTH_DIGITS = 4
_WORDS = {b"peel": "peel", b"symrefs": "symrefs", b"unborn": "unborn"}


@frozen
class LsRefs:
    """What a client wants to be told about refs. No prefixes: every ref."""

    prefixes: tuple[bytes, ...] = ()  # sorted; none starts with another
    peel: bool = False
    symrefs: bool = False
    unborn: bool = False

    def shows(self, name: bytes) -> bool:
        """Whether a ref of this name is asked for."""
        if not self.prefixes:
            return True
        at = bisect_right(self.prefixes, name)
        return at > 0 and name.startswith(self.prefixes[at - 1])


class LsRefsArguments:
    """Takes the argument lines of one request."""

    def __init__(self) -> None:
        self._prefixes: set[bytes] = set()
        self._flags: set[str] = set()
        self._wants_all = False
        self._seen = 0

    def take(self, line: bytes) -> None:
        """The next line; raises ArgumentRefused."""
        flag = _WORDS.get(line)
        if flag is not None:
            self._flags.add(flag)
        elif line.startswith(b"ref-prefix "):
            self._take_prefix(line.removeprefix(b"ref-prefix "))
        else:
            raise ArgumentRefused(f"ls-refs: unexpected line: {shown(line)}")

    def finish(self) -> LsRefs:
        """All of it."""
        prefixes = () if self._wants_all else tuple(_least(sorted(self._prefixes)))
        return LsRefs(prefixes, "peel" in self._flags, "symrefs" in self._flags, "unborn" in self._flags)

    def _take_prefix(self, prefix: bytes) -> None:
        self._seen += 1
        if not prefix or self._seen > PREFIXES_MAX:
            self._wants_all = True
            self._prefixes.clear()
        if not self._wants_all:
            self._prefixes.add(prefix)


def _least(ordered: Sequence[bytes]) -> Iterator[bytes]:
    """Of sorted prefixes those that none before them covers."""
    last: bytes | None = None
    for prefix in ordered:
        if last is None or not prefix.startswith(last):
            last = prefix
            yield prefix


@frozen
class Head:
    """Where HEAD leads: the full name of the default branch, and what it stands at; None: it is not born yet."""

    target: bytes
    oid: Oid | None


def ls_refs_answer(
    asked: LsRefs, head: Head, refs: Iterable[tuple[bytes, Oid]], peeled: Mapping[Oid, Oid | None]
) -> bytes:
    """
    The whole answer. ``refs`` are (name, oid) in bytewise order of name, at least those that are asked for.

    ``peeled`` leads from each shown oid that is a tag object to what it stands for in the end, and is
    asked only where ``asked.peel``.
    """
    lines = [] if (first := _head_line(asked, head, peeled)) is None else [first]
    shown = refs if not asked.prefixes else ((name, oid) for name, oid in refs if asked.shows(name))
    ends = peeled if asked.peel else {}
    lines += [_line(name, oid, ends.get(oid)) for name, oid in shown]
    return b"".join(lines) + FLUSH


def _head_line(asked: LsRefs, head: Head, peeled: Mapping[Oid, Oid | None]) -> bytes | None:
    if not asked.shows(HEAD):
        return None
    symref = b" symref-target:" + head.target if asked.symrefs else b""
    if head.oid is not None:
        return _line(HEAD + symref, head.oid, peeled.get(head.oid) if asked.peel else None)
    return _framed(b"unborn HEAD" + symref) if asked.unborn and asked.symrefs else None


def _line(name: bytes, oid: Oid, peeled: Oid | None) -> bytes:
    text = b"%b %b" % (hexlify(oid), name)
    return _framed(text if peeled is None else text + b" peeled:" + hexlify(peeled))


def _framed(text: bytes) -> bytes:
    """One packet; names of refs are far shorter than one may be."""
    return b"%04x%b\n" % (len(text) + 1 + _LENGTH_DIGITS, text)
