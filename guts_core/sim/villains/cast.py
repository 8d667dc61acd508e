"""Who is a villain in a seed, and of which kind."""

from __future__ import annotations

from guts_core.sim.ports import SimNode, Store
from guts_core.sim.words_node import CHAIN, HonestCast
from guts_core.sim.world import dice
from guts_core.simplex.certificates import signers_of
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Fetch, Message, Propose, Supply, Vote
from guts_core.simplex.quorum import FaultModel

from .double_voter import DoubleVoter
from .equivocator import Equivocator
from .forger import Forger
from .skipper import Skipper
from .spammer import Spammer
from .two_faced import TwoFaced
from .villain import Deeds, Villain
from .withholder import Withholder

KINDS: tuple[type[Villain], ...] = (Equivocator, DoubleVoter, TwoFaced, Withholder, Forger, Skipper, Spammer)


class VillainCast:
    """``count`` villains among ``size`` nodes; the first kind goes round with the seed, the rest are drawn."""

    def __init__(self, seed: int, size: int, count: int, *, remember: bool = True) -> None:
        self._honest = HonestCast(seed, size, remember=remember)
        ring = self._honest.ring
        self._committee = Committee(CHAIN, 0, ring.public_keys, FaultModel.BYZANTINE, ring)
        roll = dice(seed, "villains")
        chosen = roll.sample(range(size), count)
        self.kinds: dict[int, type[Villain]] = {index: roll.choice(KINDS) for index in chosen}
        self.kinds[chosen[0]] = KINDS[seed % len(KINDS)]
        self.deeds = {index: Deeds(index) for index in chosen}

    @property
    def villains(self) -> frozenset[int]:
        """Nodes that are not honest."""
        return frozenset(self.kinds)

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> SimNode:
        """A new process of a node, twisted if it is a villain's."""
        node = self._honest.make(index, records, stored)
        return self.kinds[index](node, self.deeds[index]) if index in self.kinds else node

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        return self._honest.read(data)

    def is_signed(self, message: Message) -> bool:
        """Whether a villain's message consists of genuine votes."""
        match message:
            case Vote():
                return self._is_vote(message)
            case Certificate():
                return self._is_certificate(message)
            case Propose():
                return self._is_vote(message.vote) and all(map(self._is_certificate, message.justification))
            case Supply():
                return all(map(self._is_certificate, message.certificates))
            case Fetch():
                return True

    def _is_vote(self, vote: Vote) -> bool:
        signed = self._committee.has_signed(vote.signer, vote.kind, vote.view, vote.proposal, vote.signature)
        return vote.epoch == 0 and signed

    def _is_certificate(self, certificate: Certificate) -> bool:
        signers = signers_of(certificate)
        if len(signers) != len(certificate.signatures):
            return False
        said = certificate.kind, certificate.view, certificate.proposal
        pairs = zip(signers, certificate.signatures, strict=True)
        return all(self._committee.has_signed(signer, *said, signature) for signer, signature in pairs)
