"""What is known of one view (``consensus.md`` 1.3); its phase is implied, never stored."""

from __future__ import annotations

from .messages import FINALIZE, NOTARIZE, NULLIFY, Certificate, Kind, Proposal, Vote
from .tally import Tally


class Round:
    """The leader's first proposal, votes, certificates, and this validator's own votes."""

    __slots__ = ("certificates", "mine", "proposal", "refused", "tallies")

    def __init__(self) -> None:
        self.proposal: Proposal | None = None
        self.refused = False  # the application called the proposal invalid
        self.tallies: dict[Kind, Tally] = {NOTARIZE: Tally(), NULLIFY: Tally(), FINALIZE: Tally()}
        self.certificates: dict[Kind, Certificate] = {}
        self.mine: dict[Kind, Vote] = {}

    @property
    def block(self) -> Certificate | None:
        """A certificate that lets this view's block be a parent."""
        return self.certificates.get(FINALIZE) or self.certificates.get(NOTARIZE)

    @property
    def is_skipped(self) -> bool:
        """Whether a quorum nullified this view."""
        return NULLIFY in self.certificates

    def may_cast(self, kind: Kind) -> bool:
        """The own-vote rules: once per kind, never nullify and finalize, nothing new after a nullify."""
        if kind in self.mine:
            return False
        if kind is NULLIFY:
            return FINALIZE not in self.mine
        return NULLIFY not in self.mine

    def forget_votes(self) -> None:
        """Keep certificates and own votes; stragglers' votes of an old view change nothing."""
        for tally in self.tallies.values():
            tally.forget()

    def forget_block(self) -> None:
        """Of a nullified view long ago, keep the nullification: every later block must show it."""
        if self.is_skipped:
            self.certificates = {NULLIFY: self.certificates[NULLIFY]}
            self.proposal = None
