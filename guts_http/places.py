"""Places for connections: so many in all, and so many for one address."""

from __future__ import annotations

from collections import Counter

from .clients import Trusted, group_of, is_loopback


class Places:
    """Counts open connections. A trusted proxy speaks for many and has no bound of its own."""

    def __init__(self, most: int, per_address: int, per_loopback: int, trusted: Trusted) -> None:
        self._most, self._per_address, self._per_loopback = most, per_address, per_loopback
        self._trusted = trusted
        self._taken: Counter[str] = Counter()
        self._total = 0

    def take(self, host: str) -> bool:
        """Whether there was a place for a connection from here; ``leave`` gives it back."""
        group = group_of(host)
        if self._total >= self._most or self._taken[group] >= self._bound(host):
            return False
        self._taken[group] += 1
        self._total += 1
        return True

    def leave(self, host: str) -> None:
        """A connection is over."""
        group = group_of(host)
        self._total -= 1
        self._taken[group] -= 1
        if not self._taken[group]:
            del self._taken[group]

    def _bound(self, host: str) -> int:
        if not host or host in self._trusted:
            return self._most
        return self._per_loopback if is_loopback(host) else self._per_address
