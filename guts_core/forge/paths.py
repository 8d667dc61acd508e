"""
The store key of every record of the forge (``architecture.md`` 3, "Records, not objects in RAM").

==================  ==========  =====================================
record              scope       rest of the key
==================  ==========  =====================================
AccountNameHolder   network     the name, lower case
AccountKeyHolder    network     the public key
Credential          network     its id
Node                network     its id
Counter             network     the counter's name
NodeNumber          network     the node's number, 8 bytes big-endian
NodeKeyHolder       network     the node's network or vote key, also one it had
Epoch               network     nothing: there is one
PastEpoch           network     its number, 8 bytes big-endian
NodeName            network     the node's name
Decision            network     its number, 8 bytes big-endian
Queue               network     nothing: there is one
Conviction          network     epoch and seat, 8 bytes big-endian each
Account             account     nothing: there is one
RepositoryName      account     the repository's name, lower case
AccountCredential   account     when it was made, the newest first, and the credential's id
Affiliation         account     the repository's id
Quota               account     nothing: there is one
Counter             account     the counter's name
Repository          repository  nothing: there is one
Ref                 repository  the ref's name in UTF-8
Pack                repository  its sequence number, 8 bytes big-endian
PackSeat            repository  the pack's digest
Collaborator        repository  the account's id
TextRecord          repository  its commitment
==================  ==========  =====================================
"""

from __future__ import annotations

from enum import Enum

from guts_core.names import AccountId, CredentialId, NodeId, RepoId
from guts_core.state.keys import NETWORK_ID, Kind, Scope, key, prefix

# Longer names are in no grammar of ours; lookups by what a URL said stop here.
NAME_REST_BYTES_MAX = 100
# The greatest integer that the codec writes.
_TIME_MAX = (1 << 64) - 1


class Count(Enum):
    """What the forge counts. The value is the rest of the counter's key."""

    ACCOUNTS = b"accounts"  # last GitHub integer id of an account
    REPOSITORIES = b"repositories"  # network: last integer id; account: how many it owns
    OPERATORS = b"operators"  # how many accounts are operators
    DECISIONS = b"decisions"  # last number of a decision
    NODES = b"nodes"  # how many node numbers were given out; the last one is one less


def _network(kind: Kind, rest: bytes = b"") -> bytes:
    return key(Scope.NETWORK, NETWORK_ID, kind, rest)


def account_name(name: str) -> bytes:
    """Where it stands which account a name belongs to."""
    return _network(Kind.ACCOUNT_NAME, name.lower().encode())


def account_key(public_key: bytes) -> bytes:
    """Where it stands which account a key belongs to."""
    return _network(Kind.ACCOUNT_KEY, public_key)


def credential(credential_id: CredentialId) -> bytes:
    """Where a credential stands, also after it was revoked."""
    return _network(Kind.CREDENTIAL, credential_id)


def node(node_id: NodeId) -> bytes:
    """Where a node stands."""
    return _network(Kind.NODE, node_id)


def nodes() -> bytes:
    """What the keys of all nodes start with."""
    return prefix(Scope.NETWORK, NETWORK_ID, Kind.NODE)


def node_number(number: int) -> bytes:
    """Where it stands which node has a number."""
    return _network(Kind.NODE_NUMBER, number.to_bytes(8, "big"))


def node_numbers() -> bytes:
    """What the keys of all node numbers start with; a scan meets them in order."""
    return prefix(Scope.NETWORK, NETWORK_ID, Kind.NODE_NUMBER)


def node_key(public_key: bytes) -> bytes:
    """Where it stands which node a network or vote key belongs to, or belonged to."""
    return _network(Kind.NODE_KEY, public_key)


def node_name(name: str) -> bytes:
    """Where it stands which node that has a part in the network a name belongs to."""
    return _network(Kind.NODE_NAME, name.lower().encode())


def decision(number: int) -> bytes:
    """Where a decision of the operators stands, be it open or made."""
    return _network(Kind.DECISION, number.to_bytes(8, "big"))


def decisions() -> bytes:
    """What the keys of all decisions start with; a scan meets them in order."""
    return prefix(Scope.NETWORK, NETWORK_ID, Kind.DECISION)


def queue() -> bytes:
    """Where it stands what waits for an epoch to end."""
    return _network(Kind.QUEUE)


def conviction(epoch: int, seat: int) -> bytes:
    """Where the evidence against a seat of an epoch stands."""
    return _network(Kind.CONVICTION, epoch.to_bytes(8, "big") + seat.to_bytes(8, "big"))


