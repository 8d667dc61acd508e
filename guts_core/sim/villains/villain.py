"""What all villains share: an honest node inside, whose acts are twisted on the way out."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Protocol

from attrs import define, field

from guts_core.codec import Tag, encode, to_bytes, to_value
from guts_core.names import BlockHash
from guts_core.sim.ledger import VoteLedger
from guts_core.sim.ports import Act, Say, Store
from guts_core.sim.words_node import CHAIN, WordsNode
from guts_core.simplex.engine import Rule
from guts_core.simplex.messages import Kind, Message, Proposal, Vote
from guts_core.simplex.ports import Instant


@define
class Deeds:
    """What a villain did, counted through all its restarts."""

    index: int
    attempts: int = 0
    served: int = 0
    blocks: list[tuple[int, BlockHash]] = field(factory=list)  # (view, hash) that no honest node would propose


class Effects(Protocol):
    """What a run shows of a villain's success."""

    refused: Counter[int]
    accused: Counter[int]
    ledger: VoteLedger

    @property
    def honest(self) -> list[int]:
        """Who keeps the rules."""


class Villain:
    """Honest but for ``twist``; subclasses say how."""

    name: ClassVar[str]

    def __init__(self, inner: WordsNode, deeds: Deeds) -> None:
        self.inner, self.deeds = inner, deeds
        self.now = Instant(0, 0)

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """How often honest code had to deal with it: zero means that nothing was tested."""
        raise NotImplementedError

    def twist(self, acts: list[Act]) -> list[Act]:
        """What is done instead."""
        raise NotImplementedError

    def read(self, act: Act) -> Message | None:
        """The agreement message that an act says, if any."""
        if not isinstance(act, Say) or act.data[:1] == b"\0":
            return None
        return self.inner.reader.read(act.data)

    def vote(self, kind: Kind, view: int, proposal: Proposal | None, epoch: int = 0) -> Vote:
        """A vote under the villain's own key."""
        body = encode((int(kind), epoch, view, None if proposal is None else to_value(proposal)))
        return Vote(kind, epoch, view, proposal, self.inner.index, self.inner.signer.sign(Tag.SIGN_VOTE, CHAIN, body))

    def others(self) -> list[int]:
        """Everybody else."""
        return [index for index in range(len(self.inner.ring.public_keys)) if index != self.inner.index]

    def say(self, message: Message, to: int | None = None) -> Say:
        """An act that says this; counted."""
        self.deeds.attempts += 1
        return Say(to, to_bytes(message))

    def start(self, now: Instant) -> list[Act]:
        """The process begins."""
        self.now = now
        return self.twist(self.inner.start(now))

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node."""
        self.now = now
        return self.twist(self.inner.hear(peer, data, now))

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""
        self.now = now
        return self.twist(self.inner.tick(now))

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """A client wants this ordered."""
        self.now = now
        return self.twist(self.inner.submit(work, now))

    def written(self, store: Store) -> None:
        """The database holds this block."""
        self.inner.written(store)

    def stored(self, store: Store, now: Instant) -> list[Act]:
        """The database holds this block."""
        self.now = now
        return self.twist(self.inner.stored(store, now))

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
    def fired(self) -> Counter[Rule]:
        """Its rules are not counted: only honest code has to reach them all."""
        return Counter()


def honest_votes(world: Effects, deeds: Deeds) -> int:
    """Honest notarize votes for blocks that no honest node would have proposed."""
    signers = [world.ledger.signers(Kind.NOTARIZE, view, block) for view, block in deeds.blocks]
    return sum(1 for mask in signers for index in world.honest if mask >> index & 1)
