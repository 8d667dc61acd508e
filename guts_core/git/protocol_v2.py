"""
Requests of git's protocol version 2, from their first byte, and what a server of it advertises (gitprotocol-v2).

One request: the command, capabilities of the client, a delimiter, the command's arguments, a flush. Each of
them has its place and no other (``reliability.md`` D01), and whatever is counted has a most (D02).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol, TypeAlias

from attrs import frozen

from guts_core.version import VERSION

from .fetch_arguments import Fetch, FetchArguments
from .ls_refs import LsRefs, LsRefsArguments
from .object_info import ObjectInfo, ObjectInfoArguments
from .pkt_line import FLUSH, BadPacket, Mark, PacketReader, packet
from .v2_arguments import ArgumentRefused, Counted, shown

CAPABILITIES = (
    f"agent=guts/{VERSION}",
    "ls-refs=unborn",
    "fetch=shallow wait-for-done filter ref-in-want sideband-all",
    "server-option",
    "object-format=sha1",
    "object-info",
    "bundle-uri",
)
# B04: options of a request as those of a push.
SERVER_OPTIONS_MAX = 16
CAPABILITY_BYTES_MAX = 1024


@frozen
class BundleUri:
    """Whether there are bundles to begin a clone with. There are none: the answer is an empty list."""


@frozen
class Nothing:
    """A lone flush: a client tries whether it may speak before it sends a large request."""


Request: TypeAlias = LsRefs | Fetch | ObjectInfo | BundleUri | Nothing


def advertisement() -> bytes:
    """What ``GET info/refs?service=git-upload-pack`` answers who asks for version 2."""
    return b"".join(packet(line.encode() + b"\n") for line in ("version 2", *CAPABILITIES)) + FLUSH


class _Arguments(Protocol):
    """What takes the arguments of one command."""

    def take(self, line: bytes) -> None:
        """The next line; raises ArgumentRefused or LimitExceeded."""

    def finish(self) -> Request:
        """All of it; raises ArgumentRefused."""


class _NoArguments:
    def take(self, line: bytes) -> None:
        raise ArgumentRefused(f"bundle-uri: unexpected line: {shown(line)}")

    def finish(self) -> BundleUri:
        return BundleUri()


_COMMANDS: dict[bytes, type[_Arguments]] = {
    b"ls-refs": LsRefsArguments,
    b"fetch": FetchArguments,
    b"object-info": ObjectInfoArguments,
    b"bundle-uri": _NoArguments,
}


class _Stage(Enum):
    COMMAND = auto()
    CAPABILITIES = auto()
    ARGUMENTS = auto()
    OVER = auto()


class RequestReader:
    """
    Takes a request's bytes in pieces of any size.

    BadPacket and LimitExceeded say that the bytes are no request to read on in, ArgumentRefused that
    they ask for what is not served.
    """

    def __init__(self) -> None:
        self._reader = PacketReader()
        self._counted = Counted()
        self._stage = _Stage.COMMAND
        self._arguments: _Arguments | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the flush that ends a request has come."""
        return self._stage is _Stage.OVER

    def receive(self, data: bytes) -> None:
        """Take the next bytes."""
        self._reader.receive(data)
        while not self.is_complete and (read := self._reader.next_packet()) is not None:
            if isinstance(read, Mark):
                self._take_mark(read)
            else:
                self._take(read.removesuffix(b"\n"))
        if self.is_complete and not self._reader.is_between_packets():
            raise BadPacket("bytes follow the flush that ends the request")

    def finish(self) -> Request:
        """The bytes have ended: what they ask for."""
        if not self.is_complete:
            raise BadPacket("the request ends before its flush")
        return Nothing() if self._arguments is None else self._arguments.finish()

    def _take_mark(self, mark: Mark) -> None:
        if mark is Mark.FLUSH:
            self._stage = _Stage.OVER
        elif mark is Mark.DELIMITER and self._stage is _Stage.CAPABILITIES:
            self._stage = _Stage.ARGUMENTS
        else:
            raise BadPacket(f"a {mark.name.lower().replace('_', '-')} packet has no place here")

    def _take(self, line: bytes) -> None:
        if self._stage is _Stage.COMMAND:
            self._begin(line)
        elif self._stage is _Stage.CAPABILITIES:
            self._take_capability(line)
        else:
            assert self._arguments is not None
            self._arguments.take(line)

    def _begin(self, line: bytes) -> None:
        word, _, name = line.partition(b"=")
        if word != b"command":
            raise BadPacket(f"a request of protocol version 2 begins with its command, not with {shown(line)}")
        command = _COMMANDS.get(name)
        if command is None:
            raise ArgumentRefused(f"command {shown(name)} is not served here")
        self._arguments, self._stage = command(), _Stage.CAPABILITIES

    def _take_capability(self, line: bytes) -> None:
        name, _, value = line.partition(b"=")
        if len(line) > CAPABILITY_BYTES_MAX:
            raise ArgumentRefused(f"a capability is longer than {CAPABILITY_BYTES_MAX} bytes")
        if name == b"server-option":
            self._counted.add("server-option", SERVER_OPTIONS_MAX)
        elif name in (b"agent", b"session-id"):
            self._counted.once(name.decode("ascii"))
        elif line == b"object-format=sha1":
            self._counted.once("object-format")
        elif name == b"object-format":
            raise ArgumentRefused(f"object-format {shown(value)} is not served: this repository is sha1")
        else:
            raise ArgumentRefused(f"unknown capability {shown(line)}")
