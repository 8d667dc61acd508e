"""Equivocation (``consensus.md`` 1.12): two votes that no honest validator casts together."""

from __future__ import annotations

from .messages import FINALIZE, NULLIFY, Kind, Proposal, Vote
from .round import Round

OPPOSITE = {NULLIFY: FINALIZE, FINALIZE: NULLIFY}


class EvidenceBook:
    """At most one pair per epoch, signer and kind: proof needs no more, and a liar cannot fill our disk."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[int, int, Kind], tuple[Vote, Vote]] = {}

    def add(self, first: Vote, second: Vote) -> bool:
        """Remember a pair; whether it is the first of this signer and kind."""
        key = (second.epoch, second.signer, second.kind)
        if key in self.pairs:
            return False
        self.pairs[key] = (first, second)
        return True

    def has(self, vote: Vote) -> bool:
        """Whether this vote's signer is already known for its kind."""
        return (vote.epoch, vote.signer, vote.kind) in self.pairs

    def inherit(self, before: EvidenceBook, oldest: int) -> None:
        """Go on with what was known, of this epoch and later ones."""
        self.pairs.update({key: pair for key, pair in before.pairs.items() if key[0] >= oldest})


def conflicting(round_: Round, vote: Vote) -> Vote | None:
    """A held vote that an honest signer of ``vote`` would never have cast, or None."""
    kind, proposal = vote.kind, vote.proposal
    said = round_.tallies[kind].of(vote.signer)
    if said is not None and said[0] is not proposal and said[0] != proposal:
        return _vote(vote, kind, *said)
    opposite = OPPOSITE.get(kind)
    if opposite is not None:
        said = round_.tallies[opposite].of(vote.signer)
        if said is not None:
            return _vote(vote, opposite, *said)
    return None


def _vote(like: Vote, kind: Kind, proposal: Proposal | None, signature: bytes) -> Vote:
    return Vote(kind, like.epoch, like.view, proposal, like.signer, signature)