def convictions() -> bytes:
    """What the keys of all evidence start with; a scan meets the oldest epoch first."""
    return prefix(Scope.NETWORK, NETWORK_ID, Kind.CONVICTION)


def epoch() -> bytes:
    """Where the current epoch stands."""
    return _network(Kind.EPOCH)


def past_epoch(number: int) -> bytes:
    """Where an epoch that ended stands, for as long as evidence of it counts."""
    return _network(Kind.PAST_EPOCH, number.to_bytes(8, "big"))


def counter(count: Count) -> bytes:
    """Where a counter of the network stands."""
    return _network(Kind.COUNTER, count.value)


def account_counter(account_id: AccountId, count: Count) -> bytes:
    """Where a counter of one account stands."""
    return key(Scope.ACCOUNT, account_id, Kind.COUNTER, count.value)


def account(account_id: AccountId) -> bytes:
    """Where an account stands."""
    return key(Scope.ACCOUNT, account_id, Kind.ACCOUNT)


def repository_name(owner: AccountId, name: str) -> bytes:
    """Where it stands which repository an owner's name belongs to."""
    return key(Scope.ACCOUNT, owner, Kind.REPOSITORY_NAME, name.lower().encode())


def repository_names(owner: AccountId) -> bytes:
    """What the keys of the names of all repositories of an owner start with."""
    return prefix(Scope.ACCOUNT, owner, Kind.REPOSITORY_NAME)


def affiliation(account_id: AccountId, repo: RepoId) -> bytes:
    """Where an account's role in a repository stands, filed under the account."""
    return key(Scope.ACCOUNT, account_id, Kind.AFFILIATION, repo)


def affiliations(account_id: AccountId) -> bytes:
    """What the keys of all affiliations of an account start with."""
    return prefix(Scope.ACCOUNT, account_id, Kind.AFFILIATION)


def account_credential(account_id: AccountId, created: int, credential_id: CredentialId) -> bytes:
    """Where it stands that a credential is the account's; a scan meets the newest first."""
    before = (_TIME_MAX - created).to_bytes(8, "big")
    return key(Scope.ACCOUNT, account_id, Kind.ACCOUNT_CREDENTIAL, before + credential_id)


def account_credentials(account_id: AccountId) -> bytes:
    """What the keys of all records of an account's credentials start with."""
    return prefix(Scope.ACCOUNT, account_id, Kind.ACCOUNT_CREDENTIAL)


def quota(account_id: AccountId) -> bytes:
    """Where an account's use of its current window stands."""
    return key(Scope.ACCOUNT, account_id, Kind.QUOTA)


def repository(repo: RepoId) -> bytes:
    """Where a repository stands."""
    return key(Scope.REPOSITORY, repo, Kind.REPOSITORY)


def ref(repo: RepoId, name: str) -> bytes:
    """Where a ref stands."""
    return key(Scope.REPOSITORY, repo, Kind.REF, name.encode())


def refs(repo: RepoId, under: str = "") -> bytes:
    """What the keys of all refs whose names start with ``under`` start with."""
    return key(Scope.REPOSITORY, repo, Kind.REF, under.encode())


def pack(repo: RepoId, seq: int) -> bytes:
    """Where an admitted pack stands."""
    return key(Scope.REPOSITORY, repo, Kind.PACK, seq.to_bytes(8, "big"))


def packs(repo: RepoId) -> bytes:
    """What the keys of all packs of a repository start with."""
    return prefix(Scope.REPOSITORY, repo, Kind.PACK)


def pack_seat(repo: RepoId, digest: bytes) -> bytes:
    """Where it stands which sequence number a pack's digest has."""
    return key(Scope.REPOSITORY, repo, Kind.PACK_SEAT, digest)


def collaborator(repo: RepoId, account_id: AccountId) -> bytes:
    """Where an account's role in a repository stands, filed under the repository."""
    return key(Scope.REPOSITORY, repo, Kind.COLLABORATOR, account_id)


def collaborators(repo: RepoId) -> bytes:
    """What the keys of all collaborators of a repository start with."""
    return prefix(Scope.REPOSITORY, repo, Kind.COLLABORATOR)


def text(repo: RepoId, commitment: bytes) -> bytes:
    """Where it stands whether a text that was committed to in a repository is meant to exist."""
    return key(Scope.REPOSITORY, repo, Kind.TEXT, commitment)


def texts(repo: RepoId) -> bytes:
    """What the keys of all texts of a repository start with."""
    return prefix(Scope.REPOSITORY, repo, Kind.TEXT)
