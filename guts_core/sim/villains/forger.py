"""Certificates that no quorum signed, and votes that nobody cast."""

from __future__ import annotations

from guts_core.sim.ports import Act
from guts_core.simplex.messages import Certificate, Kind, Message, Vote

from .villain import Deeds, Effects, Villain


class Forger(Villain):
    """After each own vote, one forgery of each sort."""

    name = "forger"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Refusals by honest nodes."""
        return world.refused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add forgeries."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Vote):
                out += [self.say(forgery) for forgery in self._forgeries(said)]
        return out

    def _forgeries(self, vote: Vote) -> list[Message]:
        quorum, size = self.inner.engine.quorum, len(self.others()) + 1
        width = (size + 7) // 8
        everyone = ((1 << quorum) - 1).to_bytes(width, "little")
        few = ((1 << quorum - 1) - 1).to_bytes(width, "little")
        one = (1 << self.inner.seat).to_bytes(width, "little")
        kind, epoch, view, proposal, own = vote.kind, vote.epoch, vote.view, vote.proposal, vote.signature
        stranger = (self.inner.seat + 1) % size
        finalized = Kind.FINALIZE if proposal is not None else Kind.NULLIFY
        other = Kind.NOTARIZE if kind is Kind.FINALIZE else finalized
        return [
            Certificate(kind, epoch, view, proposal, everyone, (own,) * quorum),
            Certificate(finalized, epoch, view, proposal, one, (own,) * quorum),
            Certificate(finalized, epoch, view, proposal, one, (own,)),
            Vote(kind, epoch, view, proposal, stranger, own),
            Vote(kind, epoch, view, proposal, self.inner.seat, bytes(64)),
            self.vote(kind, view, proposal, epoch=epoch + 1),
            Certificate(kind, epoch, view, proposal, everyone + b"\x00", (own,) * quorum),
            # One signature too few, and all of them over another kind than the one they are said to be.
            Certificate(kind, epoch, view, proposal, few, (own,) * (quorum - 1)),
            Certificate(other, epoch, view, proposal, everyone, (own,) * quorum),
        ]
