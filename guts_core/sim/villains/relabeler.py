"""Genuine signatures under other words: of another kind, of another epoch, from another network, of another parent."""

from __future__ import annotations

from collections import deque

from attrs import evolve

from guts_core.codec import Tag, encode
from guts_core.names import ChainId
from guts_core.sim.ports import Act
from guts_core.simplex.messages import Certificate, Kind, Message, Proposal, Propose, Vote

from .villain import Deeds, Effects, Inner, Villain

# A test network whose validators, carelessly, use the same keys as here.
_REHEARSAL = ChainId(b"a rehearsal with the same keys  ")
_LATER = 1
_MEMORY = 8


class Relabeler(Villain):
    """After each own vote, one thing of each sort that was truly signed, and not as it says."""

    name = "relabeler"

    def __init__(self, inner: Inner, deeds: Deeds) -> None:
        super().__init__(inner, deeds)
        self._certificates: deque[Certificate] = deque(maxlen=_MEMORY)
        self._blocks: deque[Propose] = deque(maxlen=_MEMORY)

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Refusals by honest nodes."""
        return world.refused[deeds.index]

    def overhear(self, data: bytes) -> None:
        """Keep what may be said in other words."""
        message = self.inner.read(data)
        if isinstance(message, Certificate) and message.kind is Kind.NOTARIZE:
            self._certificates.append(message)
        elif isinstance(message, Propose):
            self._blocks.append(message)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Other parents for own proposals, every other time; relabeled words after own votes."""
        out: list[Act] = []
        for act in acts:
            said = self.read(act)
            rebound = self._rebound(said) if isinstance(said, Propose) else None
            out.append(act if rebound is None else self.say(rebound))
            if isinstance(said, Vote):
                out += [self.say(word) for word in self._relabeled(said)]
        return out

    def _rebound(self, said: Propose) -> Propose | None:
        """The block of an earlier leader again, in this view and on this parent."""
        if not self._blocks or said.proposal.view // self.inner.size % 2:
            return None
        old, now = self._blocks[-1], said.proposal
        proposal = Proposal(now.epoch, now.view, now.parent_view, now.parent_hash, old.proposal.block_hash)
        return Propose(proposal, old.body, said.justification, self.vote(Kind.NOTARIZE, now.view, proposal))

    def _relabeled(self, said: Vote) -> list[Message]:
        words: list[Message] = [
            self._given_up(said, self.inner.chain, said.epoch + _LATER),
            self._given_up(said, _REHEARSAL, said.epoch),
        ]
        if self._certificates:
            words.append(evolve(self._certificates[-1], kind=Kind.FINALIZE))
        return words

    def _given_up(self, said: Vote, chain: ChainId, epoch: int) -> Certificate:
        """A nullification that a quorum signed, of the same view elsewhere."""
        ring, quorum = self.inner.ring, self.inner.engine.quorum
        body = encode((int(Kind.NULLIFY), epoch, said.view, None))
        signatures = tuple(ring.signer(seat).sign(Tag.SIGN_VOTE, chain, body) for seat in range(quorum))
        width = (self.inner.size + 7) // 8
        seats = ((1 << quorum) - 1).to_bytes(width, "little")
        return Certificate(Kind.NULLIFY, said.epoch, said.view, None, seats, signatures)
