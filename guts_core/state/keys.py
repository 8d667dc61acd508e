"""
Typed keys of the record store (``architecture.md`` 3).

A store key is ``scope type (1) || scope id (32) || kind (1) || rest``: all records of one kind in
one scope are one contiguous run in bytewise order. Its place in the state tree is
``H(scope type || scope id) || kind || H(rest)``: one subtree per kind and scope.
"""

from __future__ import annotations

from enum import IntEnum

from guts_core.codec import Tag, digest

SCOPE_BYTES = 33
KEY_PREFIX_BYTES = SCOPE_BYTES + 1
REST_BYTES_MAX = 512
NETWORK_ID = bytes(32)


class Scope(IntEnum):
    """What a record belongs to."""

    NETWORK = 0
    ACCOUNT = 1
    REPOSITORY = 2


class Kind(IntEnum):
    """What a record is, within its scope; one byte of every key, for ever."""

    # Network scope.
    ACCOUNT_NAME = 1
    CREDENTIAL = 2
    NODE = 3
    COUNTER = 4  # also in account scope
    # 5 was that of rules that were scheduled apart from other decisions.
    ACCOUNT_KEY = 6
    NODE_NUMBER = 7
    NODE_KEY = 8
    EPOCH = 9
    PAST_EPOCH = 10
    DECISION = 11
    QUEUE = 12
    CONVICTION = 13
    NODE_NAME = 14
    # Account scope.
    ACCOUNT = 16
    REPOSITORY_NAME = 17
    AFFILIATION = 18
    QUOTA = 19
    ACCOUNT_CREDENTIAL = 20
    # Repository scope.
    REPOSITORY = 32
    REF = 33
    PACK = 34
    COLLABORATOR = 35
    PACK_SEAT = 36
    TEXT = 37


def prefix(scope: Scope, scope_id: bytes, kind: Kind) -> bytes:
    """What the store keys of all records of one kind in one scope start with."""
    assert len(scope_id) == 32
    return bytes((scope,)) + scope_id + bytes((kind,))


def key(scope: Scope, scope_id: bytes, kind: Kind, rest: bytes = b"") -> bytes:
    """The store key of one record."""
    assert len(rest) <= REST_BYTES_MAX
    return prefix(scope, scope_id, kind) + rest


def tree_key(store_key: bytes) -> bytes:
    """The 65-byte place of a record in the state tree."""
    rest = digest(Tag.STATE_KEY, store_key[KEY_PREFIX_BYTES:])
    return tree_prefix(store_key[:KEY_PREFIX_BYTES]) + rest


def tree_prefix(store_prefix: bytes) -> bytes:
    """The 33-byte prefix of the subtree that holds all records under a 34-byte store prefix."""
    assert len(store_prefix) == KEY_PREFIX_BYTES
    return digest(Tag.STATE_KEY, store_prefix[:SCOPE_BYTES]) + store_prefix[SCOPE_BYTES:]
