"""
Texts that ride beside transactions, found again by their commitment.

State holds only the hash of a description. The block that set it carries the text, and its height
follows from the times in the record: header times grow with the height.
"""

from __future__ import annotations

from collections import OrderedDict

from guts_core.chain.block import Block
from guts_core.codec import from_bytes
from guts_core.forge import queries
from guts_core.forge.records import Repository, TextState

from .reader import Snapshot

# A description is a few hundred bytes; pages show the same ones again and again.
REMEMBERED_MAX = 4096


class Texts:
    """Looks descriptions up, and remembers what it found."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[bytes, str] = OrderedDict()

    def description(self, snapshot: Snapshot, repository: Repository) -> str | None:
        """The repository's description, or None when there is none or this node does not find it."""
        wanted = repository.description
        record = None if wanted is None else queries.text(snapshot, repository.id, wanted)
        if wanted is None or record is None or record.state is not TextState.PRESENT:
            return None
        if wanted not in self._remembered:
            for time in (repository.updated, repository.created):
                self._remember_block(snapshot, time)
        return self._remembered.get(wanted)

    def remember(self, commitment: bytes, text: str) -> None:
        """Keep a text that is known already."""
        self._remembered[commitment] = text
        self._remembered.move_to_end(commitment)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)

    def _remember_block(self, snapshot: Snapshot, time: int) -> None:
        block = block_at_time(snapshot, time)
        for item in block.items if block is not None else ():
            for text in item.texts:
                self.remember(text.commitment, text.text)


def block_at_time(snapshot: Snapshot, time: int) -> Block | None:
    """The block with exactly this header time."""
    least, most = 1, snapshot.height
    while least <= most:
        middle = (least + most) // 2
        stored = snapshot.block(middle)
        if stored is None:
            return None
        block = from_bytes(Block, stored.body)
        if block.header.time == time:
            return block
        least, most = (middle + 1, most) if block.header.time < time else (least, middle - 1)
    return None
