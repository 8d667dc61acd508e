"""
Votes, certificates and messages of Simplex (``consensus.md`` 1.2), as amended: canonical records.

``Kind`` NOTARIZE, NULLIFY, FINALIZE; a nullify vote has no proposal. Everything signed binds chain
id (by the signature's domain), epoch, kind and view.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import ABlockHash, ASignature

# A leader justifies skipped views inline up to here; beyond, laggards fetch.
JUSTIFICATION_MAX = 64
SUPPLY_CERTIFICATES_MAX = 128
SUPPLY_BLOCKS_MAX = 64
FETCH_WANT_MAX = 4
BODY_BYTES_MAX = 1 << 20
VALIDATORS_MAX = 256


class Kind(IntEnum):
    """What a vote says."""

    NOTARIZE = 1
    NULLIFY = 2
    FINALIZE = 3


# Named once: to look a member up by its class costs as much as a call (Python 3.11), and every rule asks for some.
NOTARIZE, NULLIFY, FINALIZE = Kind.NOTARIZE, Kind.NULLIFY, Kind.FINALIZE


@record(kinds.PROPOSAL, often=True)
@frozen(cache_hash=True)
class Proposal:
    """A leader's block for one view, named by its header's hash and chained to its parent's view."""

    epoch: int
    view: int
    parent_view: int
    parent_hash: ABlockHash
    block_hash: ABlockHash


@record(kinds.VOTE, often=True)
@frozen
class Vote:
    """One validator's signed word about one view."""

    kind: Kind
    epoch: int
    view: int
    proposal: Proposal | None  # None exactly for NULLIFY
    signer: int
    signature: ASignature


@record(kinds.CERTIFICATE, often=True)
@frozen
class Certificate:
    """A quorum of equal votes: bit i (least bit of the first byte first) is validator i, signatures in that order."""

    kind: Kind
    epoch: int
    view: int
    proposal: Proposal | None
    signers: Annotated[bytes, Limit(most=VALIDATORS_MAX // 8)]
    signatures: Annotated[tuple[ASignature, ...], Limit(most=VALIDATORS_MAX)]


@record(kinds.PROPOSE)
@frozen
class Propose:
    """A proposal with its block, what justifies its parent, and the leader's own notarize vote."""

    proposal: Proposal
    body: Annotated[bytes, Limit(most=BODY_BYTES_MAX)]
    justification: Annotated[tuple[Certificate, ...], Limit(most=JUSTIFICATION_MAX)]
    vote: Vote


@record(kinds.FETCH)
@frozen
class Fetch:
    """Ask for certificates since a view and for blocks by hash (with their ancestors)."""

    final_view: int
    view: int
    want: Annotated[tuple[ABlockHash, ...], Limit(most=FETCH_WANT_MAX)]
    epoch: int = 0  # the asker's: who is further answers with how it ended


@record(kinds.SUPPLIED_BLOCK)
@frozen
class SuppliedBlock:
    """A block's body with the proposal that names it."""

    proposal: Proposal
    body: Annotated[bytes, Limit(most=BODY_BYTES_MAX)]


@record(kinds.SUPPLY)
@frozen
class Supply:
    """An answer to Fetch: certificates and blocks, newest first."""

    certificates: Annotated[tuple[Certificate, ...], Limit(most=SUPPLY_CERTIFICATES_MAX)]
    blocks: Annotated[tuple[SuppliedBlock, ...], Limit(most=SUPPLY_BLOCKS_MAX)]


@record(kinds.RECALL)
@frozen
class Recall:
    """Who starts asks: which votes of mine did you hear, and where do you stand?"""

    epoch: int
    mark: int  # of the asker's life; the answer says it again


@record(kinds.RECALLED)
@frozen
class Recalled:
    """An answer to Recall: the asker's newest vote, and the certificate of the highest view known."""

    epoch: int
    mark: int
    vote: Vote | None
    certificate: Certificate | None


Message: TypeAlias = Propose | Vote | Certificate | Fetch | Supply | Recall | Recalled


def epoch_of(message: Message) -> int | None:
    """The epoch in which something was said; an answer may hold the end of any."""
    match message:
        case Vote() | Certificate():
            return message.epoch
        case Propose():
            return message.proposal.epoch
        case Supply():
            return None
        case _:
            return message.epoch
