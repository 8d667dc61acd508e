"""
The proof file: what was asked, why it is final, and what answers it (``docs/reference/proof-format.md``).

A file holds no key that its verifier could compute and no genesis: whoever checks it brings that. So
there is nothing in it to be believed, and each byte is covered by a hash, a signature or the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.chain.header import Header
from guts_core.chain.receipt import Receipt
from guts_core.chain.trail import EpochStep
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import HASH_BYTES, Limit, kinds, record
from guts_core.codec.fields import AChainId, AHash
from guts_core.forge.records import Pack, Ref
from guts_core.simplex.messages import Certificate
from guts_core.state.nodes import TREE_KEY_BITS
from guts_core.state.proof import AbsenceProof, CompleteProof, Step

from .faults import BadPath
from .questions import HEADERS_MAX, Question

# The refs of the largest repositories fit (75 bytes each); no verifier has to hold more.
PROOF_BYTES_MAX = 16 << 20
# Above this many headers the path through the history is shorter by far.
ABOVE_MAX = 64
# A mountain of 2**63 headers, and as many others.
HISTORY_PATH_MAX = 128
# A block holds 8,192 transactions.
TREE_PATH_MAX = 32
RECORD_BYTES_MAX = 1 << 16
BITS_BYTES = 2
STEP_BYTES = BITS_BYTES + HASH_BYTES
REFS_MAX = 1_000_000
# A pack for each push of a year, one in five minutes; merging them keeps the number far below.
PACKS_MAX = 100_000
# Days in 44 years; of four validators some 11 MB. A network whose epochs take seconds gets there within hours.
EPOCHS_MAX = 16_384


@record(kinds.FINALITY)
@frozen
class Finality:
    """
    Why a header is final: it is certified, or stands below a header that is.

    ``epochs`` are the ends of all epochs before that of the certificate, the first one's first: they say who
    the validators of that one are. ``above`` are headers over the shown one, lowest first, the last one
    certified; without any it is certified itself. With ``history`` there is exactly one above, and the hashes
    lead from the header into that one's history root; without, each names the one before it as its parent.
    """

    epochs: Annotated[tuple[EpochStep, ...], Limit(most=EPOCHS_MAX)]
    header: Header
    above: Annotated[tuple[Header, ...], Limit(most=ABOVE_MAX)]
    history: Annotated[tuple[AHash, ...], Limit(most=HISTORY_PATH_MAX)] | None
    certificate: Certificate


@record(kinds.LOOKUP)
@frozen
class Lookup:
    """
    The record at a key that the verifier knows, and the walk from a root of the state tree to it.

    Three walks are most of a proof, so they stand in few bytes: for each step its bits, in two bytes, and
    the hash of the side not taken.
    """

    value: Annotated[bytes, Limit(most=RECORD_BYTES_MAX)]
    walk: Annotated[bytes, Limit(most=TREE_KEY_BITS * STEP_BYTES)]

    @classmethod
    def of(cls, value: bytes, steps: Sequence[Step]) -> Lookup:
        """The lookup that takes these steps."""
        return cls(value, b"".join(step.bits.to_bytes(BITS_BYTES, "big") + step.other for step in steps))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The walk step by step; raises BadPath."""
        if len(self.walk) % STEP_BYTES:
            raise BadPath(f"a walk of {len(self.walk)} bytes: each step has {STEP_BYTES}")
        parts = (self.walk[at : at + STEP_BYTES] for at in range(0, len(self.walk), STEP_BYTES))
        return tuple(Step(int.from_bytes(part[:BITS_BYTES], "big"), part[BITS_BYTES:]) for part in parts)


@record(kinds.REF_ANSWER)
@frozen
class RefAnswer:
    """
    The owner's name, the repository's name, the repository, and its ref or the absence of it.

    The ref is looked up below the repository's own walk: under the side not taken where refs part
    from it. None: the walk shows that nothing parts there, so the repository has no ref at all.
    """

    account: Lookup
    name: Lookup
    repository: Lookup
    ref: Lookup | AbsenceProof | None


@record(kinds.REFS_ANSWER)
@frozen
class RefsAnswer:
    """The same with all refs, in bytewise order of name: together they hash to the side not taken."""

    account: Lookup
    name: Lookup
    repository: Lookup
    refs: Annotated[tuple[Ref, ...], Limit(most=REFS_MAX)]


@record(kinds.PACKS_ANSWER)
@frozen
class PacksAnswer:
    """All refs, and all admitted packs in order of admission, with the walk from the state's root to their tree."""

    refs: RefsAnswer
    packs: Annotated[tuple[Pack, ...], Limit(most=PACKS_MAX)]
    walk: CompleteProof


Path: TypeAlias = Annotated[tuple[AHash, ...], Limit(most=TREE_PATH_MAX)]


@record(kinds.TRANSACTION_ANSWER)
@frozen
class TransactionAnswer:
    """A transaction as it was signed, and its receipt, both at one place of the header's lists."""

    signed: SignedTransaction
    witness: AHash  # the hash that its leaf has of the witness
    receipt: Receipt
    index: int
    count: int
    transaction_path: Path
    receipt_path: Path


@record(kinds.HEADERS_ANSWER)
@frozen
class HeadersAnswer:
    """The headers below the final one that were asked for, lowest first, each the next one's parent."""

    below: Annotated[tuple[Header, ...], Limit(most=HEADERS_MAX)]


Answer: TypeAlias = RefAnswer | RefsAnswer | TransactionAnswer | HeadersAnswer | PacksAnswer


@record(kinds.PROOF_FILE)
@frozen
class ProofFile:
    """One question and its proof, for one network."""

    network: AChainId
    question: Question
    finality: Finality
    answer: Answer
