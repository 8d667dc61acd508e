"""Ids as types, and the grammars of names that people choose (``architecture.md`` 4, Names)."""

from __future__ import annotations

import re
from typing import NewType

from guts_core.errors import Invalid

ChainId = NewType("ChainId", bytes)
BlockHash = NewType("BlockHash", bytes)
Root = NewType("Root", bytes)
TxId = NewType("TxId", bytes)
AccountId = NewType("AccountId", bytes)
RepoId = NewType("RepoId", bytes)
CredentialId = NewType("CredentialId", bytes)
NodeId = NewType("NodeId", bytes)  # the node's network public key
Oid = NewType("Oid", bytes)  # 20 bytes: SHA-1 object id
RefName = NewType("RefName", str)

NAME_BYTES_MAX = 39
REPOSITORY_NAME_BYTES_MAX = 100
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?", re.ASCII)
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
# GitHub's exclusions: names that are paths or that the URL grammar already uses.
_REPOSITORY_NEVER = frozenset({".", ".."})
_REPOSITORY_SUFFIXES_NEVER = (".git", ".wiki", ".atom", ".lock")


def account_name(text: str) -> str:
    """The text if it may name an account or organization, else raises Invalid."""
    if not _ACCOUNT.fullmatch(text):
        raise Invalid(f"account name {text[:60]!a}: use 1 to {NAME_BYTES_MAX} of a-z, 0-9 and '-', not first or last")
    return text


def repository_name(text: str) -> str:
    """The text if it may name a repository, else raises Invalid."""
    if not _REPOSITORY.fullmatch(text):
        raise Invalid(
            f"repository name {text[:120]!a}: use 1 to {REPOSITORY_NAME_BYTES_MAX} of A-Z, a-z, 0-9, '.', '_' and '-'"
        )
    if text in _REPOSITORY_NEVER or text.lower().endswith(_REPOSITORY_SUFFIXES_NEVER):
        raise Invalid(f"repository name {text!r} is reserved")
    return text
