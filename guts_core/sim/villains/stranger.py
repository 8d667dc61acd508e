"""Votes well signed for another network, and for an epoch that is not."""

from __future__ import annotations

from guts_core.codec import Tag, encode, to_value
from guts_core.names import ChainId
from guts_core.sim.ports import Act
from guts_core.simplex.messages import Message, Proposal, Vote

from .villain import Deeds, Effects, Villain

_ELSEWHERE = ChainId(b"a chain that nobody here follows")
_FAR = 7


class Stranger(Villain):
    """Follows each own vote with the same words for another chain and for another epoch."""

    name = "stranger"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Refusals by honest nodes."""
        return world.refused[deeds.index]

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add votes that mean nothing here."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Vote):
                out += [self.say(word) for word in self._foreign(said)]
        return out

    def _foreign(self, said: Vote) -> list[Message]:
        old = said.proposal
        moved = None if old is None else Proposal(_FAR, old.view, old.parent_view, old.parent_hash, old.block_hash)
        body = encode((int(said.kind), said.epoch, said.view, None if old is None else to_value(old)))
        signature = self.inner.signer.sign(Tag.SIGN_VOTE, _ELSEWHERE, body)
        return [
            self.vote(said.kind, said.view, moved, epoch=_FAR),
            Vote(said.kind, said.epoch, said.view + 1, None, said.signer, signature)
            if old is None
            else Vote(said.kind, said.epoch, said.view, old, said.signer, signature),
        ]
