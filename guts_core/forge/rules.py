"""
What the operators decide together: the rules of a coming epoch (``architecture.md`` 3, Versions).

There is one decision at a time; a later one replaces it, so deciding on the rules in force again
is how a change is called off.
"""

from __future__ import annotations

from itertools import pairwise

from guts_core.codec import to_bytes
from guts_core.errors import Invalid, NotAllowed
from guts_core.names import AccountId
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import SetRules
from .activities import RulesScheduled
from .context import Context
from .permissions import Permission, demand
from .records import ScheduledRules


class TooFewOperators(NotAllowed):
    """More than two thirds of the operators must sign."""

    code = "too-few-operators"


def set_rules(action: SetRules, state: Overlay, context: Context) -> tuple[RulesScheduled]:
    """Schedule rules. Admission has checked that each listed operator signed."""
    demand(context.principal, Permission.GOVERN, None, state)
    check_operators(action.operators, state, context.author)
    if action.epoch <= context.epoch:
        raise Invalid(f"epoch {action.epoch} has begun: other rules can start with epoch {context.epoch + 1}")
    state.put(paths.scheduled_rules(), to_bytes(ScheduledRules(action.rules, action.epoch)))
    return (RulesScheduled(action.rules, action.epoch),)


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
