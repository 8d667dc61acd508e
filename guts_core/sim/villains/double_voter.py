"""Votes for its leader's block and for one that nobody has."""

from __future__ import annotations

from guts_core.codec import Tag, digest
from guts_core.names import BlockHash
from guts_core.sim.ports import Act
from guts_core.simplex.messages import Kind, Proposal, Vote

from .villain import Deeds, Effects, Villain


class DoubleVoter(Villain):
    """Follows every notarize and finalize vote with a second one."""

    name = "double voter"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Convictions by honest nodes."""
        return world.accused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add a contradicting vote after each own one."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Vote) and said.proposal is not None and said.kind is not Kind.NULLIFY:
                old = said.proposal
                other = BlockHash(digest(Tag.HEADER, old.block_hash))
                proposal = Proposal(old.epoch, old.view, old.parent_view, old.parent_hash, other)
                out.append(self.say(self.vote(said.kind, said.view, proposal)))
        return out
