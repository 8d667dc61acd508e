"""What a node is told by its operator, and where its keys are."""

from __future__ import annotations

import shlex
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import frozen

from guts_core.chain.mempool import MEMPOOL_BYTES_MAX, MEMPOOL_TRANSACTIONS_MAX
from guts_core.errors import Invalid
from guts_core.forge.rules import KNOWN_RULES
from guts_core.git.pack_limits import OF_VALIDATORS, PackLimits
from guts_core.identity import KeyPair

from .logs import FILE_BYTES_MAX, FILES_KEPT, open_logs
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
    pack_limits: PackLimits = OF_VALIDATORS  # of pushes at its own door: what others announce is judged as all do
    peers: PeerLimits = DEFAULT_LIMITS
    keep_blocks_ms: int | None = None  # block time after which old blocks are let go; None: never
    scrub: Pace | None = None  # how fast the disk is read again; None: as the module says
    rules_known: tuple[int, ...] = KNOWN_RULES  # for rehearsals: a build that lacks some stops where they begin

    def open_logs(self) -> AbstractContextManager[None]:
        """Its log, while the block lasts."""
        size, kept = self.log_file_bytes, self.log_files_kept
        return open_logs(self.log_path, file_bytes=size, files_kept=kept, node=self.directory.name)


def read_key(directory: Path, role: str) -> KeyPair:
    """One of the node's keys: 64 hex digits of a seed in a file only its owner reads."""
    return key_in(directory / "keys" / KEY_FILES[role], role)


def key_in(path: Path, role: str) -> KeyPair:
    """The key in a file of its own."""
    try:
        return KeyPair(bytes.fromhex(path.read_text().strip()))
    except FileNotFoundError as error:
        words = lost_node_key(path) if role == "node" else f"cannot read the {role} key {path}: it is not there"
        raise Invalid(words) from error
    except (OSError, ValueError) as error:
        raise Invalid(f"cannot read the {role} key {path}: {error}") from error


def lost_node_key(path: Path) -> str:
    """What is gone, and every command that follows where there is no backup."""
    there, file = shlex.quote(str(path.parents[1])), shlex.quote(str(path))
    operator = shlex.quote(str(path.parent / KEY_FILES["operator"]))
    return (
        f"the network key {path} is lost: put its backup there; the validator without one types "
        f"`guts network rotate --node-key {file} --operator-key {operator} --node URL` with the URL of another node, "
        f"which makes a new key, and `guts node run --dir {there}`: others talk with it from the next epoch on; "
        "a follower joins anew (`guts join URL --dir NEW`)"
    )
