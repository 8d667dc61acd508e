"""Keys, the one verifier, and tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from guts_core.codec import Tag
from guts_core.errors import Invalid
from guts_core.identity import (
    Ed25519Verifier,
    KeyPair,
    is_acceptable_public_key,
    key_of,
    token_of,
    verify,
)
from guts_core.identity.tokens import PREFIX, TOKEN_CHARS
from guts_core.names import ChainId

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "conformance" / "ed25519_vectors.json").read_text()
)["vectors"]
CHAIN = ChainId(bytes(range(32)))
SEEDS = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"][:60])
def test_bad_J_01_every_vector_is_judged_as_written(vector: dict[str, Any]) -> None:
    """Small orders, other encodings of a key and S + L are where libraries disagree, and nodes would fork."""
    raw = {name: bytes.fromhex(vector[name]) for name in ("public_key", "chain_id", "body", "signature")}

    for judge in (verify, Ed25519Verifier().verify):
        said = judge(raw["public_key"], Tag[vector["tag"]], ChainId(raw["chain_id"]), raw["body"], raw["signature"])
        assert said is vector["valid"]


def test_the_vectors_cover_what_they_promise() -> None:
    """A vectors file that lost its hard cases would still be green."""
    names = " ".join(vector["name"] for vector in VECTORS)

    keys = ("small-order key", "mixed-order key", "non-canonical key")
    for promised in ("valid", *keys, "S + 1L", "another tag", "another chain"):
        assert promised in names
    refused = {vector["public_key"] for vector in VECTORS if "order key" in vector["name"]}
    assert len(refused) == 17
    assert not any(is_acceptable_public_key(bytes.fromhex(key)) for key in refused)


def test_a_malleated_signature_is_refused_that_libraries_once_took() -> None:
    """S + L is the same point equation: only the check of its range tells it apart."""
    key = KeyPair(b"\x01" * 32)
    good = key.sign(Tag.SIGN_TX, CHAIN, b"body")
    order = 2**252 + 27742317777372353535851937790883648493
    more = int.from_bytes(good[32:], "little") + order

    assert verify(key.public_key, Tag.SIGN_TX, CHAIN, b"body", good)
    assert not verify(key.public_key, Tag.SIGN_TX, CHAIN, b"body", good[:32] + more.to_bytes(32, "little"))


@given(SEEDS, st.binary(max_size=100), st.sampled_from([tag for tag in Tag if tag.name.startswith("SIGN_")]))
def test_a_signature_is_plain_ed25519_over_tag_chain_and_body(seed: bytes, body: bytes, tag: Tag) -> None:
    """Any other implementation can check ours, and a signature for one purpose says nothing for another."""
    key = KeyPair(seed)
    signature = key.sign(tag, CHAIN, body)
    other = Tag.SIGN_HELLO if tag is not Tag.SIGN_HELLO else Tag.SIGN_TX

    VerifyKey(key.public_key).verify(tag.value + CHAIN + body, signature)
    assert verify(key.public_key, tag, CHAIN, body, signature)
    assert not verify(key.public_key, other, CHAIN, body, signature)
    assert not verify(key.public_key, tag, ChainId(bytes(32)), body, signature)
    assert not verify(key.public_key, tag, CHAIN, body + b"\0", signature)


@given(SEEDS, st.integers(0, 63), st.integers(1, 255))
def test_a_changed_signature_never_verifies(seed: bytes, at: int, flip: int) -> None:
    """Every bit of the 64 bytes counts."""
    key = KeyPair(seed)
    signature = bytearray(key.sign(Tag.SIGN_TX, CHAIN, b"body"))
    signature[at] ^= flip

    assert not verify(key.public_key, Tag.SIGN_TX, CHAIN, b"body", bytes(signature))


def test_a_key_shows_no_secret() -> None:
    """Keys end up in logs and tracebacks sooner or later."""
    key = KeyPair(b"\x5a" * 32)

    assert "5a" not in repr(key).replace(key.public_key.hex(), "")
    assert "Z" * 8 not in repr(key)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(size: int) -> None:
    """A shortened seed would be a guessable key."""
    with pytest.raises(Invalid, match="32 bytes"):
        KeyPair(bytes(size))


@given(SEEDS)
def test_a_token_is_its_seed(seed: bytes) -> None:
    """The token alone is the key: nothing else has to be stored anywhere."""
    token = token_of(seed)

    assert len(token) == TOKEN_CHARS
    assert token.startswith(PREFIX)
    assert key_of(token) == KeyPair(seed)


@given(SEEDS, st.integers(0, TOKEN_CHARS - 1), st.sampled_from("09azAZ_-+ "))
def test_a_mistyped_token_is_told_apart_and_not_repeated(seed: bytes, at: int, char: str) -> None:
    """One wrong character is "mistyped", never another key, and the message does not leak the rest."""
    token = token_of(seed)
    mistyped = token[:at] + char + token[at + 1 :]
    if mistyped == token:
        return

    with pytest.raises(Invalid) as refused:
        key_of(mistyped)
    assert token[len(PREFIX) + 5 : len(PREFIX) + 30] not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "guts_pat_", "ghp_" + "0" * 54, token_of(bytes(32))[:-1], token_of(bytes(32)) + "0"]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    """Tokens of other forges end up in our password field every day."""
    with pytest.raises(Invalid):
        key_of(text)


@pytest.mark.parametrize(
    ("seed", "token"),
    [
        (bytes(32), "guts_pat_" + "0" * 43 + "1WxbZo"),
        (b"\xff" * 32, "guts_pat_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp14XmgCO"),
    ],
)
def test_the_token_format_is_fixed(seed: bytes, token: str) -> None:
    """Tokens in people's password stores have to go on working."""
    assert token_of(seed) == token


def test_a_number_above_all_seeds_is_no_token() -> None:
    """43 base62 characters reach beyond 2^256: those forms would be second tokens for no key at all."""
    body = PREFIX + "z" * 43
    number, check = crc32(body.encode()), ""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for _ in range(6):
        number, digit = divmod(number, 62)
        check = alphabet[digit] + check

    with pytest.raises(Invalid, match="check"):
        key_of(body + check)
