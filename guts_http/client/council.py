"""Governance as values, and the calls that ask for it: epochs, decisions, followers, evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from attrs import frozen

from guts_core.names import NodeId

from .calls import OURS, PAGE_SIZE, Call, Listing, get, get_one
from .results import At, Values
from .shapes import many

_NETWORK = f"{OURS}/network"


@frozen
class EpochSeat:
    """A validator of an epoch; its number stays when it changes its keys."""

    number: int
    name: str
    operator: str | None
    vote_key: bytes
    node_key: NodeId


@frozen
class WaitingSeat:
    """A change of one seat that waits for its turn; no decision: its operator's own doing."""

    move: str  # join, leave or rotate
    number: int
    name: str
    decision: int | None


@frozen
class Epoch:
    """Who votes, under which rules and parameters, and what waits for the next epoch."""

    number: int
    since: datetime
    ends: datetime  # at the latest
    ending: bool  # the operators ended it
    rules: int
    params: Values
    seats: tuple[EpochSeat, ...]
    changes_per_epoch: int
    waiting_seats: Annotated[tuple[WaitingSeat, ...], At("waiting.seats")]
    waiting_params: Annotated[Values | None, At("waiting.params")]
    waiting_rules: Annotated[Values | None, At("waiting.rules")]


@frozen
class Decision:
    """What the operators were asked to decide: ``kind`` and ``fields`` for programs, ``says`` for people."""

    number: int
    proposer: str
    kind: str
    says: str
    fields: Values
    now: bool
    state: str  # open, approved, refused, applied, replaced or lapsed
    approve: tuple[str, ...]
    reject: tuple[str, ...]
    needed: int
    operators: tuple[str, ...]
    proposed: datetime
    closes: datetime
    decided: datetime | None
    epoch: int | None


@frozen
class Follower:
    """A node that follows without voting."""

    number: int
    name: str
    operator: str | None
    node_id: NodeId
    node_key: NodeId


@frozen
class Evidence:
    """A validator that contradicted itself in an epoch."""

    epoch: int
    seat: int
    number: int
    name: str
    vote_key: bytes
    view: int
    kinds: tuple[str, ...]
    reporter: str | None
    height: int
    time: datetime


def epoch() -> Call[Epoch]:
    """Who votes until when, under which rules and parameters, and what waits for the next epoch."""
    return get_one(Epoch, f"{_NETWORK}/epoch")


def decision(number: int) -> Call[Decision]:
    """What operators were asked to decide, and who voted how; NotFound."""
    return get_one(Decision, f"{_NETWORK}/decisions/{number}")


def decisions() -> Listing[Decision]:
    """Everything that operators ever proposed, in order."""
    return Listing(f"{_NETWORK}/decisions?per_page={PAGE_SIZE}", Decision)


def followers() -> Call[tuple[Follower, ...]]:
    """The nodes that follow without voting, in order of number."""
    return get(f"{_NETWORK}/followers", lambda value, what: many(Follower, value, what))


def evidence() -> Call[tuple[Evidence, ...]]:
    """Which validators contradicted themselves, the oldest epoch first."""
    return get(f"{_NETWORK}/evidence", lambda value, what: many(Evidence, value, what))
