"""Blocks above the finalized tip, by hash, and the walk from one of them down to the tip."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from guts_core.names import BlockHash

from .messages import Proposal


class Held:
    """A block's body with the proposal it is bound to, and how far this node got with it."""

    __slots__ = ("ask_again", "body", "executed", "logged", "proposal")

    def __init__(self, proposal: Proposal, body: bytes) -> None:
        self.proposal, self.body = proposal, body
        self.executed = False  # on its parent's state, with a matching root
        self.logged = False  # its bytes precede an own vote in the log
        self.ask_again = 0  # monotonic us before which "cannot tell yet" is not asked again


@frozen
class Walk:
    """Held blocks, oldest first; complete unless a hash is missing or the branch misses the tip."""

    run: list[Held]
    missing: BlockHash | None
    dead: bool

    @property
    def connects(self) -> bool:
        """Whether the run stands on the finalized tip."""
        return self.missing is None and not self.dead


class Blocks:
    """The unfinalized suffix that this node holds: bodies checked against their hashes."""

    def __init__(self) -> None:
        self._held: dict[BlockHash, Held] = {}
        self.bytes = 0

    def __contains__(self, block_hash: BlockHash) -> bool:
        return block_hash in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, block_hash: BlockHash) -> Held | None:
        """The held block, or None."""
        return self._held.get(block_hash)

    def put(self, proposal: Proposal, body: bytes) -> Held:
        """Hold a block whose hash was checked; a second copy changes nothing."""
        held = self._held.get(proposal.block_hash)
        if held is None:
            held = self._held[proposal.block_hash] = Held(proposal, body)
            self.bytes += len(body)
        return held

    def drop(self, block_hash: BlockHash) -> None:
        """Let go of a block."""
        held = self._held.pop(block_hash, None)
        if held is not None:
            self.bytes -= len(held.body)

    def prune(self, view: int) -> None:
        """Let go of all blocks at or below a finalized view."""
        for block_hash in [key for key, held in self._held.items() if held.proposal.view <= view]:
            self.drop(block_hash)

    def walk(self, start: BlockHash, final: Proposal) -> Walk:
        """
        From a block down to the finalized tip, or to the first hash that is not here.

        A parent is of the view that its child names, or below: a branch in which it is not has no end, and is dead.
        That hashes make no circles is the application's word (``is_bound``), and this loop does not hang on it.
        """
        run: list[Held] = []
        at, below = start, 1 << 64
        while at != final.block_hash:
            held = self._held.get(at)
            if held is None:
                return Walk(run[::-1], at, dead=False)
            if held.proposal.view >= below:
                return Walk([], None, dead=True)
            run.append(held)
            at, below = held.proposal.parent_hash, held.proposal.view
            if held.proposal.parent_view <= final.view and at != final.block_hash:
                return Walk([], None, dead=True)
        return Walk(run[::-1], None, dead=False)

    def __iter__(self) -> Iterator[Held]:
        """Every held block, as they came."""
        return iter(self._held.values())

    def all(self) -> list[Held]:
        """Every held block, parents before children."""
        return sorted(self._held.values(), key=lambda held: held.proposal.view)
