"""
Two quorums that contradict each other: more than agreement bears have lied, or forgotten their votes (F42).

No fork is ever picked: the node ends with words, and people decide.
"""

from __future__ import annotations

from guts_core.codec import to_bytes
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
    excluded_by = _excluded_by(s, certificate) if certificate.epoch == s.config.epoch else None
    if excluded_by is not None:
        check(s.committee, certificate, None)
        raise seen(certificate, *excluded_by)


def seen(certificate: Certificate, *others: Certificate) -> ForkSeen:
    """The end of a node, with the certificates that show why."""
    return ForkSeen(sentence(certificate), tuple(map(to_bytes, (certificate, *others))))


def sentence(certificate: Certificate) -> str:
    """What the operator reads."""
    proposal = certificate.proposal
    what = "nullified it" if proposal is None else f"signed block {proposal.block_hash.hex()}"
    return (
        f"two quorums contradict each other in view {certificate.view}: one {what} "
        f"({certificate.kind.name.lower()}), another what excludes that. More validators lied than agreement bears. "
        "This node has stopped and picks no side: keep its directory as it is and compare with the other operators"
    )


def _excluded_by(s: State, certificate: Certificate) -> tuple[Certificate, ...] | None:
    """What is held that excludes it: of what is final, a finalization at or above it, if any; None: nothing does."""
    view, kind = certificate.view, certificate.kind
    if view <= s.final.view:
        if kind is not FINALIZE or not s.finals or view < next(iter(s.finals)):
            return None
        block = certificate.proposal
        if block is None or s.finals.get(view) == block.block_hash:
            return None
        return () if s.newest is None else (s.newest,)
    held = s.seen(view)
    if held is None:
        return None
    same = held.certificates.get(kind)
    if same is not None:
        return (same,) if same.proposal != certificate.proposal else None
    opposite = _OPPOSITE.get(kind)
    found = None if opposite is None else held.certificates.get(opposite)
    return None if found is None else (found,)
