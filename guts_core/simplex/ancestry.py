"""What a block may build on, and the certificates that show it (rules 2 and 3)."""

from __future__ import annotations

from guts_core.codec import to_bytes

from .bounds import CERTIFICATE_BYTES_MAX
from .messages import JUSTIFICATION_MAX, NULLIFY, Certificate, Proposal
from .state import State


def parent_for(s: State, view: int) -> tuple[Proposal, list[Certificate]] | None:
    """
    The newest block that a proposal in this view may extend, with what justifies it, parent's first.

    None while a view below has neither a block nor a nullification here. Where both exist the block
    is taken: it may be final elsewhere already.
    """
    skipped: list[Certificate] = []
    at = view - 1
    while at > s.final.view:
        round_ = s.seen(at)
        block = round_.block if round_ else None
        if block is not None and block.proposal is not None:
            return block.proposal, [block, *skipped]
        if round_ is None or not round_.is_skipped:
            return None
        skipped.insert(0, round_.certificates[NULLIFY])
        at -= 1
    top = [s.newest] if s.newest and s.newest.proposal == s.final else []
    return s.final, [*top, *skipped]


def justification(certificates: list[Certificate]) -> tuple[Certificate, ...]:
    """As many as a proposal may carry; who lacks the rest fetches it."""
    chosen: list[Certificate] = []
    size = 0
    for certificate in certificates[:JUSTIFICATION_MAX]:
        size += len(to_bytes(certificate)) if len(certificates) > 4 else 0
        if size > CERTIFICATE_BYTES_MAX:
            break
        chosen.append(certificate)
    return tuple(chosen)


def is_justified(s: State, proposal: Proposal) -> bool:
    """Whether the parent is certified, not below the tip, and every view between was nullified."""
    return proposal.parent_view >= s.final.view and unproven_view(s, proposal) is None


def unproven_view(s: State, proposal: Proposal) -> int | None:
    """The first view for which a certificate is missing here to justify a proposal."""
    if proposal.parent_view > s.final.view:
        round_ = s.seen(proposal.parent_view)
        held = [] if round_ is None else [c.proposal for c in round_.certificates.values() if c.proposal]
        if proposal.parent_hash not in [block.block_hash for block in held]:
            return proposal.parent_view
    elif proposal.parent_hash != s.final.block_hash:
        return proposal.parent_view
    for view in range(max(proposal.parent_view, s.final.view) + 1, proposal.view):
        round_ = s.seen(view)
        if round_ is None or not round_.is_skipped:
            return view
    return None


def unknown_view(s: State) -> int | None:
    """The first view above what is settled of which no certificate is here at all."""
    for view in range(s.settled + 1, s.view):
        round_ = s.seen(view)
        if round_ is None or not round_.certificates:
            return view
    return None
