"""
What the operators can decide together, and how that stands in the state (``consensus.md`` 2.4).

A decision is one change out of a closed set. Once approved it takes effect at the end of an epoch:
changes of seats wait in a queue for their turn, the others for the next epoch alone.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import AnAccountId, ANodeId, APublicKey, ASignature
from guts_core.simplex.messages import Vote

from .params import Params
from .records import VALIDATORS_MAX

NODE_NAME_BYTES_MAX = 39  # that of an account, whose grammar it follows
# As many as there can be seats: more would wait for months, and the record is read whole.
QUEUE_MAX = 128
# Every parameter may change in one decision.
PARAMETERS_MAX = 32


@record(kinds.CANDIDACY)
@frozen
class Candidacy:
    """Who would take a seat. Its vote key and its node key both sign it: nobody offers keys they do not hold."""

    name: Annotated[str, Limit(most=NODE_NAME_BYTES_MAX)]
    vote_key: APublicKey
    node_key: ANodeId
    operator: AnAccountId


@record(kinds.ROTATION)
@frozen
class Rotation:
    """Which keys a seat's node is to have from the next epoch on; each new key signs it."""

    number: int
    vote_key: APublicKey | None  # None: it keeps the one it has
    node_key: ANodeId | None


@record(kinds.FOLLOWING)
@frozen
class Following:
    """Who would follow the chain without voting; its node key signs it."""

    name: Annotated[str, Limit(most=NODE_NAME_BYTES_MAX)]
    node_key: ANodeId


@record(kinds.ADD_VALIDATOR)
@frozen
class AddValidator:
    """Give a seat to a node; one that follows already keeps its number."""

    candidacy: Candidacy
    vote_proof: ASignature  # over the candidacy and the chain id, with Tag.SIGN_SEAT
    node_proof: ASignature


@record(kinds.REMOVE_VALIDATOR)
@frozen
class RemoveValidator:
    """Take a node's seat away; it has no part in the network any more."""

    number: int


@record(kinds.PARAMETER)
@frozen
class Parameter:
    """A parameter's name and what it is to be; words are given by their number."""

    name: Annotated[str, Limit(most=40, least=1)]
    value: int


@record(kinds.SET_PARAMETERS)
@frozen
class SetParameters:
    """Change parameters; those not named stay."""

    values: Annotated[tuple[Parameter, ...], Limit(most=PARAMETERS_MAX, least=1)]  # ascending by name


@record(kinds.CHANGE_RULES)
@frozen
class ChangeRules:
    """Go over to other rules with the first epoch that begins at or after a time."""

    rules: int
    not_before: int  # block time; 0 is the next epoch


@record(kinds.END_EPOCH)
@frozen
class EndEpoch:
    """End the epoch with the block that approves this."""


Change: TypeAlias = AddValidator | RemoveValidator | SetParameters | ChangeRules | EndEpoch


class DecisionState(IntEnum):
    """How far a decision came."""

    OPEN = 1
    APPROVED = 2  # it waits for an epoch to end
    REFUSED = 3  # too many voted against it
    APPLIED = 4
    REPLACED = 5  # a later decision about the same came before it took effect


@record(kinds.DECISION)
@frozen
class Decision:
    """Something that an operator proposed, who voted how, and what came of it."""

    number: int
    proposer: AnAccountId
    change: Change
    now: bool  # its approval ends the epoch
    proposed: int  # block time
    closes: int  # block time from which nobody votes on it any more
    approve: Annotated[tuple[AnAccountId, ...], Limit(most=1024)]  # in order of voting
    reject: Annotated[tuple[AnAccountId, ...], Limit(most=1024)]
    state: DecisionState
    decided: int | None  # block time
    epoch: int | None  # the first epoch in which it holds


class SeatMove(IntEnum):
    """What happens to a seat between two epochs."""

    JOIN = 1
    LEAVE = 2
    ROTATE = 3


@record(kinds.SEAT_CHANGE)
@frozen
class SeatChange:
    """A change of one seat that waits for its turn."""

    move: SeatMove
    number: int  # the node's
    vote_key: APublicKey | None  # that it is to have
    node_key: ANodeId | None
    decision: int | None  # None: its operator's own doing


@record(kinds.RULES_COMING)
@frozen
class RulesComing:
    """Rules that were decided on."""

    rules: int
    not_before: int
    decision: int


@record(kinds.QUEUE)
@frozen
class Queue:
    """What waits for the epoch to end: seats in order, parameters as a whole, rules until their time."""

    seats: Annotated[tuple[SeatChange, ...], Limit(most=QUEUE_MAX)] = ()
    params: Params | None = None
    params_decisions: Annotated[tuple[int, ...], Limit(most=QUEUE_MAX)] = ()
    rules: RulesComing | None = None


@record(kinds.CONVICTION)
@frozen
class Conviction:
    """Two votes of one seat that no honest validator casts together: recorded once for a seat and epoch."""

    epoch: int
    seat: Annotated[int, Limit(most=VALIDATORS_MAX)]
    number: int  # the node's that sat there
    vote_key: APublicKey
    first: Vote
    second: Vote
    reporter: AnAccountId
    height: int
    time: int
