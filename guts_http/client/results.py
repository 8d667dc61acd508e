"""
What a node answers, as values: ids are bytes, times are aware datetimes, lists are tuples.

Each class names the fields of the JSON it is read from; ``At`` says where a field stands when that is
somewhere else than under its own name. What a node says beyond these fields is ignored, what is
missing or of another type raises ``UnexpectedAnswer`` (``shapes`` reads them).
"""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from attrs import frozen

from guts_core.names import AccountId, BlockHash, ChainId, CredentialId, NodeId, Oid, RefName, RepoId, Root, TxId
from guts_core.node.port import Phase
from guts_core.simplex.quorum import FaultModel

from .errors import UnexpectedAnswer

ID_BYTES: Final = 32
# An object whose fields depend on what it is about.
Values: TypeAlias = dict[str, int | str | None]


@frozen
class At:
    """Where a field stands: ``commit.sha``, or ``parents[].sha`` for one of each."""

    path: str


# ---- the network ----


@frozen
class Connection:
    """One other validator as the asked node sees it."""

    index: int
    name: str
    connected: bool
    round_trip_us: int | None
    clock_ms: int | None  # its clock less that of the asked node
    led: int  # its turns to lead that became blocks, since the asked node's start
    missed: int  # and those that were passed over


@frozen
class Status:
    """What a node knows and does; ``time`` is what it would propose now: reckon ``expires`` from it."""

    chain_id: ChainId
    network: str
    height: int
    block_hash: BlockHash
    state_root: Root
    final: datetime
    time: datetime
    view: int
    epoch: int
    validators: int
    quorum: int
    peers: int
    mempool: int
    missing_packs: int
    missing_texts: int
    fault_model: FaultModel
    version: str
    rules: int
    node: NodeId
    role: str  # validator, follower, retired or stranger: what the network knows it as
    validator_index: int | None
    private_reads: bool
    halted: str | None
    disk_free: int
    disk_reserve: int
    started: bool
    uptime_seconds: int
    behind: int  # blocks it lacks, at most
    led: int  # its own turns to lead that became blocks, since its start
    missed: int  # and those that were passed over
    damage: str | None
    packs_damaged: int
    outlook: str  # clear, few or stale: how much of the network it sees
    held_back: str | None  # why its key does not vote for a while
    connections: tuple[Connection, ...]

    @property
    def time_ms(self) -> int:
        """``time`` in milliseconds, as transactions count."""
        return round(self.time.timestamp() * 1000)


@frozen
class Validator:
    """A seat among those who vote."""

    index: int
    number: int  # the node's, which stays
    name: str
    node_id: NodeId
    vote_key: bytes
    operator: str | None


@frozen
class Account:
    """The public record of an account."""

    name: str
    id: AccountId
    number: int
    keys: tuple[bytes, ...]
    created: datetime
    is_operator: bool


@frozen
class BlockTransaction:
    """A transaction in a block; ``error`` is the code of its refusal there, None when it took effect."""

    id: TxId
    author: str | None
    error: str | None


@frozen
class Certificate:
    """Who finalized a block, or one above it: finality of a block covers all before it."""

    height: int
    block_hash: BlockHash
    view: int
    epoch: int
    kind: str
    signers: tuple[int, ...]
    signatures: tuple[bytes, ...]
    encoded: Annotated[bytes, At("bytes")]


@frozen
class Block:
    """A committed block."""

    hash: BlockHash
    height: int
    state_root: Root
    time: datetime
    parent_hash: Annotated[BlockHash, At("header.parent_hash")]
    transactions: tuple[BlockTransaction, ...]
    certificate: Certificate | None


@frozen
class WaitingTransaction:
    """One transaction that waits at a node; of what concerns a private repository only the id is told."""

    id: TxId
    author: str | None
    size: int | None
    age_ms: int | None


@frozen
class Mempool:
    """What waits at one node to become part of a block."""

    count: int
    size: Annotated[int, At("bytes")]
    transactions: tuple[WaitingTransaction, ...]


