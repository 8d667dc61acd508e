"""
Deciding: an operator proposes one change, the operators of seats vote, enough of them make it so.

What is approved takes effect when an epoch ends (``epochs.turn``), never in between: all nodes know
from the block before who votes next. Rotating a validator's keys is its operator's own affair.
"""

from __future__ import annotations

from typing import assert_never

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.errors import Conflict, Invalid, NotAllowed, NotFound
from guts_core.names import AccountId, NodeId
from guts_core.state.view import Overlay, View

from . import epochs, paths, queries
from .actions import ProposeDecision, RotateSeat, VoteDecision
from .activities import Activity, DecisionClosed, DecisionProposed, DecisionVoted, SeatRotationQueued
from .context import Context
from .decisions import (
    QUEUE_MAX,
    AddValidator,
    Change,
    ChangeRules,
    Decision,
    DecisionState,
    EndEpoch,
    RemoveValidator,
    Rotation,
    RulesComing,
    SeatChange,
    SeatMove,
    SetParameters,
)
from .operators import NotSeated, approvals_needed, seated
from .params import DECISION_LIFETIME_MS
from .permissions import Permission, demand
from .records import NodeRecord
from .rules import WAITING_KEYS_GIVE_WAY
from .seats import (
    check_joining,
    check_leaving,
    check_new_key,
    check_proof,
    enqueue_joining,
    enqueue_leaving,
    enqueue_rotation,
    numbers_to_come,
    put_queue,
)
from .storing import count_up, take_node_key
from .tuning import tuned

# Rules that begin later than in a year are a unit mistaken.
RULES_AHEAD_MS_MAX = 366 * 24 * 60 * 60 * 1000


class Closed(Conflict):
    """Nobody votes on this decision any more."""

    code = "decision-closed"


class AlreadyVoted(Conflict):
    """A vote is cast once, and for good."""

    code = "already-voted"


def propose_decision(action: ProposeDecision, state: Overlay, context: Context) -> tuple[Activity, ...]:
    """Put a change to the vote, with the author's own; where one operator is enough it is made at once."""
    _demand_seat(state, context)
    _check(action.change, state, context)
    number = count_up(state, paths.counter(paths.Count.DECISIONS))
    decision = Decision(
        number=number,
        proposer=context.author,
        change=action.change,
        now=action.now,
        proposed=context.time,
        closes=context.time + DECISION_LIFETIME_MS,
        approve=(),
        reject=(),
        state=DecisionState.OPEN,
        decided=None,
        epoch=None,
    )
    return (DecisionProposed(number, context.author), *_vote(decision, True, state, context))


def vote_decision(action: VoteDecision, state: Overlay, context: Context) -> tuple[Activity, ...]:
    """Count an operator's vote, and do what enough of them want."""
    _demand_seat(state, context)
    decision = queries.decision(state, action.number)
    if decision is None:
        raise NotFound(f"there is no decision {action.number}")
    _check_open(decision, context.time)
    if context.author in (*decision.approve, *decision.reject):
        raise AlreadyVoted(f"this operator voted on decision {decision.number} already")
    return _vote(decision, action.approve, state, context)


def is_open(decision: Decision, time: int) -> bool:
    """Whether operators can still vote."""
    return decision.state is DecisionState.OPEN and time < decision.closes


def rotate_seat(action: RotateSeat, state: Overlay, context: Context) -> tuple[SeatRotationQueued]:
    """Have other keys in an own seat from the next epoch that has room for it."""
    demand(context.principal, Permission.GOVERN, None, state)
    rotation = action.rotation
    node = _own_node(rotation.number, state, context)
    _check_rotation(action, node, state, context)
    for key in (rotation.vote_key, rotation.node_key):
        if key is not None:
            take_node_key(state, node, key)
    enqueue_rotation(SeatChange(SeatMove.ROTATE, node.number, rotation.vote_key, rotation.node_key, None), state)
    return (SeatRotationQueued(node.number, rotation.vote_key, rotation.node_key),)


# ---- voting ----


def _demand_seat(state: View, context: Context) -> None:
    demand(context.principal, Permission.GOVERN, None, state)
    if context.author not in seated(queries.epoch(state)):
        raise NotSeated("the operators of validators decide: this account has none in the current epoch")


def _check_open(decision: Decision, time: int) -> None:
    said = {
        DecisionState.APPROVED: "was approved and waits for the epoch to end",
        DecisionState.REFUSED: "was refused",
        DecisionState.APPLIED: f"was applied with epoch {decision.epoch}",
        DecisionState.REPLACED: "was replaced by a later one",
    }.get(decision.state)
    if said is None and time >= decision.closes:
        said = "lapsed: too few voted in time"
    if said is not None:
        raise Closed(f"decision {decision.number} {said}")


def _vote(decision: Decision, approve: bool, state: Overlay, context: Context) -> tuple[Activity, ...]:
    author = context.author
    voted = DecisionVoted(decision.number, author, approve)
    if approve:
        decision = evolve(decision, approve=(*decision.approve, author))
    else:
        decision = evolve(decision, reject=(*decision.reject, author))
    outcome = _outcome(decision, state)
    if outcome is None:
        _put(state, decision)
        return (voted,)
    decision = evolve(decision, state=outcome, decided=context.time)
    _put(state, decision)
    if outcome is DecisionState.APPROVED:
        _make(decision, state, context)
    return (voted, DecisionClosed(decision.number, outcome is DecisionState.APPROVED))


