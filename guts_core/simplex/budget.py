"""How often one peer is answered: each question costs this node far more than it costs whoever asks."""

from __future__ import annotations

# An answer is at most 64 blocks or 1 MiB: a laggard gets some 64 MiB a second of one peer, which is more than it
# executes, and a peer that asks without end takes no more of the processor than that.
ANSWERS_PER_SECOND = 64
ANSWERS_BURST = 64
_US = 1_000_000


class Budget:
    """A bucket of answers for each peer, filled by time."""

    def __init__(self) -> None:
        self._spent: dict[int, tuple[int, int]] = {}  # by peer: millionths of answers owed, and when

    def take(self, peer: int, now: int) -> bool:
        """Whether a question of this peer is answered now (monotonic microseconds)."""
        owed, at = self._spent.get(peer, (0, now))
        owed = max(0, owed - (now - at) * ANSWERS_PER_SECOND)
        if owed + _US > ANSWERS_BURST * _US:
            return False
        self._spent[peer] = (owed + _US, now)
        return True

    def forget(self, peer: int) -> None:
        """The peer is gone."""
        self._spent.pop(peer, None)
