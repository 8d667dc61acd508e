"""The push machine: every form of a request, and every malformed one (``reliability.md`` B04, C13, D01, D02, D11)."""

from __future__ import annotations

import pytest

from guts_core.errors import Invalid, LimitExceeded, Refused
from guts_core.git import receive_pack
from guts_core.git.pkt_line import FLUSH, Mark, PacketReader, packet
from guts_core.git.receive_pack import (
    Capabilities,
    CommandsReceived,
    Event,
    Finished,
    PackBytes,
    ReceivePack,
    RefCommand,
    RefResult,
    fatal,
    progress,
    report_status,
)
from guts_core.names import Oid

ONE, TWO = Oid(b"\x11" * 20), Oid(b"\x22" * 20)
ZERO = "0" * 40


def command(old: Oid | None, new: Oid | None, ref: str, capabilities: str | None = None) -> bytes:
    line = f"{old.hex() if old else ZERO} {new.hex() if new else ZERO} {ref}"
    return packet((line if capabilities is None else f"{line}\0{capabilities}").encode())


def run(*pieces: bytes) -> list[Event]:
    machine = ReceivePack()
    events = [event for piece in pieces for event in machine.receive(piece)]
    return events + machine.finish()


CREATE = command(None, ONE, "refs/heads/main", " report-status side-band-64k object-format=sha1 agent=git/2.39.5")
ASKED = Capabilities(report_status=True, side_band=True, agent="git/2.39.5")


def test_a_push_as_git_sends_it() -> None:
    commands = (RefCommand("refs/heads/main", None, ONE), RefCommand("refs/heads/b", ONE, TWO))

    events = run(CREATE + command(ONE, TWO, "refs/heads/b") + FLUSH + b"PACK1", b"234")

    assert events == [CommandsReceived(commands, ASKED, ()), PackBytes(b"PACK1"), PackBytes(b"234"), Finished()]


def test_a_push_that_comes_byte_by_byte_is_the_same_push() -> None:
    request = CREATE + FLUSH + b"PACK"

    events = run(*[bytes([byte]) for byte in request])

    assert events[0] == CommandsReceived((RefCommand("refs/heads/main", None, ONE),), ASKED, ())
    assert b"".join(event.data for event in events if isinstance(event, PackBytes)) == b"PACK"
    assert isinstance(events[-1], Finished)


def test_deleting_brings_no_pack() -> None:
    first, last = run(command(ONE, None, "refs/heads/main", "report-status delete-refs") + FLUSH)

    assert isinstance(first, CommandsReceived)
    assert not first.expects_pack
    assert isinstance(last, Finished)


def test_deleting_and_creating_brings_a_pack() -> None:
    first = run(CREATE + command(TWO, None, "refs/heads/b") + FLUSH + b"PACK")[0]

    assert isinstance(first, CommandsReceived)
    assert first.expects_pack


def test_bytes_after_a_push_that_has_no_pack_are_refused() -> None:
    machine = ReceivePack()
    machine.receive(command(ONE, None, "refs/heads/main", "") + FLUSH)

    with pytest.raises(Invalid, match="no pack"):
        machine.receive(b"PACK")


def test_a_client_may_only_ask_whether_it_may_push() -> None:
    """Git sends a lone flush to learn about credentials before it streams a large pack."""
    assert run(FLUSH) == [CommandsReceived((), Capabilities(), ()), Finished()]


def test_push_options_are_a_list_of_their_own() -> None:
    head = command(None, ONE, "refs/heads/main", "push-options atomic quiet")

    events = run(head + FLUSH + packet(b"ci.skip") + packet("größe=1\n".encode()) + FLUSH + b"PACK")

    asked = Capabilities(atomic=True, quiet=True, push_options=True)
    expected = (RefCommand("refs/heads/main", None, ONE),)
    assert events[0] == CommandsReceived(expected, asked, ("ci.skip", "größe=1"))
    assert events[1] == PackBytes(b"PACK")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([b"a"] * 17, LimitExceeded),
        ([b"x" * 1025], LimitExceeded),
        ([b"a\nb"], Invalid),
        ([b"a\x00b"], Invalid),
        ([b"\x1b[2J"], Invalid),
        (["\u202e".encode()], Invalid),
        ([b"\xff"], Invalid),
    ],
)
def test_bad_B_04_push_options_are_few_short_and_printable(options: list[bytes], error: type[Refused]) -> None:
    head = command(None, ONE, "refs/heads/main", "push-options") + FLUSH

    with pytest.raises(error):
        run(head + b"".join(packet(option) for option in options) + FLUSH)


def test_shallow_clients_may_push() -> None:
    first = run(packet(b"shallow " + b"3" * 40) + packet(b"shallow " + b"4" * 40 + b"\n") + CREATE + FLUSH)[0]

    assert first == CommandsReceived((RefCommand("refs/heads/main", None, ONE),), ASKED, ())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (packet(b"shallow xyz"), "object id"),
        (packet(b"push-cert\x00report-status"), "signed pushes"),
        (packet(b""), "reads"),
        (packet(b"hello"), "reads|object id"),
        (packet(b"1" * 40 + b" " + b"2" * 40), "reads"),
        (packet(b"1" * 40 + b" " + b"2" * 40 + b" "), "reads"),
        (packet(b"1" * 40 + b"\t" + b"2" * 40 + b" refs/heads/a"), "reads"),
        (packet(b"1" * 40 + b" " + b"2" * 39 + b" refs/heads/a"), "reads"),
        (packet(b"1" * 40 + b" " + b"Z" * 40 + b" refs/heads/a"), "object id"),
        (packet(b"1" * 64 + b" " + b"2" * 64 + b" refs/heads/a"), "reads"),
        (packet(b"1" * 40 + b" " + b"2" * 40 + b" refs/heads/\xff"), "UTF-8"),
        (command(None, None, "refs/heads/a"), "neither"),
        (command(None, ONE, "refs/heads/a", "object-format=sha256"), "sha1"),
        (command(None, ONE, "refs/heads/a") * 2, "twice"),
        (b"0001", "delimiter"),
        (b"0002", "response_end"),
        (b"zzzz", "length"),
    ],
)
def test_malformed_commands_are_refused(lines: bytes, words: str) -> None:
    machine = ReceivePack()

    with pytest.raises(Invalid, match=words):
        machine.receive(lines + FLUSH)


