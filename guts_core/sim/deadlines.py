"""How soon a healed network must get on: the bounds L1 and L2 of ``consensus.md`` 1.13, with something still lost."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from guts_core.simplex.messages import Kind
from guts_core.simplex.quorum import FaultModel, faults_tolerated

from .faults import HEAL_DELAY_US
from .replica_node import DELTA_US, RETRY_US

# The specification counts without loss. With one message in twenty lost, what is lost is said again by a retry,
# and patience that grew while nothing became final shrinks only with the first block. Over 250 seeds of swarm and
# campaign the longest waits were half of what comes out.
_L1_DELTAS, _L1_PATIENCE, _L1_RETRIES = 12, 4, 4
_L2_DELTAS, _L2_PATIENCE, _L2_RETRIES = 3, 2, 8
_HOPS = 3
# Views from one block to the next, in turns of f + 1 leaders. Where nothing is lost: two, since a liar that keeps its
# body from the next leader costs that one's view too. Where one message in twenty is, an honest leader's view fails now
# and then, and in the largest networks more often than not. Over 100 seeds the most was half of it.
_L1_TURNS, _L1_LOSSY_TURNS = 2, 6


@frozen
class Deadlines:
    """Of one size of network, in us."""

    resume_us: int  # from the heal to the first block at each node
    wish_us: int  # from a wish to its finality
    views: int  # from one block to the next

    @classmethod
    def of(cls, size: int, *, lossy: bool) -> Deadlines:
        """The bounds for so many nodes, of which as many as agreement bears may be dead or lie."""
        bad = faults_tolerated(size, FaultModel.BYZANTINE)
        views = (bad + 2) * _L2_DELTAS * _L2_PATIENCE * DELTA_US
        return cls(
            _L1_DELTAS * _L1_PATIENCE * DELTA_US + _L1_RETRIES * RETRY_US,
            views + _HOPS * HEAL_DELAY_US + _L2_RETRIES * RETRY_US,
            (bad + 1) * (_L1_LOSSY_TURNS if lossy else _L1_TURNS),
        )


class Strides:
    """L1 once more: how many views it takes from one final block to the next, of views that began after the heal."""

    def __init__(self) -> None:
        self.longest = 0
        self._first: int | None = None
        self._last = 0

    def final(self, view: int, certified: Iterable[tuple[Kind, int]]) -> None:
        """A block of this view is final first, while these certificates have been said."""
        if self._first is None:
            self._first = max((view for _, view in certified), default=0) + 1
        elif self._last >= self._first:
            self.longest = max(self.longest, view - self._last)
        self._last = view
