"""
What a transaction can ask for. Commands are verbs; what came of them are activities.

User-written text is never inside: an action commits to ``H(text tag, salt || text)`` and the
text rides beside the transaction (``architecture.md`` 3).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import (
    ACredentialId,
    AHash,
    AnAccountId,
    ANodeId,
    AnOid,
    APublicKey,
    ARefName,
    ARepoId,
    ASalt,
    ASignature,
)
from guts_core.simplex.messages import Vote

from .decisions import Change, Following, Rotation
from .records import GATEWAYS_PER_CREDENTIAL_MAX, ObjectFormat, Role, Scope

# A larger non-atomic push is split by the gateway over the same blob; a larger atomic one is refused.
UPDATES_MAX = 1000


@record(kinds.REGISTER)
@frozen
class Register:
    """Create an account. The transaction's author is the new account id; the sponsor co-signs."""

    name: str
    key: APublicKey
    salt: ASalt
    sponsor: AnAccountId


@record(kinds.ADD_KEY)
@frozen
class AddKey:
    """Let one more key sign for the author. ``proof`` is the new key's signature (possession)."""

    key: APublicKey
    proof: ASignature  # over chain id and account id, with Tag.SIGN_ACCOUNT_KEY


@record(kinds.REMOVE_KEY)
@frozen
class RemoveKey:
    """Let one of the author's keys sign no more; it stays taken for ever."""

    key: APublicKey


@record(kinds.CREATE_CREDENTIAL)
@frozen
class CreateCredential:
    """Let a new key act for the author. ``proof`` is the new key's signature (possession)."""

    public_key: APublicKey
    scopes: Annotated[tuple[Scope, ...], Limit(most=8, least=1)]
    repos: Annotated[tuple[ARepoId, ...], Limit(most=100)] | None
    expires: int
    gateways: Annotated[tuple[ANodeId, ...], Limit(most=GATEWAYS_PER_CREDENTIAL_MAX)]
    note: Annotated[str, Limit(most=100)]
    proof: ASignature  # over chain id and account id, with Tag.SIGN_CREDENTIAL


@record(kinds.REVOKE_CREDENTIAL)
@frozen
class RevokeCredential:
    """End a credential; the id stays taken for ever."""

    credential: ACredentialId


@record(kinds.CREATE_REPOSITORY)
@frozen
class CreateRepository:
    """Create a repository under the author; its id is H(repo-id tag, chain_id, author, salt)."""

    name: str
    salt: ASalt
    private: bool
    default_branch: ARefName
    object_format: ObjectFormat
    placement: str
    description: AHash | None


@record(kinds.DESCRIBE_REPOSITORY)
@frozen
class DescribeRepository:
    """Set or clear a repository's description (a commitment; the text rides beside)."""

    repo: ARepoId
    description: AHash | None


@record(kinds.SET_DEFAULT_BRANCH)
@frozen
class SetDefaultBranch:
    """Point HEAD at a branch, which need not exist yet."""

    repo: ARepoId
    branch: ARefName


@record(kinds.SET_VISIBILITY)
@frozen
class SetVisibility:
    """Make a repository private or public."""

    repo: ARepoId
    private: bool


@record(kinds.RENAME_REPOSITORY)
@frozen
class RenameRepository:
    """Call a repository otherwise; its old name leads on to it until the owner uses that again."""

    repo: ARepoId
    name: str


@record(kinds.DELETE_REPOSITORY)
@frozen
class DeleteRepository:
    """Delete a repository, which can be restored for a day. Its name is said as proof of which one is meant."""

    repo: ARepoId
    name: str


@record(kinds.RESTORE_REPOSITORY)
@frozen
class RestoreRepository:
    """Undo a deletion, under the name that the repository had."""

    repo: ARepoId


@record(kinds.SET_COLLABORATOR)
@frozen
class SetCollaborator:
    """Give an account a role in a repository."""

    repo: ARepoId
    account: AnAccountId
    role: Role


@record(kinds.REMOVE_COLLABORATOR)
@frozen
class RemoveCollaborator:
    """Take an account's role in a repository away."""

    repo: ARepoId
    account: AnAccountId


