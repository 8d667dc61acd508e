"""What travels of a push in parts fits a frame at its worst."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.git.receive_pack import REASON_CHARS_MAX
from guts_core.git.refs import REF_NAME_BYTES_MAX
from guts_core.names import Oid
from guts_core.node.port import FRAME_BYTES_MAX, OpenPush, PushReport
from guts_core.node.push_parts import (
    COMMANDS_AT_ONCE_MAX,
    REPORTS_AT_ONCE_MAX,
    MoreCommands,
    PushCommand,
    RefReport,
    RefReports,
)

OID = Oid(b"\xff" * 20)


def test_bad_C13_the_longest_commands_fit_a_frame() -> None:
    """As many as stand in one, with the longest names; the first ones beside everything else."""
    commands = (PushCommand("x" * REF_NAME_BYTES_MAX, OID, OID),) * COMMANDS_AT_ONCE_MAX

    assert len(to_bytes(MoreCommands(commands))) < FRAME_BYTES_MAX
    assert len(to_bytes(OpenPush(bytes(32), None, "n" * 100, True, True, commands, 1_800_000))) < FRAME_BYTES_MAX


def test_bad_C13_the_longest_reports_fit_a_frame() -> None:
    """With reasons of which each character has four bytes."""
    reports = (RefReport("x" * REF_NAME_BYTES_MAX, "\U0001f600" * REASON_CHARS_MAX),) * REPORTS_AT_ONCE_MAX

    assert len(to_bytes(RefReports(reports))) < FRAME_BYTES_MAX
    assert len(to_bytes(PushReport("\U0001f600" * 10_000, reports, None, None))) < FRAME_BYTES_MAX
