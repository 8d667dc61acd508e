"""How ids are made: hashes that their owner can compute before anything is on the chain (``architecture.md`` 4)."""

from __future__ import annotations

from typing import Final

from guts_core.codec import Tag, digest
from guts_core.names import AccountId, ChainId, CredentialId, RepoId

# Genesis accounts exist before there is a chain id: theirs are made with this in its place.
GENESIS_CHAIN_ID: Final = ChainId(bytes(32))


def account_id(chain_id: ChainId, first_key: bytes, salt: bytes) -> AccountId:
    """An account's id for ever, however its keys and its name change."""
    return AccountId(digest(Tag.ACCOUNT_ID, chain_id, first_key, salt))


def repository_id(chain_id: ChainId, creator: AccountId, salt: bytes) -> RepoId:
    """A repository's id for ever, known to its creator before the repository exists."""
    return RepoId(digest(Tag.REPO_ID, chain_id, creator, salt))


def credential_id(public_key: bytes) -> CredentialId:
    """A credential's id: unique for ever, so a revoked key never comes back."""
    return CredentialId(digest(Tag.CREDENTIAL_ID, public_key))


def account_key_proof_body(account: AccountId) -> bytes:
    """What a key signs with ``Tag.SIGN_ACCOUNT_KEY`` to join an account; the signature covers the chain id, too."""
    return account


def credential_proof_body(account: AccountId) -> bytes:
    """What a credential's new key signs with ``Tag.SIGN_CREDENTIAL``; the signature covers the chain id by itself."""
    return account
