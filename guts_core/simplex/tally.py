"""Votes of one kind in one view: signers are counted, never messages; signatures are looked at late."""

from __future__ import annotations

from .messages import Proposal

Said = tuple[Proposal | None, bytes]


class Tally:
    """
    The first vote of each signer; a different one replaces it only when it turns out that he never signed it.

    Whether he did is looked at late: most votes of a view are one of a quorum or one too many, and what nothing
    follows from is not worth a check. Only who is linked under a signer's name can fill his place, so a forgery
    here is in nobody else's way.
    """

    __slots__ = ("_checked", "_equal", "_said")

    def __init__(self) -> None:
        self._said: dict[int, Said] = {}
        self._checked: set[int] = set()
        self._equal: dict[Proposal | None, int] = {}  # how many signers are said to say each

    def of(self, signer: int) -> Said | None:
        """What this signer is said to have said first, with the signature, or None."""
        return self._said.get(signer)

    def is_checked(self, signer: int) -> bool:
        """Whether this signer's vote here is known to be his."""
        return signer in self._checked

    def vouches(self, signer: int, proposal: Proposal | None, signature: bytes) -> bool:
        """Whether exactly this is known to be signed by him."""
        return signer in self._checked and self._said[signer] == (proposal, signature)

    def add(self, signer: int, proposal: Proposal | None, signature: bytes, *, checked: bool) -> int:
        """Count a vote, for the number of signers who seem to say the same; a checked one replaces an unchecked one."""
        if checked and signer not in self._checked:
            self.drop(signer)
            self._checked.add(signer)
        equal = self._equal.get(proposal, 0)
        if signer in self._said:
            return equal
        self._said[signer] = proposal, signature
        self._equal[proposal] = equal + 1
        return equal + 1

    def vouch(self, signer: int) -> None:
        """The signature of this signer's vote was checked, and is his."""
        self._checked.add(signer)

    def drop(self, signer: int) -> None:
        """Let go of a vote that nobody has shown to be this signer's."""
        said = self._said.pop(signer, None)
        if said is not None:
            self._equal[said[0]] -= 1

    def holds_other_than(self, proposal: Proposal | None) -> bool:
        """Whether somebody said something else than this."""
        return len(self._said) > self._equal.get(proposal, 0)

    def unchecked(self, proposal: Proposal | None) -> list[tuple[int, bytes]]:
        """(signer, signature) of all who are said to have said this, as they came."""
        return [
            (signer, signature)
            for signer, (said, signature) in self._said.items()
            if signer not in self._checked and (said is proposal or said == proposal)
        ]

    def checked(self, proposal: Proposal | None) -> int:
        """How many are known to have said this."""
        if not self.holds_other_than(proposal):
            return len(self._checked)
        return len(self.signatures(proposal))

    def signatures(self, proposal: Proposal | None) -> list[tuple[int, bytes]]:
        """(signer, signature) of all who are known to have said this, by index."""
        found = []
        for signer in sorted(self._checked):
            words, signature = self._said[signer]
            if words is proposal or words == proposal:
                found.append((signer, signature))
        return found

    def forget(self) -> None:
        """Let go of the individual votes."""
        self._said.clear()
        self._checked.clear()
        self._equal.clear()

    def __len__(self) -> int:
        return len(self._said)
