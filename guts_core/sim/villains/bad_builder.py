"""Proposes blocks that break the rules of the machine they are for."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import Tag, digest
from guts_core.names import BlockHash
from guts_core.sim.ports import Act
from guts_core.sim.replica import page_of
from guts_core.simplex.messages import Kind, Proposal, Propose

from .villain import Deeds, Effects, Villain


class BadBuilder(Villain):
    """As leader, every other time, a block well bound to its place: with a state that is not the one after it."""

    name = "bad builder"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Views that honest nodes gave up because of it."""
        return sum(1 for view, _ in deeds.blocks if world.ledger.signers(Kind.NULLIFY, view))

    def twist(self, acts: list[Act]) -> list[Act]:
        """Replace own proposals."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            is_turn = isinstance(said, Propose) and said.proposal.view // self.inner.size % 2 == 0
            out.append(self.say(self._spoilt(said)) if is_turn and isinstance(said, Propose) else act)
        return out

    def _spoilt(self, said: Propose) -> Propose:
        page = page_of(said.body)
        assert page is not None, "an own page"
        body = evolve(page, root=digest(Tag.STATE_NODE, page.root)).encoded()
        block_hash = BlockHash(digest(Tag.HEADER, body))
        old = said.proposal
        proposal = Proposal(old.epoch, old.view, old.parent_view, old.parent_hash, block_hash)
        self.deeds.blocks.append((old.view, block_hash))
        return Propose(proposal, body, said.justification, self.vote(Kind.NOTARIZE, old.view, proposal))
