"""
The operators: who decides, and how many of them are enough (``architecture.md`` 6).

About the network's course decide those who have seats in the current epoch. About a text decide all
accounts marked as operators, in one transaction that each of them signs.
"""

from __future__ import annotations

from itertools import pairwise

from guts_core.errors import Invalid, NotAllowed
from guts_core.names import AccountId
from guts_core.state.view import View

from . import queries
from .decisions import AddValidator, Change, RemoveValidator
from .records import Epoch

# Below so many seats no validator may fail in silence, so none may be changed over an operator's head.
SEATS_FOR_MAJORITY = 4


class TooFewOperators(NotAllowed):
    """More than two thirds of the operators must sign."""

    code = "too-few-operators"


class NotSeated(NotAllowed):
    """The operators of the current epoch's seats decide, nobody else."""

    code = "not-seated"


def seated(epoch: Epoch) -> tuple[AccountId, ...]:
    """The operators of an epoch's seats, each once, in seat order."""
    return tuple(dict.fromkeys(AccountId(seat.operator) for seat in epoch.seats))


def approvals_needed(change: Change, epoch: Epoch) -> int:
    """How many of the operators of seats approve a change before it is made."""
    operators = len(seated(epoch))
    if isinstance(change, AddValidator | RemoveValidator) and len(epoch.seats) < SEATS_FOR_MAJORITY:
        return operators
    return 2 * operators // 3 + 1


def check_operators(operators: tuple[AccountId, ...], state: View, author: AccountId) -> None:
    """Raise unless these are enough operators to decide; admission has checked that each of them signed."""
    if any(not before < after for before, after in pairwise(operators)):
        raise Invalid("the operators must be in ascending order, each once")
    if author not in operators:
        raise Invalid("the author must be among the operators")
    for operator in operators:
        account = queries.account(state, operator)
        if account is None or not account.is_operator:
            raise NotAllowed(f"account {operator.hex()} is not an operator of this network")
    total = queries.operators_count(state)
    if 3 * len(operators) <= 2 * total:
        raise TooFewOperators(f"{len(operators)} of {total} operators signed: more than two thirds must")
