"""
Transactions as their makers build them: the CLI with an account key, a gateway with a handed token.

Pure: times, salts and keys are arguments. The order of signatures is that of ``SignedTransaction``.
"""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.codec import Tag, to_bytes
from guts_core.forge.actions import (
    Action,
    AddKey,
    AdmitFollower,
    CreateCredential,
    Erase,
    Register,
    RemoveKey,
    ReportEvidence,
    RotateSeat,
)
from guts_core.forge.decisions import AddValidator, Candidacy, Following, Rotation
from guts_core.forge.ids import account_id, account_key_proof_body, credential_id, credential_proof_body
from guts_core.forge.records import Scope
from guts_core.identity import Signer
from guts_core.names import AccountId, ChainId, NodeId, RepoId
from guts_core.simplex.messages import Vote

from .transaction import Hand, Signature, SignedTransaction, Transaction, Via

# Architecture 3, Time: long enough for a slow network, short enough to be told "expired" over a coffee.
LIFETIME_MS = 10 * 60 * 1000
# A push waits for its pack to reach a quorum.
PUSH_LIFETIME_MS = 30 * 60 * 1000


def by_account(
    chain_id: ChainId, author: AccountId, actions: Sequence[Action], expires: int, salt: bytes
) -> Transaction:
    """A body that the author's own key signs."""
    return Transaction(chain_id, author, None, tuple(actions), expires, salt)


def by_credential(
    chain_id: ChainId,
    author: AccountId,
    credential_key: bytes,
    gateway: NodeId | None,
    hand: Hand,
    actions: Sequence[Action],
    expires: int,
    salt: bytes,
) -> Transaction:
    """A body that a credential signs, and the gateway named in it."""
    via = Via(credential_id(credential_key), gateway, hand)
    return Transaction(chain_id, author, via, tuple(actions), expires, salt)


def sign_with_account_key(body: Transaction, key: Signer) -> SignedTransaction:
    """The body with its one signature, by a key of the author."""
    assert body.via is None, "this body is signed by a credential"
    return SignedTransaction(body, (_signed(body, key, Tag.SIGN_TX),))


def sign_with_credential(body: Transaction, credential_key: Signer, gateway_key: Signer | None) -> SignedTransaction:
    """The body signed by the credential and, where ``via`` names one, by the gateway."""
    assert body.via is not None, "this body is signed by an account key"
    assert (gateway_key is None) == (body.via.gateway is None), "the gateway named in the body signs"
    signatures = [_signed(body, credential_key, Tag.SIGN_TX)]
    if gateway_key is not None:
        signatures.append(_signed(body, gateway_key, Tag.SIGN_GATEWAY))
    return SignedTransaction(body, tuple(signatures))


def register(
    chain_id: ChainId,
    name: str,
    key: Signer,
    sponsor: AccountId,
    sponsor_key: Signer,
    expires: int,
    salt: bytes,
    then: Sequence[Action] = (),
) -> SignedTransaction:
    """A new account, and what it does first; the salt makes both the account's id and the transaction's."""
    author = account_id(chain_id, key.public_key, salt)
    action = Register(name, key.public_key, salt, sponsor)
    body = Transaction(chain_id, author, None, (action, *then), expires, salt)
    return SignedTransaction(body, (_signed(body, key, Tag.SIGN_TX), _signed(body, sponsor_key, Tag.SIGN_TX)))


def create_credential(
    chain_id: ChainId,
    account: AccountId,
    key: Signer,
    scopes: Sequence[Scope],
    expires: int,
    gateways: Sequence[NodeId],
    note: str = "",
    repos: Sequence[RepoId] | None = None,
) -> CreateCredential:
    """The action, with the new key's proof that its holder made it for this account on this network."""
    return CreateCredential(
        public_key=key.public_key,
        scopes=tuple(sorted(set(scopes))),
        repos=None if repos is None else tuple(sorted(set(repos))),
        expires=expires,
        gateways=tuple(sorted(set(gateways))),
        note=note,
        proof=key.sign(Tag.SIGN_CREDENTIAL, chain_id, credential_proof_body(account)),
    )


def add_key(chain_id: ChainId, account: AccountId, key: Signer) -> AddKey:
    """The action, with the new key's proof that its holder wants it to sign for this account on this network."""
    return AddKey(key.public_key, key.sign(Tag.SIGN_ACCOUNT_KEY, chain_id, account_key_proof_body(account)))


def rotate_key(chain_id: ChainId, account: AccountId, old: bytes, new: Signer) -> tuple[AddKey, RemoveKey]:
    """The actions of one transaction, signed with any key that the account has until then; the old one may sign."""
    return add_key(chain_id, account, new), RemoveKey(old)


def erase_by_operators(
    chain_id: ChainId,
    repo: RepoId,
    commitment: bytes,
    operators: Sequence[tuple[AccountId, Signer]],
    expires: int,
    salt: bytes,
) -> SignedTransaction:
    """A text taken down by the operators; the first of them in order is the author."""
    ordered = sorted(operators, key=lambda pair: pair[0])
    action = Erase(repo, commitment, tuple(account for account, _ in ordered))
    return _by_operators(chain_id, action, ordered, expires, salt)


def add_validator(chain_id: ChainId, name: str, operator: AccountId, vote: Signer, node: Signer) -> AddValidator:
    """The change, with the proof of both new keys that their holder wants this seat on this network."""
    candidacy = Candidacy(name, vote.public_key, NodeId(node.public_key), operator)
    body = to_bytes(candidacy)
    return AddValidator(candidacy, vote.sign(Tag.SIGN_SEAT, chain_id, body), node.sign(Tag.SIGN_SEAT, chain_id, body))


def admit_follower(chain_id: ChainId, name: str, node: Signer) -> AdmitFollower:
    """The action, with the proof of the node's key that its holder wants to follow this network."""
    following = Following(name, NodeId(node.public_key))
    return AdmitFollower(following, node.sign(Tag.SIGN_SEAT, chain_id, to_bytes(following)))


def rotate_seat(chain_id: ChainId, number: int, vote: Signer | None, node: Signer | None) -> RotateSeat:
    """The action, with the proof of each new key."""
    rotation = Rotation(
        number,
        None if vote is None else vote.public_key,
        None if node is None else NodeId(node.public_key),
    )
    body = to_bytes(rotation)
    proofs = [None if key is None else key.sign(Tag.SIGN_SEAT, chain_id, body) for key in (vote, node)]
    return RotateSeat(rotation, *proofs)


def report_evidence(
    chain_id: ChainId, operator: AccountId, node: Signer, first: Vote, second: Vote, expires: int, salt: bytes
) -> SignedTransaction:
    """What a validator's node sends when it holds two votes that contradict each other; its operator pays."""
    body = by_account(chain_id, operator, (ReportEvidence(first, second),), expires, salt)
    return SignedTransaction(body, (_signed(body, node, Tag.SIGN_EVIDENCE),))


def _by_operators(
    chain_id: ChainId, action: Action, ordered: Sequence[tuple[AccountId, Signer]], expires: int, salt: bytes
) -> SignedTransaction:
    body = by_account(chain_id, ordered[0][0], (action,), expires, salt)
    return SignedTransaction(body, tuple(_signed(body, key, Tag.SIGN_TX) for _, key in ordered))


def _signed(body: Transaction, key: Signer, tag: Tag) -> Signature:
    return Signature(key.public_key, key.sign(tag, body.chain_id, to_bytes(body)))
