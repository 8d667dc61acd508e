"""
Every hash and every signature says what it is about (BLAKE2b's person field; RFC 7693, 2.8).

A tag is 16 bytes. No two purposes share one, so a hash or signature made for one purpose can
never be shown as another.
"""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b

HASH_BYTES = 32


def _tag(name: str) -> bytes:
    tag = f"guts/{name}".encode().ljust(16, b"\0")
    assert len(tag) == 16, name
    return tag


class Tag(Enum):
    """What a hash or a signed body is about."""

    # Hashes.
    GENESIS = _tag("genesis")
    HEADER = _tag("header")
    TX_ID = _tag("tx-id")
    TX_LEAF = _tag("tx-leaf")
    TX_PART = _tag("tx-part")
    TX_NODE = _tag("tx-node")
    RECEIPT = _tag("receipt")
    HISTORY = _tag("history")
    VALIDATORS = _tag("validators")
    STATE_KEY = _tag("state-key")
    STATE_NODE = _tag("state-node")
    STATE_VALUE = _tag("state-val")
    TEXT = _tag("text")
    ACCOUNT_ID = _tag("account-id")
    REPO_ID = _tag("repo-id")
    CREDENTIAL_ID = _tag("cred-id")
    BLOB = _tag("blob")
    CHUNK = _tag("chunk")
    TRACE = _tag("trace")
    SNAPSHOT = _tag("snapshot")
    SNAPSHOT_PIECE = _tag("snap-piece")
    LINK_KEY = _tag("link-key")
    LINK_HASH = _tag("link-hash")
    LINK_CONFIRM = _tag("link-cfm")
    PEER_SET = _tag("peer-set")
    PEER_ORDER = _tag("peer-order")

    # Signed bodies.
    SIGN_VOTE = _tag("s/vote")
    SIGN_TX = _tag("s/tx")
    SIGN_GATEWAY = _tag("s/gateway")
    SIGN_CREDENTIAL = _tag("s/cred")
    SIGN_ACCOUNT_KEY = _tag("s/key")
    SIGN_AVAIL = _tag("s/avail")
    SIGN_ENTRY = _tag("s/entry")
    SIGN_SEAT = _tag("s/seat")
    SIGN_EVIDENCE = _tag("s/evidence")
    SIGN_HELLO = _tag("s/hello")
    SIGN_HELLO_BACK = _tag("s/hello2")
    SIGN_PEER_INFO = _tag("s/peer")


def digest(tag: Tag, *parts: bytes) -> bytes:
    """H(tag, parts joined): 32 bytes. Give parts of fixed length, or one canonical encoding."""
    # ``_value_`` is what ``value`` answers after two calls of its own; half the time of a short hash goes there.
    if len(parts) == 1:
        return blake2b(parts[0], digest_size=HASH_BYTES, person=tag._value_).digest()
    state = blake2b(digest_size=HASH_BYTES, person=tag._value_)
    for part in parts:
        state.update(part)
    return state.digest()
