"""What the simulator asks of a node, so that anything from a bare engine to a whole node can be plugged in."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from attrs import frozen

from guts_core.names import BlockHash, TxId
from guts_core.node.effects import CheckPack
from guts_core.simplex.effects import Persist
from guts_core.simplex.messages import Message
from guts_core.simplex.ports import Instant

# Append a record to the log; with ``sync`` the node waits until it is durable.
Write = Persist


@frozen
class Say:
    """Send these bytes to one node, or to all others when ``to`` is None."""

    to: int | None
    data: bytes


@frozen
class Store:
    """A block is final: keep ``item`` in the database, in the background; what it is, for the checkers."""

    height: int
    block_hash: BlockHash
    root: bytes
    contents: tuple[bytes, ...]
    item: object
    view: int = 0  # in which it was proposed


@frozen
class Accuse:
    """This signer contradicted itself."""

    signer: int


@frozen
class Fault:
    """This peer said what no honest node says; its words changed nothing."""

    peer: int
    reason: str


@frozen
class Check:
    """Get, judge and hold the pack of a push, then report to the node (whole nodes only)."""

    effect: CheckPack


@frozen
class Refusal:
    """Whoever submitted this transaction is told "no" (whole nodes only)."""

    tx_id: TxId
    code: str
    may_happen: bool = False  # they were told, too, that it still takes effect if what stands in its way is undone


@frozen
class Compact:
    """Replace the log by what a restart still needs: a text was erased (whole nodes only)."""


@frozen
class Knock:
    """An adversary crashes another node's process (only for a while, and only while things go wrong)."""

    node: int


@frozen
class Stall:
    """An adversary holds back, on its way to a node, the vote that would complete a quorum of a view."""

    node: int
    view: int
    hold: int


Act: TypeAlias = Say | Write | Store | Accuse | Fault | Check | Refusal | Compact | Knock | Stall


class SimNode(Protocol):
    """One node as the simulator sees it: bytes and time in, acts out, performed in order."""

    def start(self, now: Instant) -> list[Act]:
        """The process begins."""

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node; raises PeerFault for what no honest one says."""

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""

    def written(self, store: Store, /) -> None:
        """The database holds this block; the node is told of it later, with ``stored``."""

    def stored(self, store: Store, now: Instant, /) -> list[Act]:
        """The node is told that the database holds this block."""

    def snapshot(self) -> list[bytes]:
        """A whole log to replace the present one."""

    def next_deadline(self) -> int | None:
        """When to tick, in the node's own monotonic microseconds."""

    @property
    def height(self) -> int:
        """Finalized blocks."""

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing the node holds."""

    @property
    def fired(self) -> list[int]:
        """How often each rule was applied since the process began, by its number; empty where that is not counted."""


class Taker(SimNode, Protocol):
    """A node that clients hand commands to."""

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """A client wants this ordered."""


class Cast(Protocol):
    """Who plays: makes nodes from what their disks hold, and reads what they say."""

    @property
    def villains(self) -> frozenset[int]:
        """Nodes that are not honest: their acts are not checked, their words are."""

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> SimNode:
        """A new process of a node on its durable log and database."""

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""

    def is_signed(self, message: Message, /) -> bool:
        """Whether every signature in a villain's message is genuine, so that it counts as said."""
