"""
One node's copy of a state machine under agreement: each command at most once, in one order.

Its blocks carry a time that is judged by the local clock, and what is final is durable only once the
simulated disk says so. States are computed anew from the blocks at every start.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, cast

from attrs import frozen

from guts_core.codec import Tag, decode, digest, encode
from guts_core.errors import Corrupt, Malformed, Refused
from guts_core.names import BlockHash
from guts_core.simplex.messages import Certificate, Proposal, SuppliedBlock
from guts_core.simplex.ports import End, Instant, Verdict

from .machine import S, StateMachine

GENESIS_HASH = BlockHash(digest(Tag.HEADER, b"genesis of a simulated machine"))
GENESIS = Proposal(0, 0, 0, BlockHash(bytes(32)), GENESIS_HASH)
COMMANDS_MAX = 64
AHEAD_MS_MAX = 10_000


@frozen
class Page:
    """A block: what it binds, the state after it, and the commands it adds."""

    epoch: int
    view: int
    parent_view: int
    parent_hash: bytes
    time: int
    root: bytes
    commands: tuple[bytes, ...]

    def encoded(self) -> bytes:
        """The body that travels."""
        head = (self.epoch, self.view, self.parent_view, self.parent_hash, self.time, self.root)
        return encode((*head, self.commands))


@lru_cache(maxsize=256)
def page_of(body: bytes) -> Page | None:
    """The page of a body, or None for other bytes."""
    try:
        value = decode(body)
    except Malformed:
        return None
    if not isinstance(value, tuple) or len(value) != 7 or not isinstance(value[6], tuple):
        return None
    types = (int, int, int, bytes, int, bytes)
    if not all(type(item) is kind for item, kind in zip(value[:6], types, strict=True)):
        return None
    if not all(type(word) is bytes for word in value[6]):
        return None
    return Page(*cast("tuple[int, int, int, bytes, int, bytes, tuple[bytes, ...]]", value))


@frozen
class Leaf(Generic[S]):
    """An executed block's place: what it needs to be built upon."""

    parent: BlockHash
    view: int
    height: int
    state: S
    root: bytes
    time: int
    commands: tuple[bytes, ...]


@frozen
class FinalBlock:
    """A finalized block as the disk keeps it."""

    block: SuppliedBlock
    certificate: Certificate | None
    height: int
    root: bytes


