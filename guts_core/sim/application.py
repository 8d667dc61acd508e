"""
The smallest application worth agreeing on: an ordered set of words, each at most once.

Its state root is a running hash, its blocks carry a time that is judged by the local clock, and
what is final is durable only once the simulated disk says so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from attrs import frozen

from guts_core.codec import Tag, decode, digest, encode
from guts_core.errors import Malformed
from guts_core.names import BlockHash
from guts_core.simplex.messages import Certificate, Proposal, SuppliedBlock
from guts_core.simplex.ports import Instant, Verdict

GENESIS_HASH = BlockHash(digest(Tag.HEADER, b"genesis of words"))
GENESIS = Proposal(0, 0, 0, BlockHash(bytes(32)), GENESIS_HASH)
WORDS_MAX = 64
AHEAD_MS_MAX = 10_000


@frozen
class Page:
    """A block: what it binds, the state after it, and the words it adds."""

    epoch: int
    view: int
    parent_view: int
    parent_hash: bytes
    time: int
    root: bytes
    words: tuple[bytes, ...]

    def encoded(self) -> bytes:
        """The body that travels."""
        head = (self.epoch, self.view, self.parent_view, self.parent_hash, self.time, self.root)
        return encode((*head, self.words))


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
class Leaf:
    """An executed block's place: what it needs to be built upon."""

    parent: BlockHash
    view: int
    height: int
    root: bytes
    time: int
    words: tuple[bytes, ...]


@frozen
class FinalBlock:
    """A finalized block as the disk keeps it."""

    block: SuppliedBlock
    certificate: Certificate | None
    height: int
    root: bytes


class Words:
    """One node's copy, restored from what its disk had committed."""

    def __init__(self, committed: list[FinalBlock]) -> None:
        self.log: list[FinalBlock] = []  # finalized, in order: committed ones and later
        self._blocks: dict[BlockHash, SuppliedBlock] = {}
        self._final_words: set[bytes] = set()
        self.waiting: dict[bytes, None] = {}
        self._leaves = {GENESIS_HASH: Leaf(BlockHash(b""), 0, 0, bytes(32), 0, ())}
        self.fresh: list[FinalBlock] = []  # finalized and not yet handed to the disk
        for final in committed:
            self._keep(final)
        if committed:
            last = committed[-1]
            page = page_of(last.block.body)
            assert page is not None, "a committed block is a page"
            proposal = last.block.proposal
            self._leaves = {
                proposal.block_hash: Leaf(
                    proposal.parent_hash, proposal.view, last.height, last.root, page.time, page.words
                )
            }

    def submit(self, word: bytes) -> None:
        """Somebody wants this word in the list."""
        if word not in self._final_words:
            self.waiting.setdefault(word)

    def take_fresh(self) -> list[FinalBlock]:
        """What became final since the last call, for the disk."""
        fresh, self.fresh = self.fresh, []
        return fresh

    # ---- simplex.ports.Application ----

    def propose(self, parent: Proposal, view: int, now: Instant) -> tuple[BlockHash, bytes] | None:
        """A page of waiting words that no ancestor holds, possibly none."""
        leaf = self._leaves[parent.block_hash]
        used = self._used(leaf)
        words = tuple(word for word in self.waiting if word not in used)[:WORDS_MAX]
        time = max(now.wall, leaf.time + 1)
        root = _root(leaf.root, words)
        page = Page(parent.epoch, view, parent.view, parent.block_hash, time, root, words)
        body = page.encoded()
        block_hash = BlockHash(digest(Tag.HEADER, body))
        self._grow(block_hash, parent, page)
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
        if page is None or len(page.words) > WORDS_MAX or len(set(page.words)) != len(page.words):
            return Verdict.INVALID
        if self._used(leaf).intersection(page.words) or page.root != _root(leaf.root, page.words):
            return Verdict.INVALID
        self._grow(proposal.block_hash, parent, page)
        return Verdict.VALID

    def finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None) -> None:
        """The next block of the chain; overlays that missed it are let go."""
        leaf = self._leaves[proposal.block_hash]
        assert leaf.height == len(self.log) + 1, "blocks are finalized in order of height"
        final = FinalBlock(SuppliedBlock(proposal, body), certificate, leaf.height, leaf.root)
        self._keep(final)
        self.fresh.append(final)
        self._leaves = {
            key: kept for key, kept in self._leaves.items() if kept.view > leaf.view or key == proposal.block_hash
        }

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
        """Whether a word waits that the chain up to this block does not hold."""
        leaf = self._leaves.get(tip.block_hash)
        if not self.waiting or leaf is None:
            return bool(self.waiting)
        used = self._unfinal(leaf)
        return any(word not in used for word in self.waiting)

    # ---- inside ----

    def _grow(self, block_hash: BlockHash, parent: Proposal, page: Page) -> None:
        height = self._leaves[parent.block_hash].height + 1
        leaf = Leaf(parent.block_hash, page.view, height, page.root, page.time, page.words)
        self._leaves[block_hash] = leaf

    def _used(self, leaf: Leaf) -> set[bytes]:
        return self._unfinal(leaf) | self._final_words

    def _unfinal(self, leaf: Leaf) -> set[bytes]:
        used = set(leaf.words)
        above: Leaf | None = self._leaves.get(leaf.parent)
        while above is not None:
            used.update(above.words)
            above = self._leaves.get(above.parent)
        return used

    def _keep(self, final: FinalBlock) -> None:
        self.log.append(final)
        self._blocks[final.block.proposal.block_hash] = final.block
        page = page_of(final.block.body)
        assert page is not None, "a final block is a page"
        for word in page.words:
            self._final_words.add(word)
            self.waiting.pop(word, None)


def _root(before: bytes, words: tuple[bytes, ...]) -> bytes:
    return digest(Tag.STATE_NODE, before, encode(words))
