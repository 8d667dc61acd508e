"""Votes of one kind in one view: signers are counted, never messages."""

from __future__ import annotations

from .messages import Proposal

Said = tuple[Proposal | None, bytes]


class Tally:
    """The first verified vote of each signer; a later different one never replaces it."""

    __slots__ = ("_said",)

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}

    def of(self, signer: int) -> Said | None:
        """What this signer said first, with the signature, or None."""
        return self._said.get(signer)

    def add(self, signer: int, proposal: Proposal | None, signature: bytes) -> int:
        """Count a verified vote; the number of signers who now say the same."""
        self._said.setdefault(signer, (proposal, signature))
        return sum(1 for said, _ in self._said.values() if said == proposal)

    def signatures(self, proposal: Proposal | None) -> list[tuple[int, bytes]]:
        """(signer, signature) of all who said this, by index."""
        return sorted((signer, signature) for signer, (said, signature) in self._said.items() if said == proposal)

    def forget(self) -> None:
        """Let go of the individual votes."""
        self._said.clear()

    def __len__(self) -> int:
        return len(self._said)
