"""The validators of one epoch: who leads, what they sign, and whether they signed it."""

from __future__ import annotations

from functools import lru_cache

from guts_core.codec import Tag, array_of, encode, to_bytes
from guts_core.errors import BadSignature, Malformed
from guts_core.identity.keys import Verifier
from guts_core.names import ChainId

from .bounds import CONTENTS_KEPT
from .messages import NULLIFY, Certificate, Kind, Proposal, Vote
from .quorum import FaultModel, quorum

_SIGN_VOTE = Tag.SIGN_VOTE
_FOUR = array_of((b"",) * 4)  # how an array of four begins
_NOTHING, _KINDS = encode(None), {kind: encode(int(kind)) for kind in Kind}
# Of each view there are three kinds of votes, one after another.
_encode_view = lru_cache(maxsize=64)(encode)


class Committee:
    """A fixed list of vote keys; every check of a vote or certificate goes through here."""

    def __init__(
        self, chain_id: ChainId, epoch: int, validators: tuple[bytes, ...], fault_model: FaultModel, verifier: Verifier
    ) -> None:
        self.chain_id, self.epoch, self.validators = chain_id, epoch, validators
        self._epoch = encode(epoch)
        self.size = len(validators)
        self.quorum = quorum(self.size, fault_model)
        self._verifier = verifier
        # By view and kind the last one asked for: the votes of a view mostly name the same block.
        self._contents: dict[int, tuple[Proposal | None, bytes]] = {}

    def leader(self, view: int) -> int:
        """Round robin, offset by the epoch: bounds how long one absent validator can hold us up."""
        return (view + self.epoch) % self.size

    def content(self, kind: Kind, view: int, proposal: Proposal | None) -> bytes:
        """What a vote's signature covers, beside the tag and the chain id."""
        place = view << 2 | kind
        latest = self._contents.get(place)
        if latest is not None and (latest[0] is proposal or latest[0] == proposal):
            return latest[1]
        if len(self._contents) >= CONTENTS_KEPT:
            self._contents.clear()
        named = _NOTHING if proposal is None else to_bytes(proposal)
        found = b"".join((_FOUR, _KINDS[kind], self._epoch, _encode_view(view), named))
        self._contents[place] = proposal, found
        return found

    def has_signed(self, signer: int, kind: Kind, view: int, proposal: Proposal | None, signature: bytes) -> bool:
        """Whether this validator signed exactly this."""
        body = self.content(kind, view, proposal)
        return self._verifier.verify(self.validators[signer], _SIGN_VOTE, self.chain_id, body, signature)

    def check_shape(self, said: Vote | Certificate) -> None:
        """Raise Malformed unless kind, epoch, view and proposal belong together."""
        proposal, view = said.proposal, said.view
        if said.epoch != self.epoch:
            raise Malformed(f"a vote of epoch {said.epoch}; this is epoch {self.epoch}")
        if (proposal is None) != (said.kind is NULLIFY):
            raise Malformed(f"a {said.kind.name.lower()} vote with the wrong kind of content")
        if view < 1:
            raise Malformed("nobody votes in view 0")
        if proposal is not None:
            if proposal.view != view:
                raise Malformed(f"a vote in view {view} for a block of view {proposal.view}")
            if proposal.epoch != self.epoch or proposal.parent_view >= view:
                self.check_proposal(proposal)  # it says what is wrong

    def check_proposal(self, proposal: Proposal) -> None:
        """Raise Malformed unless the proposal is of this epoch and its parent is older."""
        if proposal.epoch != self.epoch:
            raise Malformed(f"a block of epoch {proposal.epoch}; this is epoch {self.epoch}")
        if proposal.parent_view >= proposal.view:
            raise Malformed(f"a block of view {proposal.view} whose parent is of view {proposal.parent_view}")

    def check_signature(self, vote: Vote) -> None:
        """Raise BadSignature unless the vote's signer signed it."""
        if not self.has_signed(vote.signer, vote.kind, vote.view, vote.proposal, vote.signature):
            raise BadSignature(forged(vote.signer, vote.kind, vote.view))


def forged(signer: int, kind: Kind, view: int) -> str:
    """What is said of a vote that its signer never signed."""
    return f"validator {signer} did not sign that {kind.name.lower()} of view {view}"
