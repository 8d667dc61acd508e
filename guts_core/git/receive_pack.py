"""
The server's side of a push as a machine without I/O: bytes in, events out (gitprotocol-pack).

    for event in machine.receive(data): ...     # CommandsReceived once, then PackBytes
    for event in machine.finish(): ...          # Finished, when the client's request has ended

Only the form is checked here. Whether a ref name is acceptable, however long it is, is said per ref, by
``refs.client_ref_name``, so that one bad name does not hide the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import TypeAlias

from attrs import field, frozen

from guts_core.errors import Invalid, LimitExceeded
from guts_core.names import Oid

from .pkt_line import DATA_BYTES_MAX, FLUSH, BadPacket, Band, Mark, PacketReader, packet, side_band
from .refs import REF_NAME_BYTES_MAX, ZERO_OID, parse_oid

# C13: as many refs as a repository may have by default (``Params.refs_per_repository_max``), so that a mirror
# of any size goes in by one push; with the longest names they are 17 MB, and with usual ones 5.
COMMANDS_MAX = 50_000
# The length, two ids and two spaces before a name.
_COMMAND_BYTES = 4 + 40 + 1 + 40 + 1
# The shallow lines of a very ragged clone, and names that are too long, each of which is told so.
_BESIDE_COMMANDS_BYTES = 4 << 20
# B04: options are data in a bounded, typed structure.
PUSH_OPTIONS_MAX = 16
PUSH_OPTION_BYTES_MAX = 1024
# A sentence; what is longer is a mistake of ours, and a terminal should survive it.
REASON_CHARS_MAX = 500
_OID_DIGITS = 40
_AGENT_CHARS_MAX = 256


@frozen
class FormLimits:
    """How much a push may ask for at one node's door; what it may bring is ``pack_limits.PackLimits``."""

    commands: int = COMMANDS_MAX
    options: int = PUSH_OPTIONS_MAX
    option_bytes: int = PUSH_OPTION_BYTES_MAX

    @property
    def command_bytes(self) -> int:
        """As many commands with the longest names, and what stands beside them."""
        return self.commands * (_COMMAND_BYTES + REF_NAME_BYTES_MAX) + _BESIDE_COMMANDS_BYTES


DEFAULT_FORM = FormLimits()


@frozen
class RefCommand:
    """Move a ref from old to new; None is no object."""

    ref: str
    old: Oid | None
    new: Oid | None


@frozen
class Capabilities:
    """What the client asked for, of what was advertised."""

    report_status: bool = False
    side_band: bool = False
    atomic: bool = False
    quiet: bool = False
    push_options: bool = False
    agent: str = ""


@frozen
class CommandsReceived:
    """Everything before the pack. No commands: the client only asks whether it may push."""

    commands: tuple[RefCommand, ...]
    capabilities: Capabilities
    push_options: tuple[str, ...]

    @property
    def expects_pack(self) -> bool:
        """Whether a pack follows: always, but for pushes that only delete."""
        return any(command.new is not None for command in self.commands)


@frozen
class PackBytes:
    """The next bytes of the pack."""

    data: bytes = field(repr=False)


@frozen
class Finished:
    """The request is complete."""


Event: TypeAlias = CommandsReceived | PackBytes | Finished


@frozen
class RefResult:
    """What became of one command; error None is success."""

    ref: str
    error: str | None


class _Stage(Enum):
    COMMANDS = auto()
    OPTIONS = auto()
    PACK = auto()
    NOTHING_MORE = auto()
    FINISHED = auto()


