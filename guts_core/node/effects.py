"""What a node wants done, in list order: what is persisted with ``sync`` is durable before any later send."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from attrs import frozen

from guts_core.chain.commit import Commit
from guts_core.forge.actions import Manifest
from guts_core.forge.records import Ref
from guts_core.names import TxId
from guts_core.simplex.effects import Persist, ReportEquivocation


class Urgency(IntEnum):
    """Which queue a message waits in; lower is sooner."""

    VOTE = 0
    PROPOSAL = 1
    CATCH_UP = 2
    TRANSACTION = 3


@frozen
class SendPeer:
    """Say these bytes to one validator, or to all others when ``to`` is None."""

    to: int | None
    data: bytes
    urgency: Urgency


@frozen
class CheckPack:
    """
    Get, check and durably hold what a push needs, then report PackChecked.

    ``refs`` (those that the manifest moves, and all where it relies on what refs reach) and the two counters
    are the repository's at the finalized height now: facts are judged against them, and the Avail that follows
    names the counters.
    """

    tx_id: TxId
    manifest: Manifest
    refs: tuple[Ref, ...]
    objects_epoch: int
    removals: int
    source: int  # the validator that announced it; others may hold it too
    pack: bytes | None


@frozen
class CommitBlock:
    """Make a finalized block durable, after linking the packs it admits; then report Committed."""

    commit: Commit


@frozen
class CompactLog:
    """Rewrite the log with what a restart still needs: a text was erased, and old records may hold it."""


@frozen
class Refuse:
    """A submitted transaction will never be admitted: tell whoever waits."""

    tx_id: TxId
    code: str
    message: str


@frozen
class Disconnect:
    """This peer broke the protocol; ``ban`` when only its holder could have (a bad signature of its own)."""

    peer: int
    ban: bool
    reason: str


@frozen
class Log:
    """One line for the operator."""

    event: str
    fields: tuple[tuple[str, int | str | bool], ...]


@frozen
class Stop:
    """This build may not go on: end the process with this sentence."""

    sentence: str


Effect: TypeAlias = (
    Persist | ReportEquivocation | SendPeer | CheckPack | CommitBlock | CompactLog | Refuse | Disconnect | Log | Stop
)
