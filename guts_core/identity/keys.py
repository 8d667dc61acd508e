"""
Ed25519 keys, signatures with domain separation, and the one verifier.

Libraries disagree about Ed25519 at the edges (keys of small or mixed order, non-canonical encodings,
S + L), and nodes that disagree fork. ``verify`` is therefore the only place in Guts that checks a
signature: libsodium's ``crypto_sign_verify_detached`` behind our own explicit check of the key.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

from attrs import field, frozen
from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from guts_core.codec import Tag
from guts_core.errors import Invalid
from guts_core.names import ChainId

PUBLIC_KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
# y coordinates of the eight points of small order (RFC 8032 curve): a signature under such a key
# can verify for every message. The sign bit is ignored when comparing.
_ORDER_8_A = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_ORDER_8_B = 55188659117513257062467267217118295137698188065244968500265048394206261417927
SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _ORDER_8_A, _ORDER_8_B})


class Signer(Protocol):
    """Signs for one key. The simulator has its own, so that 10^6 votes cost no curve arithmetic."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""

    def sign(self, tag: Tag, chain_id: ChainId, body: bytes) -> bytes:
        """64 bytes over tag, chain id and body."""


class Verifier(Protocol):
    """Checks signatures; implementations agree on every input, or nodes fork."""

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """Whether the signature covers exactly this tag, chain and body under this key."""


def _message(tag: Tag, chain_id: ChainId, body: bytes) -> bytes:
    assert len(chain_id) == 32, "a chain id, or 32 zero bytes before there is a chain"
    return tag.value + chain_id + body


# Multiplying a point by the group order takes some 30 us, a third of a verification: once for each key in use.
@lru_cache(maxsize=16_384)
def is_acceptable_public_key(public_key: bytes) -> bool:
    """
    Whether these 32 bytes are a canonical point of the prime-order group other than the identity.

    With a part of small order in a key, one signature verifies with the cofactor and not without it:
    verifiers of a batch and of a single one would disagree.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        return False
    y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
    return y < _P and y not in SMALL_ORDER_Y and crypto_core_ed25519_is_valid_point(public_key)


@frozen
class KeyPair:
    """An Ed25519 key pair (RFC 8032) made from its 32-byte seed."""

    seed: bytes = field(repr=False)
    public_key: bytes = field(init=False)
    _secret: bytes = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise Invalid(f"an Ed25519 seed has {SEED_BYTES} bytes, not {len(self.seed)}")
        public, secret = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "public_key", public)
        object.__setattr__(self, "_secret", secret)

    def sign(self, tag: Tag, chain_id: ChainId, body: bytes) -> bytes:
        """64 bytes over tag, chain id and body."""
        return crypto_sign(_message(tag, chain_id, body), self._secret)[:SIGNATURE_BYTES]


def verify(public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
    """Whether the signature covers exactly this tag, chain and body under this key."""
    if len(signature) != SIGNATURE_BYTES or not is_acceptable_public_key(public_key):
        return False
    if int.from_bytes(signature[32:], "little") >= _L:
        return False
    try:
        crypto_sign_open(signature + _message(tag, chain_id, body), public_key)
    except (BadSignatureError, ValueError):
        return False
    return True


class Ed25519Verifier:
    """The verifier of every real network."""

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """Whether the signature covers exactly this tag, chain and body under this key."""
        return verify(public_key, tag, chain_id, body, signature)
