"""
Executed blocks above the committed base, and the state as of each of them.

Every block keeps only its own writes. A read as of a block walks down its ancestors and ends in
the store, so that a committed block can be let go without touching those above it.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from guts_core.names import BlockHash, Root, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.keys import tree_key
from guts_core.state.tree import PageWrites, Tree
from guts_core.state.view import Overlay, Pair

from .admission import Network
from .commit import ChainStore
from .history import History
from .indexed import RefMove
from .receipt import Receipt

# Committed records that transactions ask for again and again (accounts, credentials, quotas): a few hundred bytes each.
RECORDS_READ_MAX = 4096
_UNREAD = b"not read yet"


@define(eq=False)
class Executed:
    """A block with all that executing it gave; height 0 is genesis."""

    proposal: Proposal
    height: int
    time: int
    state_root: Root
    history: History  # with this block's own header
    network: Network  # of its epoch
    turned: Network | None = None  # of the next one, if it is the last block of its own
    is_child: bool = False  # an empty block above the last one of an epoch, which never enters the chain
    writes: dict[bytes, bytes | None] = field(factory=dict)
    pages: PageWrites = field(factory=dict)
    receipts: tuple[Receipt, ...] = ()
    ref_moves: tuple[RefMove, ...] = ()
    expiries: dict[TxId, int] = field(factory=dict)  # its transactions, by id
    commits_to_texts: bool = False  # some transaction of it does
    is_committed: bool = False

    @property
    def block_hash(self) -> BlockHash:
        """The block's name."""
        return BlockHash(self.proposal.block_hash)

    @property
    def is_last(self) -> bool:
        """Whether the chain goes on above it in another epoch."""
        return self.turned is not None

    @property
    def after(self) -> Network:
        """What holds for the block of the chain that follows it."""
        return self.turned or self.network


class Branches:
    """The tree of executed blocks whose root is the last committed one."""

    def __init__(self, store: ChainStore, head: Executed) -> None:
        self.store = store
        self._blocks: dict[BlockHash, Executed] = {head.block_hash: head}
        self._read: dict[bytes, bytes | None] = {}

    def get(self, block_hash: BlockHash) -> Executed | None:
        """A block that is executed and not below the committed one."""
        return self._blocks.get(block_hash)

    def put(self, block: Executed) -> None:
        """Keep a block executed on another one here."""
        self._blocks[block.block_hash] = block

    def above(self, block_hash: BlockHash) -> Iterator[Executed]:
        """A block and its ancestors down to the store, newest first."""
        found = self._blocks.get(block_hash)
        while found is not None and not found.is_committed:
            yield found
            found = self._blocks.get(BlockHash(found.proposal.parent_hash))

    def view(self, block_hash: BlockHash) -> BranchView:
        """The state as of a block."""
        return BranchView(self, block_hash)

    def next_root(self, parent: Executed, writes: dict[bytes, bytes | None]) -> tuple[Root, PageWrites]:
        """The state root after writes on top of a block, and the pages that change."""
        tree = Tree(self.view(parent.block_hash).page)
        return tree.apply(parent.state_root, {tree_key(key): value for key, value in writes.items()})

    def stored(self, key: bytes) -> bytes | None:
        """
        A committed record, remembered until a commit changes it.

        What a commit under way already shows is hidden by that block's own writes until ``committed``.
        """
        found = self._read.get(key, _UNREAD)
        if found is _UNREAD:
            if len(self._read) >= RECORDS_READ_MAX:
                self._read.clear()
            found = self._read[key] = self.store.get(key)
        return found

    def record(self, block_hash: BlockHash, key: bytes) -> bytes | None:
        """A record as of a block."""
        block = self._blocks.get(block_hash)
        while block is not None and not block.is_committed:
            if key in block.writes:
                return block.writes[key]
            block = self._blocks.get(BlockHash(block.proposal.parent_hash))
        return self.stored(key)

    def has_seen(self, block_hash: BlockHash, tx_id: TxId) -> bool:
        """Whether a transaction stands in the chain that ends with this block."""
        # Written out: with ``get`` it is what execution does most.
        block = self._blocks.get(block_hash)
        while block is not None and not block.is_committed:
            if tx_id in block.expiries:
                return True
            block = self._blocks.get(BlockHash(block.proposal.parent_hash))
        return self.store.is_replay(tx_id)

    def __len__(self) -> int:
        """How many blocks are remembered."""
        return len(self._blocks)

    def keep_above(self, final: Executed) -> None:
        """Drop what the store holds by now, and every unfinalized block that does not descend from this final one."""
        parent = self._blocks.get(BlockHash(final.proposal.parent_hash))
        if parent is not None and parent.is_committed:  # the head until now, which ``committed`` left
            del self._blocks[parent.block_hash]
        low = [block.height for block in self._blocks.values() if block.height <= final.height]
        if len(low) == final.height - min(low) + 1:
            return  # one a height: nothing rivals it, as in thousands of blocks that a laggard catches up on
        chain = {final.block_hash, *(block.block_hash for block in self.above(final.block_hash))}
        kept = {final.block_hash}
        for block_hash, block in sorted(self._blocks.items(), key=lambda pair: pair[1].height):
            if block_hash in chain:
                continue
            if block.proposal.parent_hash in kept:
                kept.add(block_hash)
            else:
                del self._blocks[block_hash]

    def committed(self, block: Executed, *, is_head: bool) -> None:
        """The store holds this block's writes now: reads end there."""
        block.is_committed = True
        for key in block.writes:
            self._read.pop(key, None)
        block.writes, block.pages, block.receipts, block.expiries = {}, {}, (), {}
        block.ref_moves = ()
        if not is_head:
            self._blocks.pop(block.block_hash, None)


class BranchView:
    """
    The state as of one executed block: a View with the tree's pages.

    Use it at once: after a later block was committed it shows that block's state.
    """

    def __init__(self, branches: Branches, block_hash: BlockHash) -> None:
        self._branches, self._block_hash = branches, block_hash

    def get(self, key: bytes) -> bytes | None:
        """As View.get."""
        return self._branches.record(self._block_hash, key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As View.scan."""
        merged = Overlay(self._branches.store)
        for block in reversed(list(self._branches.above(self._block_hash))):
            merged.writes.update((key, value) for key, value in block.writes.items() if key.startswith(prefix))
        return merged.scan(prefix, after, limit)

    def page(self, path: bytes) -> bytes | None:
        """As Store.page."""
        for block in self._branches.above(self._block_hash):
            if path in block.pages:
                return block.pages[path]
        return self._branches.store.page(path)
