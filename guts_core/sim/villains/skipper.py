"""Builds on an old block and leaves out what lies between."""

from __future__ import annotations

from guts_core.sim.ports import Act
from guts_core.simplex.messages import Kind, Propose

from .villain import Deeds, Effects, Villain, given_up


class Skipper(Villain):
    """As leader, proposes a child of an older block than it should, without nullifications."""

    name = "skipping leader"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Views in which some honest node had to see through it, and nullified or waited."""
        return given_up(world, deeds)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Replace own proposals."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            rival = self._skipping(said) if isinstance(said, Propose) else None
            out.append(act if rival is None else self.say(rival))
        return out

    def _skipping(self, said: Propose) -> Propose | None:
        if said.proposal.view // self.inner.size % 2:
            return None  # every other time it behaves, or nobody would listen for long
        found = self.inner.skipping(said, self.now)
        if found is None:
            return None
        proposal, body = found
        self.boasts(proposal)
        return Propose(proposal, body, (), self.vote(Kind.NOTARIZE, proposal.view, proposal))
