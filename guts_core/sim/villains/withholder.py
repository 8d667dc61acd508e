"""Votes and leads, but shows its blocks to as few as it can."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.sim.ports import Act, Say
from guts_core.simplex.messages import Propose, Supply

from .villain import Deeds, Effects, Villain, honest_votes


class Withholder(Villain):
    """Sends the body to a bare quorum, the vote to all, and never supplies anything."""

    name = "withholder"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Honest votes for blocks that some had to fetch from others."""
        return honest_votes(world, deeds)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Drop answers; leave the last peers out of a proposal."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            if isinstance(said, Supply):
                self.deeds.served += 1
            elif isinstance(said, Propose):
                others = self.others()
                chosen = others[: self.inner.engine.quorum - 1]
                self.boasts(said.proposal)
                out += [self.say(said, peer) for peer in chosen]
                out += [Say(peer, to_bytes(said.vote)) for peer in others if peer not in chosen]
            else:
                out.append(act)
        return out
