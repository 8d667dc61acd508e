"""
What the operators decide together: the rules of a coming epoch (``architecture.md`` 3, Versions).

There is one decision at a time; a later one replaces it, so deciding on the rules in force again
is how a change is called off.
"""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.errors import Invalid
from guts_core.state.view import Overlay

from . import paths
from .actions import SetRules
from .activities import RulesScheduled
from .context import Context
from .operators import check_operators
from .permissions import Permission, demand
from .records import ScheduledRules

# The rules that this code can execute. What differs between them asks ``Context.rules``.
KNOWN_RULES = (0, 1)
# From these on a new branch becomes the default branch when that does not exist.
HEAD_FOLLOWS_NEW_BRANCHES = 1


def set_rules(action: SetRules, state: Overlay, context: Context) -> tuple[RulesScheduled]:
    """Schedule rules. Admission has checked that each listed operator signed."""
    demand(context.principal, Permission.GOVERN, None, state)
    check_operators(action.operators, state, context.author)
    if action.epoch <= context.epoch:
        raise Invalid(f"epoch {action.epoch} has begun: other rules can start with epoch {context.epoch + 1}")
    state.put(paths.scheduled_rules(), to_bytes(ScheduledRules(action.rules, action.epoch)))
    return (RulesScheduled(action.rules, action.epoch),)
