"""Well-signed votes and proposals for views that nobody will reach."""

from __future__ import annotations

from guts_core.codec import Tag, digest
from guts_core.names import BlockHash
from guts_core.sim.ports import Act
from guts_core.simplex.bounds import FUTURE_VIEWS_MAX
from guts_core.simplex.messages import Fetch, Kind, Proposal, Vote

from .villain import Deeds, Effects, Villain


class Spammer(Villain):
    """After each own vote, votes near and far in the future, and questions without end."""

    name = "future spammer"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Votes for the future that were genuine and said; the bounds are checked at the end of the run."""
        return sum(bool(world.ledger.voters(Kind.NOTARIZE, *block)) for block in deeds.blocks)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Add spam."""
        out: list[Act] = []
        for act in acts:
            out.append(act)
            said = self.read(act)
            if isinstance(said, Vote) and said.kind is Kind.NOTARIZE:
                near = [said.view + ahead for ahead in range(1, FUTURE_VIEWS_MAX + 2)]
                far = [said.view + 10**6, 2**64 - 1]
                out += [self.say(self._ahead(view, said.signature)) for view in near + far]
                out.append(self.say(Fetch(self.epoch, 0, tuple([BlockHash(bytes(32))] * 4))))
        return out

    def _ahead(self, view: int, salt: bytes) -> Vote:
        block_hash = BlockHash(digest(Tag.HEADER, salt))
        proposal = Proposal(self.epoch, view, view - 1, BlockHash(bytes(32)), block_hash)
        self.boasts(proposal)
        return self.vote(Kind.NOTARIZE, view, proposal)
