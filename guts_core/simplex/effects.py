"""What the engine wants done, in list order: a vote is durable before anyone hears it."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from .messages import Message, Vote


@frozen
class Persist:
    """Append this log record; with ``sync`` it is on disk before any later effect is performed."""

    record: bytes
    sync: bool


@frozen
class Send:
    """Say this to one validator, or to all others when ``to`` is None."""

    to: int | None
    message: Message


@frozen
class ReportEquivocation:
    """Two votes of one signer that no honest validator casts together; recorded, logged."""

    first: Vote
    second: Vote


@frozen
class Blame:
    """This peer brought a vote in its own name that its key did not sign; found when votes were counted."""

    peer: int
    reason: str


Effect: TypeAlias = Persist | Send | ReportEquivocation | Blame
