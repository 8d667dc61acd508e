"""Votes of one kind in one view: signers are counted, never messages."""

from __future__ import annotations

from .messages import Proposal

Said = tuple[Proposal | None, bytes]


class Tally:
    """The first verified vote of each signer; a later different one never replaces it."""

    __slots__ = ("_equal", "_said")

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._equal: dict[Proposal | None, int] = {}  # how many signers said each

    def of(self, signer: int) -> Said | None:
        """What this signer said first, with the signature, or None."""
        return self._said.get(signer)

    def add(self, signer: int, proposal: Proposal | None, signature: bytes) -> int:
        """Count a verified vote; the number of signers who now say the same."""
        if signer not in self._said:
            self._said[signer] = proposal, signature
            self._equal[proposal] = self._equal.get(proposal, 0) + 1
        return self._equal.get(proposal, 0)

    def holds_other_than(self, proposal: Proposal | None) -> bool:
        """Whether somebody said something else than this."""
        return len(self._said) > self._equal.get(proposal, 0)

    def signatures(self, proposal: Proposal | None) -> list[tuple[int, bytes]]:
        """(signer, signature) of all who said this, by index."""
        return sorted((signer, signature) for signer, (said, signature) in self._said.items() if said == proposal)

    def forget(self) -> None:
        """Let go of the individual votes."""
        self._said.clear()
        self._equal.clear()

    def __len__(self) -> int:
        return len(self._said)