class ReceivePack:
    """One push, from its first byte. What it raises ends it: Invalid or LimitExceeded, with words."""

    def __init__(self, limits: FormLimits = DEFAULT_FORM) -> None:
        self._limits = limits
        self._reader = PacketReader()
        self._stage = _Stage.COMMANDS
        self._bytes = 0
        self._commands: dict[str, RefCommand] = {}
        self._capabilities = Capabilities()
        self._options: list[str] = []

    def receive(self, data: bytes) -> list[Event]:
        """Take the next bytes of the request."""
        assert self._stage is not _Stage.FINISHED
        if self._stage is _Stage.PACK:
            return [PackBytes(data)] if data else []
        self._reader.receive(data)
        return self._read_packets() + self._read_rest()

    def finish(self) -> list[Event]:
        """The request has ended."""
        if self._stage in (_Stage.COMMANDS, _Stage.OPTIONS):
            raise BadPacket("the push ends in the middle of its commands")
        self._stage = _Stage.FINISHED
        return [Finished()]

    @property
    def so_far(self) -> CommandsReceived:
        """What was understood before something was refused: who asked for reports can be told beside it."""
        return CommandsReceived(tuple(self._commands.values()), self._capabilities, tuple(self._options))

    def _read_packets(self) -> list[Event]:
        while self._stage in (_Stage.COMMANDS, _Stage.OPTIONS):
            read = self._reader.next_packet()
            if read is None:
                break
            if read is Mark.FLUSH:
                if self._end_section():
                    return [self.so_far]
            elif isinstance(read, Mark):
                raise BadPacket(f"a {read.name.lower()} packet has no place in a push")
            else:
                self._take(read)
        return []

    def _read_rest(self) -> list[Event]:
        if self._stage in (_Stage.COMMANDS, _Stage.OPTIONS):
            return []
        rest = self._reader.rest()
        if rest and self._stage is _Stage.NOTHING_MORE:
            raise BadPacket("bytes follow a push that has no pack")
        return [PackBytes(rest)] if rest else []

    def _end_section(self) -> bool:
        """A flush came: whether it was the last one before the pack."""
        if self._stage is _Stage.COMMANDS and self._capabilities.push_options and self._commands:
            self._stage = _Stage.OPTIONS
            return False
        creates = any(command.new is not None for command in self._commands.values())
        self._stage = _Stage.PACK if creates else _Stage.NOTHING_MORE
        return True

    def _take(self, line: bytes) -> None:
        self._bytes += len(line) + 4
        if self._bytes > self._limits.command_bytes:
            raise LimitExceeded(f"the commands of the push are longer than {self._limits.command_bytes} bytes")
        if self._stage is _Stage.OPTIONS:
            self._options.append(self._option(line))
        elif line.startswith(b"shallow "):
            # The links of the pack are checked against what we have, so where the client's history ends is no matter.
            parse_oid(_text(line.removeprefix(b"shallow ").removesuffix(b"\n"), "a shallow line"))
        elif line.startswith(b"push-cert"):
            raise Invalid("signed pushes are not supported here; push with --no-signed")
        else:
            self._take_command(line)

    def _take_command(self, line: bytes) -> None:
        if not self._commands:
            line, _, capabilities = line.partition(b"\x00")
            self._capabilities = _capabilities(_text(capabilities.removesuffix(b"\n"), "the capabilities"))
        command = _command(line.removesuffix(b"\n"))
        if command.ref in self._commands:
            raise Invalid(f"ref {command.ref!a} is named twice in one push")
        if len(self._commands) == self._limits.commands:
            raise LimitExceeded(f"a push moves at most {self._limits.commands} refs here; push in several steps")
        self._commands[command.ref] = command

    def _option(self, line: bytes) -> str:
        if len(self._options) == self._limits.options:
            raise LimitExceeded(f"a push has at most {self._limits.options} options here")
        if len(line.removesuffix(b"\n")) > self._limits.option_bytes:
            raise LimitExceeded(f"a push option is at most {self._limits.option_bytes} bytes long here")
        text = _text(line.removesuffix(b"\n"), "a push option")
        if not text.isprintable():
            raise Invalid(f"push option {text[:60]!a}: only printable characters are allowed")
        return text


def report_status(unpack_error: str | None, results: Iterable[RefResult], capabilities: Capabilities) -> bytes:
    """The end of the answer: what became of the pack and of each ref, framed as the client asked."""
    lines = [f"unpack {'ok' if unpack_error is None else _one_line(unpack_error)}"]
    lines += [_result_line(one) for one in results]
    report = b"".join(packet(line.encode() + b"\n") for line in lines) + FLUSH
    if not capabilities.report_status:
        report = b""
    return side_band(Band.DATA, report) + FLUSH if capabilities.side_band else report


def _result_line(result: RefResult) -> str:
    """The ref as the client named it, so that its git finds it again; but nothing that a terminal obeys."""
    ref = "".join("?" if char < " " or "\x7f" <= char <= "\x9f" else char for char in result.ref)
    line = f"ok {ref}" if result.error is None else f"ng {ref} {_one_line(result.error)}"
    # A name may nearly fill a packet: then the reason is cut, for without its name git would not find it.
    return line.encode()[: DATA_BYTES_MAX - 1].decode("utf-8", "ignore")


def progress(text: str) -> bytes:
    """Lines for the person who pushes (a side-band packet); nothing in them moves a terminal (D11)."""
    lines = [_printable(line) for line in text.splitlines()]
    return b"".join(side_band(Band.PROGRESS, line.encode() + b"\n") for line in lines)


def fatal(text: str) -> bytes:
    """The last words of a push that cannot go on (a side-band packet)."""
    return side_band(Band.FATAL, _one_line(text).encode() + b"\n")


def _command(line: bytes) -> RefCommand:
    text = _text(line, "a command")
    old, new, ref = text[:_OID_DIGITS], text[_OID_DIGITS + 1 : 2 * _OID_DIGITS + 1], text[2 * _OID_DIGITS + 2 :]
    if text != f"{old} {new} {ref}" or not ref:
        raise BadPacket(f"a command reads {text[:100]!a}, not '<old> <new> <ref>'")
    command = RefCommand(ref, _oid_or_none(old), _oid_or_none(new))
    if command.old is None and command.new is None:
        raise Invalid(f"ref {ref!a}: the push neither creates, moves nor deletes it")
    return command


def _oid_or_none(text: str) -> Oid | None:
    oid = parse_oid(text)
    return None if oid == ZERO_OID else oid


def _capabilities(text: str) -> Capabilities:
    asked = set(text.split(" "))
    for item in asked:
        if item.startswith("object-format=") and item != "object-format=sha1":
            raise Invalid(f"{item[:40]!a}: repositories here are in object format sha1")
    agents = [item.removeprefix("agent=") for item in sorted(asked) if item.startswith("agent=")]
    return Capabilities(
        report_status="report-status" in asked,
        side_band="side-band-64k" in asked,
        atomic="atomic" in asked,
        quiet="quiet" in asked,
        push_options="push-options" in asked,
        agent=_printable(agents[0])[:_AGENT_CHARS_MAX] if agents else "",
    )


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPacket(f"{what} is not UTF-8") from None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in text)


def _one_line(text: str) -> str:
    return _printable(" ".join(text.split()))[:REASON_CHARS_MAX]
