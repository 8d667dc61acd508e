"""
Blocks built and judged: pure execution on an executed parent, the same for leader and voter.

A leader fills a block with what is admissible at its place; everybody else recomputes every field
of its header, and the block is right as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

from attrs import evolve, fields, frozen

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Refused
from guts_core.forge import epochs, paths
from guts_core.names import BlockHash, Root, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.tree import PageWrites
from guts_core.state.view import Overlay

from . import merkle
from .admission import Candidate, Network, candidate_of, check_moment
from .block import BLOCK_OVERHEAD_BYTES, Block, leaf
from .branches import Branches, Executed
from .execution import Moment, execute
from .header import Header, block_hash
from .inadmissible import (
    Inadmissible,
    Replayed,
)
from .indexed import ref_moves
from .receipt import Receipt, receipts_root
from .trail import proposal_of
from .turns import ITEM_BYTES_LEAST, Turns, cost_of

# A leader's own limit: at some 0.3 ms each, a block of these executes well within two message delays.
PROPOSED_ITEMS_MAX = 1_000
# What executing a block gives; everything else of its header is known before.
_RESULTS = ("state_root", "receipts_root", "next_validators")
# With less room left nothing fits: a signed transaction has more.
ITEM_BYTES_MIN = 200
# Bodies taken apart between "is it bound?" and "execute it"; a full one weighs some 20 MiB as objects.
DECODED_MAX = 4


class BlockInvalid(Refused):
    """A block that no honest leader makes."""

    code = "invalid-block"


class StateDiffers(BlockInvalid):
    """Executing the block gives another state than its header says."""

    code = "state-differs"


@frozen
class Built:
    """A block of one's own, executed; ``doubtful`` are those left out as inadmissible on its parent."""

    block: Executed
    body: bytes
    doubtful: frozenset[TxId]
    cost: int  # of its transactions, as turns count them


@frozen
class Room:
    """How much a leader proposes at once."""

    bytes: int
    items: int = PROPOSED_ITEMS_MAX

    @property
    def cost(self) -> int:
        """The same as turns count it."""
        return min(self.bytes, self.items * ITEM_BYTES_LEAST)


@frozen
class _Bound:
    """A body that was taken apart: its transactions are in form, and those of its header."""

    block: Block
    candidates: tuple[Candidate, ...]


