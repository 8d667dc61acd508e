"""
The refs of a push on the port: commands and reports, and how many of them stand in a frame.

A push may move more refs than a frame holds, so both travel in parts: ``OpenPush`` has the first commands and
``MoreCommands`` the others, ``RefReports`` the first reports and ``PushReport`` the last.
"""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import AnOid

# Of one frame: with the longest names these are 0.9 MiB; what a push moves beyond them follows in further frames.
COMMANDS_AT_ONCE_MAX = 3_000
# Of all frames of a push, whatever the door allows (C13): what a node holds of a push before it is judged.
PUSH_COMMANDS_MAX = 100_000
# With the longest names and the longest reasons these stay below a frame.
REPORTS_AT_ONCE_MAX = 400


@record(kinds.PUSH_COMMAND)
@frozen
class PushCommand:
    """One ref command of a push as the client sent it; None stands for the zero id."""

    ref: Annotated[str, Limit(most=255, least=1)]
    old: AnOid | None
    new: AnOid | None


@record(kinds.MORE_COMMANDS)
@frozen
class MoreCommands:
    """What the push moves beside the commands that came before."""

    commands: Annotated[tuple[PushCommand, ...], Limit(most=COMMANDS_AT_ONCE_MAX, least=1)]


@record(kinds.REF_REPORT)
@frozen
class RefReport:
    """What became of one ref command; error None means ok."""

    ref: str
    error: str | None


@record(kinds.REF_REPORTS)
@frozen
class RefReports:
    """The first of many; more, or the PushReport, follow."""

    refs: Annotated[tuple[RefReport, ...], Limit(most=REPORTS_AT_ONCE_MAX, least=1)]