class Replica(Generic[S]):
    """One node's copy, restored from what its disk had committed."""

    def __init__(self, machine: StateMachine[S], committed: list[FinalBlock]) -> None:
        self.log: list[FinalBlock] = []  # finalized, in order: committed ones and later
        self._machine = machine
        self._blocks: dict[BlockHash, SuppliedBlock] = {}
        self._final_commands: set[bytes] = set()
        self.waiting: dict[bytes, None] = {}
        state = machine.initial()
        self._leaves = {GENESIS_HASH: Leaf(BlockHash(b""), 0, 0, state, machine.root(state), 0, ())}
        self.fresh: list[FinalBlock] = []  # finalized and not yet handed to the disk
        for final in committed:
            state = self._restored(state, final)
        if committed:
            self._leaves = {committed[-1].block.proposal.block_hash: _leaf_of(committed[-1], state)}

    def submit(self, command: bytes) -> None:
        """Somebody wants this command in the log."""
        if command not in self._final_commands:
            self.waiting.setdefault(command)

    @property
    def state(self) -> S:
        """The state after the last finalized block."""
        tip = self.log[-1].block.proposal.block_hash if self.log else GENESIS_HASH
        return self._leaves[tip].state

    def take_fresh(self) -> list[FinalBlock]:
        """What became final since the last call, for the disk."""
        fresh, self.fresh = self.fresh, []
        return fresh

    # ---- simplex.ports.Application ----

    def propose(self, parent: Proposal, view: int, now: Instant) -> tuple[BlockHash, bytes] | None:
        """A page of waiting commands that no ancestor holds, possibly none."""
        leaf = self._leaves[parent.block_hash]
        used = self._used(leaf, self.waiting)
        commands = tuple(command for command in self.waiting if command not in used)[:COMMANDS_MAX]
        time = max(now.wall, leaf.time + 1)
        state = self._after(leaf.state, commands)
        page = Page(parent.epoch, view, parent.view, parent.block_hash, time, self._machine.root(state), commands)
        body = page.encoded()
        block_hash = BlockHash(digest(Tag.HEADER, body))
        self._grow(block_hash, parent, page, state)
        return block_hash, body

    def is_bound(self, proposal: Proposal, body: bytes) -> bool:
        """Whether the body hashes to the proposal and names its epoch, view and parent."""
        page = page_of(body)
        if page is None or digest(Tag.HEADER, body) != proposal.block_hash:
            return False
        named = (page.epoch, page.view, page.parent_view, page.parent_hash)
        return named == (proposal.epoch, proposal.view, proposal.parent_view, proposal.parent_hash)

    def verify(self, parent: Proposal, proposal: Proposal, body: bytes, now: Instant) -> Verdict:
        """Judge a proposal: the clock first, then the page itself."""
        page = page_of(body)
        leaf = self._leaves.get(parent.block_hash)
        if page is None or leaf is None:
            return Verdict.INVALID if page is None else Verdict.UNKNOWN
        if page.time <= leaf.time:
            return Verdict.INVALID
        if page.time > max(now.wall + AHEAD_MS_MAX, leaf.time + 1):
            return Verdict.UNKNOWN
        return self.execute(parent, proposal, body)

    def execute(self, parent: Proposal, proposal: Proposal, body: bytes) -> Verdict:
        """Execute a page on its parent and compare roots."""
        if proposal.block_hash in self._leaves:
            return Verdict.VALID
        page, leaf = page_of(body), self._leaves.get(parent.block_hash)
        if leaf is None:
            return Verdict.UNKNOWN
        if page is None or len(page.commands) > COMMANDS_MAX or len(set(page.commands)) != len(page.commands):
            return Verdict.INVALID
        if self._used(leaf, page.commands):
            return Verdict.INVALID
        state = self._after(leaf.state, page.commands)
        if page.root != self._machine.root(state):
            return Verdict.INVALID
        self._grow(proposal.block_hash, parent, page, state)
        return Verdict.VALID

    def finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None) -> None:
        """The next block of the chain; overlays that missed it are let go."""
        leaf = self._leaves[proposal.block_hash]
        assert leaf.height == len(self.log) + 1, "blocks are finalized in order of height"
        final = FinalBlock(SuppliedBlock(proposal, body), certificate, leaf.height, leaf.root)
        self._keep(final, leaf.commands)
        self.fresh.append(final)
        self._leaves = {
            key: kept for key, kept in self._leaves.items() if kept.view > leaf.view or key == proposal.block_hash
        }

    def is_last(self, _block_hash: BlockHash) -> bool:
        """Its one epoch never ends."""
        return False

    def finish(self, proposal: Proposal, body: bytes, certificate: Certificate | None, _end: End) -> None:
        """As ``finalize``."""
        self.finalize(proposal, body, certificate)

    def epoch_end(self, _epoch: int) -> End | None:
        """None ended."""
        return None

    def block(self, block_hash: BlockHash) -> SuppliedBlock | None:
        """A finalized block by hash."""
        return self._blocks.get(block_hash)

    def finalization(self, view_at_least: int) -> Certificate | None:
        """The newest stored finalization at or above a view."""
        for final in reversed(self.log):
            if final.block.proposal.view < view_at_least:
                return None
            if final.certificate is not None:
                return final.certificate
        return None

    def has_work(self, tip: Proposal) -> bool:
        """Whether a command waits that the chain up to this block does not hold."""
        leaf = self._leaves.get(tip.block_hash)
        if not self.waiting or leaf is None:
            return bool(self.waiting)
        used = self._unfinal(leaf)
        return any(command not in used for command in self.waiting)

    # ---- inside ----

    def _after(self, state: S, commands: tuple[bytes, ...]) -> S:
        for command in commands:
            try:
                state = self._machine.apply(state, command)
            except Refused:
                continue  # ordered, and without effect
        return state

    def _grow(self, block_hash: BlockHash, parent: Proposal, page: Page, state: S) -> None:
        height = self._leaves[parent.block_hash].height + 1
        self._leaves[block_hash] = Leaf(
            parent.block_hash, page.view, height, state, page.root, page.time, page.commands
        )

    def _used(self, leaf: Leaf[S], commands: Iterable[bytes]) -> set[bytes]:
        """Those of these commands that the chain up to a leaf holds."""
        unfinal, final = self._unfinal(leaf), self._final_commands
        return {command for command in commands if command in unfinal or command in final}

    def _unfinal(self, leaf: Leaf[S]) -> set[bytes]:
        used = set(leaf.commands)
        above: Leaf[S] | None = self._leaves.get(leaf.parent)
        while above is not None:
            used.update(above.commands)
            above = self._leaves.get(above.parent)
        return used

    def _restored(self, state: S, final: FinalBlock) -> S:
        """The state after a block of the disk, computed again; Corrupt when it is another than before."""
        page = _page(final)
        after = self._after(state, page.commands)
        if self._machine.root(after) != final.root:
            raise Corrupt(f"executing block {final.height} again gives another state: the machine is not deterministic")
        self._keep(final, page.commands)
        return after

    def _keep(self, final: FinalBlock, commands: tuple[bytes, ...]) -> None:
        self.log.append(final)
        self._blocks[final.block.proposal.block_hash] = final.block
        for command in commands:
            self._final_commands.add(command)
            self.waiting.pop(command, None)


def _page(final: FinalBlock) -> Page:
    page = page_of(final.block.body)
    assert page is not None, "a final block is a page"
    return page


def _leaf_of(final: FinalBlock, state: S) -> Leaf[S]:
    page, proposal = _page(final), final.block.proposal
    return Leaf(proposal.parent_hash, proposal.view, final.height, state, final.root, page.time, page.commands)
