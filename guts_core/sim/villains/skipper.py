"""Builds on an old block and leaves out what lies between."""

from __future__ import annotations

from guts_core.codec import Tag, digest
from guts_core.names import BlockHash
from guts_core.sim.ports import Act
from guts_core.sim.replica import Page, page_of
from guts_core.sim.replica_node import ReplicaNode
from guts_core.simplex.messages import Kind, Proposal, Propose

from .villain import Deeds, Effects, Villain


class Skipper(Villain):
    """As leader, proposes a child of an older block than it should, without nullifications."""

    name = "skipping leader"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Views in which some honest node had to see through it, and nullified or waited."""
        return sum(1 for view, _ in deeds.blocks if world.ledger.signers(Kind.NULLIFY, view))

    def twist(self, acts: list[Act]) -> list[Act]:
        """Replace own proposals."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            rival = self._skipping(said) if isinstance(said, Propose) else None
            out.append(act if rival is None else self.say(rival))
        return out

    def _skipping(self, said: Propose) -> Propose | None:
        assert isinstance(self.inner, ReplicaNode)
        log = self.inner.replica.log
        if len(log) < 2 or said.proposal.view // (len(self.others()) + 1) % 2:
            return None  # every other time it behaves, or nobody would listen for long
        # Behind the tip if all is final; else on the tip, over the head of a notarized block.
        old = log[-2] if said.proposal.parent_hash == log[-1].block.proposal.block_hash else log[-1]
        parent = old.block.proposal
        page = page_of(old.block.body)
        assert page is not None, "a final block is a page"
        time = max(self.now.wall, page.time + 1)
        view = said.proposal.view
        body = Page(0, view, parent.view, parent.block_hash, time, old.root, ()).encoded()
        block_hash = BlockHash(digest(Tag.HEADER, body))
        proposal = Proposal(0, view, parent.view, parent.block_hash, block_hash)
        self.deeds.blocks.append((view, block_hash))
        return Propose(proposal, body, (), self.vote(Kind.NOTARIZE, view, proposal))
