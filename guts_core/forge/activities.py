"""
What happened, in the past tense: the output of execution beside the state (``architecture.md`` 3, Activity).

Receipts commit to them; projections, streams, webhooks and the audit log follow them. An action
that changes nothing yields none.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import ACredentialId, AHash, AnAccountId, ANodeId, AnOid, APublicKey, ARefName, ARepoId

from .actions import Relation
from .records import GATEWAYS_PER_CREDENTIAL_MAX, Role


@record(kinds.ACCOUNT_REGISTERED)
@frozen
class AccountRegistered:
    """An account came to be."""

    account: AnAccountId
    name: str
    sponsor: AnAccountId


@record(kinds.CREDENTIAL_CREATED)
@frozen
class CredentialCreated:
    """A key may act for an account from here on."""

    credential: ACredentialId
    account: AnAccountId
    gateways: Annotated[tuple[ANodeId, ...], Limit(most=GATEWAYS_PER_CREDENTIAL_MAX)]
    expires: int


@record(kinds.CREDENTIAL_REVOKED)
@frozen
class CredentialRevoked:
    """A credential ended before its time."""

    credential: ACredentialId
    account: AnAccountId


@record(kinds.KEY_ADDED)
@frozen
class KeyAdded:
    """One more key signs for an account."""

    account: AnAccountId
    key: APublicKey


@record(kinds.KEY_REMOVED)
@frozen
class KeyRemoved:
    """A key signs for nobody any more."""

    account: AnAccountId
    key: APublicKey


@record(kinds.REPOSITORY_CREATED)
@frozen
class RepositoryCreated:
    """A repository came to be, empty."""

    repo: ARepoId
    owner: AnAccountId
    name: str
    private: bool


@record(kinds.REPOSITORY_DESCRIBED)
@frozen
class RepositoryDescribed:
    """A description was set or cleared; the text itself rides beside the transaction."""

    repo: ARepoId
    description: AHash | None


@record(kinds.DEFAULT_BRANCH_SET)
@frozen
class DefaultBranchSet:
    """HEAD points at another branch."""

    repo: ARepoId
    branch: ARefName


@record(kinds.VISIBILITY_SET)
@frozen
class VisibilitySet:
    """A repository became private or public."""

    repo: ARepoId
    private: bool


@record(kinds.REPOSITORY_RENAMED)
@frozen
class RepositoryRenamed:
    """A repository is called otherwise; its old name leads on to it."""

    repo: ARepoId
    owner: AnAccountId
    old: str
    new: str


@record(kinds.REPOSITORY_DELETED)
@frozen
class RepositoryDeleted:
    """A repository is gone, unless it is restored within a day."""

    repo: ARepoId
    owner: AnAccountId
    name: str


@record(kinds.REPOSITORY_RESTORED)
@frozen
class RepositoryRestored:
    """A deleted repository is back, as it was."""

    repo: ARepoId
    owner: AnAccountId
    name: str


@record(kinds.COLLABORATOR_SET)
@frozen
class CollaboratorSet:
    """An account has another role in a repository."""

    repo: ARepoId
    account: AnAccountId
    role: Role


@record(kinds.COLLABORATOR_REMOVED)
@frozen
class CollaboratorRemoved:
    """An account has no role in a repository any more."""

    repo: ARepoId
    account: AnAccountId


@record(kinds.REF_UPDATED)
@frozen
class RefUpdated:
    """A ref moved. None on a side: it did not exist there."""

    repo: ARepoId
    ref: ARefName
    old: AnOid | None
    new: AnOid | None
    relation: Relation


@record(kinds.PACK_ADMITTED)
@frozen
class PackAdmitted:
    """A pack joined the list of those that every holder stores."""

    repo: ARepoId
    seq: int
    digest: AHash
    idx_digest: AHash
    size: int
    objects: int


@record(kinds.TEXT_ERASED)
@frozen
class TextErased:
    """A text is gone; its commitment stays where it was."""

    repo: ARepoId
    commitment: AHash


@record(kinds.DECISION_PROPOSED)
@frozen
class DecisionProposed:
    """The operators were asked to decide."""

    number: int
    proposer: AnAccountId


@record(kinds.DECISION_VOTED)
@frozen
class DecisionVoted:
    """An operator approved or rejected what was proposed."""

    number: int
    operator: AnAccountId
    approve: bool


@record(kinds.DECISION_CLOSED)
@frozen
class DecisionClosed:
    """Enough operators voted one way."""

    number: int
    approved: bool


@record(kinds.SEAT_ROTATION_QUEUED)
@frozen
class SeatRotationQueued:
    """A validator will have other keys."""

    number: int
    vote_key: APublicKey | None
    node_key: ANodeId | None


@record(kinds.FOLLOWER_ADMITTED)
@frozen
class FollowerAdmitted:
    """A node may follow the chain."""

    number: int
    node_key: ANodeId
    name: str
    operator: AnAccountId


@record(kinds.FOLLOWER_REMOVED)
@frozen
class FollowerRemoved:
    """A node may follow the chain no more."""

    number: int


@record(kinds.EVIDENCE_RECORDED)
@frozen
class EvidenceRecorded:
    """A validator was shown to have contradicted itself."""

    epoch: int
    seat: int
    number: int


Activity: TypeAlias = (
    AccountRegistered
    | CredentialCreated
    | CredentialRevoked
    | KeyAdded
    | KeyRemoved
    | RepositoryCreated
    | RepositoryDescribed
    | DefaultBranchSet
    | VisibilitySet
    | RepositoryRenamed
    | RepositoryDeleted
    | RepositoryRestored
    | CollaboratorSet
    | CollaboratorRemoved
    | RefUpdated
    | PackAdmitted
    | DecisionProposed
    | DecisionVoted
    | DecisionClosed
    | SeatRotationQueued
    | FollowerAdmitted
    | FollowerRemoved
    | EvidenceRecorded
    | TextErased
)
