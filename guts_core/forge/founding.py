"""What genesis writes: the first accounts and the nodes that are gateways (``architecture.md`` 3, Genesis)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from guts_core.errors import Conflict, Invalid
from guts_core.names import account_name
from guts_core.state.view import Overlay

from . import epochs, paths, queries
from .accounts import NameReserved, NameTaken, check_key_is_free
from .ids import GENESIS_CHAIN_ID, account_id
from .params import Params
from .records import Account, NodeRecord, NodeRole, ValidatorEntry
from .storing import count_up, put_account, put_node


class Founder(Protocol):
    """An account that nobody sponsored; genesis has a record with these fields."""

    @property
    def name(self) -> str:
        """In the grammar of names, and not reserved."""

    @property
    def key(self) -> bytes:
        """Its first account key."""

    @property
    def salt(self) -> bytes:
        """32 bytes that make its id."""

    @property
    def is_operator(self) -> bool:
        """Whether it governs."""


def found(
    state: Overlay,
    accounts: Iterable[Founder],
    seats: Sequence[ValidatorEntry],
    time: int,
    reserved_names: frozenset[str] = frozenset(),
    *,
    rules: int = 0,
    params: Params | None = None,
) -> None:
    """Write the records of height 0, in the order given: it decides the integer ids. Raises Refused leaves."""
    for founder in accounts:
        _found_account(state, founder, time, reserved_names)
    for seat in seats:
        _found_node(state, seat)
    epochs.found(state, seats, rules, params or Params(), time)


def _found_account(state: Overlay, founder: Founder, time: int, reserved_names: frozenset[str]) -> None:
    name = account_name(founder.name)
    if name in reserved_names:
        raise NameReserved(f"account name {name} is reserved on this network")
    if queries.account_by_name(state, name) is not None:
        raise NameTaken(f"account name {name} stands twice in genesis")
    check_key_is_free(founder.key, state)
    number = count_up(state, paths.counter(paths.Count.ACCOUNTS))
    founded = account_id(GENESIS_CHAIN_ID, founder.key, founder.salt)
    put_account(
        state, Account(founded, name, (founder.key,), number, time, sponsor=None, is_operator=founder.is_operator)
    )
    if founder.is_operator:
        count_up(state, paths.counter(paths.Count.OPERATORS))


def _found_node(state: Overlay, seat: ValidatorEntry) -> None:
    for key in (seat.vote_key, seat.node_key):
        if queries.node_of_key(state, key) is not None:
            raise Conflict(f"node {seat.name} has the key of another node")
        if queries.account_of_key(state, key) is not None:
            raise Conflict(f"node {seat.name} has the key of an account")
    operator = queries.account(state, seat.operator)
    if operator is None or not operator.is_operator:
        raise Invalid(f"node {seat.name} has no operator among the accounts of genesis")
    number = count_up(state, paths.counter(paths.Count.NODES)) - 1
    if number != seat.number:
        raise Invalid(f"node {seat.name} has number {seat.number} in genesis: its place there is {number}")
    put_node(
        state,
        NodeRecord(
            id=seat.node_key,
            number=number,
            role=NodeRole.VALIDATOR,
            name=seat.name,
            operator=seat.operator,
            node_key=seat.node_key,
            vote_key=seat.vote_key,
        ),
    )
