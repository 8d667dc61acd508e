"""
The forge's state, one canonical record each; where a field means an account or a repository it
holds an id, never a name (``architecture.md`` 3 and 4).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import ACredentialId, AHash, AnAccountId, ANodeId, AnOid, APublicKey, ARefName, ARepoId

from .params import Params

KEYS_PER_ACCOUNT_MAX = 16
GATEWAYS_PER_CREDENTIAL_MAX = 128
# Certificates of 100 validators cost 4.3 KB; past 128 the format of a certificate would change first.
VALIDATORS_MAX = 128


class Role(IntEnum):
    """What a collaborator may do; each includes those before it."""

    READ = 1
    WRITE = 2
    ADMIN = 3


class Scope(IntEnum):
    """What a credential may be used for, within what its account may do."""

    READ = 1  # read private repositories
    REPO = 2  # read and write repositories, administer them with the role
    DELETE_REPO = 3  # delete repositories with the role, and restore one's own


class ObjectFormat(IntEnum):
    """git's object format of a repository; only SHA-1 is accepted in rules 0."""

    SHA1 = 1
    SHA256 = 2


class TextState(IntEnum):
    """Whether a committed text is meant to exist."""

    PRESENT = 1
    ERASED = 2


@record(kinds.ACCOUNT)
@frozen
class Account:
    """A person or program; the key set rotates, the id stays."""

    id: AnAccountId
    name: str
    keys: Annotated[tuple[APublicKey, ...], Limit(most=KEYS_PER_ACCOUNT_MAX, least=1)]
    number: int  # GitHub's stable integer id
    created: int  # header time, milliseconds since 1970
    sponsor: AnAccountId | None
    is_operator: bool


@record(kinds.ACCOUNT_NAME)
@frozen
class AccountNameHolder:
    """Which account a name belongs to."""

    account: AnAccountId


@record(kinds.ACCOUNT_KEY)
@frozen
class AccountKeyHolder:
    """Which account a key belongs to, or belonged to before it was removed: it has one owner for ever."""

    account: AnAccountId


@record(kinds.CREDENTIAL)
@frozen
class Credential:
    """A key that may act for an account within scopes, by named gateways or locally."""

    id: ACredentialId
    public_key: APublicKey
    account: AnAccountId
    scopes: Annotated[tuple[Scope, ...], Limit(most=8, least=1)]  # ascending, no duplicates
    repos: Annotated[tuple[ARepoId, ...], Limit(most=100)] | None  # None: every repository
    expires: int  # block time, milliseconds
    gateways: Annotated[tuple[ANodeId, ...], Limit(most=GATEWAYS_PER_CREDENTIAL_MAX)]  # empty: signed locally only
    created: int
    note: Annotated[str, Limit(most=100)]
    revoked: bool


@record(kinds.ACCOUNT_CREDENTIAL)
@frozen
class AccountCredential:
    """A credential filed under its account, so that an account's credentials can be listed; kept for ever."""

    credential: ACredentialId


class NodeRole(IntEnum):
    """What a node is in the network."""

    VALIDATOR = 1
    FOLLOWER = 2  # replicates the chain without voting
    RETIRED = 3  # has no part any more; its number and its keys stay taken


@record(kinds.NODE)
@frozen
class NodeRecord:
    """A node that has or had a part in the network; its id is its first network key and, like its number, stays."""

    id: ANodeId
    number: int  # what other nodes call it; 0 to n-1 are those of genesis in seat order
    role: NodeRole
    name: str
    operator: AnAccountId
    node_key: ANodeId  # the network key that it has now
    vote_key: APublicKey | None  # None: it never had a seat


@record(kinds.NODE_NUMBER)
@frozen
class NodeNumber:
    """Which node has a number."""

    node: ANodeId


@record(kinds.NODE_NAME)
@frozen
class NodeNameHolder:
    """Which node has a name; a retired one leaves its name to others."""

    node: ANodeId


@record(kinds.NODE_KEY)
@frozen
class NodeKeyHolder:
    """Which node a network or vote key belongs to, or did: no key is ever used twice."""

    node: ANodeId
    convicted: int | None  # the epoch in which this vote key signed what contradicts itself


@record(kinds.VALIDATOR)
@frozen
class ValidatorEntry:
    """One seat: the node that sits in it, the key that votes, the key that speaks, the account that answers."""

    number: int
    vote_key: APublicKey
    node_key: ANodeId
    operator: AnAccountId
    name: str


@record(kinds.EPOCH)
@frozen
class Epoch:
    """Who votes under which rules, from the block after ``since`` on; changes with the first block of the next."""

    number: int
    since: int  # time of the block that ended the one before; genesis time for the first
    rules: int
    params: Params
    seats: Annotated[tuple[ValidatorEntry, ...], Limit(most=VALIDATORS_MAX, least=1)]  # in voting order
    ends: bool  # the operators ended it before its time


@record(kinds.PAST_EPOCH)
@frozen
class PastEpoch:
    """Who voted in an epoch that is over: what evidence is judged by."""

    number: int
    seats: Annotated[tuple[ValidatorEntry, ...], Limit(most=VALIDATORS_MAX, least=1)]
    ended: int  # block time


@record(kinds.REPOSITORY)
@frozen
class Repository:
    """A repository's settings and counters; its refs and packs are records of their own."""

    id: ARepoId
    number: int
    owner: AnAccountId
    name: str
    private: bool
    default_branch: ARefName  # full ref name, refs/heads/...
    object_format: ObjectFormat
    placement: str  # "all" in rules 0
    description: AHash | None  # commitment to a text, whose own record says whether it was erased
    generation: int  # counts every ref change and every admitted pack
    removals: int  # counts forced and deleted updates
    objects_epoch: int  # grows with each dropping repack
    packs: int  # next pack sequence number
    bytes_stored: int
    refs: int
    created: int
    updated: int
    pushed: int
    deleted: int | None  # header time; a deleted repository is as if missing, and may be restored for a while


@record(kinds.REPOSITORY_NAME)
@frozen
class RepositoryNameHolder:
    """Which repository an owner's name, lower case, belongs to, or leads on to since that was renamed."""

    repository: ARepoId
    is_redirect: bool


@record(kinds.COLLABORATOR)
@frozen
class Collaborator:
    """An account's role in a repository it does not own."""

    account: AnAccountId
    role: Role
    since: int


@record(kinds.AFFILIATION)
@frozen
class Affiliation:
    """The same fact filed under the account, so that its repositories can be listed."""

    repository: ARepoId
    role: Role


@record(kinds.REF)
@frozen
class Ref:
    """A ref's one value."""

    name: ARefName
    oid: AnOid


@record(kinds.PACK)
@frozen
class Pack:
    """An admitted pack: what every holder stores, by digest."""

    seq: int
    digest: AHash
    idx_digest: AHash
    size: int
    objects: int
    height: int


@record(kinds.PACK_SEAT)
@frozen
class PackSeat:
    """The sequence number under which a pack is listed, so that a digest is looked up and not searched."""

    seq: int


@record(kinds.TEXT_RECORD)
@frozen
class TextRecord:
    """A text that somebody committed to in a repository: H(text tag, salt || text). It rides beside the chain."""

    commitment: AHash
    repo: ARepoId
    author: AnAccountId
    state: TextState


@record(kinds.QUOTA)
@frozen
class Quota:
    """What an account used in the current window of block time."""

    window: int  # window number: time // QUOTA_WINDOW_MS
    transactions: int
    bytes: int


@record(kinds.COUNTER)
@frozen
class Counter:
    """The last number given out in a kind; numbers are never reused."""

    value: int
