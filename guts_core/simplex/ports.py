"""What the engine asks of its surroundings: the application it orders blocks for, and time."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol

from attrs import frozen

from guts_core.names import BlockHash

from .messages import Certificate, Proposal, SuppliedBlock


class Instant(NamedTuple):
    """
    Now: monotonic microseconds for timers, wall milliseconds since 1970 for header times.

    ``network`` is what most of this node and its peers believe the wall time to be. Clients' deadlines are
    reckoned from it and judged by it, never a header: one wrong clock then stops nobody's transaction.
    """

    monotonic: int
    wall: int
    network: int | None = None

    @property
    def believed(self) -> int:
        """The network's time, or our own where nobody told another."""
        return self.wall if self.network is None else self.network


class Verdict(Enum):
    """The application's answer about a block; "cannot tell" is never reported as "invalid"."""

    VALID = auto()
    INVALID = auto()
    UNKNOWN = auto()


@frozen
class End:
    """
    Why the last block of an epoch is final: a certificate of its own, or that of an empty child above it.

    ``blocks`` are the children from the certified one down to the one that stands on the last block.
    """

    blocks: tuple[SuppliedBlock, ...]
    certificate: Certificate


class Application(Protocol):
    """
    The replicated state machine above agreement. All calls are synchronous and deterministic.

    ``execute`` and ``verify`` keep the result (an overlay) by block hash, so that a block is
    executed once; ``finalize`` is called exactly once per block, in order of height.
    """

    def propose(self, parent: Proposal, view: int, now: Instant) -> tuple[BlockHash, bytes] | None:
        """A new block on an executed parent, itself executed; None when idle: no transaction, no heartbeat due."""

    def is_bound(self, proposal: Proposal, body: bytes) -> bool:
        """Whether the body's header hashes to the proposal and binds its epoch, view and parent."""

    def verify(self, parent: Proposal, proposal: Proposal, body: bytes, now: Instant) -> Verdict:
        """Execute and judge a proposal before notarizing; the only place where the local clock counts."""

    def execute(self, parent: Proposal, proposal: Proposal, body: bytes) -> Verdict:
        """The same without the clock, for blocks that others notarized; VALID means executed with a matching root."""

    def is_last(self, block_hash: BlockHash) -> bool:
        """Whether this executed block ends its epoch: what agreement puts above it is empty, and never delivered."""

    def finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None) -> None:
        """This executed block is final; the certificate is its own finalization if it has one."""

    def finish(self, proposal: Proposal, body: bytes, certificate: Certificate | None, end: End) -> None:
        """The same for the last block of an epoch, with what makes it final."""

    def epoch_end(self, epoch: int) -> End | None:
        """How an epoch ended that is over here, for peers that are still in it."""

    def block(self, block_hash: BlockHash) -> SuppliedBlock | None:
        """A finalized block by hash, for peers that lag."""

    def finalization(self, view_at_least: int) -> Certificate | None:
        """The newest stored finalization certificate at or above a view, for peers that lag."""

    def has_work(self, tip: Proposal) -> bool:
        """
        Whether an admissible transaction waits that the chain up to ``tip`` does not hold (the idle rule).

        A block that was voted for and abandoned is not in that chain: what it held is work again.
        """
