"""
The chain of epochs: from genesis to the validators of today, without any block in between.

The last header of each epoch is final by the votes of its own validators, and names those of the next. So
whoever holds the genesis can follow the steps, one an epoch, to a set of validators that it never heard of
before, and believe what that set signs. Nodes that join, laggards and proofs all walk the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.errors import PeerFault
from guts_core.forge.records import VALIDATORS_MAX, ValidatorEntry
from guts_core.identity import Verifier
from guts_core.names import BlockHash, ChainId
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Proposal
from guts_core.simplex.quorum import FaultModel

from .block import tx_root
from .genesis import Genesis, chain_id
from .header import EPOCH, Header, block_hash, validators_hash
from .receipt import receipts_root

# Leaders build empty blocks above a boundary only until it is final. As many as a node holds while it catches up:
# without finality they come one a view, each notarized, which takes an adversary that schedules every message for long.
CHILDREN_MAX = 1024
_NO_TRANSACTIONS, _NO_RECEIPTS = tx_root(()), receipts_root(())


class BadStep(PeerFault):
    """A step that does not follow from those before it."""

    code = "bad-step"


@record(kinds.EPOCH_STEP)
@frozen
class EpochStep:
    """
    The end of one epoch: its last header, why that is final, and the set that it hands over to.

    ``children`` are the headers of the empty blocks above it, lowest first, of which the last is certified;
    without any the header is certified itself.
    """

    header: Header
    children: Annotated[tuple[Header, ...], Limit(most=CHILDREN_MAX)]
    certificate: Certificate
    validators: Annotated[tuple[ValidatorEntry, ...], Limit(most=VALIDATORS_MAX, least=1)]


@frozen
class Trail:
    """How far the steps led: ``epoch`` is the newest known, ``validators`` those who vote in it."""

    chain_id: ChainId
    fault_model: FaultModel
    epoch: int
    validators: tuple[ValidatorEntry, ...]
    boundary: Header | None  # the last header of the epoch before; None in the first

    @classmethod
    def of(cls, genesis: Genesis) -> Trail:
        """Where every walk begins."""
        return cls(chain_id(genesis), genesis.fault_model, EPOCH, genesis.validators, None)

    def after(self, step: EpochStep, verifier: Verifier) -> Trail:
        """One epoch further; raises BadStep, or what is wrong with the certificate."""
        header = step.header
        for one in (header, *step.children):
            self._check_place(one)
        if self.boundary is not None and header.height <= self.boundary.height:
            raise BadStep(f"epoch {self.epoch} ends at height {header.height}, and began above that")
        if header.next_validators != validators_hash(step.validators, self.epoch + 1):
            raise BadStep(f"header {header.height} does not hand over to these validators of epoch {self.epoch + 1}")
        self.check_final((header, *step.children), step.certificate, verifier)
        return Trail(self.chain_id, self.fault_model, self.epoch + 1, step.validators, header)

    def committee(self, verifier: Verifier) -> Committee:
        """Those whose votes count in the newest epoch known."""
        keys = tuple(validator.vote_key for validator in self.validators)
        return Committee(self.chain_id, self.epoch, keys, self.fault_model, verifier)

    def check_final(self, headers: tuple[Header, ...], certificate: Certificate, verifier: Verifier) -> None:
        """Raises PeerFault unless each header is the next one's parent and the last is certified in this epoch."""
        for lower, upper in pairwise(headers):
            if (upper.parent_hash, upper.parent_view) != (block_hash(lower), lower.view):
                raise BadStep(f"header {upper.height} does not name header {lower.height} as its parent")
            holds = (upper.tx_root, upper.receipts_root, upper.state_root)
            if upper.height != lower.height + 1 or holds != (_NO_TRANSACTIONS, _NO_RECEIPTS, lower.state_root):
                raise BadStep(f"header {upper.height} is not of an empty block above header {lower.height}")
        if certificate.kind is not Kind.FINALIZE or certificate.proposal != proposal_of(headers[-1]):
            raise BadStep(f"the certificate does not make header {headers[-1].height} final")
        certificates.check(self.committee(verifier), certificate, None)

    def _check_place(self, header: Header) -> None:
        if header.chain_id != self.chain_id:
            raise BadStep(f"header {header.height} is of network {header.chain_id.hex()}")
        if header.epoch != self.epoch:
            raise BadStep(f"header {header.height} is of epoch {header.epoch}, and epoch {self.epoch} comes next")


def proposal_of(header: Header) -> Proposal:
    """What was voted on when this header's block was."""
    return Proposal(header.epoch, header.view, header.parent_view, BlockHash(header.parent_hash), block_hash(header))


def walk(genesis: Genesis, steps: Iterable[EpochStep], verifier: Verifier) -> Trail:
    """As far as these steps lead from genesis; raises PeerFault for the first that does not follow."""
    trail = Trail.of(genesis)
    for step in steps:
        trail = trail.after(step, verifier)
    return trail
