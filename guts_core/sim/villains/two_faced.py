"""Nullifies and finalizes the same view: the vote pair that safety rests on."""

from __future__ import annotations

from guts_core.sim.ports import Act
from guts_core.simplex.messages import Kind, Vote

from .villain import Deeds, Effects, Villain


class TwoFaced(Villain):
    """Says nullify to half and finalize to half of every view that it votes in."""

    name = "nullify and finalize"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Convictions by honest nodes."""
        return world.accused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Follow each notarize vote with both others, to whoever might believe them."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Vote) and said.kind is Kind.NOTARIZE:
                out.append(self.say(self.vote(Kind.NULLIFY, said.view, None)))
                out.append(self.say(self.vote(Kind.FINALIZE, said.view, said.proposal)))
        return out
