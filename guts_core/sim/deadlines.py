"""How soon a healed network must get on: the bounds L1 and L2 of ``consensus.md`` 1.13, with something still lost."""

from __future__ import annotations

from attrs import frozen

from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .faults import HEAL_DELAY_US
from .replica_node import DELTA_US, RETRY_US

# The specification counts without loss. With one message in twenty lost, what is lost is said again by a retry,
# and patience that grew while nothing became final shrinks only with the first block. Over 250 seeds of swarm and
# campaign the longest waits were half of what comes out.
_L1_DELTAS, _L1_PATIENCE, _L1_RETRIES = 12, 4, 4
_L2_DELTAS, _L2_PATIENCE, _L2_RETRIES = 3, 2, 8
_HOPS = 3


@frozen
class Deadlines:
    """Of one size of network, in us."""

    resume_us: int  # from the heal to the first block at each node
    wish_us: int  # from a wish to its finality

    @classmethod
    def of(cls, size: int) -> Deadlines:
        """The bounds for so many nodes, of which as many as agreement bears may be dead or lie."""
        bad = faults_tolerated(size, FaultModel.BYZANTINE)
        views = (bad + 2) * _L2_DELTAS * _L2_PATIENCE * DELTA_US
        return cls(
            _L1_DELTAS * _L1_PATIENCE * DELTA_US + _L1_RETRIES * RETRY_US,
            views + _HOPS * HEAL_DELAY_US + _L2_RETRIES * RETRY_US,
        )
