"""What all villains share: an honest node inside, whose acts are twisted on the way out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, Protocol, TypeAlias

from attrs import define, field

from guts_core.codec import Tag, array_of, encode, to_bytes
from guts_core.identity.keys import Signer
from guts_core.names import BlockHash, ChainId
from guts_core.sim.crypto import KeyRing
from guts_core.sim.forge_node import ForgeNode
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Act, Say, SimNode, Store, Taker
from guts_core.sim.replica_node import ReplicaNode
from guts_core.simplex.engine import Engine
from guts_core.simplex.messages import Kind, Message, Proposal, Propose, Vote
from guts_core.simplex.ports import Instant

_encode = lru_cache(maxsize=64)(encode)


@define
class Deeds:
    """What a villain did, counted through all its restarts."""

    index: int
    size: int
    attempts: int = 0
    served: int = 0
    # (epoch, view, hash) of what no honest node would propose
    blocks: list[tuple[int, int, BlockHash]] = field(factory=list)


class Effects(Protocol):
    """What a run shows of a villain's success."""

    refused: Counter[int]
    accused: Counter[int]
    struck: Counter[int]
    ledger: VoteLedger

    @property
    def honest(self) -> list[int]:
        """Who keeps the rules."""


class Inner(SimNode, Protocol):
    """The honest node inside, of either sort."""

    index: int
    size: int

    @property
    def signer(self) -> Signer:
        """The villain's own key."""

    @property
    def ring(self) -> KeyRing:
        """Everybody's keys: of what others are made to sign, nothing is of this network and epoch."""

    @property
    def seat(self) -> int:
        """Its seat in the present epoch."""

    @property
    def chain(self) -> ChainId:
        """The network that its votes are for."""

    @property
    def engine(self) -> Engine:
        """Its agreement."""

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""

    def rival(self, said: Propose) -> tuple[BlockHash, bytes] | None:
        """Another valid block in the place of a proposed one."""

    def spoilt(self, said: Propose) -> tuple[BlockHash, bytes]:
        """The proposed block with a state that is not the one after it."""

    def skipping(self, said: Propose, now: Instant) -> tuple[Proposal, bytes] | None:
        """A block for the view of a proposed one, on a final block that is older than it should be."""


Make: TypeAlias = Callable[[list[bytes], list[Store]], ReplicaNode]


class Villain:
    """Honest but for ``twist``; subclasses say how."""

    name: ClassVar[str]

    def __init__(self, inner: Inner, deeds: Deeds) -> None:
        self.inner, self.deeds = inner, deeds
        self.now = Instant(0, 0)

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """How often honest code had to deal with it: zero means that nothing was tested."""
        raise NotImplementedError

    @classmethod
    def dress(cls, make: Make, records: list[bytes], stored: list[Store], deeds: Deeds) -> SimNode:
        """A villain around a new process of an honest replica."""
        node = make(records, stored)
        return ReplicaVillain(cls(node, deeds), node)

    @classmethod
    def gives_packs(cls, _holder: int, _asker: int, _size: int) -> bool:
        """Whether it gives a pack that it holds to a peer."""
        return True

    def overhear(self, data: bytes) -> None:
        """What another node says to this one."""

    def twist(self, acts: list[Act]) -> list[Act]:
        """What is done instead."""
        raise NotImplementedError

    def twist_now(self, acts: list[Act], now: Instant) -> list[Act]:
        """The same, at a time."""
        self.now = now
        return self.twist(acts)

    def read(self, act: Act) -> Message | None:
        """The agreement message that an act says, if any."""
        return self.inner.read(act.data) if isinstance(act, Say) else None

    @property
    def epoch(self) -> int:
        """The epoch that it acts in."""
        return self.inner.engine.epoch

    def vote(self, kind: Kind, view: int, proposal: Proposal | None, epoch: int | None = None) -> Vote:
        """A vote under the villain's own key, in its present epoch unless told otherwise."""
        inner, said = self.inner, self.epoch if epoch is None else epoch
        named = _encode(None) if proposal is None else to_bytes(proposal)
        body = array_of((_encode(int(kind)), _encode(said), _encode(view), named))
        signature = inner.signer.sign(Tag.SIGN_VOTE, inner.chain, body)
        return Vote(kind, said, view, proposal, inner.seat, signature)

    def boasts(self, proposal: Proposal) -> None:
        """Remember a block of its own making, to see what became of it."""
        self.deeds.blocks.append((proposal.epoch, proposal.view, proposal.block_hash))

    def others(self) -> list[int]:
        """Everybody else."""
        return [index for index in range(self.inner.size) if index != self.inner.index]

    def say(self, message: Message, to: int | None = None) -> Say:
        """An act that says this; counted."""
        self.deeds.attempts += 1
        return Say(to, to_bytes(message))


class ReplicaVillain:
    """A villain around a replica of a state machine: its acts are twisted on their way out."""

    def __init__(self, villain: Villain, inner: Taker) -> None:
        self.villain, self.inner = villain, inner

    def start(self, now: Instant) -> list[Act]:
        """The process begins."""
        return self.villain.twist_now(self.inner.start(now), now)

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node."""
        self.villain.overhear(data)
        return self.villain.twist_now(self.inner.hear(peer, data, now), now)

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""
        return self.villain.twist_now(self.inner.tick(now), now)

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """A client wants this ordered."""
        return self.villain.twist_now(self.inner.submit(work, now), now)

    def written(self, store: Store) -> None:
        """The database holds this block."""
        self.inner.written(store)

    def stored(self, store: Store, now: Instant) -> list[Act]:
        """The database holds this block."""
        return self.villain.twist_now(self.inner.stored(store, now), now)

    def snapshot(self) -> list[bytes]:
        """A whole log to replace the present one."""
        return self.inner.snapshot()

    def next_deadline(self) -> int | None:
        """When to tick."""
        return self.inner.next_deadline()

    @property
    def height(self) -> int:
        """Finalized blocks."""
        return self.inner.height

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing the node holds."""
        return self.inner.held

    @property
    def fired(self) -> list[int]:
        """Its rules are not counted: only honest code has to reach them all."""
        return []


class ForgeVillain(Villain):
    """A villain of the push path: it needs a whole node inside."""

    @property
    def forge(self) -> ForgeNode:
        """The node inside."""
        assert isinstance(self.inner, ForgeNode)
        return self.inner


def honest_votes(world: Effects, deeds: Deeds) -> int:
    """Honest notarize votes for blocks that no honest node would have proposed."""
    honest = set(world.honest)
    voters = (world.ledger.voters(Kind.NOTARIZE, epoch, view, block) for epoch, view, block in deeds.blocks)
    return sum(len(honest.intersection(numbers)) for numbers in voters)


def given_up(world: Effects, deeds: Deeds) -> int:
    """Views of its own blocks that honest nodes nullified."""
    return sum(1 for epoch, view, _ in deeds.blocks if world.ledger.voters(Kind.NULLIFY, epoch, view))
