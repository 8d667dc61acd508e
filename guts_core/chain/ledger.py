"""
The ledger: the replicated state machine above agreement (``consensus.md`` 3).

It builds, judges and executes blocks on any executed parent, and when one is final hands out one
``Commit`` with all it changes. Reads fall through what is final but not yet on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from attrs import fields, frozen

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, Malformed, NotFound, Refused
from guts_core.forge import queries
from guts_core.forge.actions import RefUpdate
from guts_core.forge.context import Availability
from guts_core.forge.params import EXPIRY_MS_MAX
from guts_core.identity import Verifier
from guts_core.names import BlockHash, Root, TxId
from guts_core.simplex.messages import Certificate, Proposal, SuppliedBlock
from guts_core.simplex.ports import Instant, Verdict
from guts_core.state.tree import PageWrites
from guts_core.state.view import Overlay

from .admission import (
    Candidate,
    Inadmissible,
    Network,
    Replayed,
    TextMissing,
    TransactionExpired,
    candidate_of,
    check_signatures,
    check_witness,
    place_of,
)
from .block import BLOCK_OVERHEAD_BYTES, Block, tx_root
from .branches import Branches, BranchView, Executed
from .commit import ChainStore, Commit
from .continuity import closing_sentence, commit_of, restore
from .execution import Moment, execute, pay, perform
from .genesis import Genesis
from .header import EPOCH, RULES, Header, block_hash, validators_hash
from .mempool import Mempool
from .receipt import Receipt, receipts_root
from .standing import Standing, Where, final_standing
from .transaction import Item, Transaction, Witness

# A voter accepts a header this far ahead of its own clock; beyond, it may be our clock that is wrong.
CLOCK_TOLERANCE_MS = 10_000
# A leader's own limit: at some 0.3 ms each, a block of these executes well within two message delays.
PROPOSED_ITEMS_MAX = 1_000
# Bodies whose binding was checked, kept until they are executed; at most this many MiB.
DECODED_MAX = 16
# Transactions whose end is remembered for whoever asks after the mempool let them go.
ENDED_MAX = 10_000
EXPIRED_WORDS = "the transaction expired before any block held it"


class BlockInvalid(Refused):
    """A block that no honest leader makes."""

    code = "invalid-block"


class StateDiffers(BlockInvalid):
    """Executing the block gives another state than its header says."""

    code = "state-differs"


@frozen
class Head:
    """The last finalized and executed block."""

    height: int
    block_hash: BlockHash
    view: int
    time: int
    state_root: Root


@frozen
class _Bound:
    """A body that was taken apart and found to be what its header says."""

    block: Block
    candidates: tuple[Candidate, ...]


class Ledger:
    """Implements ``simplex.ports.Application``; one per node, used from one thread."""

    def __init__(self, genesis: Genesis, store: ChainStore, verifier: Verifier, mempool: Mempool | None = None) -> None:
        self.network = Network.of(genesis, verifier)
        self.mempool = mempool or Mempool()
        self.why_invalid: str | None = None  # of the last block judged INVALID, for the log
        self._store = store
        self._validators = validators_hash(genesis.validators)
        self._head = restore(genesis, self.network, store)
        self._branches = Branches(store, self._head)
        self._final: list[Executed] = [] if self._head.is_committed else [self._head]
        self._commits: list[Commit] = []
        self._uncommitted: dict[BlockHash, Commit] = {}
        self._ended: dict[TxId, Standing] = {}
        self._doubtful: set[TxId] = set()
        self._decoded: dict[bytes, _Bound] = {}

    # ---- what the engine asks ----

    def propose(self, parent: Proposal, view: int, now: Instant) -> tuple[BlockHash, bytes] | None:
        """A block on an executed parent, empty when nothing can stand in it; None when the parent is not here."""
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None or self.stopped is not None:
            return None
        moment = Moment(base.height + 1, max(now.wall, base.time + 1))
        state = Overlay(self._branches.view(base.block_hash))
        chosen, receipts = self._choose(base, state, moment)
        root, pages = self._branches.next_root(base, state.writes)
        header = self._header(base, view, moment, root, tx_root(c.item for c in chosen), receipts_root(receipts))
        body = to_bytes(Block(header, tuple(candidate.item for candidate in chosen)))
        proposal = Proposal(EPOCH, view, parent.view, parent.block_hash, block_hash(header))
        self._keep(proposal, header, base, state, pages, chosen, receipts)
        return BlockHash(proposal.block_hash), body

    def is_bound(self, proposal: Proposal, body: bytes) -> bool:
        """
        Whether the body is exactly what the proposal names: header, transactions, witnesses and texts.

        A body without all its texts is not: whoever stored it would never ask for them again.
        """
        try:
            bound = self._taken_apart(body)
        except (Malformed, Refused):
            return False
        header = bound.block.header
        return (
            block_hash(header) == proposal.block_hash
            and (header.epoch, header.view, header.parent_view) == (proposal.epoch, proposal.view, proposal.parent_view)
            and header.parent_hash == proposal.parent_hash
        )

    def verify(self, parent: Proposal, proposal: Proposal, body: bytes, now: Instant) -> Verdict:
        """Execute and judge a proposal; a header from the future is UNKNOWN, for our clock may be the wrong one."""
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None:
            return Verdict.UNKNOWN
        try:
            bound = self._taken_apart(body)
            if bound.block.header.time > max(now.wall + CLOCK_TOLERANCE_MS, base.time + 1):
                return Verdict.UNKNOWN
            self._execute(base, proposal, bound, len(body))
        except TextMissing:
            return Verdict.UNKNOWN
        except (Malformed, Refused) as refusal:
            self.why_invalid = str(refusal)
            return Verdict.INVALID
        return Verdict.VALID

    def execute(self, parent: Proposal, proposal: Proposal, body: bytes) -> Verdict:
        """
        The same without the clock, for blocks that a quorum notarized.

        Raises Corrupt when it gives another state here: then this node, or more than the tolerated
        number of others, is broken, and going on would make it worse.
        """
        base = self._branches.get(BlockHash(parent.block_hash))
        if base is None:
            return Verdict.UNKNOWN
        try:
            self._execute(base, proposal, self._taken_apart(body), len(body))
        except TextMissing:
            return Verdict.UNKNOWN
        except StateDiffers as refusal:
            raise Corrupt(str(refusal)) from refusal
        except (Malformed, Refused) as refusal:
            self.why_invalid = str(refusal)
            return Verdict.INVALID
        return Verdict.VALID

    def finalize(self, proposal: Proposal, body: bytes, certificate: Certificate | None) -> None:
        """Make the block the head and order its commit; a height that is applied already changes nothing."""
        block = self._branches.get(BlockHash(proposal.block_hash))
        if self.stopped is not None or (block is not None and block.height <= self._head.height):
            return
        if block is None and self._store.block_by_hash(BlockHash(proposal.block_hash)) is not None:
            return
        if block is None:
            block = self._executed_late(proposal, body)
        if proposal.parent_hash != self._head.block_hash:
            raise Corrupt(f"block {block.height} is final, and its parent is not the finalized block before it")
        below = [block for block in self._final if block.height == 0]
        commit = commit_of(self.network, block, below, body, certificate)
        self._commits.append(commit)
        self._uncommitted[block.block_hash] = commit
        self._final.append(block)
        self._head = block
        self._branches.keep_above(block)
        self._tidy_mempool(block)

    def block(self, wanted: BlockHash) -> SuppliedBlock | None:
        """A finalized block by hash, for peers that lag."""
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

    def has_work(self) -> bool:
        """Whether a proposable transaction is not final yet: its block may still be abandoned."""
        return self.mempool.has_ready

    # ---- what the node asks ----

    @property
    def head(self) -> Head:
        """The last finalized block; it may still be on its way to disk."""
        head = self._head
        return Head(head.height, head.block_hash, head.proposal.view, head.time, head.state_root)

    @property
    def stopped(self) -> str | None:
        """One sentence when a final block ended all that this build knows how to execute."""
        return self._head.closes

    def final_point(self) -> Proposal:
        """Where the engine starts from: the last finalized block, or genesis at view 0."""
        return self._head.proposal

    def final_certificate(self) -> Certificate | None:
        """The finalization of exactly that block, if it has one of its own."""
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

    def take_commits(self) -> list[Commit]:
        """Blocks that became final since the last call, in order of height."""
        taken, self._commits = self._commits, []
        return taken

    def committed(self, height: int) -> None:
        """The store holds all blocks up to this height."""
        for block in [block for block in self._final if block.height <= height]:
            self._final.remove(block)
            self._uncommitted.pop(block.block_hash, None)
            self._branches.committed(block, is_head=block is self._head)

    def admit(self, item: Item, now: Instant) -> TxId:
        """
        Let a transaction wait for a block, judged by the finalized state; raises Refused.

        One that needs a witness waits apart until ``set_witness``. The same one twice is one.
        """
        candidate = candidate_of(item, self.network)
        if candidate.tx_id in self.mempool:
            return candidate.tx_id
        view, time = self.view(), self.next_time(now.wall)
        place = place_of(candidate, view, time, self._is_final)
        check_signatures(candidate, place, self.network)
        if item.witness is not None or not candidate.needs_witness:
            check_witness(candidate, self.network)
        pay(candidate, place.payer, Overlay(view), self.network, time)
        self.mempool.add(candidate, place.payer)
        self._ended.pop(candidate.tx_id, None)
        return candidate.tx_id

    def rehearse(self, item: Item) -> None:
        """Raise the Refused that the transaction would meet now, on the finalized state with a true witness."""
        candidate = candidate_of(item, self.network)
        # On an idle chain the last block time may lie far back; admission has judged the expiry.
        time = max(self._head.time + 1, candidate.body.expires - EXPIRY_MS_MAX)
        state = Overlay(self.view())
        place = place_of(candidate, state, time, self._is_final)
        availability = self._availability(candidate.body)
        perform(candidate, place, availability, state, self.network, Moment(self._head.height + 1, time))

    def set_witness(self, tx_id: TxId, witness: Witness) -> None:
        """A quorum holds what a waiting transaction needs: it may be proposed. Raises Refused."""
        waiting = self.mempool.get(tx_id)
        if waiting is None:
            raise NotFound(f"transaction {tx_id.hex()[:16]} does not wait here")
        candidate = waiting.with_witness(witness)
        check_witness(candidate, self.network)
        self.mempool.set_ready(candidate)

    def is_pending(self, tx_id: TxId) -> bool:
        """Whether the transaction waits for a block here."""
        return tx_id in self.mempool

    def transaction_status(self, tx_id: TxId) -> Standing:
        """What became of a transaction."""
        for block in self._final:
            for index, receipt in enumerate(block.receipts):
                if receipt.tx_id == tx_id:
                    return final_standing(block.height, index, receipt)
        stored = self._store.receipt(tx_id)
        if stored is not None:
            return final_standing(stored.height, stored.index, from_bytes(Receipt, stored.receipt))
        if tx_id in self.mempool:
            return Standing(Where.PENDING)
        return self._ended.get(tx_id, Standing(Where.UNKNOWN))

    # ---- building and judging ----

    def _choose(self, base: Executed, state: Overlay, moment: Moment) -> tuple[list[Candidate], list[Receipt]]:
        chosen: list[Candidate] = []
        receipts: list[Receipt] = []
        if base.closes is not None:
            return chosen, receipts  # a child that only helps its parent to become final
        room = self.network.params.block_bytes_max - BLOCK_OVERHEAD_BYTES
        for candidate in self.mempool.ready():
            if len(chosen) == PROPOSED_ITEMS_MAX:
                break
            if candidate.size > room:
                continue
            try:
                receipts.append(execute(candidate, state, self.network, moment, self._seen(base, ())))
            except Replayed:
                continue  # it stands in a block that is not final yet
            except Inadmissible:
                self._doubtful.add(candidate.tx_id)
                continue
            chosen.append(candidate)
            room -= candidate.size
        return chosen, receipts

    def _header(
        self, base: Executed, view: int, moment: Moment, state_root: Root, txs: bytes, receipts: bytes
    ) -> Header:
        return Header(
            rules=RULES,
            chain_id=self.network.chain_id,
            epoch=EPOCH,
            height=moment.height,
            view=view,
            parent_view=base.proposal.view,
            parent_hash=base.block_hash,
            time=moment.time,
            tx_root=txs,
            state_root=state_root,
            receipts_root=receipts,
            history_root=base.history.root,
            next_validators=self._validators,
        )

    def _taken_apart(self, body: bytes) -> _Bound:
        """A body whose transactions are in order and under its header's root; raises Malformed or Refused."""
        known = self._decoded.get(body)
        if known is not None:
            return known
        block = from_bytes(Block, body)
        candidates = tuple(candidate_of(item, self.network) for item in block.items)
        if tx_root(block.items) != block.header.tx_root:
            raise BlockInvalid("the transactions are not those of the header")
        if len(self._decoded) >= DECODED_MAX:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[body] = bound = _Bound(block, candidates)
        return bound

    def _execute(self, base: Executed, proposal: Proposal, bound: _Bound, size: int) -> Executed:
        """The executed block; raises what makes it invalid."""
        known = self._branches.get(BlockHash(proposal.block_hash))
        if known is not None:
            return known
        header = bound.block.header
        moment = Moment(base.height + 1, header.time)
        if block_hash(header) != proposal.block_hash:
            raise BlockInvalid("the body is not that of the proposal")
        if size > self.network.params.block_bytes_max:
            raise BlockInvalid(f"a block of {size} bytes; at most {self.network.params.block_bytes_max} are allowed")
        if header.time <= base.time:
            raise BlockInvalid(f"block time {header.time} is not after that of its parent, {base.time}")
        if base.closes is not None and bound.candidates:
            raise BlockInvalid("transactions after the last block of an epoch")
        state = Overlay(self._branches.view(base.block_hash))
        receipts = self._receipts(base, bound.candidates, state, moment)
        root, pages = self._branches.next_root(base, state.writes)
        expected = self._header(base, proposal.view, moment, root, header.tx_root, receipts_root(receipts))
        if header != expected:
            raise _difference(header, expected)
        return self._keep(proposal, header, base, state, pages, bound.candidates, receipts)

    def _receipts(
        self, base: Executed, candidates: Iterable[Candidate], state: Overlay, moment: Moment
    ) -> list[Receipt]:
        done: dict[TxId, Receipt] = {}
        for candidate in candidates:
            done[candidate.tx_id] = execute(candidate, state, self.network, moment, self._seen(base, done))
        return list(done.values())

    def _seen(self, base: Executed, here: Container[TxId]) -> Callable[[TxId], bool]:
        return lambda tx_id: tx_id in here or self._branches.has_seen(base.block_hash, tx_id)

    def _is_final(self, tx_id: TxId) -> bool:
        return self._branches.has_seen(self._head.block_hash, tx_id)

    def _keep(
        self,
        proposal: Proposal,
        header: Header,
        base: Executed,
        state: Overlay,
        pages: PageWrites,
        candidates: Iterable[Candidate],
        receipts: Iterable[Receipt],
    ) -> Executed:
        block = Executed(
            proposal=proposal,
            height=header.height,
            time=header.time,
            state_root=Root(header.state_root),
            history=base.history.append(BlockHash(proposal.block_hash)),
            writes=state.writes,
            pages=pages,
            receipts=tuple(receipts),
            expiries={candidate.tx_id: candidate.body.expires for candidate in candidates},
            closes=closing_sentence(state, header.time, self.network),
        )
        self._branches.put(block)
        return block

    def _executed_late(self, proposal: Proposal, body: bytes) -> Executed:
        verdict = self.execute(self._head.proposal, proposal, body)
        block = self._branches.get(BlockHash(proposal.block_hash))
        if verdict is not Verdict.VALID or block is None:
            raise Corrupt(f"block {proposal.block_hash.hex()} is final and cannot be executed: {self.why_invalid}")
        return block

    # ---- the mempool after a block ----

    def _tidy_mempool(self, block: Executed) -> None:
        for tx_id in block.expiries:
            self.mempool.discard(tx_id)
            self._doubtful.discard(tx_id)
        for tx_id in self.mempool.drop_expired(block.time + 1):
            self._end(tx_id, Standing(Where.EXPIRED, error=TransactionExpired.code, message=EXPIRED_WORDS))
        for tx_id in sorted(self._doubtful):
            self._judge_again(tx_id, block.time + 1)
        self._doubtful.clear()

    def _judge_again(self, tx_id: TxId, time: int) -> None:
        """A leader left it out on a state that is not final; if the final one agrees, it is over."""
        candidate = self.mempool.get(tx_id)
        if candidate is None:
            return
        try:
            place_of(candidate, self.view(), time, self._is_final)
        except Inadmissible as refusal:
            self.mempool.discard(tx_id)
            self._end(tx_id, Standing(Where.REFUSED, error=refusal.code, message=str(refusal)))

    def _end(self, tx_id: TxId, standing: Standing) -> None:
        if len(self._ended) >= ENDED_MAX:
            del self._ended[next(iter(self._ended))]
        self._ended[tx_id] = standing

    def _availability(self, body: Transaction) -> Availability | None:
        """What attesters that stand where this node stands would say."""
        for action in body.actions:
            if isinstance(action, RefUpdate):
                repository = queries.repository(self.view(), action.manifest.repo)
                return Availability(repository.objects_epoch, repository.removals) if repository else Availability(0, 0)
        return None


def _difference(header: Header, expected: Header) -> BlockInvalid:
    """Which field is wrong; a wrong state is told apart, with both roots."""
    for name in (field.name for field in fields(Header)):
        found, ours = getattr(header, name), getattr(expected, name)
        if found != ours and name in {"state_root", "receipts_root"}:
            return StateDiffers(
                f"block {header.height}: its header says {name} {found.hex()}, executing it here gives {ours.hex()}"
            )
        if found != ours:
            return BlockInvalid(f"block {expected.height}: {name} is not what its place requires")
    raise AssertionError("equal headers differ nowhere")
