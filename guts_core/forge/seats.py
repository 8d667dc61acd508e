"""
Seats: who may take one, what waits for its turn, and what a turn makes of it (``consensus.md`` 2.4).

Nobody is added whose keys were ever used here or who cannot show that they hold them; no network loses
its last validator; and never do so many seats change at once that those who stay are no quorum.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from attrs import evolve

from guts_core.codec import Tag, to_bytes
from guts_core.errors import Conflict, Invalid, LimitExceeded, NotFound
from guts_core.names import AccountId, NodeId, account_name
from guts_core.state.view import Overlay, View

from . import paths, queries
from .accounts import NameTaken, check_key_is_free
from .context import Context
from .credentials import UnprovenKey
from .decisions import QUEUE_MAX, AddValidator, Candidacy, Queue, SeatChange, SeatMove
from .params import EVIDENCE_EPOCHS
from .records import VALIDATORS_MAX, NodeRecord, NodeRole, ValidatorEntry
from .storing import count_down, count_up, put_account, put_node, take_node_key


class KeyConvicted(Conflict):
    """The key signed votes that contradict each other, not long ago."""

    code = "key-convicted"


class LastValidator(Conflict):
    """A network without validators could never decide anything again."""

    code = "last-validator"


def changes_max(seats: int) -> int:
    """How many seats may change between two epochs: those who stay are a quorum of either set."""
    return max(1, (seats - 1) // 3)


def numbers_to_come(state: View) -> tuple[int, ...]:
    """The nodes that will have seats when all that waits has been done, in seat order."""
    numbers = [seat.number for seat in queries.epoch(state).seats]
    for change in queries.queue(state).seats:
        if change.move is SeatMove.JOIN:
            numbers.append(change.number)
        elif change.move is SeatMove.LEAVE:
            numbers.remove(change.number)
    return tuple(numbers)


# ---- who may ----


def check_new_key(key: bytes, state: View) -> None:
    """Raise unless a key may become a node's: never used in any role, and of good form."""
    holder = queries.node_key_holder(state, key)
    convicted = None if holder is None else holder.convicted
    if convicted is not None and queries.epoch(state).number - convicted <= EVIDENCE_EPOCHS:
        raise KeyConvicted(f"key {key.hex()[:16]} signed contradicting votes in epoch {convicted}")
    check_key_is_free(key, state)


def check_proof(key: bytes, body: bytes, proof: bytes | None, context: Context, what: str) -> None:
    """Raise unless the holder of a key signed this for this network."""
    if proof is None or not context.verifier.verify(key, Tag.SIGN_SEAT, context.chain_id, body, proof):
        raise UnprovenKey(f"the {what} key {key.hex()[:16]} did not sign this for this network")


def check_node_name(name: str, state: View, own: NodeRecord | None = None) -> None:
    """Raise unless a node may be called so."""
    account_name(name)
    holder = queries.node_by_name(state, name)
    if holder is not None and (own is None or holder.id != own.id):
        raise NameTaken(f"node {holder.number} is called {name} already")


def check_joining(change: AddValidator, state: View, context: Context) -> None:
    """Raise unless this node may be given a seat."""
    wanted = change.candidacy
    if wanted.vote_key == wanted.node_key:
        raise Invalid(f"{wanted.name[:40]!r} has one key in two roles: vote key and node key must differ")
    if queries.account(state, AccountId(wanted.operator)) is None:
        raise NotFound(f"the operator of {wanted.name} is not an account of this network: register it first")
    own = _follower(wanted, state)
    check_node_name(wanted.name, state, own)
    check_new_key(wanted.vote_key, state)
    if own is None:
        check_new_key(wanted.node_key, state)
    body = to_bytes(wanted)
    check_proof(wanted.vote_key, body, change.vote_proof, context, "vote")
    check_proof(wanted.node_key, body, change.node_proof, context, "node")
    if len(numbers_to_come(state)) >= VALIDATORS_MAX:
        raise LimitExceeded(f"a network has at most {VALIDATORS_MAX} validators")


def _follower(wanted: Candidacy, state: View) -> NodeRecord | None:
    """The follower that the candidate already is."""
    known = queries.node_of_key(state, wanted.node_key)
    if known is None or known.role is not NodeRole.FOLLOWER or known.node_key != wanted.node_key:
        return None
    if known.number in numbers_to_come(state):
        raise Conflict(f"{known.name} waits for its seat already")
    return known


def check_leaving(number: int, state: View) -> None:
    """Raise unless this node has a seat, or will have one, and is not the last."""
    numbers = numbers_to_come(state)
    if number not in numbers:
        seated = [seat for seat in queries.epoch(state).seats if seat.number == number]
        raise Conflict(f"{seated[0].name} loses its seat already") if seated else NotFound(f"node {number} has no seat")
    if len(numbers) == 1:
        raise LastValidator("this is the last validator: a network without any could never decide anything again")


# ---- what waits ----


def enqueue(change: SeatChange, state: Overlay) -> None:
    """Let a change wait for its turn, behind those that were there before."""
    queue = queries.queue(state)
    if len(queue.seats) >= QUEUE_MAX:
        raise LimitExceeded(f"{QUEUE_MAX} changes of seats wait already")
    put_queue(state, evolve(queue, seats=(*queue.seats, change)))


