"""How many validators are enough (``consensus.md`` 1.1): the one formula, used everywhere."""

from __future__ import annotations

from enum import IntEnum

from guts_core.errors import Invalid


class FaultModel(IntEnum):
    """What faulty validators may do; genesis chooses, and a network never changes it."""

    BYZANTINE = 1  # lie, double vote, collude: two quorums share an honest validator
    CRASH = 2  # stop and come back, nothing worse: a majority is enough


def quorum(n: int, fault_model: FaultModel) -> int:
    """The number of equal votes that make a certificate among ``n`` validators."""
    if n < 1:
        raise Invalid(f"a network of {n} validators has no quorum")
    if fault_model is FaultModel.CRASH:
        return n // 2 + 1
    return n - (n - 1) // 3


def faults_tolerated(n: int, fault_model: FaultModel) -> int:
    """How many validators may be silent while the others go on."""
    return n - quorum(n, fault_model)
