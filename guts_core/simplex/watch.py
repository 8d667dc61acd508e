"""What a start that asks before it votes has heard so far; ``fence`` says what follows."""

from __future__ import annotations

from attrs import define, field

from .messages import Kind, Proposal


@define
class Watch:
    """A start that has not heard enough yet."""

    mark: int  # of this life: answers to an earlier one say too little
    began: int  # the view at which the log ends
    known: int  # votes up to this view are of no use any more
    own: dict[tuple[int, Kind], Proposal | None]  # what the log tells above it
    stale: bool  # the log is known to have forgotten votes
    ask_at: int
    told: int = 0  # the highest view in which one of those that answered stands, shown by a certificate
    answered: set[int] = field(factory=set)
    until: int | None = None  # when the rest is waited for no longer; set when a quorum has answered
