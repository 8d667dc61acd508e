"""
Whether a header is final: from genesis over the ends of epochs to those who vote, and by hash from the header
up to one that they certified (``consensus.md`` 2.3).
"""

from __future__ import annotations

from itertools import pairwise

from guts_core.chain import history
from guts_core.chain.genesis import Genesis
from guts_core.chain.header import Header, block_hash
from guts_core.chain.trail import BadStep, EpochStep, Trail, proposal_of
from guts_core.errors import PeerFault
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import Ed25519Verifier
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind

from .faults import BadCertificate, BadChain, BadEpoch, OtherNetwork, UnknownVersion
from .format import Finality
from .verified import Checkpoint, Final


def check_finality(finality: Finality, genesis: Genesis, known: Checkpoint | None = None) -> Final:
    """Who made this header final; raises BadProof, also when it is in another history than what is known."""
    trail = _walk(finality.epochs, genesis, known)
    header = finality.header
    certified = finality.above[-1] if finality.above else header
    for one in (header, *finality.above):
        _check_header(one, trail)
    if certified.epoch != trail.epoch:
        told = f"header {certified.height} is of epoch {certified.epoch}"
        raise BadEpoch(f"{told}, the ends of epochs in the proof lead to epoch {trail.epoch}")
    _check_link(finality, certified)
    committee = trail.committee(Ed25519Verifier())
    _check_certificate(finality.certificate, certified, committee)
    return Final(
        network=genesis.name,
        chain_id=committee.chain_id,
        height=header.height,
        time=header.time,
        rules=header.rules,
        block_hash=block_hash(header),
        certified_height=certified.height,
        epoch=trail.epoch,
        checkpoint=_checkpoint(trail),
        signers=tuple(trail.validators[signer].name for signer in certificates.signers_of(finality.certificate)),
        validators=committee.size,
        quorum=committee.quorum,
        fault_model=genesis.fault_model,
    )


def check_parents(headers: tuple[Header, ...]) -> None:
    """Raises BadChain unless each of these headers is the next one's parent."""
    for lower, upper in pairwise(headers):
        below = (block_hash(lower), lower.view, lower.height + 1)
        if (upper.parent_hash, upper.parent_view, upper.height) != below:
            raise BadChain(f"header {upper.height} does not name header {lower.height} as its parent")


def _walk(steps: tuple[EpochStep, ...], genesis: Genesis, known: Checkpoint | None) -> Trail:
    """From the validators of genesis to those who vote after these ends of epochs; raises BadProof."""
    trail, verifier = Trail.of(genesis), Ed25519Verifier()
    for step in steps:
        for one in (step.header, *step.children):
            _check_rules(one)
        try:
            trail = trail.after(step, verifier)
        except BadStep as error:
            raise BadEpoch(f"the end of epoch {trail.epoch}: {error}") from error
        except PeerFault as error:
            raise BadCertificate(f"the certificate of the end of epoch {trail.epoch} does not hold: {error}") from error
        if known is not None and known.epoch == trail.epoch and known != _checkpoint(trail):
            told = f"epoch {trail.epoch} begins after block {block_hash(step.header).hex()}"
            raise BadEpoch(f"{told}, and a proof that was true before says {known.boundary.hex()}: two histories")
    return trail


def _checkpoint(trail: Trail) -> Checkpoint | None:
    return None if trail.boundary is None else Checkpoint(trail.epoch, block_hash(trail.boundary))


def _check_header(header: Header, trail: Trail) -> None:
    if header.chain_id != trail.chain_id:
        raise OtherNetwork(f"header {header.height} is of network {header.chain_id.hex()}")
    _check_rules(header)


def _check_rules(header: Header) -> None:
    """What is written under rules that nobody here knows may mean anything."""
    if header.rules not in KNOWN_RULES:
        known = ", ".join(map(str, KNOWN_RULES))
        raise UnknownVersion(f"header {header.height} is of rules {header.rules}: this build knows rules {known}")


def _check_link(finality: Finality, certified: Header) -> None:
    """Raises BadChain unless the shown header lies under the certified one."""
    if finality.history is None:
        check_parents((finality.header, *finality.above))
        return
    if len(finality.above) != 1:
        raise BadChain(f"a way through the history, and {len(finality.above)} headers above")
    shown = finality.header
    if not history.verify(certified.history_root, certified.height, shown.height, block_hash(shown), finality.history):
        raise BadChain(f"header {shown.height} does not stand in the history of header {certified.height}")


def _check_certificate(certificate: Certificate, header: Header, committee: Committee) -> None:
    if certificate.kind is not Kind.FINALIZE:
        raise BadCertificate(f"a certificate to {certificate.kind.name.lower()}: only one to finalize makes final")
    if certificate.proposal != proposal_of(header):
        raise BadCertificate(f"the certificate is not of header {header.height}")
    try:
        certificates.check(committee, certificate, None)
    except PeerFault as error:
        raise BadCertificate(f"the certificate of header {header.height} does not hold: {error}") from error
