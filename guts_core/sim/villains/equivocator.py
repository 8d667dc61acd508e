"""Two blocks in one view, each shown to half of the others."""

from __future__ import annotations

from guts_core.sim.ports import Act
from guts_core.simplex.messages import Kind, Proposal, Propose

from .villain import Deeds, Effects, Villain, honest_votes


class Equivocator(Villain):
    """Proposes twice when it leads."""

    name = "equivocator"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Honest votes for the second block, and convictions."""
        return honest_votes(world, deeds) + world.accused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Show the first half one block, the second half another."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            rival = self._rival(said) if isinstance(said, Propose) else None
            if rival is None or not isinstance(said, Propose):
                out.append(act)
                continue
            others = self.others()
            half = len(others) // 2
            out += [self.say(said, peer) for peer in others[:half]] + [self.say(rival, peer) for peer in others[half:]]
        return out

    def _rival(self, said: Propose) -> Propose | None:
        """None right after a restart: what was voted for is said again before its parent is executed."""
        found = self.inner.rival(said)
        if found is None:
            return None
        block_hash, body = found
        old = said.proposal
        proposal = Proposal(old.epoch, old.view, old.parent_view, old.parent_hash, block_hash)
        self.boasts(proposal)
        return Propose(proposal, body, said.justification, self.vote(Kind.NOTARIZE, old.view, proposal))
