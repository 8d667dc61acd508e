"""
The port: what the HTTP doors and the node say to each other.

One conversation per duplex byte stream: the asker sends one request frame, then (for a push) pack
frames; the node answers with frames and ends the stream. Closing the stream cancels. A frame is a
4-byte big-endian length, at most ``FRAME_BYTES_MAX``, and one canonical record. Streams are the
flow control: neither side buffers more than a frame.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias, get_args

from attrs import field, frozen

from guts_core.chain.transaction import Text
from guts_core.codec import Family, Limit, kinds, record
from guts_core.codec.fields import AnAccountId, ARepoId, ATxId
from guts_core.discovery import Outlook
from guts_core.forge.actions import Action
from guts_core.proof.questions import Question

from .pack_list import OpenPacks, PackList
from .push_parts import COMMANDS_AT_ONCE_MAX, MoreCommands, PushCommand, RefReport, RefReports
from .whereabouts import AskPlaces, Places

# Large enough for a 1 MiB piece of pack or the largest transaction with texts.
FRAME_BYTES_MAX = (1 << 20) + 4096
# Pieces this size keep a slow push from holding memory and a fast one from paying per frame.
PACK_DATA_BYTES_MAX = 256 * 1024
# The proof of all refs of a large repository takes several frames.
PROOF_PIECE_BYTES = 1 << 20
# A hundred bytes each: far below a frame, and more than anybody reads.
WAITING_MAX = 1_000
SEED = Limit.exactly(32)
# Far more than a node counts (``guts_core.node.figures``).
FIGURES_MAX = 1_000


@record(kinds.ASK_STATUS)
@frozen
class AskStatus:
    """What is this node doing?"""


@record(kinds.PEER_STATUS)
@frozen
class PeerStatus:
    """One other validator as this node sees it."""

    index: int
    node_id: Annotated[bytes, Limit.exactly(32)]
    name: str
    connected: bool
    round_trip_us: int | None
    clock: int | None  # what its clock shows now, ms since 1970, as it said when it connected; None: not connected
    led: int  # its turns to lead that became blocks, since this node's start
    missed: int  # and those that were passed over


@record(kinds.STATUS)
@frozen
class Status:
    """A snapshot of what only the running node knows; state itself is read from chain.db."""

    chain_id: Annotated[bytes, Limit.exactly(32)]
    node_id: Annotated[bytes, Limit.exactly(32)]
    validator_index: int | None
    height: int  # finalized, executed and committed
    view: int
    epoch: int
    validators: int
    quorum: int
    peers: int  # connected validators other than this one
    missing_packs: int
    missing_texts: int
    time: int  # header time this node would propose now, ms
    final_age_ms: int  # monotonic time since a newer finalized header was last learned
    private_reads: bool  # whether the private_read_grace still stands (always at n=1)
    mempool: int
    peer_statuses: tuple[PeerStatus, ...]
    halted: str | None  # the sentence with which agreement stopped, if it did
    disk_free: int  # bytes
    disk_reserve: int  # with less free, writes of clients are refused
    clock: int  # ms since 1970 by this machine
    uptime_ms: int
    started: bool  # the vote log is replayed and agreement joined; catching up may go on
    behind: int  # blocks that this node lacks, at most, as far as others have shown
    led: int  # own turns to lead that became blocks, since the start
    missed: int  # and those that were passed over
    packs_damaged: int  # since the start; each is fetched again from another validator
    scrub_rounds: int  # whole readings of the disk since the start
    damage: str | None = None  # what this node's disk lost and cannot mend by itself, with what to do
    outlook: Outlook = Outlook.CLEAR  # how much of the network it sees
    held_back: str | None = None  # why its key does not vote for a while


@record(kinds.ASK_FIGURES)
@frozen
class AskFigures:
    """What has this node counted? -> Figures"""


@record(kinds.FIGURE)
@frozen
class Figure:
    """One number, by its key in ``guts_core.node.figures``; of what takes time the sum, and how often it was done."""

    key: Annotated[str, Limit(most=64, least=1)]
    value: int
    count: int | None = None


@record(kinds.FIGURES)
@frozen
class Figures:
    """All that it has counted since its start."""

    figures: Annotated[tuple[Figure, ...], Limit(most=FIGURES_MAX)]


class Phase(IntEnum):
    """How far a transaction came."""

    FINAL = 1  # executed in a finalized block: `error` tells whether it was refused there
    REFUSED = 2  # never admitted: nothing will happen
    PENDING = 3  # not final within the wait; it may still happen
    EXPIRED = 4  # can no longer be admitted anywhere: definite
    UNKNOWN = 5  # this node has never heard of it


@record(kinds.OUTCOME)
@frozen
class Outcome:
    """What became of a transaction, as far as this node knows."""

    phase: Phase
    tx_id: ATxId
    height: int | None
    index: int | None
    error: str | None  # a code of guts_core.errors, None when it succeeded
    message: str | None  # in words
    missing_validators: int  # how many of the quorum are not connected right now


@record(kinds.ACT)
@frozen
class Act:
    """Sign and submit actions for the holder of a handed token, and wait for finality. -> Outcome"""

    seed: Annotated[bytes, SEED] = field(repr=False)  # never in a log or a traceback
    actions: Annotated[tuple[Action, ...], Limit(most=16, least=1)]
    texts: Annotated[tuple[Text, ...], Limit(most=16)]
    wait_ms: int


@record(kinds.SUBMIT_TRANSACTION)
@frozen
class SubmitTransaction:
    """Submit a signed transaction (canonical bytes of SignedTransaction). -> Outcome"""

    signed: Annotated[bytes, Limit(most=512 * 1024)]
    texts: Annotated[tuple[Text, ...], Limit(most=16)]
    wait_ms: int


@record(kinds.ASK_TRANSACTION)
@frozen
class AskTransaction:
    """What became of it? -> Outcome"""

    tx_id: ATxId


@record(kinds.ASK_MEMPOOL)
@frozen
class AskMempool:
    """What waits at this node for a block? -> WaitingList"""


@record(kinds.WAITING)
@frozen
class Waiting:
    """One transaction that waits. Of one that concerns a private repository nothing but its id is told."""

    tx_id: ATxId
    author: AnAccountId | None
    size: int | None
    age_ms: int | None


@record(kinds.MEMPOOL)
@frozen
class WaitingList:
    """What waits here: all of it in number and bytes, and the oldest one by one."""

    count: int
    size: int
    oldest: Annotated[tuple[Waiting, ...], Limit(most=WAITING_MAX)]


@record(kinds.OPEN_PUSH)
@frozen
class OpenPush:
    """
    Push with a handed token. Then MoreCommands..., PackData..., PackEnd (PackEnd alone when no pack follows).

    -> Progress..., RefReports..., PushReport. ``repo`` None: create ``name`` under the token's account in the
    same transaction (push to create), ``private`` as the option said.
    """

    seed: Annotated[bytes, SEED] = field(repr=False)  # never in a log or a traceback
    repo: ARepoId | None
    name: str
    private: bool
    atomic: bool
    commands: Annotated[tuple[PushCommand, ...], Limit(most=COMMANDS_AT_ONCE_MAX, least=1)]
    wait_ms: int


@record(kinds.PACK_DATA)
@frozen
class PackData:
    """A piece of the pack, in order."""

    data: Annotated[bytes, Limit(most=PACK_DATA_BYTES_MAX)]


@record(kinds.PACK_END)
@frozen
class PackEnd:
    """The pack is complete (a pack cut off before this is discarded)."""


@record(kinds.PROGRESS)
@frozen
class Progress:
    """A line for the person who pushes."""

    text: str


@record(kinds.PUSH_REPORT)
@frozen
class PushReport:
    """The end of a push, with the last reports of refs. ``unpack_error`` None means the pack was taken."""

    unpack_error: str | None
    refs: tuple[RefReport, ...]
    tx_id: ATxId | None
    height: int | None


@record(kinds.OPEN_FETCH)
@frozen
class OpenFetch:
    """
    Lease the projected directory of a repository at its current generation. -> Projection

    The caller has authorized the read already. The lease ends when the stream closes.
    """

    repo: ARepoId


@record(kinds.PROJECTION)
@frozen
class Projection:
    """A bare git directory that shows exactly the refs of one generation, for as long as the stream is open."""

    path: str
    generation: int


@record(kinds.ASK_PROOF)
@frozen
class AskProof:
    """
    Prove it. -> ProofAnswer..., until ``size`` bytes have come

    The caller has authorized the read of ``repo`` already, where the question is about one.
    """

    question: Question
    repo: ARepoId | None


@record(kinds.PROOF_ANSWER)
@frozen
class ProofAnswer:
    """A piece of a proof file, in order; ``height`` is the applied one, ``size`` that of the whole file."""

    height: int
    size: int
    data: Annotated[bytes, Limit(most=PROOF_PIECE_BYTES, least=1)]


@record(kinds.GIT_FAILED)
@frozen
class GitFailed:
    """Said by whoever holds a lease: git found damage in what it shows, so its packs want a look."""


@record(kinds.PORT_ERROR)
@frozen
class PortError:
    """The request failed: a code of guts_core.errors and a sentence."""

    code: str
    message: str


Request: TypeAlias = (
    AskStatus
    | AskFigures
    | AskPlaces
    | Act
    | SubmitTransaction
    | AskTransaction
    | AskMempool
    | AskProof
    | OpenPush
    | OpenFetch
    | OpenPacks
)
Reply: TypeAlias = (
    Status
    | Figures
    | Places
    | Outcome
    | WaitingList
    | Progress
    | RefReports
    | PushReport
    | Projection
    | PackList
    | ProofAnswer
    | PortError
)
REQUESTS = Family(get_args(Request))
PUSH_PIECES = Family((MoreCommands, PackData, PackEnd))
LEASE_ENDS = Family((GitFailed,))
REPLIES = Family(get_args(Reply))
