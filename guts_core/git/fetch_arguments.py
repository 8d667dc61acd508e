"""
``fetch`` of protocol version 2: its arguments as a value, and as the bytes that git is handed (gitprotocol-v2).

What goes on to ``git upload-pack`` is written anew from the value: nothing reaches the child that was not
understood here, and two clients who mean the same are seen to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from guts_core.names import Oid, RefName

from .fetch_request import HAVES_MAX, SHALLOWS_MAX, WANTS_MAX
from .pkt_line import DELIMITER, FLUSH, packet
from .refs import REF_NAME_BYTES_MAX
from .v2_arguments import ArgumentRefused, Counted, oid_of, shown, text_of

# Each is resolved, and walked from: who leaves out more histories than these means something else.
DEEPEN_NOTS_MAX = 1_000
# git's own number for a history without end, of `fetch --unshallow`.
DEPTH_MAX = 0x7FFF_FFFF
# The largest time that git's own arithmetic of seconds takes.
SINCE_MAX = (1 << 62) - 1
_FLAGS = (
    "thin-pack",
    "no-progress",
    "include-tag",
    "ofs-delta",
    "sideband-all",
    "wait-for-done",
    "deepen-relative",
    "done",
)
_NUMBER = re.compile(rb"[1-9][0-9]{0,18}")
# C04, C14: what reads a blob that nobody checked (sparse), or visits a tree once for each depth it stands at, has no
# place here.
_FILTER = re.compile(r"blob:none|blob:limit=[0-9]{1,18}[kmg]?|tree:0|object:type=(?:commit|tree|blob|tag)", re.ASCII)
# Where a short name leads, as git looks for it.
_RULES = ("{}", "refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")


@frozen
class Fetch:
    """One round of a fetch. Sets are sorted; ``haves`` stand as they came, since git answers in that order."""

    wants: tuple[Oid, ...] = ()
    want_refs: tuple[str, ...] = ()  # full names, or HEAD
    haves: tuple[Oid, ...] = ()
    shallows: tuple[Oid, ...] = ()
    depth: int | None = None
    since: int | None = None  # seconds since 1970
    deepen_nots: tuple[str, ...] = ()
    filter: str | None = None
    flags: frozenset[str] = frozenset()

    @property
    def asks_nothing(self) -> bool:
        """Neither objects nor what both sides have; git answers it with nothing."""
        return not self.wants and not self.want_refs and "wait-for-done" not in self.flags

    @property
    def is_full_clone(self) -> bool:
        """Whether it asks for all that its wants reach, and for nothing else; names of refs are resolved before."""
        parts = (self.want_refs, self.haves, self.shallows, self.depth, self.since, self.deepen_nots, self.filter)
        asked_otherwise = self.flags & {"wait-for-done", "deepen-relative"}
        return bool(self.wants) and "done" in self.flags and not any(parts) and not asked_otherwise

    def resolved(self, wanted: Iterable[Oid], deepen_nots: Iterable[str]) -> Fetch:
        """The same with ids for the names of wanted refs, and with these names of what to leave out."""
        wants = tuple(sorted({*self.wants, *wanted}))
        return evolve(self, wants=wants, want_refs=(), deepen_nots=tuple(sorted(set(deepen_nots))))

    def to_bytes(self) -> bytes:
        """The request, in one form for all that mean it."""
        lines = [flag for flag in _FLAGS if flag in self.flags and flag != "done"]
        lines += [f"want {oid.hex()}" for oid in self.wants] + [f"want-ref {name}" for name in self.want_refs]
        lines += [f"shallow {oid.hex()}" for oid in self.shallows]
        lines += [] if self.depth is None else [f"deepen {self.depth}"]
        lines += [] if self.since is None else [f"deepen-since {self.since}"]
        lines += [f"deepen-not {name}" for name in self.deepen_nots]
        lines += [] if self.filter is None else [f"filter {self.filter}"]
        lines += [f"have {oid.hex()}" for oid in self.haves] + (["done"] if "done" in self.flags else [])
        head = packet(b"command=fetch") + packet(b"object-format=sha1") + DELIMITER
        return head + b"".join(packet(line.encode()) for line in lines) + FLUSH


class FetchArguments:
    """Takes the argument lines of one request."""

    def __init__(self) -> None:
        self._counted = Counted()
        self._wants: set[Oid] = set()
        self._want_refs: set[str] = set()
        self._haves: dict[Oid, None] = {}
        self._shallows: set[Oid] = set()
        self._nots: set[str] = set()
        self._depth: int | None = None
        self._since: int | None = None
        self._filter: str | None = None
        self._flags: set[str] = set()
        self._take_value = {
            b"want": self._want,
            b"have": self._have,
            b"want-ref": self._want_ref,
            b"shallow": self._shallow,
            b"deepen": self._deepen,
            b"deepen-since": self._deepen_since,
            b"deepen-not": self._deepen_not,
            b"filter": self._take_filter,
        }

    def take(self, line: bytes) -> None:
        """The next line; raises ArgumentRefused or LimitExceeded."""
        word, space, value = line.partition(b" ")
        taker = self._take_value.get(word)
        if taker is not None and space:
            taker(value)
        elif line.decode("latin-1") in _FLAGS:
            self._flags.add(line.decode("ascii"))
        elif word == b"packfile-uris":
            raise ArgumentRefused("packfile-uris are not served here; fetch without them")
        else:
            raise ArgumentRefused(f"fetch: unexpected line: {shown(line)}")

    def finish(self) -> Fetch:
        """All of it; raises ArgumentRefused for what excludes each other."""
        if self._depth is not None and (self._since is not None or self._nots):
            raise ArgumentRefused("deepen and deepen-since (or deepen-not) cannot be used together")
        return Fetch(
            tuple(sorted(self._wants)),
            tuple(sorted(self._want_refs)),
            tuple(self._haves),
            tuple(sorted(self._shallows)),
            self._depth,
            self._since,
            tuple(sorted(self._nots)),
            self._filter,
            frozenset(self._flags),
        )

    def _want(self, value: bytes) -> None:
        self._counted.add("want", WANTS_MAX)
        self._wants.add(oid_of(value))

    def _have(self, value: bytes) -> None:
        self._counted.add("have", HAVES_MAX)
        self._haves[oid_of(value)] = None

    def _want_ref(self, value: bytes) -> None:
        self._counted.add("want-ref", WANTS_MAX)
        self._want_refs.add(text_of(value, REF_NAME_BYTES_MAX))

    def _shallow(self, value: bytes) -> None:
        self._counted.add("shallow", SHALLOWS_MAX)
        self._shallows.add(oid_of(value))

    def _deepen(self, value: bytes) -> None:
        self._counted.once("deepen")
        self._depth = _number("deepen", value, DEPTH_MAX)

    def _deepen_since(self, value: bytes) -> None:
        self._counted.once("deepen-since")
        self._since = _number("deepen-since", value, SINCE_MAX)

    def _deepen_not(self, value: bytes) -> None:
        self._counted.add("deepen-not", DEEPEN_NOTS_MAX)
        self._nots.add(text_of(value, REF_NAME_BYTES_MAX))

    def _take_filter(self, value: bytes) -> None:
        self._counted.once("filter")
        if not _FILTER.fullmatch(value.decode("latin-1")):
            known = "blob:none, blob:limit=SIZE, tree:0 and object:type=TYPE"
            raise ArgumentRefused(f"filter {shown(value)} is not served here; use one of {known}")
        self._filter = value.decode("ascii")


def places(name: str) -> frozenset[str]:
    """The full names that a short one may stand for."""
    return frozenset(rule.format(name) for rule in _RULES)


def resolve(name: str, refs: Mapping[RefName, Oid]) -> RefName:
    """The one of these refs that a short name leads to, as git would find it; raises ArgumentRefused."""
    found = set(places(name) & refs.keys())
    if len(found) != 1:
        raise ArgumentRefused(f"deepen-not {name!a} is {'ambiguous' if found else 'no ref of this repository'}")
    return RefName(found.pop())


def _number(word: str, value: bytes, most: int) -> int:
    if not _NUMBER.fullmatch(value) or int(value) > most:
        raise ArgumentRefused(f"{word} {shown(value)}: a whole number from 1 to {most} is needed")
    return int(value)
