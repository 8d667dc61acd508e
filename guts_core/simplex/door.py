"""What is heard at all: within its sender's budget, and of answers those that were asked for."""

from __future__ import annotations

from guts_core.codec import to_bytes

from .bounds import CERTIFICATE_BYTES_MAX, SUPPLY_BYTES_MAX
from .budget import Sort
from .messages import Certificate, Message, Propose, Supply
from .state import State

_SIGNATURE_BYTES = 64
_CERTIFICATE = Sort.CERTIFICATE
# A canonical record begins with how many fields it has and its kind: an answer shows itself before it is decoded.
_ANSWER = to_bytes(Supply((), ()))[:3]


def is_unasked(s: State, peer: int, data: bytes) -> bool:
    """Whether these bytes are an answer to nothing, which need not even be decoded; counts it."""
    return data.startswith(_ANSWER) and not s.asked[peer] and not s.budget.drop(Sort.ANSWER)


def permits(s: State, peer: int, message: Message) -> bool:
    """Whether a message is heard; questions are counted where they are answered."""
    match message:
        case Certificate():
            return s.budget.take(peer, _CERTIFICATE, s.now.monotonic, _SIGNATURE_BYTES * len(message.signatures))
        case Propose():
            size = len(message.body) + _weight(message.justification)
            return s.budget.take(peer, Sort.PROPOSAL, s.now.monotonic, size)
        case Supply():
            return (s.asked[peer] > 0 and _fits(message)) or s.budget.drop(Sort.ANSWER)
        case _:
            return True


def _fits(answer: Supply) -> bool:
    """No larger than anybody answers: it would take the time of many."""
    bodies = sum(len(block.body) for block in answer.blocks)
    return bodies <= SUPPLY_BYTES_MAX and _weight(answer.certificates) <= CERTIFICATE_BYTES_MAX


def _weight(certificates: tuple[Certificate, ...]) -> int:
    return _SIGNATURE_BYTES * sum(len(certificate.signatures) for certificate in certificates)
