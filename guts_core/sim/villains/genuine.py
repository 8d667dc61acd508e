"""Whether what a villain says counts as said: votes are genuine only under their signers' keys."""

from __future__ import annotations

from guts_core.simplex.certificates import signers_of
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Fetch, Message, Propose, Recall, Recalled, Supply, Vote


def is_genuine(message: Message, committee: Committee) -> bool:
    """Whether a message consists of genuine votes."""
    match message:
        case Vote():
            return _is_vote(message, committee)
        case Certificate():
            return _is_certificate(message, committee)
        case Propose():
            votes = _is_vote(message.vote, committee)
            return votes and all(_is_certificate(certificate, committee) for certificate in message.justification)
        case Supply():
            return all(_is_certificate(certificate, committee) for certificate in message.certificates)
        case Recalled():
            vote, certificate = message.vote, message.certificate
            return (vote is None or _is_vote(vote, committee)) and (
                certificate is None or _is_certificate(certificate, committee)
            )
        case Fetch() | Recall():
            return True


def _is_vote(vote: Vote, committee: Committee) -> bool:
    if vote.epoch != committee.epoch or vote.signer >= committee.size:
        return False
    return committee.has_signed(vote.signer, vote.kind, vote.view, vote.proposal, vote.signature)


def _is_certificate(certificate: Certificate, committee: Committee) -> bool:
    signers = signers_of(certificate)
    if len(signers) != len(certificate.signatures):
        return False
    said = certificate.kind, certificate.view, certificate.proposal
    pairs = zip(signers, certificate.signatures, strict=True)
    return all(committee.has_signed(signer, *said, signature) for signer, signature in pairs)