class Judge:
    """Executes blocks over the branches; keeps none of them."""

    def __init__(self, network: Network, branches: Branches) -> None:
        self._network, self._branches = network, branches
        self._decoded: dict[bytes, _Bound] = {}

    def turn(self, network: Network) -> None:
        """From now on bodies are of another epoch."""
        self._network = network
        self._decoded.clear()

    def build(self, base: Executed, view: int, time: int, turns: Turns, room: Room, *, is_child: bool) -> Built:
        """
        A block of what may stand in it, in the order given and within this room; empty when nothing may.

        ``is_child``: it stands above the last block of its epoch, to help it to become final.
        """
        run = self._run(base, time, is_child=is_child)
        chosen: list[Candidate] = []
        doubtful: set[TxId] = set()
        if not is_child:  # after the last block of an epoch come only empty ones
            chosen, doubtful = self._choose(run, turns, room)
        run.turn()
        root, pages = self._branches.next_root(base, run.state.writes)
        header = _header(run, view, root, _tx_root(chosen))
        body = to_bytes(Block(header, tuple(candidate.item for candidate in chosen)))
        proposal = proposal_of(header)
        executed = _executed(proposal, run, header, pages, chosen)
        return Built(executed, body, frozenset(doubtful), sum(map(cost_of, chosen)))

    def is_bound(self, proposal: Proposal, body: bytes) -> bool:
        """Whether the body is what the proposal names; raises Malformed or Refused when its parts do not fit."""
        header = self._taken_apart(body).block.header
        place = (header.epoch, header.view, header.parent_view, header.parent_hash)
        return block_hash(header) == proposal.block_hash and place == (
            proposal.epoch,
            proposal.view,
            proposal.parent_view,
            proposal.parent_hash,
        )

    def time_of(self, body: bytes) -> int:
        """The block time that its header claims; raises Malformed or Refused when its parts do not fit."""
        return self._taken_apart(body).block.header.time

    def lacks_texts(self, body: bytes) -> bool:
        """Whether it comes without a text that it commits to; raises Malformed or Refused as ``time_of``."""
        return any(candidate.lacks_texts for candidate in self._taken_apart(body).candidates)

    def forget_bodies(self) -> None:
        """Let go of bodies taken apart: a text in one of them was erased."""
        self._decoded.clear()

    def execute(self, base: Executed, proposal: Proposal, body: bytes) -> Executed:
        """
        The executed block; raises Malformed or Refused, whatever makes it invalid.

        What can be told without executing is told first: a bad block costs its reader little (F35).
        """
        bound = self._taken_apart(body)
        header = bound.block.header
        run = self._run(base, header.time, is_child=_is_child(base, proposal), seen=_not_again)
        expected = _header(run, proposal.view, Root(header.state_root), header.tx_root)
        self._check_place(base, proposal, bound, expected)
        for candidate in bound.candidates:
            run.execute(candidate)
        run.turn()
        root, pages = self._branches.next_root(base, run.state.writes)
        expected = _with_results(expected, run, root)
        if header != expected:
            raise _difference(header, expected)
        return _executed(proposal, run, header, pages, bound.candidates)

    def _run(self, base: Executed, time: int, *, is_child: bool, seen: Callable[[TxId], bool] | None = None) -> Run:
        state = Overlay(self._branches.view(base.block_hash))
        return Run(base, state, Moment(base.height + 1, time), seen or partial(self._has_seen, base), is_child=is_child)

    def _check_place(self, base: Executed, proposal: Proposal, bound: _Bound, expected: Header) -> None:
        header = bound.block.header
        if block_hash(header) != proposal.block_hash:
            raise BlockInvalid("the body is not that of the proposal")
        if header.time <= base.time:
            raise BlockInvalid(f"block time {header.time} is not after that of its parent, {base.time}")
        if _is_child(base, proposal) and bound.candidates:
            raise BlockInvalid("transactions after the last block of an epoch")
        results = {name: getattr(header, name) for name in _RESULTS}
        if (known := evolve(expected, **results)) != header:
            raise _difference(header, known)
        here = set[TxId]()
        for candidate in bound.candidates:
            check_moment(candidate, header.time, lambda tx_id: tx_id in here or self._has_seen(base, tx_id))
            here.add(candidate.tx_id)

    def _has_seen(self, base: Executed, tx_id: TxId) -> bool:
        return self._branches.has_seen(base.block_hash, tx_id)

    def _choose(self, run: Run, turns: Turns, most: Room) -> tuple[list[Candidate], set[TxId]]:
        chosen: list[Candidate] = []
        doubtful: set[TxId] = set()
        room, cap = run.network.params.block_bytes_max - BLOCK_OVERHEAD_BYTES, most.bytes
        for candidate in turns:
            if len(chosen) >= most.items or room < ITEM_BYTES_MIN or cap < ITEM_BYTES_LEAST:
                break
            # The first stands however large it is: what is larger than this leader's own limit stands alone.
            if candidate.size > room or (chosen and cost_of(candidate) > cap):
                turns.pass_over()
                continue
            try:
                run.execute(candidate)
            except Replayed:
                continue  # it stands in a block that is not final yet
            except Inadmissible:
                doubtful.add(candidate.tx_id)
                continue
            chosen.append(candidate)
            room -= candidate.size
            cap -= cost_of(candidate)
        return chosen, doubtful

    def _taken_apart(self, body: bytes) -> _Bound:
        known = self._decoded.get(body)
        if known is not None:
            return known
        most = self._network.params.block_bytes_max
        if len(body) > most:
            raise BlockInvalid(f"a block of {len(body)} bytes; at most {most} are allowed")
        block = from_bytes(Block, body)
        candidates = tuple(candidate_of(item, self._network) for item in block.items)
        if _tx_root(candidates) != block.header.tx_root:
            raise BlockInvalid("the transactions are not those of the header")
        if len(self._decoded) >= DECODED_MAX:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[body] = bound = _Bound(block, candidates)
        return bound


