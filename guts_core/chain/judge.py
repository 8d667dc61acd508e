"""
Blocks built and judged: pure execution on an executed parent, the same for leader and voter.

A leader fills a block with what is admissible at its place; everybody else recomputes every field
of its header, and the block is right as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable

from attrs import fields, frozen

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Refused
from guts_core.names import BlockHash, Root, TxId
from guts_core.simplex.messages import Proposal
from guts_core.state.tree import PageWrites
from guts_core.state.view import Overlay

from . import merkle
from .admission import Candidate, Inadmissible, Network, Replayed, candidate_of
from .block import BLOCK_OVERHEAD_BYTES, Block, leaf
from .branches import Branches, Executed
from .continuity import closing_sentence
from .execution import Moment, execute
from .header import EPOCH, RULES, Header, block_hash
from .indexed import ref_moves
from .receipt import Receipt, receipts_root

# A leader's own limit: at some 0.3 ms each, a block of these executes well within two message delays.
PROPOSED_ITEMS_MAX = 1_000
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


@frozen
class _Bound:
    """A body that was taken apart: its transactions are in form, and those of its header."""

    block: Block
    candidates: tuple[Candidate, ...]


class Judge:
    """Executes blocks over the branches; keeps none of them."""

    def __init__(self, network: Network, validators: bytes, branches: Branches) -> None:
        self._network, self._validators, self._branches = network, validators, branches
        self._decoded: dict[bytes, _Bound] = {}

    def build(self, base: Executed, view: int, time: int, waiting: Iterable[Candidate]) -> Built:
        """A block of what may stand in it, in the order given; empty when nothing may."""
        moment = Moment(base.height + 1, time)
        state = Overlay(self._branches.view(base.block_hash))
        chosen, receipts, doubtful = self._choose(base, state, moment, waiting)
        root, pages = self._branches.next_root(base, state.writes)
        header = self._header(base, view, moment, root, _tx_root(chosen), receipts_root(receipts))
        body = to_bytes(Block(header, tuple(candidate.item for candidate in chosen)))
        proposal = Proposal(EPOCH, view, header.parent_view, header.parent_hash, block_hash(header))
        return Built(self._executed(proposal, header, base, state, pages, chosen, receipts), body, frozenset(doubtful))

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
        """The executed block; raises Malformed or Refused, whatever makes it invalid."""
        bound = self._taken_apart(body)
        header = bound.block.header
        self._check_place(base, proposal, bound, len(body))
        moment = Moment(base.height + 1, header.time)
        state = Overlay(self._branches.view(base.block_hash))
        receipts = self._receipts(base, bound.candidates, state, moment)
        root, pages = self._branches.next_root(base, state.writes)
        expected = self._header(base, proposal.view, moment, root, header.tx_root, receipts_root(receipts))
        if header != expected:
            raise _difference(header, expected)
        return self._executed(proposal, header, base, state, pages, bound.candidates, receipts)

    def _check_place(self, base: Executed, proposal: Proposal, bound: _Bound, size: int) -> None:
        header, most = bound.block.header, self._network.params.block_bytes_max
        if block_hash(header) != proposal.block_hash:
            raise BlockInvalid("the body is not that of the proposal")
        if size > most:
            raise BlockInvalid(f"a block of {size} bytes; at most {most} are allowed")
        if header.time <= base.time:
            raise BlockInvalid(f"block time {header.time} is not after that of its parent, {base.time}")
        if base.closes is not None and bound.candidates:
            raise BlockInvalid("transactions after the last block of an epoch")

    def _choose(
        self, base: Executed, state: Overlay, moment: Moment, waiting: Iterable[Candidate]
    ) -> tuple[list[Candidate], list[Receipt], set[TxId]]:
        chosen: list[Candidate] = []
        receipts: list[Receipt] = []
        doubtful: set[TxId] = set()
        # After the last block of an epoch come only children that help it to become final.
        room = self._network.params.block_bytes_max - BLOCK_OVERHEAD_BYTES if base.closes is None else 0
        for candidate in waiting:
            if len(chosen) == PROPOSED_ITEMS_MAX:
                break
            if candidate.size > room:
                continue
            try:
                receipts.append(execute(candidate, state, self._network, moment, self._seen(base, ())))
            except Replayed:
                continue  # it stands in a block that is not final yet
            except Inadmissible:
                doubtful.add(candidate.tx_id)
                continue
            chosen.append(candidate)
            room -= candidate.size
        return chosen, receipts, doubtful

    def _receipts(
        self, base: Executed, candidates: Iterable[Candidate], state: Overlay, moment: Moment
    ) -> list[Receipt]:
        done: dict[TxId, Receipt] = {}
        for candidate in candidates:
            done[candidate.tx_id] = execute(candidate, state, self._network, moment, self._seen(base, done))
        return list(done.values())

    def _seen(self, base: Executed, here: Container[TxId]) -> Callable[[TxId], bool]:
        return lambda tx_id: tx_id in here or self._branches.has_seen(base.block_hash, tx_id)

    def _taken_apart(self, body: bytes) -> _Bound:
        known = self._decoded.get(body)
        if known is not None:
            return known
        block = from_bytes(Block, body)
        candidates = tuple(candidate_of(item, self._network) for item in block.items)
        if _tx_root(candidates) != block.header.tx_root:
            raise BlockInvalid("the transactions are not those of the header")
        if len(self._decoded) >= DECODED_MAX:
            del self._decoded[next(iter(self._decoded))]
        self._decoded[body] = bound = _Bound(block, candidates)
        return bound

    def _header(
        self, base: Executed, view: int, moment: Moment, state_root: Root, txs: bytes, receipts: bytes
    ) -> Header:
        return Header(
            rules=RULES,
            chain_id=self._network.chain_id,
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

    def _executed(
        self,
        proposal: Proposal,
        header: Header,
        base: Executed,
        state: Overlay,
        pages: PageWrites,
        candidates: Collection[Candidate],
        receipts: Collection[Receipt],
    ) -> Executed:
        return Executed(
            proposal=proposal,
            height=header.height,
            time=header.time,
            state_root=Root(header.state_root),
            history=base.history.append(BlockHash(proposal.block_hash)),
            writes=state.writes,
            pages=pages,
            receipts=tuple(receipts),
            ref_moves=ref_moves(header.height, header.time, [(c.tx_id, c.body) for c in candidates], receipts),
            expiries={candidate.tx_id: candidate.body.expires for candidate in candidates},
            commits_to_texts=any(candidate.texts for candidate in candidates),
            closes=closing_sentence(state, header.time, self._network),
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
