"""How far from genesis the ends of epochs are proven, and the headers on the way."""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.chain.genesis import Genesis
from guts_core.chain.header import Header
from guts_core.chain.trail import EpochStep, Trail
from guts_core.identity import Verifier

from .records import ProvenSteps


class Route:
    """Grows by steps that follow; shared by all peers, for what is proven is so whoever showed it."""

    def __init__(self, genesis: Genesis, verifier: Verifier) -> None:
        self._verifier = verifier
        self.trail = Trail.of(genesis)
        self.steps: list[EpochStep] = []

    @property
    def epoch(self) -> int:
        """The newest epoch that is known to have begun."""
        return self.trail.epoch

    def header(self, epoch: int) -> Header | None:
        """The last header of an epoch that is proven to have ended."""
        return self.steps[epoch].header if epoch < len(self.steps) else None

    def ends_above(self, height: int) -> set[int]:
        """The proven ends of epochs above a height."""
        return {step.header.height for step in self.steps if step.header.height > height}

    def take(self, first: int, steps: Sequence[EpochStep]) -> ProvenSteps | None:
        """
        Go on by these ends of epochs, the first of which is numbered; what of them is new, if anything.

        Raises PeerFault, and stays where it was, when one of them does not follow.
        """
        trail, taken = self.trail, []
        for epoch, step in enumerate(steps, first):
            if epoch < trail.epoch:
                continue  # another was quicker
            trail = trail.after(step, self._verifier)
            taken.append(step)
        if not taken:
            return None
        found = ProvenSteps(self.trail.epoch, tuple(taken))
        self.trail = trail
        self.steps += taken
        return found
