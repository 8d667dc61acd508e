"""What one node counts while it works, by the keys of ``guts_core.node.figures``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from guts_core.codec import Tag
from guts_core.identity import Verifier
from guts_core.names import ChainId
from guts_core.node.figures import BY_KEY, FIGURES, Shape
from guts_core.node.port import Figure

US = 1_000_000


class Tally:
    """Counts of one node. Threads may add: a lost count is no loss."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._spent_us: Counter[str] = Counter()

    def add(self, key: str, amount: int = 1) -> None:
        """Something happened."""
        assert key in BY_KEY, key
        self._counts[key] += amount

    @contextmanager
    def timed(self, key: str) -> Iterator[None]:
        """Something is done in this block, be it in vain."""
        begun = time.monotonic_ns()
        try:
            yield
        finally:
            self.add(key)
            self._spent_us[key] += (time.monotonic_ns() - begun) // 1000

    def __getitem__(self, key: str) -> int:
        """How often."""
        return self._counts[key]

    def figures(self, others: dict[str, int]) -> tuple[Figure, ...]:
        """All of it, together with what others counted."""
        return tuple(self._figure(known.key, known.shape, others) for known in FIGURES)

    def _figure(self, key: str, shape: Shape, others: dict[str, int]) -> Figure:
        if shape is Shape.SUMMARY:
            return Figure(key, self._spent_us[key], self._counts[key])
        return Figure(key, others.get(key, self._counts[key]))


class CountingVerifier:
    """A verifier whose work is counted."""

    def __init__(self, inner: Verifier, tally: Tally) -> None:
        self._inner, self._tally = inner, tally

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:
        """Whether the signature covers exactly this tag, chain and body under this key."""
        self._tally.add("signatures")
        return self._inner.verify(public_key, tag, chain_id, body, signature)
