"""What genesis writes: the first accounts and the nodes that are gateways (``architecture.md`` 3, Genesis)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from guts_core.codec import to_bytes
from guts_core.errors import Conflict, Invalid
from guts_core.names import AccountId, NodeId, account_name
from guts_core.state.view import Overlay

from . import paths, queries
from .accounts import NameReserved, NameTaken, check_key_is_free
from .ids import GENESIS_CHAIN_ID, account_id
from .records import Account, Node
from .storing import count_up, put_account


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


class Seat(Protocol):
    """A validator as genesis lists it, as far as it is a gateway."""

    @property
    def node_key(self) -> NodeId:
        """The node's network key."""

    @property
    def operator(self) -> AccountId:
        """The account that answers for the node."""

    @property
    def name(self) -> str:
        """What people call the node."""


def found(
    state: Overlay,
    accounts: Iterable[Founder],
    seats: Iterable[Seat],
    time: int,
    reserved_names: frozenset[str] = frozenset(),
) -> None:
    """Write the records of height 0, in the order given: it decides the integer ids. Raises Refused leaves."""
    for founder in accounts:
        _found_account(state, founder, time, reserved_names)
    for seat in seats:
        _found_node(state, seat)


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


def _found_node(state: Overlay, seat: Seat) -> None:
    if queries.node(state, seat.node_key) is not None:
        raise Conflict(f"node {seat.name} has the key of another node")
    if queries.account_of_key(state, seat.node_key) is not None:
        raise Conflict(f"node {seat.name} has the key of an account")
    operator = queries.account(state, seat.operator)
    if operator is None or not operator.is_operator:
        raise Invalid(f"node {seat.name} has no operator among the accounts of genesis")
    state.put(paths.node(seat.node_key), to_bytes(Node(seat.node_key, seat.operator, seat.name)))
