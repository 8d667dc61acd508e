"""
The ledger: the replicated state machine above agreement (``consensus.md`` 3).

It builds, judges and executes blocks on any executed parent, and when one is final hands out one
``Commit`` with all it changes. Reads fall through what is final but not yet on disk.
"""

from __future__ import annotations

from collections.abc import Iterable

from guts_core.codec import from_bytes
from guts_core.errors import Corrupt, Malformed, Refused
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import Verifier
from guts_core.names import BlockHash, TxId
from guts_core.simplex.messages import Certificate, Proposal, SuppliedBlock
from guts_core.simplex.ports import End, Instant, Verdict

from .admission import (
    Network,
)
from .applicants import Applicants
from .block_cap import BlockCap
from .branches import Branches, BranchView, Executed
from .commit import ChainStore, Commit
from .continuity import commit_of, end_of, restore
from .genesis import Genesis
from .judge import PROPOSED_ITEMS_MAX, Judge, Room, StateDiffers
from .mempool import Mempool
from .receipt import Receipt
from .standing import Head, Standing, Where, final_standing
from .transaction import Item, Witness

# A voter accepts a header this far ahead of its own clock; beyond, it may be our clock that is wrong.
CLOCK_TOLERANCE_MS = 10_000


class Ledger:
    """Implements ``simplex.ports.Application``; one per node, used from one thread."""

    def __init__(
        self,
        genesis: Genesis,
        store: ChainStore,
        verifier: Verifier,
        mempool: Mempool | None = None,
        rules_known: tuple[int, ...] = KNOWN_RULES,
    ) -> None:
        self.mempool = Mempool() if mempool is None else mempool
        self.why_invalid: str | None = None  # of the last block judged INVALID, for the log
        self._store = store
        self._head = restore(genesis, Network.of(genesis, verifier, rules_known), store)
        self._branches = Branches(store, self._head)
        self._judge = Judge(self.network, self._branches)
        self._final: list[Executed] = [] if self._head.is_committed else [self._head]
        self._commits: list[Commit] = []
        self._uncommitted: dict[BlockHash, Commit] = {}
        self._applicants = Applicants(self.mempool, self)
        self._cap = BlockCap()
        self.now = 0  # monotonic us of the step under way: by it is told how long blocks take
        self.stands_aside_until = 0  # monotonic us: before that others shall lead, for this node is slow

    # ---- what the engine asks ----

    def propose(self, parent: Proposal, view: int, now: Instant) -> tuple[BlockHash, bytes] | None:
        """A block on an executed parent, empty when nothing can stand in it; None: not here, or not now."""
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None or self.stopped is not None or now.monotonic < self.stands_aside_until:
            return None
        # Above the last block of an epoch the next one begins when it is final, and not before.
        is_child = base.is_child or (base.is_last and base is not self._head)
        time = max(now.wall, base.time + 1)
        below = list(self._branches.above(base.block_hash))
        room = self._room(base, below, view)
        turns = self.mempool.turns([block.expiries for block in below], room.cost)
        built = self._judge.build(base, view, time, turns, room, is_child=is_child)
        self._branches.put(built.block)
        if not is_child:
            self._cap.offered(view, built.block.block_hash, built.cost, now.monotonic)
        self._applicants.left_out(built.doubtful)
        return built.block.block_hash, built.body

    def _room(self, base: Executed, below: Iterable[Executed], view: int) -> Room:
        """How much to propose above a block, some views after it."""
        params = self.network.params
        self._cap.passed(view, {self._head.block_hash, *(block.block_hash for block in below)}, params)
        lost = view - base.proposal.view - 1  # an epoch's views go on from those of the one before
        return Room(self._cap.bytes(params, lost), min(self._cap.items(lost), PROPOSED_ITEMS_MAX))

    def is_bound(self, proposal: Proposal, body: bytes) -> bool:
        """
        Whether the body is what the proposal names: header, transactions, witnesses, and no foreign text.

        It may lack texts: blocks are kept and supplied without, and voting asks for them (``verify``).
        """
        try:
            return self._judge.is_bound(proposal, body)
        except (Malformed, Refused):
            return False

    def verify(self, parent: Proposal, proposal: Proposal, body: bytes, now: Instant) -> Verdict:
        """
        Execute and judge a proposal before voting for it.

        A header from the future is UNKNOWN, for our clock may be the wrong one; so is a body without all
        its texts: a vote says that this validator's disk has them.
        """
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None or self.stopped is not None:
            return Verdict.UNKNOWN
        try:
            if self._judge.time_of(body) > max(now.wall + CLOCK_TOLERANCE_MS, base.time + 1):
                return Verdict.UNKNOWN
            if self._judge.lacks_texts(body):
                return Verdict.UNKNOWN
            self._cap.heard(proposal.view, now.monotonic)
            self._judged(base, proposal, body)
        except (Malformed, Refused) as refusal:
            self.why_invalid = str(refusal)
            return Verdict.INVALID
        return Verdict.VALID

    def execute(self, parent: Proposal, proposal: Proposal, body: bytes) -> Verdict:
        """
        The same without the clock and without texts, for blocks that a quorum notarized.

        Raises Corrupt when it gives another state here: then this node, or more than the tolerated
        number of others, is broken, and going on would make it worse.
        """
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None or self.stopped is not None:
            return Verdict.UNKNOWN
        try:
            self._judged(base, proposal, body)
        except StateDiffers as refusal:
            raise Corrupt(str(refusal)) from refusal
        except (Malformed, Refused) as refusal:
            self.why_invalid = str(refusal)
            return Verdict.INVALID
        return Verdict.VALID

    def is_last(self, block_hash: BlockHash) -> bool:
        """Whether this executed block is the last one of its epoch."""
        block = self._branches.get(block_hash)
        return block is not None and block.is_last

    def finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None) -> None:
        """Make the block the head and order its commit; a height that is applied already changes nothing."""
        self._finalize(proposal, body, certificate, None)

    def finish(self, proposal: Proposal, body: bytes, certificate: Certificate | None, end: End) -> None:
        """The same for the last block of an epoch: what follows is judged by the next one's rules and validators."""
        self._finalize(proposal, body, certificate, end)

    def _finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None, end: End | None) -> None:
        block = self._branches.get(BlockHash(proposal.block_hash))
        if self.stopped is not None or (block is not None and block.height <= self._head.height):
            return
        if block is None and self._store.block_by_hash(BlockHash(proposal.block_hash)) is not None:
            return
        if block is None:
            block = self._executed_late(proposal, body)
        if proposal.parent_hash != self._head.block_hash:
            raise Corrupt(f"block {block.height} is final, and its parent is not the finalized block before it")
        # Genesis goes to disk with block 1 alone: later blocks may be final before that commit is reported.
        below = [genesis for genesis in self._final if genesis.height == 0 and block.height == 1]
        assert block.is_last == (end is not None), "the end of an epoch is delivered with what makes it final"
        assert not block.is_child, "what stands above the end of an epoch is never delivered"
        commit = commit_of(block, below, body, certificate, end)
        if commit.erased:
            self._judge.forget_bodies()
        self._commits.append(commit)
        self._uncommitted[block.block_hash] = commit
        self._final.append(block)
        self._head = block
        self._branches.keep_above(block)
        items = len(block.receipts)
        self._cap.settled(proposal.view, block.block_hash, block.network.params, items, self.now)
        self._applicants.after_block(block.expiries, block.time)
        if block.is_last:
            self._judge.turn(self.network)
            self._applicants.turn(block.network)

    def block(self, wanted: BlockHash) -> SuppliedBlock | None:
        """A finalized block by hash, for peers that lag: without texts, which they ask for by themselves."""
        waiting = self._uncommitted.get(wanted)
        if waiting is not None:
            return SuppliedBlock(from_bytes(Proposal, waiting.proposal), waiting.body)
        stored = self._store.block_by_hash(wanted)
        return None if stored is None else SuppliedBlock(from_bytes(Proposal, stored.proposal), stored.body)

    def finalization(self, view_at_least: int) -> Certificate | None:
        """The newest finalization certificate at or above a view, for peers that lag."""
        for commit in reversed(self._uncommitted.values()):
            if commit.certificate is not None:
                found = from_bytes(Certificate, commit.certificate)
                return found if found.view >= view_at_least else None
        stored = self._store.newest_certificate(view_at_least)
        return None if stored is None else from_bytes(Certificate, stored)

    def epoch_end(self, epoch: int) -> End | None:
        """How an epoch ended that is over here, for peers that are still in it."""
        kept = self.step(epoch)
        return None if kept is None else end_of(kept)

    def has_work(self, tip: Proposal) -> bool:
        """
        Whether a proposable transaction waits that the chain up to this block does not hold.

        Above the last block of an epoch there is nothing to do but to wait until it is final.
        """
        block = self._branches.get(BlockHash(tip.block_hash))
        is_over = block is not None and block is not self._head and (block.is_last or block.is_child)
        if is_over or not self.mempool.has_ready:
            return False
        held = [block.expiries for block in self._branches.above(BlockHash(tip.block_hash))]
        # The newest are the likeliest to stand in no block yet.
        return any(all(tx_id not in block for block in held) for tx_id in self.mempool.newest_ready())

    # ---- what the node asks ----

    def step(self, epoch: int) -> bytes | None:
        """The same as it is kept, with the validators of the epoch after it (canonical EpochStep)."""
        for commit in self._uncommitted.values():
            if commit.step is not None and commit.step[0] == epoch:
                return commit.step[1]
        return self._store.epoch_end(epoch)

    @property
    def head(self) -> Head:
        """The last finalized block; it may still be on its way to disk."""
        head = self._head
        return Head(head.height, head.block_hash, head.proposal.view, head.time, head.state_root)

    @property
    def stopped(self) -> str | None:
        """One sentence when a final block ended all that this build knows how to execute."""
        return self.network.closed

    @property
    def network(self) -> Network:
        """The epoch of the block that follows the head."""
        return self._head.after

    def final_point(self) -> Proposal:
        """Where the engine starts from: the last finalized block, or genesis at view 0."""
        return self._head.proposal

    def final_certificate(self) -> Certificate | None:
        """The finalization of exactly that block, if it has one of its own in the epoch of the next block."""
        if self._head.is_last:
            return None
        stored = self._store.block_by_hash(self._head.block_hash)
        waiting = self._uncommitted.get(self._head.block_hash)
        data = waiting.certificate if waiting is not None else stored.certificate if stored is not None else None
        return None if data is None else from_bytes(Certificate, data)

    def view(self) -> BranchView:
        """The finalized state, whether or not it is on disk yet. Use it at once."""
        return self._branches.view(self._head.block_hash)

    def next_time(self, wall: int) -> int:
        """The block time that this node would propose now."""
        return max(wall, self._head.time + 1)

    @property
    def has_commits(self) -> bool:
        """Whether blocks became final since ``take_commits``."""
        return bool(self._commits)

    def take_commits(self) -> list[Commit]:
        """Blocks that became final since the last call, in order of height."""
        taken, self._commits = self._commits, []
        return taken

    def uncommitted(self) -> tuple[Commit, ...]:
        """Blocks that are final and of which the store has not reported the commit, in order of height."""
        return tuple(self._uncommitted.values())

    def committed(self, height: int) -> None:
        """The store holds all blocks up to this height."""
        for block in [block for block in self._final if block.height <= height]:
            self._final.remove(block)
            self._uncommitted.pop(block.block_hash, None)
            self._branches.committed(block, is_head=block is self._head)

    def admit(self, item: Item, now: Instant, *, is_own: bool = False) -> TxId:
        """As Applicants.admit."""
        return self._applicants.admit(item, now, is_own=is_own)

    @property
    def block_cap(self) -> int:
        """How many bytes this node proposes at once now."""
        return self._cap.bytes(self.network.params)

    def rehearse(self, item: Item) -> None:
        """As Applicants.rehearse."""
        self._applicants.rehearse(item)

    def set_witness(self, tx_id: TxId, witness: Witness) -> None:
        """As Applicants.set_witness."""
        self._applicants.set_witness(tx_id, witness)

    def is_pending(self, tx_id: TxId) -> bool:
        """Whether the transaction waits for a block here."""
        return tx_id in self.mempool

    def transaction_status(self, tx_id: TxId) -> Standing:
        """What became of a transaction."""
        stored = self._store.receipt(tx_id)
        if stored is not None:
            return final_standing(stored.height, stored.index, from_bytes(Receipt, stored.receipt))
        return self.unstored_status(tx_id)

    def unstored_status(self, tx_id: TxId) -> Standing:
        """The same for who knows that the store does not hold it."""
        for block in self._final:
            if tx_id in block.expiries:
                found = ((index, one) for index, one in enumerate(block.receipts) if one.tx_id == tx_id)
                return final_standing(block.height, *next(found))
        return Standing(Where.PENDING) if tx_id in self.mempool else self._applicants.ended(tx_id)

    def _judged(self, base: Executed, proposal: Proposal, body: bytes) -> None:
        """Have the block executed here, once; raises what makes it invalid."""
        if self._branches.get(BlockHash(proposal.block_hash)) is None:
            self._branches.put(self._judge.execute(base, proposal, body))

    def is_final(self, tx_id: TxId) -> bool:
        """Whether the chain holds a transaction, as far back as one could be repeated."""
        return self._branches.has_seen(self._head.block_hash, tx_id)

    def _executed_late(self, proposal: Proposal, body: bytes) -> Executed:
        verdict = self.execute(self._head.proposal, proposal, body)
        block = self._branches.get(BlockHash(proposal.block_hash))
        if verdict is not Verdict.VALID or block is None:
            raise Corrupt(f"block {proposal.block_hash.hex()} is final and cannot be executed: {self.why_invalid}")
        return block