@frozen
class Transaction:
    """What became of a transaction; ``error`` and ``message`` when it was refused in its block."""

    id: TxId
    phase: Phase
    height: int | None
    index: int | None
    error: str | None
    message: str | None
    missing_validators: int


# ---- the forge ----


@frozen
class User:
    """An account in GitHub's words."""

    name: Annotated[str, At("login")]
    number: Annotated[int, At("id")]
    is_operator: Annotated[bool, At("site_admin")]


@frozen
class Collaborator:
    """Someone with a role in a repository: ``read``, ``write`` or ``admin``."""

    name: Annotated[str, At("login")]
    role: Annotated[str, At("role_name")]


@frozen
class Permissions:
    """What the caller may do with a repository."""

    admin: bool
    push: bool
    pull: bool


@frozen
class Repository:
    """A repository as the caller sees it; ``size`` in KiB."""

    node_id: str  # GitHub's opaque id, which holds ours
    number: Annotated[int, At("id")]
    name: str
    full_name: str
    owner: Annotated[str, At("owner.login")]
    private: bool
    description: str | None
    default_branch: str
    clone_url: str
    html_url: str
    created: Annotated[datetime, At("created_at")]
    updated: Annotated[datetime, At("updated_at")]
    pushed: Annotated[datetime | None, At("pushed_at")]
    size: int
    permissions: Permissions

    @property
    def id(self) -> RepoId:
        """What actions name it by."""
        try:
            kind, _, found = b64decode(self.node_id, validate=True).partition(b":")
        except ValueError:
            kind = found = b""
        if kind != b"Repository" or len(found) != ID_BYTES:
            raise UnexpectedAnswer(f"{self.full_name}: {self.node_id[:80]!a} is no id of a repository")
        return RepoId(found)


@frozen
class DeletedRepository:
    """A repository that can still be restored."""

    id: RepoId
    name: str
    full_name: str
    private: bool
    deleted: datetime
    restorable_until: datetime


@frozen
class RefMove:
    """One move of a ref; ``credential`` is None when an account key signed it."""

    ref: RefName
    old: Oid | None
    new: Oid | None
    relation: str
    height: int
    index: int
    time: datetime
    author: str | None
    credential: CredentialId | None
    gateway: str | None
    tx_id: TxId


@frozen
class TextEntry:
    """A text that was committed to; ``text`` has its words where one was asked for and it is ``present``."""

    commitment: bytes
    author: str
    state: str  # present or erased
    in_use: bool  # it is the description now
    text: str | None = None


@frozen
class Token:
    """A credential of the caller's account. ``current``: the one that asks."""

    id: CredentialId
    note: str
    scopes: tuple[str, ...]
    gateways: tuple[str, ...]
    created: datetime
    expires: datetime
    revoked: bool
    active: bool
    current: bool


@frozen
class Key:
    """A key that signs for an account; ``number`` is its place among them."""

    number: int
    key: bytes


@frozen
class Keys:
    """The keys of an account, in the order in which they were added, and how many it may have."""

    account: str
    most: int
    keys: tuple[Key, ...]


@frozen
class Branch:
    """A branch and its tip."""

    name: str
    sha: Annotated[Oid, At("commit.sha")]
    protected: bool


@frozen
class Tag:
    """A tag and the commit it leads to."""

    name: str
    sha: Annotated[Oid, At("commit.sha")]


@frozen
class GitRef:
    """A ref by its full name, and the object it names: a commit or a tag object."""

    name: Annotated[RefName, At("ref")]
    sha: Annotated[Oid, At("object.sha")]
    kind: Annotated[str, At("object.type")]


@frozen
class Person:
    """Who wrote or committed, as the commit itself says."""

    name: str
    email: str
    date: datetime


@frozen
class Commit:
    """A commit; text that is no UTF-8 stands with replacement characters."""

    sha: Oid
    message: Annotated[str, At("commit.message")]
    author: Annotated[Person, At("commit.author")]
    committer: Annotated[Person, At("commit.committer")]
    tree: Annotated[Oid, At("commit.tree.sha")]
    parents: Annotated[tuple[Oid, ...], At("parents[].sha")]
