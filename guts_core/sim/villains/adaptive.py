"""Keeps every rule itself, and has the network and the machines of the others in its hand."""

from __future__ import annotations

from guts_core.sim.ports import Act, Knock, Stall

from .villain import Deeds, Effects, Inner, Villain

# In one view of so many it strikes, so that the others get somewhere in between.
_TURN = 12
# Longer than a view lasts that does not come to its end.
_HOLD_US = 400_000


class Adaptive(Villain):
    """Crashes whoever leads next; holds back at half of the others the vote that would complete a quorum."""

    name = "adaptive"

    def __init__(self, inner: Inner, deeds: Deeds) -> None:
        super().__init__(inner, deeds)
        self._view = 0

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Processes crashed and quorums held back."""
        return world.struck[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Strike once in a view."""
        engine = self.inner.engine
        if engine.view == self._view:
            return acts
        self._view = engine.view
        if self._view % _TURN == 0:
            self.deeds.attempts += 1
            return [*acts, Knock((engine.leader + 1) % self.inner.size)]
        if self._view % _TURN == _TURN // 2:
            self.deeds.attempts += 1
            return [*acts, *(Stall(peer, self._view, _HOLD_US) for peer in self.others()[::2])]
        return acts
