"""Whole nodes without machines: real rooms wired by passing bytes by hand, clocks that stand until moved."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TypeVar

from attrs import define, field

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import EPOCH
from guts_core.chain.memory import MemoryStore
from guts_core.chain.transaction import Avail, Item, SignedTransaction, Text, transaction_id
from guts_core.codec import Tag, decode, from_bytes, kinds, to_bytes
from guts_core.forge.actions import Action
from guts_core.identity import Ed25519Verifier
from guts_core.names import AccountId, TxId
from guts_core.node.attestation import GROUP_ALL
from guts_core.node.effects import CheckPack, CommitBlock, Effect, SendPeer
from guts_core.node.events import (
    Committed,
    Event,
    PackChecked,
    PeerConnected,
    PeerDisconnected,
    PeerSaid,
    Started,
    Ticked,
    TransactionSubmitted,
)
from guts_core.node.messages import PEER_MESSAGES, AvailSaid, PeerMessage
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.effects import Persist
from guts_core.simplex.ports import Instant
from tests.core.chain.chain_world import MINUTE, TIME, a_genesis, creation, key, salt

_Kind = TypeVar("_Kind")


@define
class Seat:
    """One node, what is on its disk, and what it wanted done beside talking and writing."""

    node: Node
    store: MemoryStore
    log: list[bytes] = field(factory=list)
    wanted: list[Effect] = field(factory=list)
    said: list[tuple[int | None, PeerMessage]] = field(factory=list)

    def wanted_of(self, kind: type[_Kind]) -> list[_Kind]:
        """The effects of one kind so far."""
        return [effect for effect in self.wanted if isinstance(effect, kind)]

    def said_of(self, kind: type[_Kind]) -> list[_Kind]:
        """The messages of one kind so far."""
        return [message for _, message in self.said if isinstance(message, kind)]


@define
class World:
    """Nodes of one network; what they say waits until ``carry`` or ``settle``."""

    genesis: Genesis = field(factory=a_genesis)
    checks_succeed: bool = True  # CheckPack is answered at once, as a node that finds everything in order
    commits: bool = True  # CommitBlock is performed at once
    cut: set[int] = field(factory=set)  # nodes whose bytes go nowhere
    now: int = TIME
    seats: list[Seat] = field(factory=list, init=False)
    queue: deque[tuple[int, int, bytes]] = field(factory=deque, init=False)
    _salts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        for index in range(len(self.genesis.validators)):
            self.seats.append(self.new_seat(index, MemoryStore()))
        for index in range(len(self.seats)):
            self.tell(index, Started(()))
        for index in range(len(self.seats)):
            self.connect(index)
        self.settle()

    def new_seat(self, index: int, store: MemoryStore) -> Seat:
        """A node that has not started."""
        return Seat(Node(NodeConfig(self.genesis, index, key(f"vote {index}"), Ed25519Verifier()), store), store)

    def connect(self, index: int) -> None:
        """This node's links to all others open, on its side."""
        for peer in range(len(self.seats)):
            if peer != index:
                self.tell(index, PeerConnected(peer))

    @property
    def instant(self) -> Instant:
        """Now, for all."""
        return Instant((self.now - TIME) * 1000, self.now)

    # ---- events and effects ----

    def tell(self, index: int, event: Event) -> list[Effect]:
        """One event, and all that follows at this node."""
        effects = self.seats[index].node.receive(event, self.instant)
        for effect in effects:
            self._perform(index, effect)
        return effects

    def _perform(self, index: int, effect: Effect) -> None:
        seat = self.seats[index]
        match effect:
            case Persist():
                seat.log.append(effect.record)
            case SendPeer():
                seat.said.append((effect.to, PEER_MESSAGES.from_bytes(effect.data)))
                peers = range(len(self.seats)) if effect.to is None else (effect.to,)
                self.queue.extend((index, peer, effect.data) for peer in peers if peer != index)
            case CommitBlock() if self.commits:
                seat.store.commit(effect.commit)
                self.tell(index, Committed(effect.commit.height))
            case CheckPack() if self.checks_succeed:
                self.tell(index, PackChecked(effect.tx_id, effect.objects_epoch, effect.removals, None))
            case _:
                seat.wanted.append(effect)

    def settle(self) -> None:
        """Carry everything that is said until nobody says more."""
        while self.queue:
            source, target, data = self.queue.popleft()
            if source not in self.cut and target not in self.cut:
                self.tell(target, PeerSaid(source, data))

    def say(self, source: int, target: int, message: PeerMessage) -> list[Effect]:
        """A message as if that validator had sent it."""
        return self.tell(target, PeerSaid(source, to_bytes(message)))

    def pass_time(self, milliseconds: int) -> None:
        """Clocks go on, timers fire in order, and what is said arrives."""
        end = self.now + milliseconds
        while True:
            due = [d for seat in self.seats if (d := seat.node.next_deadline()) is not None]
            at = max(self.now, min((TIME + -(-d // 1000) for d in due), default=end + 1))
            if at > end:
                break
            self.now = at
            for index, seat in enumerate(self.seats):
                deadline = seat.node.next_deadline()
                if deadline is not None and deadline <= self.instant.monotonic:
                    self.tell(index, Ticked())
            self.settle()
            self.now += 1
        self.now = max(self.now, end)

    def restart(self, index: int) -> None:
        """Power cut and new start: memory is gone, disk and log are there."""
        old = self.seats[index]
        for peer in range(len(self.seats)):
            if peer != index:
                self.tell(peer, PeerDisconnected(index))
        self.queue = deque(m for m in self.queue if index not in m[:2])
        seat = self.seats[index] = self.new_seat(index, old.store)
        seat.log = list(old.log)
        self.tell(index, Started(tuple(old.log)))
        for peer in range(len(self.seats)):
            if peer != index:
                self.tell(index, PeerConnected(peer))
                self.tell(peer, PeerConnected(index))
        self.settle()

    # ---- people ----

    @property
    def alice(self) -> AccountId:
        """The first operator, who acts with an account key."""
        return self.genesis.accounts[0].id

    def signed(self, *actions: Action, expires: int | None = None) -> SignedTransaction:
        """A transaction of alice's."""
        self._salts += 1
        ends = self.now + 10 * MINUTE if expires is None else expires
        body = compose.by_account(chain_id(self.genesis), self.alice, actions, ends, salt(f"tx {self._salts}"))
        return compose.sign_with_account_key(body, key("operator 0"))

    def submit(
        self,
        index: int,
        signed: SignedTransaction,
        *texts: Text,
        judged: tuple[int, int] | None = (0, 0),
        pack: bytes | None = None,
    ) -> TxId:
        """A client of this node wants this ordered."""
        self.tell(index, TransactionSubmitted(Item(signed, None, texts), pack, judged))
        return transaction_id(signed.body)

    def a_repository(self, name: str = "hello") -> None:
        """Alice's, final on all."""
        tx_id = self.submit(0, self.signed(creation(name)))
        self.pass_time(1000)
        assert {seat.node.ledger.is_pending(tx_id) for seat in self.seats} == {False}

    @property
    def heights(self) -> list[int]:
        """Of all nodes, on disk."""
        return [seat.store.height() for seat in self.seats]

    @property
    def roots(self) -> set[bytes]:
        """State roots of all nodes."""
        return {seat.node.ledger.head.state_root for seat in self.seats}


def an_avail(
    world: World, index: int, tx_id: TxId, objects_epoch: int = 0, removals: int = 0, *, group: str = GROUP_ALL
) -> AvailSaid:
    """A genuine Avail of this validator."""
    chain = chain_id(world.genesis)
    avail = Avail(chain, EPOCH, group, tx_id, objects_epoch, removals)
    return AvailSaid(avail, index, key(f"vote {index}").sign(Tag.SIGN_AVAIL, chain, to_bytes(avail)))


def records_of(log: Sequence[bytes], cls: type[_Kind], kind: int) -> list[_Kind]:
    """The records of one kind in a log."""
    found = []
    for data in log:
        value = decode(data)
        if isinstance(value, tuple) and value[0] == kind:
            found.append(from_bytes(cls, data))
    return found


__all__ = ["Seat", "World", "an_avail", "kinds", "records_of"]
