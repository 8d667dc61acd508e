"""What a proof showed: the answer, and on whose word it is final."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from guts_core.chain.header import Header
from guts_core.chain.receipt import Receipt
from guts_core.chain.transaction import SignedTransaction
from guts_core.forge.activities import Activity
from guts_core.forge.records import Pack, Ref, Repository
from guts_core.names import BlockHash, ChainId, Oid
from guts_core.simplex.quorum import FaultModel

from .questions import Question


@frozen
class Checkpoint:
    """An epoch that somebody followed the validators to, and the last block of the one before it."""

    epoch: int
    boundary: BlockHash


@frozen
class Final:
    """The block that a proof is about, and who made it final."""

    network: str
    chain_id: ChainId
    height: int
    time: int  # of the block, ms since 1970: what is shown was so then
    rules: int  # under which that block was made
    block_hash: BlockHash
    certified_height: int  # of the block whose certificate covers it: the same or a later one
    epoch: int  # of that certificate: whose validators signed it
    checkpoint: Checkpoint | None  # the same epoch, to hold later proofs against; None for the first
    signers: tuple[str, ...]  # names of validators
    validators: int
    quorum: int
    fault_model: FaultModel

    @property
    def words(self) -> str:
        """Who vouches for it, in one line; in crash mode it is no more than one operator's word."""
        signed = f"signed by {len(self.signers)} of {self.validators} validators ({', '.join(self.signers)})"
        if self.fault_model is FaultModel.CRASH:
            return f"{signed}; agreed by one operator's majority, not BFT"
        return signed


@frozen
class ProvenRef:
    """A ref's value at that height; ``oid`` None: there was no such ref."""

    repository: Repository
    ref: str
    oid: Oid | None


@frozen
class ProvenRefs:
    """All refs of a repository at that height, in order of name."""

    repository: Repository
    refs: tuple[Ref, ...]


@frozen
class ProvenPacks:
    """All refs of a repository at that height, in order of name, and its admitted packs in order of admission."""

    repository: Repository
    refs: tuple[Ref, ...]
    packs: tuple[Pack, ...]


@frozen
class ProvenTransaction:
    """A transaction as signed, and what became of it in that block."""

    signed: SignedTransaction
    receipt: Receipt
    index: int
    activity: Activity | None  # the one that was asked for


@frozen
class ProvenHeaders:
    """Headers, lowest first; the last is that of the block the proof is about."""

    headers: tuple[Header, ...]


Proven: TypeAlias = ProvenRef | ProvenRefs | ProvenTransaction | ProvenHeaders | ProvenPacks


@frozen
class Verified:
    """A true proof: what was asked, what answers it, and why it is final."""

    question: Question
    answer: Proven
    final: Final

    @property
    def height(self) -> int:
        """The height at which it was so."""
        return self.final.height

    @property
    def time(self) -> int:
        """That block's time, ms since 1970."""
        return self.final.time
