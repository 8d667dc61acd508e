"""Proposes blocks that break the rules of the machine they are for."""

from __future__ import annotations

from guts_core.sim.ports import Act
from guts_core.simplex.messages import Kind, Proposal, Propose

from .villain import Deeds, Effects, Villain, given_up


class BadBuilder(Villain):
    """As leader, every other time, a block well bound to its place: with a state that is not the one after it."""

    name = "bad builder"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Views that honest nodes gave up because of it."""
        return given_up(world, deeds)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Replace own proposals."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            is_turn = isinstance(said, Propose) and said.proposal.view // self.inner.size % 2 == 0
            out.append(self.say(self._spoilt(said)) if is_turn and isinstance(said, Propose) else act)
        return out

    def _spoilt(self, said: Propose) -> Propose:
        block_hash, body = self.inner.spoilt(said)
        old = said.proposal
        proposal = Proposal(old.epoch, old.view, old.parent_view, old.parent_hash, block_hash)
        self.boasts(proposal)
        return Propose(proposal, body, said.justification, self.vote(Kind.NOTARIZE, old.view, proposal))
