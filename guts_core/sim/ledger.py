"""
The omniscient ledger: every vote said by anybody, and the invariants of ``consensus.md`` 1.13.

I1-I4 fire at the moment an honest node breaks a rule of its own, long before a fork shows it;
I5-I8 when the damage is done. The ledger counts quorums itself, by the formula, so that an engine
with another idea of a quorum is caught.
"""

from __future__ import annotations

from guts_core.errors import GutsError
from guts_core.names import BlockHash
from guts_core.simplex.certificates import signers_of
from guts_core.simplex.messages import Certificate, Kind, Message, Proposal, Propose, Supply, Vote
from guts_core.simplex.quorum import FaultModel

from .ports import Store

_NOTHING = BlockHash(b"")
_EMPTY: dict[BlockHash, int] = {}


class Broken(GutsError):
    """An invariant does not hold; the sentence says which, where and who."""

    code = "broken-promise"


class VoteLedger:
    """All votes as bit sets by kind, view and block; one canonical chain."""

    def __init__(self, size: int, fault_model: FaultModel, villains: frozenset[int]) -> None:
        self.quorum = size // 2 + 1 if fault_model is FaultModel.CRASH else size - (size - 1) // 3
        self._villains = villains
        self._votes: dict[tuple[Kind, int], dict[BlockHash, int]] = {}
        self.chain: list[Store] = []
        self._contents: set[bytes] = set()
        self.votes = 0
        self.certificates: set[tuple[Kind, int]] = set()

    def hear(self, message: Message) -> None:
        """Somebody said this: take every vote in it."""
        if isinstance(message, Vote):
            self._vote(message.kind, message.view, message.proposal, message.signer)
        elif isinstance(message, Certificate):
            self._certificate(message)
        elif isinstance(message, Propose):
            for certificate in message.justification:
                self._certificate(certificate)
            self._vote(Kind.NOTARIZE, message.vote.view, message.vote.proposal, message.vote.signer)
        elif isinstance(message, Supply):
            for certificate in message.certificates:
                self._certificate(certificate)

    def signers(self, kind: Kind, view: int, block_hash: BlockHash = _NOTHING) -> int:
        """The bit set of those who voted so."""
        return self._votes.get((kind, view), _EMPTY).get(block_hash, 0)

    def final(self, node: int, store: Store) -> None:
        """I7, I8, I9: a node finalized a block at a height."""
        if store.height <= len(self.chain):
            known = self.chain[store.height - 1]
            if known.block_hash != store.block_hash:
                raise Broken(f"I7: node {node} finalized another block at height {store.height}")
            if known.root != store.root:
                raise Broken(f"I8: node {node} computed another state at height {store.height}")
            return
        if store.height != len(self.chain) + 1:
            raise Broken(f"I7: node {node} finalized height {store.height} above a gap")
        repeated = self._contents.intersection(store.contents)
        if repeated:
            raise Broken(f"I9: {min(repeated).hex()[:32]} is final twice, again at height {store.height}")
        self._contents.update(store.contents)
        self.chain.append(store)

    def is_final(self, content: bytes) -> bool:
        """Whether this was ordered."""
        return content in self._contents

    def _certificate(self, certificate: Certificate) -> None:
        for signer in signers_of(certificate):
            self._vote(certificate.kind, certificate.view, certificate.proposal, signer)

    def _vote(self, kind: Kind, view: int, proposal: Proposal | None, signer: int) -> None:
        block_hash = proposal.block_hash if proposal else _NOTHING
        by_block = self._votes.setdefault((kind, view), {})
        before, bit = by_block.get(block_hash, 0), 1 << signer
        if before & bit:
            return
        self.votes += 1
        by_block[block_hash] = before | bit
        if signer not in self._villains:
            self._honest(kind, view, proposal, signer)
        if (before | bit).bit_count() >= self.quorum:
            self._certified(kind, view)

    def _honest(self, kind: Kind, view: int, proposal: Proposal | None, signer: int) -> None:
        bit = 1 << signer
        if sum(1 for signers in self._votes[kind, view].values() if signers & bit) > 1:
            raise Broken(f"I1: node {signer} cast two {kind.name.lower()} votes in view {view}")
        if kind is not Kind.NOTARIZE:
            other = Kind.FINALIZE if kind is Kind.NULLIFY else Kind.NULLIFY
            if any(signers & bit for signers in self._votes.get((other, view), _EMPTY).values()):
                raise Broken(f"I2: node {signer} cast nullify and finalize in view {view}")
        if proposal is None:
            return
        if kind is Kind.FINALIZE and not self._is_quorum(Kind.NOTARIZE, view, proposal.block_hash):
            raise Broken(f"I3: node {signer} finalizes in view {view} what no quorum notarized")
        if kind is Kind.NOTARIZE:
            self._check_parent(proposal, signer)

    def _check_parent(self, proposal: Proposal, signer: int) -> None:
        if proposal.parent_view and not self._is_quorum(Kind.NOTARIZE, proposal.parent_view, proposal.parent_hash):
            raise Broken(f"I4: node {signer} voted in view {proposal.view} for a child of no notarized block")
        for view in range(proposal.parent_view + 1, proposal.view):
            if not self._is_quorum(Kind.NULLIFY, view, _NOTHING):
                raise Broken(f"I4: node {signer} voted in view {proposal.view} though view {view} was not nullified")

    def _is_quorum(self, kind: Kind, view: int, block_hash: BlockHash) -> bool:
        return self.signers(kind, view, block_hash).bit_count() >= self.quorum

    def _certified(self, kind: Kind, view: int) -> None:
        self.certificates.add((kind, view))
        full = [signers for signers in self._votes[kind, view].values() if signers.bit_count() >= self.quorum]
        if len(full) > 1:
            raise Broken(f"I5: two blocks have a {kind.name.lower()} quorum in view {view}")
        if kind is not Kind.NOTARIZE and {(Kind.NULLIFY, view), (Kind.FINALIZE, view)} <= self.certificates:
            raise Broken(f"I6: view {view} is both nullified and finalized")
