"""What a network bears, in one sentence: the same wherever it is told."""

from __future__ import annotations

from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .outcomes import counted


def tolerates(validators: int, fault_model: FaultModel) -> str:
    """How many validators may be away, and what of them may lie."""
    faulty = faults_tolerated(validators, fault_model)
    if not faulty:
        words = "none may fail"
    elif fault_model is FaultModel.CRASH:
        words = f"{faulty} may fail, none may lie"
    else:
        words = f"{faulty} may fail or lie"
    trust = "; agreed by one operator's majority, not BFT" if fault_model is FaultModel.CRASH else ""
    return f"{counted(validators, 'validator')}: {words}{trust}"