def _outcome(decision: Decision, state: View) -> DecisionState | None:
    """Counted are those who have seats now, whoever they were when they voted."""
    epoch = queries.epoch(state)
    operators = set(seated(epoch))
    needed = approvals_needed(decision.change, epoch)
    if len(operators.intersection(decision.approve)) >= needed:
        return DecisionState.APPROVED
    if len(operators.difference(decision.reject)) < needed:
        return DecisionState.REFUSED
    return None


# ---- what a change is ----


def _check(change: Change, state: View, context: Context) -> None:
    """Raise unless this could be done as things stand."""
    match change:
        case AddValidator():
            check_joining(change, state, context)
        case RemoveValidator():
            check_leaving(change.number, state)
        case SetParameters():
            tuned(queries.queue(state).params or queries.epoch(state).params, change)
        case ChangeRules():
            _check_rules(change, state, context)
        case EndEpoch():
            pass
        case _:
            assert_never(change)


def _check_rules(change: ChangeRules, state: View, context: Context) -> None:
    rules = queries.epoch(state).rules
    if change.rules < rules:
        raise Invalid(f"rules {rules} hold: there is no way back to rules {change.rules}")
    if change.rules == rules and queries.queue(state).rules is None:
        raise Conflict(f"rules {rules} hold already, and no others are to come")
    if change.not_before > context.time + RULES_AHEAD_MS_MAX:
        raise Invalid("the rules would begin in more than a year: times are milliseconds since 1970")


def _make(decision: Decision, state: Overlay, context: Context) -> None:
    """Do what was approved, as far as it is not for the end of the epoch; the world may have moved since it began."""
    change = decision.change
    _check(change, state, context)
    match change:
        case AddValidator():
            enqueue_joining(change, decision.number, state)
        case RemoveValidator():
            enqueue_leaving(change.number, decision.number, state, now=decision.now)
        case SetParameters():
            _tune(change, decision.number, state)
        case ChangeRules():
            _schedule(change, decision, state)
        case EndEpoch():
            _put(state, evolve(decision, state=DecisionState.APPLIED, epoch=queries.epoch(state).number + 1))
        case _:
            assert_never(change)
    if decision.now or isinstance(change, EndEpoch):
        epochs.end_now(state)


def _tune(change: SetParameters, decision: int, state: Overlay) -> None:
    queue = queries.queue(state)
    if len(queue.params_decisions) >= QUEUE_MAX:
        raise Conflict(f"{QUEUE_MAX} changes of parameters wait already")
    params = tuned(queue.params or queries.epoch(state).params, change)
    put_queue(state, evolve(queue, params=params, params_decisions=(*queue.params_decisions, decision)))


def _schedule(change: ChangeRules, decision: Decision, state: Overlay) -> None:
    """The later decision counts; deciding on the rules in force calls the others off."""
    queue, epoch = queries.queue(state), queries.epoch(state)
    if queue.rules is not None:
        replaced = queries.decision(state, queue.rules.decision)
        assert replaced is not None, "what waits was decided"
        _put(state, evolve(replaced, state=DecisionState.REPLACED))
    if change.rules == epoch.rules:
        _put(state, evolve(decision, state=DecisionState.APPLIED, epoch=epoch.number))
        put_queue(state, evolve(queue, rules=None))
    else:
        put_queue(state, evolve(queue, rules=RulesComing(change.rules, change.not_before, decision.number)))


def _put(state: Overlay, decision: Decision) -> None:
    state.put(paths.decision(decision.number), to_bytes(decision))


# ---- rotation ----


def _own_node(number: int, state: View, context: Context) -> NodeRecord:
    node = queries.node_of_number(state, number)
    if node is None or all(seat.number != number for seat in queries.epoch(state).seats):
        raise NotFound(f"node {number} has no seat")
    if node.operator != context.author:
        raise NotAllowed(f"another account answers for {node.name}: it alone rotates its keys")
    return node


def _check_rotation(action: RotateSeat, node: NodeRecord, state: View, context: Context) -> None:
    rotation = action.rotation
    waiting = [change for change in queries.queue(state).seats if change.number == node.number]
    if context.rules < WAITING_KEYS_GIVE_WAY and any(change.move is SeatMove.ROTATE for change in waiting):
        raise Conflict(
            f"{node.name} waits for other keys already: one change of keys at a time (from rules "
            f"{WAITING_KEYS_GIVE_WAY} on the newer one counts)"
        )
    if node.number not in numbers_to_come(state):
        raise Conflict(f"{node.name} loses its seat: its keys do not matter any more")
    if rotation.vote_key is None and rotation.node_key is None:
        raise Invalid("a rotation brings a vote key, a node key or both")
    if rotation.vote_key == rotation.node_key:
        raise Invalid("one key cannot have two roles: vote key and node key must differ")
    _check_side(rotation, rotation.vote_key, action.vote_proof, state, context, "vote")
    _check_side(rotation, rotation.node_key, action.node_proof, state, context, "node")


def _check_side(
    rotation: Rotation, key: bytes | NodeId | None, proof: bytes | None, state: View, context: Context, what: str
) -> None:
    if key is None:
        if proof is not None:
            raise Invalid(f"a proof for a {what} key that the rotation does not bring")
        return
    check_new_key(key, state)
    check_proof(key, to_bytes(rotation), proof, context, what)


def own_seats(state: View, account: AccountId) -> tuple[int, ...]:
    """The numbers of the validators that an account answers for."""
    return tuple(seat.number for seat in queries.epoch(state).seats if seat.operator == account)
