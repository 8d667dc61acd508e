"""The commands of a push, up to the first byte of its pack."""

from __future__ import annotations

from guts_core.errors import Invalid, LimitExceeded
from guts_core.git.pkt_line import FLUSH, packet
from guts_core.git.receive_pack import CommandsReceived, Event, PackBytes, ReceivePack
from guts_core.git.refs import oid_hex


def _run(*pieces: bytes) -> tuple[list[Event], bytes, str | None]:
    machine, events, pack = ReceivePack(), list[Event](), b""
    try:
        for piece in pieces:
            events += machine.receive(piece)
        events += machine.finish()
    except (Invalid, LimitExceeded) as refusal:
        return [], b"", str(refusal)
    pack = b"".join(event.data for event in events if isinstance(event, PackBytes))
    return [event for event in events if not isinstance(event, PackBytes)], pack, None


def _said_again(received: CommandsReceived) -> bytes:
    asked = received.capabilities
    words = "report-status " * asked.report_status + "push-options " * asked.push_options
    lines = [f"{oid_hex(c.old)} {oid_hex(c.new)} {c.ref}".encode() for c in received.commands]
    if lines:
        lines[0] += b"\0" + words.encode()
    out = b"".join(packet(line) for line in lines) + FLUSH
    if asked.push_options and lines:
        out += b"".join(packet(option.encode()) for option in received.push_options) + FLUSH
    return out


def fuzz(data: bytes) -> None:
    """The same wherever the bytes are cut; and what was understood, said again, is understood the same."""
    whole = _run(data)
    assert _run(data[: len(data) // 2], data[len(data) // 2 :]) == whole
    for event in whole[0]:
        if isinstance(event, CommandsReceived):
            (again, *_), pack, problem = _run(_said_again(event) + whole[1])
            assert (pack, problem) == (whole[1], None)
            assert isinstance(again, CommandsReceived)
            assert (again.commands, again.push_options) == (event.commands, event.push_options)
