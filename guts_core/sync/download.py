"""One snapshot on its way: what of it is here, what is to be asked for, and what a piece of it must be."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from guts_core.chain.header import Header, block_hash
from guts_core.errors import PeerFault

from .messages import PastWanted, Question, StatePieceWanted
from .past import Past
from .records import PIECE_BYTES_MAX, PastBlock, PastRun, StateManifest, manifest_digest, piece_hash

# Pieces lie beside the database that is made of them, and that has the pages of the tree, too.
STATE_COPIES = 3


def check_manifest(manifest: StateManifest, header: Header | None, room_bytes: int | None = None) -> None:
    """
    Raises PeerFault unless this is a snapshot of the proven end of its epoch, with the state and history of it.

    How many pieces a state has is nowhere proven: more than the disk has room for are not even begun.
    """
    if header is None or (header.height, block_hash(header)) != (manifest.height, manifest.block_hash):
        raise PeerFault(f"a snapshot at height {manifest.height}, where epoch {manifest.epoch} does not end")
    if (manifest.chain_id, manifest.state_root) != (header.chain_id, header.state_root):
        raise PeerFault(f"a snapshot of another state than that of height {manifest.height}")
    if len(manifest.peaks) != manifest.height.bit_count() or manifest.history.root != header.history_root:
        raise PeerFault(f"a snapshot with another history than that of height {manifest.height}")
    if not 1 <= manifest.past <= manifest.height or not manifest.pieces:
        raise PeerFault(f"a snapshot of height {manifest.height} without a state or without a past")
    wanted = len(manifest.pieces) * PIECE_BYTES_MAX * STATE_COPIES
    if room_bytes is not None and wanted > room_bytes:
        raise PeerFault(f"a snapshot that may take {wanted} bytes, where the disk has room for {room_bytes}")


class Download:
    """The pieces and the past of one snapshot, whose manifest fits a proven header."""

    def __init__(self, manifest: StateManifest, boundary: Header) -> None:
        self.manifest, self.boundary = manifest, boundary
        self.digest = manifest_digest(manifest)
        self.past = Past.below(boundary)
        self.runs = 0
        self._missing = dict.fromkeys(range(len(manifest.pieces)))

    @property
    def is_complete(self) -> bool:
        """Whether all of it is here."""
        return not self._missing and self.past.wanted is None

    @property
    def done(self) -> int:
        """Pieces and past blocks that are here."""
        return len(self.manifest.pieces) - len(self._missing) + self.past.count

    @property
    def total(self) -> int:
        """Those that there are, as the manifest has it."""
        lowest = max(1, self.manifest.past - 1)  # the first that is too old shows that no more are wanted
        return len(self.manifest.pieces) + self.manifest.height - lowest + 1

    def wanted(self, asked: Collection[Question]) -> Iterator[Question]:
        """What is neither here nor asked for: the past, which comes one run after the other, then the pieces."""
        if self.past.wanted is not None and not any(isinstance(one, PastWanted) for one in asked):
            yield PastWanted(0, self.past.wanted)
        pending = {one.index for one in asked if isinstance(one, StatePieceWanted) and one.digest == self.digest}
        for index in self._missing:
            if index not in pending:
                yield StatePieceWanted(0, self.digest, index)

    def take_piece(self, index: int, data: bytes) -> bool:
        """A piece; False for one that is here already. Raises PeerFault for other bytes than the manifest names."""
        if index not in self._missing:
            return False
        if piece_hash(data) != self.manifest.pieces[index]:
            raise PeerFault(f"piece {index} of the snapshot is not the one that its manifest names")
        del self._missing[index]
        return True

    def take_past(self, run: PastRun) -> PastRun:
        """As much of a run as is wanted; raises PeerFault for a block that is not the next."""
        past, taken = self.past, list[PastBlock]()
        for block in run.blocks:
            if past.wanted is None:
                break
            past = past.after(block)
            taken.append(block)
        if not taken:
            raise PeerFault("a run of past blocks where none is wanted")
        self.past = past
        self.runs += 1
        return PastRun(tuple(taken))
