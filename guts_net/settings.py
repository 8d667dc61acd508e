"""What a node is told by its operator, and where its keys are."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import frozen

from guts_core.chain.mempool import MEMPOOL_BYTES_MAX, MEMPOOL_TRANSACTIONS_MAX
from guts_core.errors import Invalid
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import KeyPair

from .logs import FILE_BYTES_MAX, FILES_KEPT, Log, open_logs
from .packs.git_child import CHILDREN_MAX
from .peers.limits import DEFAULT_LIMITS, PeerLimits
from .scrub import Pace

KEY_FILES = {"node": "node.key", "vote": "vote.key", "operator": "operator.key"}
# A vector of a few bytes to each peer; who moves says so at once, so this only fills gaps.
GOSSIP_SECONDS = 50.0


@frozen
class NodeSettings:
    """What a node is told by its operator."""

    directory: Path
    genesis: Path
    p2p: str = "127.0.0.1:0"  # where to hear other nodes, as the transport understands it
    peer_addresses: dict[str, str] | None = None  # node key hex -> address, over the genesis file's hints
    advertise: tuple[str, ...] = ()  # where others find this node; none: where it listens
    bootstrap: tuple[str, ...] = ()  # KEY@ADDRESS of nodes to begin with, beside the hints
    gossip_seconds: float = GOSSIP_SECONDS  # 0: addresses are told and believed by hints alone
    private_read_grace_seconds: float = 600.0
    log_path: Path | None = None
    clock_offset_ms: int = 0
    log_file_bytes: int = FILE_BYTES_MAX
    log_files_kept: int = FILES_KEPT
    disk_reserve_bytes: int | None = None  # None: 5 % of the disk or 1 GiB, whichever is less
    mempool_bytes: int = MEMPOOL_BYTES_MAX
    mempool_transactions: int = MEMPOOL_TRANSACTIONS_MAX
    write_lag_seconds: float = 10.0  # nothing final for so long while transactions wait: no more are taken
    git_children: int = CHILDREN_MAX
    peers: PeerLimits = DEFAULT_LIMITS
    keep_blocks_ms: int | None = None  # block time after which old blocks are let go; None: never
    scrub: Pace | None = None  # how fast the disk is read again; None: as the module says
    rules_known: tuple[int, ...] = KNOWN_RULES  # for rehearsals: a build that lacks some stops where they begin

    def open_logs(self) -> AbstractContextManager[None]:
        """Its log, while the block lasts."""
        size, kept = self.log_file_bytes, self.log_files_kept
        return open_logs(self.log_path, file_bytes=size, files_kept=kept, node=self.directory.name)


_NEW_KEY = "`guts network rotate --dir DIR` makes a new one, which takes over with the next epoch"
# What an operator does about a key that is lost and has no backup.
_LOST = {
    "vote": f"Put its backup there; without one, {_NEW_KEY}",
    "node": "Put its backup there; without one, `guts network rotate --node-key FILE` tells the network of a new one",
}


def read_key(directory: Path, role: str) -> KeyPair:
    """One of the node's keys: 64 hex digits of a seed in a file only its owner reads."""
    return key_in(directory / "keys" / KEY_FILES[role], role)


def read_more_vote_keys(directory: Path) -> tuple[KeyPair, ...]:
    """Vote keys beside ``vote.key``, in files ``vote-*.key``: one of them takes over with the epoch that seats it."""
    return tuple(key_in(path, "vote") for path in sorted((directory / "keys").glob("vote-*.key")))


def newer_vote_keys(directory: Path, log: Log) -> Callable[[], tuple[KeyPair, ...]]:
    """The same for a node that runs, which no bad file ends: it is told in the log."""

    def found() -> tuple[KeyPair, ...]:
        try:
            return read_more_vote_keys(directory)
        except Invalid as error:
            log.warning("vote_key_unreadable", reason=str(error))
            return ()

    return found


def key_in(path: Path, role: str) -> KeyPair:
    """The key in a file of its own."""
    try:
        return KeyPair(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError as error:
        raise Invalid(f"cannot read the {role} key {path}: it is not there. {_LOST.get(role, '')}") from error
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot read the {role} key {path}: {error}") from error
