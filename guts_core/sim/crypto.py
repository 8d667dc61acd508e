"""
Stand-in signatures: keyed hashes through the same protocols as Ed25519 (``consensus.md`` 7.4).

Unforgeable inside the simulation, because secrets live in the ring and villains are handed only
their own signers; a hundred times cheaper than a curve.
"""

from __future__ import annotations

from hashlib import blake2b

from guts_core.codec import Tag
from guts_core.identity.keys import KeyPair, Signer
from guts_core.names import ChainId


def derive(seed: int, name: str) -> bytes:
    """32 bytes for one concern of one seed: adding a concern reshuffles no other."""
    return blake2b(name.encode(), digest_size=32, key=seed.to_bytes(16, "big"), person=b"guts/sim").digest()


class KeyRing:
    """Every secret of a simulated network, and the verifier of all its signatures."""

    def __init__(self, seed: int, size: int) -> None:
        secrets = [derive(seed, f"key {index}") for index in range(size)]
        # Public keys are genuine ones, because genesis and the forge accept no others.
        self._secrets = {KeyPair(secret).public_key: _Secret(secret) for secret in secrets}
        self.public_keys = tuple(self._secrets)

    def signer(self, index: int) -> Signer:
        """The signer of one validator."""
        public_key = self.public_keys[index]
        return _RingSigner(public_key, self._secrets[public_key])

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """Whether the signature covers exactly this tag, chain and body under this key."""
        secret = self._secrets.get(public_key)
        return secret is not None and secret.mac(tag, chain_id, body) == signature


class _RingSigner:
    def __init__(self, public_key: bytes, secret: _Secret) -> None:
        self._public_key, self._secret = public_key, secret

    @property
    def public_key(self) -> bytes:
        return self._public_key

    def sign(self, tag: Tag, chain_id: ChainId, body: bytes) -> bytes:
        return self._secret.mac(tag, chain_id, body)


class _Secret:
    """A key, with the beginning of what it signed last: most is of one sort and one network."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._tag: Tag | None = None
        self._chain_id = b""
        self._begun = blake2b()

    def mac(self, tag: Tag, chain_id: ChainId, body: bytes) -> bytes:
        if tag is not self._tag or chain_id != self._chain_id:
            self._tag, self._chain_id = tag, chain_id
            self._begun = blake2b(chain_id, digest_size=64, key=self._secret, person=tag.value)
        made = self._begun.copy()
        made.update(body)
        return made.digest()
