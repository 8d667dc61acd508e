"""
Two quorums that contradict each other: more than agreement bears have lied, or forgotten their votes (F42).

No fork is ever picked: the node ends with words, and people decide.
"""

from __future__ import annotations

from guts_core.errors import ForkSeen

from .certificates import check
from .messages import FINALIZE, NULLIFY, Certificate
from .state import State

_OPPOSITE = {NULLIFY: FINALIZE, FINALIZE: NULLIFY}
# What is final is held against certificates that come late, so many blocks back.
FINALS_KEPT = 1024


def remember(s: State) -> None:
    """The newest final block, by its view."""
    s.finals[s.final.view] = s.final.block_hash
    if len(s.finals) > FINALS_KEPT:
        del s.finals[next(iter(s.finals))]


def look(s: State, certificate: Certificate) -> None:
    """Raise ForkSeen if a quorum signed this although a quorum signed what excludes it."""
    if certificate.epoch == s.config.epoch and _contradicts(s, certificate):
        check(s.committee, certificate, None)
        raise ForkSeen(sentence(certificate))


def sentence(certificate: Certificate) -> str:
    """What the operator reads."""
    proposal = certificate.proposal
    what = "nullified it" if proposal is None else f"signed block {proposal.block_hash.hex()}"
    return (
        f"two quorums contradict each other in view {certificate.view}: one {what} "
        f"({certificate.kind.name.lower()}), another what excludes that. More validators lied than agreement bears. "
        "This node has stopped and picks no side: keep its directory as it is and compare with the other operators"
    )


def _contradicts(s: State, certificate: Certificate) -> bool:
    view, kind = certificate.view, certificate.kind
    if view <= s.final.view:
        if kind is not FINALIZE or not s.finals or view < next(iter(s.finals)):
            return False
        block = certificate.proposal
        return block is not None and s.finals.get(view) != block.block_hash
    held = s.seen(view)
    if held is None:
        return False
    same = held.certificates.get(kind)
    if same is not None:
        return same.proposal != certificate.proposal
    opposite = _OPPOSITE.get(kind)
    return opposite is not None and opposite in held.certificates