class Run:
    """The execution of one block, transaction by transaction."""

    def __init__(
        self, base: Executed, state: Overlay, moment: Moment, seen: Callable[[TxId], bool], *, is_child: bool
    ) -> None:
        self.base, self.state, self.moment, self.is_child = base, state, moment, is_child
        self.network = base.network if is_child else base.after
        self.turned: Network | None = None
        self._done: dict[TxId, Receipt] = {}
        self._seen = seen

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """Of what was executed, in order."""
        return tuple(self._done.values())

    def execute(self, candidate: Candidate) -> None:
        """The next transaction; raises Inadmissible and changes nothing."""
        self._done[candidate.tx_id] = execute(candidate, self.state, self.network, self.moment, self._has_seen)

    def turn(self) -> None:
        """After the last transaction: end the epoch, if it ends with this block."""
        if self.is_child or (self.moment.time < self.network.until and paths.epoch() not in self.state.writes):
            return
        if epochs.ends(self.state, self.moment.time):
            self.turned = self.network.at(epochs.turn(self.state, self.moment.time))

    def _has_seen(self, tx_id: TxId) -> bool:
        return tx_id in self._done or self._seen(tx_id)


def _is_child(base: Executed, proposal: Proposal) -> bool:
    """Whether a block on this one stands above the end of its epoch: the votes for it say of which epoch it is."""
    return base.is_child or (base.is_last and proposal.epoch == base.network.epoch)


def _header(run: Run, view: int, state_root: Root, txs: bytes) -> Header:
    base, network = run.base, run.network
    return Header(
        rules=network.rules,
        chain_id=network.chain_id,
        epoch=network.epoch,
        height=run.moment.height,
        view=view,
        parent_view=base.proposal.view,
        parent_hash=base.block_hash,
        time=run.moment.time,
        tx_root=txs,
        state_root=state_root,
        receipts_root=receipts_root(run.receipts),
        history_root=base.history.root,
        next_validators=(run.turned or network).committee,
    )


def _with_results(header: Header, run: Run, state_root: Root) -> Header:
    return evolve(
        header,
        state_root=state_root,
        receipts_root=receipts_root(run.receipts),
        next_validators=(run.turned or run.network).committee,
    )


def _not_again(_tx_id: TxId) -> bool:
    """Of a block that was looked through for transactions that stand in the chain."""
    return False


def _executed(
    proposal: Proposal, run: Run, header: Header, pages: PageWrites, candidates: Collection[Candidate]
) -> Executed:
    bodies = [(candidate.tx_id, candidate.body) for candidate in candidates]
    return Executed(
        proposal=proposal,
        height=header.height,
        time=header.time,
        state_root=Root(header.state_root),
        history=run.base.history.append(BlockHash(proposal.block_hash)),
        network=run.network,
        turned=run.turned,
        is_child=run.is_child,
        writes=run.state.writes,
        pages=pages,
        receipts=run.receipts,
        ref_moves=ref_moves(header.height, header.time, bodies, run.receipts),
        expiries={candidate.tx_id: candidate.body.expires for candidate in candidates},
        commits_to_texts=any(candidate.texts for candidate in candidates),
    )


def _tx_root(candidates: Iterable[Candidate]) -> bytes:
    """As ``block.tx_root`` of their items; the ids are known already."""
    return merkle.root([leaf(c.tx_id, c.item.signed.signatures, c.item.witness) for c in candidates])


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