def enqueue_rotation(change: SeatChange, state: Overlay) -> None:
    """
    Let other keys wait for their turn. Those that wait for a role already give way, where the rules let them (the
    caller asked), and the place in the queue stays.

    Who lost a new key before its epoch would otherwise have to sit that epoch out without a vote.
    """
    queue = queries.queue(state)
    for place, one in enumerate(queue.seats):
        if (one.move, one.number) == (SeatMove.ROTATE, change.number):
            both = evolve(one, vote_key=change.vote_key or one.vote_key, node_key=change.node_key or one.node_key)
            put_queue(state, evolve(queue, seats=(*queue.seats[:place], both, *queue.seats[place + 1 :])))
            return
    enqueue(change, state)


def enqueue_leaving(number: int, decision: int, state: Overlay, *, now: bool) -> None:
    """
    Let a seat go in its turn; ``now``, before what others wait for, of which its own change of keys is dropped.

    Otherwise a thief's seat would stay for as many epochs as there are changes ahead. Who is the last of those
    that sit now still waits for the successor.
    """
    change = SeatChange(SeatMove.LEAVE, number, None, None, decision)
    queue, seats = queries.queue(state), queries.epoch(state).seats
    others = [one for one in queue.seats if (one.move, one.number) != (SeatMove.ROTATE, number)]
    at = next((place for place, one in enumerate(others) if one.move is not SeatMove.LEAVE), len(others))
    first = (*others[:at], change, *others[at:])
    has_seat = any(seat.number == number for seat in seats)
    if now and has_seat and len(first) <= QUEUE_MAX and _is_never_empty(len(seats), first):
        put_queue(state, evolve(queue, seats=first))
    else:
        enqueue(change, state)


def _is_never_empty(seats: int, changes: Iterable[SeatChange]) -> bool:
    moved = accumulate((_BY_MOVE[change.move] for change in changes), initial=seats)
    return min(moved) > 0


_BY_MOVE = {SeatMove.JOIN: 1, SeatMove.LEAVE: -1, SeatMove.ROTATE: 0}


def put_queue(state: Overlay, queue: Queue) -> None:
    """Store what waits."""
    state.put(paths.queue(), to_bytes(queue))


def enqueue_joining(change: AddValidator, decision: int, state: Overlay) -> None:
    """A future validator follows at once, so that it is there when its seat begins."""
    wanted = change.candidacy
    node = _follower(wanted, state)
    if node is None:
        node = new_node(wanted.name, NodeId(wanted.node_key), AccountId(wanted.operator), state)
    elif node.name != wanted.name or node.operator != wanted.operator:
        state.delete(paths.node_name(node.name))
        node = evolve(node, name=wanted.name, operator=wanted.operator)
        put_node(state, node)
    take_node_key(state, node, wanted.vote_key)
    enqueue(SeatChange(SeatMove.JOIN, node.number, wanted.vote_key, None, decision), state)


def new_node(name: str, node_key: NodeId, operator: AccountId, state: Overlay) -> NodeRecord:
    """A follower with the next number."""
    number = count_up(state, paths.counter(paths.Count.NODES)) - 1
    node = NodeRecord(node_key, number, NodeRole.FOLLOWER, name, operator, node_key, vote_key=None)
    put_node(state, node)
    return node


# ---- what a turn makes of it ----


def take_turn(state: Overlay, seats: tuple[ValidatorEntry, ...]) -> tuple[tuple[ValidatorEntry, ...], tuple[int, ...]]:
    """Do as much of what waits as one turn may: the next epoch's seats, and the decisions that are done with."""
    queue = queries.queue(state)
    most = changes_max(len(seats))
    taken, waiting = queue.seats[:most], queue.seats[most:]
    after = seats
    for change in taken:
        after = _moved(change, after, state)
    _mark_operators(state, seats, after)
    put_queue(state, evolve(queue, seats=waiting))
    return after, tuple(change.decision for change in taken if change.decision is not None)


def _moved(change: SeatChange, seats: tuple[ValidatorEntry, ...], state: Overlay) -> tuple[ValidatorEntry, ...]:
    node = queries.node_of_number(state, change.number)
    assert node is not None, "what waits is about a node of this network"
    match change.move:
        case SeatMove.JOIN:
            assert change.vote_key is not None, "who joins has a vote key"
            node = evolve(node, role=NodeRole.VALIDATOR, vote_key=change.vote_key)
            seats = (*seats, _entry(node))
        case SeatMove.LEAVE:
            node = evolve(node, role=NodeRole.RETIRED)
            seats = tuple(seat for seat in seats if seat.number != node.number)
        case SeatMove.ROTATE:
            node = evolve(node, vote_key=change.vote_key or node.vote_key, node_key=change.node_key or node.node_key)
            seats = tuple(_entry(node) if seat.number == node.number else seat for seat in seats)
    put_node(state, node)
    return seats


def _entry(node: NodeRecord) -> ValidatorEntry:
    assert node.vote_key is not None, "a validator has a vote key"
    return ValidatorEntry(node.number, node.vote_key, node.node_key, node.operator, node.name)


def _mark_operators(state: Overlay, before: Iterable[ValidatorEntry], after: Iterable[ValidatorEntry]) -> None:
    """Who has a seat is an operator; who lost the last one is none any more."""
    had, have = ({seat.operator for seat in seats} for seats in (before, after))
    for operator in sorted(had ^ have):
        account = queries.account(state, operator)
        assert account is not None, "accounts stay"
        if account.is_operator == (operator in have):
            continue
        put_account(state, evolve(account, is_operator=operator in have))
        counter = paths.counter(paths.Count.OPERATORS)
        if operator in have:
            count_up(state, counter)
        else:
            count_down(state, counter)
