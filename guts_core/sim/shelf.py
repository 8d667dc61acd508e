"""
Texts in the simulator: what lies on each node's disk beside its database, and what must be true of it (I13).

A text is kept and taken away together with the commit that says so; that a real disk does it in an
order which survives a power cut at each step is shown with real files.
"""

from __future__ import annotations

from guts_core.chain.commit import Commit, TextName
from guts_core.chain.memory import MemoryStore
from guts_core.chain.texts import read_text
from guts_core.chain.transaction import Text

from .ledger import Broken


class Shelf:
    """The texts that one node holds, and those that its state lists and it lacks."""

    def __init__(self) -> None:
        self._kept: dict[TextName, bytes] = {}
        self.missing: dict[TextName, None] = {}

    def copy(self) -> Shelf:
        """The same texts on another shelf."""
        other = Shelf()
        other._kept, other.missing = dict(self._kept), dict(self.missing)
        return other

    def follow(self, commit: Commit) -> int:
        """Do as a commit says; how many texts came without their words."""
        for listed in commit.texts:
            if listed.data is not None:
                self._kept[listed.name] = listed.data
            elif listed.name not in self._kept:
                self.missing[listed.name] = None
        for name in commit.erased:
            self._kept.pop(name, None)
            self.missing.pop(name, None)
        return sum(listed.data is None for listed in commit.texts)

    def read(self, name: TextName) -> bytes | None:
        """A text, if it is here."""
        return self._kept.get(name)

    def take(self, name: TextName, data: bytes) -> bool:
        """Keep what a peer gave, if it is wanted still and is what was asked for."""
        if name not in self.missing or read_text(data, name.commitment) is None:
            return False
        del self.missing[name]
        self._kept[name] = data
        return True


class TextChecks:
    """What was listed and erased, as the chain says, and every text that anybody submitted."""

    def __init__(self) -> None:
        self.submitted: dict[bytes, Text] = {}
        self._listed: dict[TextName, int] = {}  # at which height
        self._erased: dict[TextName, int] = {}

    def final(self, commit: Commit) -> None:
        """A block is final for the first time."""
        self._listed |= dict.fromkeys((listed.name for listed in commit.texts), commit.height)
        self._erased |= dict.fromkeys(commit.erased, commit.height)

    def check(self, index: int, shelf: Shelf, store: MemoryStore, *, whole_at: int | None = None) -> None:
        """What is listed is here or known to be missing; what was erased is not; at the end no block has a text."""
        for name, height in self._listed.items():
            if height <= store.height() and self._erased.get(name, store.height() + 1) > store.height():
                self._check_listed(index, shelf, name, is_due=whole_at is not None and height <= whole_at)
        for name, height in self._erased.items():
            if height <= store.height() and shelf.read(name) is not None:
                raise Broken(f"I13: node {index} holds text {name.commitment.hex()[:8]}, erased at height {height}")
        if whole_at is not None:
            self._check_chain(index, store)

    @staticmethod
    def _check_listed(index: int, shelf: Shelf, name: TextName, *, is_due: bool) -> None:
        short = name.commitment.hex()[:8]
        if shelf.read(name) is None and name not in shelf.missing:
            raise Broken(f"I13: node {index} lacks text {short} unknowingly")
        if shelf.read(name) is None and is_due:
            raise Broken(f"L1: node {index} still misses text {short}")

    def check_log(self, index: int, height: int, log: list[bytes]) -> None:
        """A node that knows that it has committed up to a height has no text in its log that was erased there."""
        for name, erased_at in self._erased.items():
            salt = self.submitted[name.commitment].salt
            if erased_at <= height and any(salt in record for record in log):
                raise Broken(f"I13: the log of node {index} holds text {name.commitment.hex()[:8]}, which was erased")

    def _check_chain(self, index: int, store: MemoryStore) -> None:
        salts = [text.salt for text in self.submitted.values()]
        for height in range(1, store.height() + 1):
            block = store.block_at(height)
            assert block is not None, "blocks are stored in order"
            if any(salt in block.body for salt in salts):
                raise Broken(f"I13: node {index} stores block {height} with a text in it")
