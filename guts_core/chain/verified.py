"""Signatures checked once: at admission, and not again in the block (``performance.md``, Crypto)."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import ClassVar

from guts_core.codec import Tag
from guts_core.identity import Verifier
from guts_core.names import ChainId

# Verdicts of two signatures per pooled transaction, some 150 bytes each.
VERIFIED_MAX = 100_000


class CachingVerifier:
    """A verifier that checks each good signature once; only good ones are remembered, so bad ones evict none."""

    _PERSON: ClassVar[bytes] = b"guts/verified"

    def __init__(self, verifier: Verifier, most: int = VERIFIED_MAX) -> None:
        self._verifier, self._most = verifier, most
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """As Verifier.verify."""
        if len(public_key) != 32 or len(signature) != 64:
            return False
        name = blake2b(public_key + signature + tag.value + chain_id, digest_size=32, person=self._PERSON)
        name.update(body)
        key = name.digest()
        if key in self._good:
            self._good.move_to_end(key)
            return True
        if not self._verifier.verify(public_key, tag, chain_id, body, signature):
            return False
        self._good[key] = None
        if len(self._good) > self._most:
            self._good.popitem(last=False)
        return True
