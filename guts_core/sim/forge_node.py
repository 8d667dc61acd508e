"""Whole nodes in the simulator: ``guts_core.node.Node`` over a database in memory, exchanging bytes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from attrs import evolve

from guts_core.chain.block import Block
from guts_core.chain.commit import Commit
from guts_core.chain.genesis import Genesis
from guts_core.chain.header import Header, block_hash
from guts_core.chain.memory import MemoryStore
from guts_core.codec import Tag, digest, from_bytes, to_bytes
from guts_core.errors import Corrupt
from guts_core.identity.keys import Signer
from guts_core.names import BlockHash, ChainId, Root
from guts_core.node.effects import (
    CheckPack,
    CommitBlock,
    CompactLog,
    Disconnect,
    Effect,
    Log,
    Refuse,
    SendPeer,
    Stop,
)
from guts_core.node.events import Committed, Event, PeerSaid, Started, Ticked
from guts_core.node.messages import PEER_MESSAGES, PeerMessage
from guts_core.node.node import Node, NodeConfig
from guts_core.node.pushes import MAY_STILL_HAPPEN
from guts_core.simplex.effects import Persist, ReportEquivocation
from guts_core.simplex.engine import Engine
from guts_core.simplex.messages import Certificate, Fetch, Message, Proposal, Propose, Supply, Vote
from guts_core.simplex.ports import Instant

from .crypto import KeyRing
from .ports import Accuse, Act, Check, Compact, Fault, Refusal, Say, Store, Write

Twist = Callable[[list[Act], Instant], list[Act]]
# Decoding each broadcast once for the checkers; nodes decode for themselves.
_READ_MAX = 1024


class ForgeReader:
    """What nodes say, decoded for those who watch."""

    def __init__(self) -> None:
        self._known: dict[bytes, PeerMessage] = {}

    def read(self, data: bytes) -> PeerMessage:
        """The message of these bytes; raises Malformed."""
        found = self._known.get(data)
        if found is None:
            if len(self._known) >= _READ_MAX:
                self._known.clear()
            found = self._known[data] = PEER_MESSAGES.from_bytes(data)
        return found

    def agreement(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        message = self.read(data)
        return message if isinstance(message, Propose | Vote | Certificate | Fetch | Supply) else None


class ForgeNode:
    """One whole node and its database; a villain's acts are twisted on their way out."""

    def __init__(
        self,
        genesis: Genesis,
        index: int,
        ring: KeyRing,
        reader: ForgeReader,
        records: list[bytes],
        stored: list[Store],
        config: NodeConfig | None = None,
    ) -> None:
        self.index, self.size = index, len(genesis.validators)
        self.signer: Signer = ring.signer(index)
        self.ring = ring
        self.reader, self._records = reader, tuple(records)
        self.store = MemoryStore()
        for store in stored:
            self.written(store)
        self.node = Node(config or NodeConfig(genesis, index, self.signer, ring), self.store)
        self.twist: Twist | None = None
        self.overhear: Callable[[bytes], None] = lambda _data: None
        self.refused: str | None = None

    @property
    def seat(self) -> int:
        """Its seat in the present epoch."""
        seat = self.node.seat
        return self.index if seat is None else seat

    @property
    def chain(self) -> ChainId:
        """The network that its votes are for."""
        return self.node.chain_id

    @property
    def engine(self) -> Engine:
        """Its agreement."""
        return self.node.engine

    @property
    def height(self) -> int:
        """Finalized blocks."""
        return self.node.ledger.head.height

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing the engine holds."""
        return self.node.engine.held

    @property
    def fired(self) -> list[int]:
        """How often each rule was applied; only honest code has to reach them all."""
        return self.node.engine.fired if self.twist is None else []

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        return self.reader.agreement(data)

    def rival(self, said: Propose) -> tuple[BlockHash, bytes] | None:
        """Another valid block in the place of a proposed one: a millisecond later."""
        old = said.proposal
        parent = Proposal(old.epoch, old.parent_view, 0, BlockHash(bytes(32)), old.parent_hash)
        later = from_bytes(Block, said.body).header.time + 1
        return self.node.ledger.propose(parent, old.view, Instant(0, later))

    def spoilt(self, said: Propose) -> tuple[BlockHash, bytes]:
        """The same block with another state root."""
        block = from_bytes(Block, said.body)
        return _named(evolve(block.header, state_root=Root(digest(Tag.STATE_NODE, block.header.state_root))), block)

    def skipping(self, said: Propose, _now: Instant) -> tuple[Proposal, bytes] | None:
        """The same block, a generation or more too high on the chain for its place."""
        height, new = self.store.height(), said.proposal
        final = self.store.block_at(height)
        if final is not None and final.block_hash == new.parent_hash:
            final = self.store.block_at(height - 1)
        if final is None:
            return None
        parent, block = from_bytes(Proposal, final.proposal), from_bytes(Block, said.body)
        header = evolve(block.header, parent_view=parent.view, parent_hash=parent.block_hash, height=final.height + 1)
        name, body = _named(header, block)
        return Proposal(new.epoch, new.view, parent.view, parent.block_hash, name), body

    def start(self, now: Instant) -> list[Act]:
        """The process begins; links open later."""
        return self.receive(Started(self._records), now)

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node."""
        self.overhear(data)
        return self.receive(PeerSaid(peer, data), now)

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""
        return self.receive(Ticked(), now)

    def written(self, store: Store, /) -> None:
        """The database holds this block."""
        self.store.commit(cast("Commit", store.item))

    def stored(self, store: Store, now: Instant, /) -> list[Act]:
        """The node is told so."""
        return self.receive(Committed(store.height), now)

    def snapshot(self) -> list[bytes]:
        """A whole log to replace the present one."""
        return self.node.log_snapshot()

    def next_deadline(self) -> int | None:
        """When to tick."""
        return self.node.next_deadline()

    def receive(self, event: Event, now: Instant) -> list[Act]:
        """Anything that can happen to a node."""
        acts = self.straight(event, now)
        return acts if self.twist is None else self.twist(acts, now)

    def straight(self, event: Event, now: Instant) -> list[Act]:
        """The same as an honest node would do it."""
        acts = [self._act(effect) for effect in self.node.receive(event, now)]
        return [act for act in acts if act is not None]

    def _act(self, effect: Effect) -> Act | None:
        match effect:
            case SendPeer(to, data, _):
                return None if self.size == 1 else Say(to, data)
            case Persist(record, sync):
                return Write(record, sync)
            case ReportEquivocation():
                return Accuse(self.node.agreement.numbers[effect.second.signer])
            case CommitBlock(commit):
                return _store_of(commit)
            case CompactLog():
                return Compact()
            case CheckPack():
                return Check(effect)
            case Refuse(tx_id, code, message):
                return Refusal(tx_id, code, message.endswith(MAY_STILL_HAPPEN))
            case Disconnect(peer, _, reason):
                return Fault(peer, reason)
            case Stop():
                raise Corrupt(effect.sentence)
            case Log():
                return None


def _named(header: Header, block: Block) -> tuple[BlockHash, bytes]:
    return block_hash(header), to_bytes(Block(header, block.items))


def say(message: PeerMessage, to: int | None = None) -> Say:
    """An act that says this."""
    return Say(to, to_bytes(message))


def _store_of(commit: Commit) -> Store:
    contents = tuple(row.tx_id for row in commit.receipts)
    view = from_bytes(Proposal, commit.proposal).view
    return Store(commit.height, commit.block_hash, commit.meta["state_root"], contents, commit, view)
