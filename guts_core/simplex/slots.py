"""Turns to lead, counted: which became final blocks, and which were passed over."""

from __future__ import annotations


class Slots:
    """
    Of each validator, by seat, as views become final here.

    What became final while this node was away is counted when it catches up. A local count: nothing is decided by it.
    """

    def __init__(self, size: int, epoch: int) -> None:
        self._size, self._epoch = size, epoch
        self.led = [0] * size
        self.missed = [0] * size

    def settle(self, before: int, view: int) -> None:
        """The block of ``view`` became final on that of ``before``: every view between them was passed over."""
        self.led[self._leader(view)] += 1
        rounds, rest = divmod(view - before - 1, self._size)
        if rounds:
            self.missed = [count + rounds for count in self.missed]
        for passed in range(view - rest, view):
            self.missed[self._leader(passed)] += 1

    def _leader(self, view: int) -> int:
        return (view + self._epoch) % self._size