def test_bad_D_02_a_request_that_ends_early_is_refused_at_every_byte() -> None:
    request = command(None, ONE, "refs/heads/main", "push-options") + FLUSH + packet(b"x") + FLUSH
    for end in range(len(request)):
        with pytest.raises(Invalid, match="in the middle"):
            run(request[:end])


def test_bad_C_13_a_push_moves_only_so_many_refs() -> None:
    lines = b"".join(command(None, ONE, f"refs/heads/{n}") for n in range(receive_pack.COMMANDS_MAX))
    machine = ReceivePack()

    assert machine.receive(lines) == []
    with pytest.raises(LimitExceeded, match="50000"):
        machine.receive(command(None, ONE, "refs/heads/more"))


def test_bad_C_13_the_commands_have_only_so_many_bytes() -> None:
    shallow = packet(b"shallow " + b"1" * 40)
    many = receive_pack.DEFAULT_FORM.command_bytes // len(shallow)
    machine = ReceivePack()

    assert machine.receive(shallow * many) == []
    with pytest.raises(LimitExceeded, match="longer than"):
        machine.receive(shallow)


def test_bad_C13_a_name_that_nearly_fills_a_packet_is_answered_with_its_whole_length() -> None:
    """Whether it is too long is said beside it; git would not find the answer by half a name."""
    long = "refs/heads/" + "x" * 65_000
    first = run(command(None, ONE, long) + FLUSH + b"P")[0]

    assert isinstance(first, CommandsReceived)
    assert [one.ref for one in first.commands] == [long]
    reader = PacketReader()
    reader.receive(report_status(None, [RefResult(long, "no " * 200)], Capabilities(report_status=True)))
    reader.next_packet()
    line = reader.next_packet()
    assert isinstance(line, bytes)
    assert line.startswith(f"ng {long} no no ".encode())


def test_bad_C13_B04_a_door_may_ask_for_less() -> None:
    """Each number is said with what it bounds."""
    form = receive_pack.FormLimits(commands=2, options=1, option_bytes=3)
    two = command(None, ONE, "refs/heads/a", "push-options") + command(None, ONE, "refs/heads/b")

    with pytest.raises(LimitExceeded, match="at most 2 refs"):
        ReceivePack(form).receive(two + command(None, ONE, "refs/heads/c"))
    with pytest.raises(LimitExceeded, match="at most 1 options"):
        ReceivePack(form).receive(two + FLUSH + packet(b"a") + packet(b"b"))
    with pytest.raises(LimitExceeded, match="at most 3 bytes"):
        ReceivePack(form).receive(two + FLUSH + packet(b"abcd"))


RESULTS = (RefResult("refs/heads/main", None), RefResult("refs/heads/b", "stale: fetch first"))
REPORT = b"000eunpack ok\n0017ok refs/heads/main\n0027ng refs/heads/b stale: fetch first\n0000"


def test_a_report_without_side_band() -> None:
    assert report_status(None, RESULTS, Capabilities(report_status=True)) == REPORT


def test_a_report_inside_the_side_band() -> None:
    asked = Capabilities(report_status=True, side_band=True)

    assert report_status(None, RESULTS, asked) == packet(b"\x01" + REPORT) + FLUSH


def test_no_report_unless_asked() -> None:
    assert report_status(None, RESULTS, Capabilities()) == b""
    assert report_status(None, RESULTS, Capabilities(side_band=True)) == FLUSH


def test_a_report_of_a_refused_pack() -> None:
    report = report_status("the pack is\n\x1b[31mcorrupt", (), Capabilities(report_status=True))

    assert report == packet(b"unpack the pack is ?[31mcorrupt\n") + FLUSH


def test_ten_thousand_results_are_whole_packets() -> None:
    results = [RefResult(f"refs/heads/{'x' * 200}{n}", "no" * 1_000) for n in range(1_000)]
    reader, lines = PacketReader(), PacketReader()
    reader.receive(report_status(None, results, Capabilities(report_status=True, side_band=True)))
    while isinstance(piece := reader.next_packet(), bytes):
        lines.receive(piece[1:])

    found = 0
    while isinstance(lines.next_packet(), bytes):
        found += 1

    assert found == 1_001
    assert piece is Mark.FLUSH
    assert lines.is_between_packets()


def test_bad_D_11_nothing_we_relay_moves_a_terminal() -> None:
    assert progress("waiting\tfor 2\nof 4\x1b]0;x\x07\u202e") == packet(b"\x02waiting for 2\n") + packet(
        b"\x02of 4?]0;x??\n"
    )
    assert fatal("gone\nwrong\x9b") == packet(b"\x03gone wrong?\n")
    hostile = RefResult("refs/heads/a\nok refs/heads/b", "no")
    assert b"\nok" not in report_status(None, [hostile], Capabilities(report_status=True))


def test_the_agent_is_kept_short_and_printable() -> None:
    first = run(command(None, ONE, "refs/heads/a", "agent=\x1b" + "x" * 1_000) + FLUSH)[0]

    assert isinstance(first, CommandsReceived)
    assert first.capabilities.agent == "?" + "x" * 255