class Relation(IntEnum):
    """How an update's new value stands to its old one, verified by every attester."""

    CREATED = 1
    FAST_FORWARD = 2
    FORCED = 3
    DELETED = 4


class SourceKind(IntEnum):
    """Where an update's new object comes from."""

    NONE = 0  # deletion
    PACK = 1  # in this manifest's blob
    EXISTING = 2  # reachable from a visible ref while `removals` stands
    MERGE = 3  # reserved: a merge every attester recomputed


class ManifestKind(IntEnum):
    """What a manifest's bytes are."""

    PACK = 1
    BLOB = 2


@record(kinds.UPDATE)
@frozen
class Update:
    """Move one ref from old to new; None on a side means it does not exist there."""

    ref: ARefName
    old: AnOid | None
    new: AnOid | None
    relation: Relation
    source: SourceKind


@record(kinds.BLOB)
@frozen
class Blob:
    """Bytes that validators must hold: a pack as it was sent, and its index."""

    digest: AHash  # blake2b-256 (tag blob) of the file's bytes
    size: int
    chunk_root: AHash
    objects: int
    idx_digest: AHash


@record(kinds.MANIFEST)
@frozen
class Manifest:
    """What a push needs of the validators' disks, and what it does to refs."""

    kind: ManifestKind
    repo: ARepoId
    object_format: ObjectFormat
    blob: Blob | None  # None: nothing new is needed
    updates: Annotated[tuple[Update, ...], Limit(most=UPDATES_MAX, least=1)]


@record(kinds.REF_UPDATE)
@frozen
class RefUpdate:
    """Move refs by compare-and-swap, all or none; admits the manifest's pack."""

    manifest: Manifest


@record(kinds.PROPOSE_DECISION)
@frozen
class ProposeDecision:
    """Ask the operators of seats to decide; the author's approval is in it."""

    change: Change
    now: bool  # its approval ends the epoch, so that it holds with the next block


@record(kinds.VOTE_DECISION)
@frozen
class VoteDecision:
    """Approve or reject what was proposed; once, and for good."""

    number: int
    approve: bool


@record(kinds.ROTATE_SEAT)
@frozen
class RotateSeat:
    """Give the author's validator other keys from the next epoch on. There is one proof for each new key."""

    rotation: Rotation
    vote_proof: ASignature | None  # over the rotation and the chain id, with Tag.SIGN_SEAT
    node_proof: ASignature | None


@record(kinds.ADMIT_FOLLOWER)
@frozen
class AdmitFollower:
    """Let a node follow the chain without voting; the author answers for it."""

    following: Following
    proof: ASignature  # of the node key over the following and the chain id, with Tag.SIGN_SEAT


@record(kinds.REMOVE_FOLLOWER)
@frozen
class RemoveFollower:
    """Let a follower have no part in the network any more."""

    number: int


@record(kinds.REPORT_EVIDENCE)
@frozen
class ReportEvidence:
    """
    Two votes of one seat that no honest validator casts together.

    Nodes hold no key of an account: the author is the operator of a seat, the signer that seat's node.
    """

    first: Vote
    second: Vote


@record(kinds.ERASE)
@frozen
class Erase:
    """
    Take a text and its salt away everywhere, for ever; what committed to it stays.

    By its author or an administrator of the repository: ``operators`` is empty. By more than two thirds
    of the operators: they stand in ascending order, the author among them, and all sign.
    """

    repo: ARepoId
    commitment: AHash
    operators: Annotated[tuple[AnAccountId, ...], Limit(most=128)]


Action: TypeAlias = (
    Register
    | CreateCredential
    | RevokeCredential
    | AddKey
    | RemoveKey
    | CreateRepository
    | DescribeRepository
    | SetDefaultBranch
    | SetVisibility
    | RenameRepository
    | DeleteRepository
    | RestoreRepository
    | SetCollaborator
    | RemoveCollaborator
    | RefUpdate
    | ProposeDecision
    | VoteDecision
    | RotateSeat
    | AdmitFollower
    | RemoveFollower
    | ReportEvidence
    | Erase
)

# What an exhausted quota never keeps an operator from. Evidence is not among them: stolen keys of nodes sign it.
GOVERNING = (ProposeDecision, VoteDecision, RotateSeat, AdmitFollower, RemoveFollower)
