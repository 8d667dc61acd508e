"""Certificates: made from a quorum of equal votes, checked against exactly that."""

from __future__ import annotations

from guts_core.errors import BadSignature, Malformed

from .committee import Committee
from .messages import Certificate, Kind, Proposal
from .tally import Tally


def assemble(
    committee: Committee, kind: Kind, view: int, proposal: Proposal | None, signatures: list[tuple[int, bytes]]
) -> Certificate:
    """The certificate of the first quorum of these (signer, signature) pairs, which are sorted by signer."""
    chosen = signatures[: committee.quorum]
    bits = 0
    for signer, _ in chosen:
        bits |= 1 << signer
    bitmap = bits.to_bytes((committee.size + 7) // 8, "little")
    return Certificate(kind, committee.epoch, view, proposal, bitmap, tuple([signature for _, signature in chosen]))


_BITS = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def signers_of(certificate: Certificate) -> list[int]:
    """The validators whose signatures a certificate holds, in order."""
    return [at * 8 + bit for at, byte in enumerate(certificate.signers) for bit in _BITS[byte]]


def check(committee: Committee, certificate: Certificate, known: Tally | None) -> None:
    """Raise PeerFault unless a quorum signed this; what ``known`` vouches for was verified before."""
    committee.check_shape(certificate)
    signers = _checked_signers(committee, certificate)
    for signer, signature in zip(signers, certificate.signatures, strict=True):
        if known is not None and known.vouches(signer, certificate.proposal, signature):
            continue
        if not committee.has_signed(signer, certificate.kind, certificate.view, certificate.proposal, signature):
            raise BadSignature(f"validator {signer} did not sign that certificate of view {certificate.view}")


def _checked_signers(committee: Committee, certificate: Certificate) -> list[int]:
    # A bitmap names each signer once, so one signature repeated cannot pass for a quorum.
    if len(certificate.signers) != (committee.size + 7) // 8:
        raise Malformed(f"a bitmap of {len(certificate.signers)} bytes for {committee.size} validators")
    signers = signers_of(certificate)
    if signers and signers[-1] >= committee.size:
        raise Malformed(f"a signer {signers[-1]} among {committee.size} validators")
    if len(signers) != len(certificate.signatures):
        raise Malformed(f"{len(signers)} signers with {len(certificate.signatures)} signatures")
    if len(signers) < committee.quorum:
        raise Malformed(f"{len(signers)} signers are no quorum of {committee.size}")
    return signers
