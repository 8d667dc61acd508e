"""Whether a header is final: headers by hash up to a certificate of the genesis's validators (``consensus.md`` 2.3)."""

from __future__ import annotations

from itertools import pairwise

from guts_core.chain import history
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import EPOCH, RULES, Header, block_hash, validators_hash
from guts_core.errors import PeerFault
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Proposal

from .faults import BadCertificate, BadChain, OtherNetwork, UnknownVersion
from .format import Finality
from .verified import Final


def check_finality(finality: Finality, genesis: Genesis) -> Final:
    """Who made this header final; raises BadProof."""
    if finality.epochs:
        raise UnknownVersion("the proof crosses a change of validators; this build knows one set, that of genesis")
    header = finality.header
    certified = finality.above[-1] if finality.above else header
    for one in (header, *finality.above):
        _check_header(one, genesis)
    certified_hash = _check_link(finality, certified)
    committee = Committee(chain_id(genesis), EPOCH, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())
    _check_certificate(finality.certificate, certified, certified_hash, committee)
    return Final(
        network=genesis.name,
        chain_id=committee.chain_id,
        height=header.height,
        time=header.time,
        block_hash=block_hash(header),
        certified_height=certified.height,
        signers=tuple(genesis.validators[signer].name for signer in certificates.signers_of(finality.certificate)),
        validators=committee.size,
        quorum=committee.quorum,
        fault_model=genesis.fault_model,
    )


def check_parents(headers: tuple[Header, ...]) -> BlockHash:
    """The hash of the last of these headers; raises BadChain unless each is the next one's parent."""
    below = block_hash(headers[0])
    for lower, upper in pairwise(headers):
        if upper.parent_hash != below or upper.parent_view != lower.view or upper.height != lower.height + 1:
            raise BadChain(f"header {upper.height} does not name header {lower.height} as its parent")
        below = block_hash(upper)
    return below


def _check_header(header: Header, genesis: Genesis) -> None:
    if header.chain_id != chain_id(genesis):
        raise OtherNetwork(f"header {header.height} is of network {header.chain_id.hex()}")
    if (header.rules, header.epoch) != (RULES, EPOCH):
        raise UnknownVersion(
            f"header {header.height} is of rules {header.rules}, epoch {header.epoch}: this build knows rules {RULES}"
        )
    if header.next_validators != validators_hash(genesis.validators):
        raise BadChain(f"header {header.height} hands over to validators that are not those of genesis")


def _check_link(finality: Finality, certified: Header) -> BlockHash:
    """The hash of the certified header, to which the shown one leads; raises BadChain."""
    if finality.history is None:
        return check_parents((finality.header, *finality.above))
    if len(finality.above) != 1:
        raise BadChain(f"a way through the history, and {len(finality.above)} headers above")
    shown = finality.header
    if not history.verify(certified.history_root, certified.height, shown.height, block_hash(shown), finality.history):
        raise BadChain(f"header {shown.height} does not stand in the history of header {certified.height}")
    return block_hash(certified)


def _check_certificate(certificate: Certificate, header: Header, named: BlockHash, committee: Committee) -> None:
    wanted = Proposal(header.epoch, header.view, header.parent_view, header.parent_hash, named)
    if certificate.kind is not Kind.FINALIZE:
        raise BadCertificate(f"a certificate to {certificate.kind.name.lower()}: only one to finalize makes final")
    if certificate.proposal != wanted:
        raise BadCertificate(f"the certificate is not of header {header.height}")
    try:
        certificates.check(committee, certificate, None)
    except PeerFault as error:
        raise BadCertificate(f"the certificate of header {header.height} does not hold: {error}") from error
