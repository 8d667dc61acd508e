"""
Whole nodes whose processors are slow, on a clock of their own: a step takes as long as what was done in it costs.

Nodes decide together what came meanwhile, as the adapter has them do. Links lose nothing and take a moment; disks
take none. Clients bring transactions at their times, whatever became of those before.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush
from itertools import count

from attrs import define, field, frozen

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.memory import MemoryStore
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import Tag, to_bytes
from guts_core.forge.params import Params
from guts_core.names import ChainId, TxId
from guts_core.node.effects import CommitBlock, Effect, Refuse, SendPeer
from guts_core.node.events import (
    Committed,
    Event,
    PeerConnected,
    PeerSaid,
    Started,
    Ticked,
    TransactionSubmitted,
)
from guts_core.node.messages import Submit
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.ports import Instant
from tests.core.chain.chain_world import MINUTE, TIME, a_genesis, creation, key, salt

NODES = 4
SECOND = 1_000_000
PARAMS = Params(delta_ms=200, retry_ms=400, heartbeat_ms=30_000, quota_transactions=1 << 40)
LINK_US = 1_000
# As many events as the adapter has decided together.
BATCH_EVENTS_MAX = 256

_SUBMIT = to_bytes(Submit(()))[:3]


@frozen
class Costs:
    """Of a processor, in microseconds."""

    signature: int  # to check one
    byte: int  # of a block, to say or to hear it: what it holds is taken apart and executed
    step: int = 200


@define
class CountingVerifier:
    """Believes every signature, and counts them."""

    seen: int = 0

    def verify(self, public_key: bytes, tag: Tag, chain_id: ChainId, body: bytes, signature: bytes) -> bool:  # noqa: ARG002  # whatever it is
        """Yes."""
        self.seen += 1
        return True


@define(eq=False)
class Machine:
    """One node, what it has yet to decide, and until when it is busy."""

    node: Node
    store: MemoryStore
    verifier: CountingVerifier
    inbox: deque[Event] = field(factory=deque)
    is_busy: bool = False
    armed: int | None = None


@define(eq=False)
class Overloaded:
    """Four nodes, and what became of each transaction."""

    costs: Costs
    genesis: Genesis = field(factory=lambda: a_genesis(NODES, PARAMS))
    now: int = 0
    machines: list[Machine] = field(factory=list)
    offered: dict[TxId, tuple[str, int]] = field(factory=dict)  # by whom, when
    final: dict[TxId, int] = field(factory=dict)  # when it was on the disk of who was asked
    refused: Counter[str] = field(factory=Counter)
    executed: Counter[int] = field(factory=Counter)  # by node
    _asked: dict[TxId, int] = field(factory=dict)
    _due: list[tuple[int, int, int, Event | None]] = field(factory=list)
    _numbers: count[int] = field(factory=count)

    def __attrs_post_init__(self) -> None:
        for index in range(NODES):
            store, verifier = MemoryStore(), CountingVerifier()
            node = Node(NodeConfig(self.genesis, index, key(f"vote {index}"), verifier), store)
            self.machines.append(Machine(node, store, verifier))
            self._at(0, index, Started(()))
        for index in range(NODES):
            for peer in range(NODES):
                if peer != index:
                    self._at(1, index, PeerConnected(peer))

    def offer(self, index: int, operator: int, rate: int, begin: int, end: int) -> None:
        """So many transactions a second of an operator's, brought to a node at their times."""
        name = f"operator {operator}"
        chain, author = chain_id(self.genesis), self.genesis.accounts[operator].id
        for number in range((end - begin) * rate // SECOND):
            at, what = begin + number * SECOND // rate, f"{name} {begin} {number}"
            action = creation(what.replace(" ", "-"))
            body = compose.by_account(chain, author, (action,), TIME + 30 * MINUTE, salt(what))
            event = TransactionSubmitted(Item(compose.sign_with_account_key(body, key(name)), None, ()), None)
            tx_id = transaction_id(body)
            self.offered[tx_id], self._asked[tx_id] = (name, at), index
            self._at(at, index, event)

    def run(self, end: int) -> None:
        """Until that time."""
        while self._due and self._due[0][0] <= end:
            self.now, _, index, event = heappop(self._due)
            machine = self.machines[index]
            if event is None:
                machine.is_busy = False
            elif isinstance(event, Ticked):
                machine.armed = None
            else:
                machine.inbox.append(event)
            if not machine.is_busy:
                self._step(index, machine)
        self.now = end

    def _at(self, at: int, index: int, event: Event | None) -> None:
        heappush(self._due, (at, next(self._numbers), index, event))

    def _step(self, index: int, machine: Machine) -> None:
        events = [machine.inbox.popleft() for _ in range(min(len(machine.inbox), BATCH_EVENTS_MAX))]
        deadline = machine.node.next_deadline()
        if deadline is not None and deadline <= self.now:
            events.append(Ticked())
        if not events:
            self._arm(index, machine)
            return
        before = machine.verifier.seen
        effects = machine.node.receive_all(events, Instant(self.now, TIME + self.now // 1000))
        heard = sum(_weight(event.data) for event in events if isinstance(event, PeerSaid))
        said = sum(_weight(effect.data) for effect in effects if isinstance(effect, SendPeer))
        costs, checked = self.costs, machine.verifier.seen - before
        cost = costs.step + costs.signature * checked + costs.byte * (heard + said)
        machine.is_busy = True
        self._at(self.now + cost, index, None)
        for effect in effects:
            self._perform(index, machine, effect, self.now + cost)

    def _arm(self, index: int, machine: Machine) -> None:
        deadline = machine.node.next_deadline()
        if deadline is not None and (machine.armed is None or deadline < machine.armed):
            machine.armed = deadline
            self._at(deadline, index, Ticked())

    def _perform(self, index: int, machine: Machine, effect: Effect, done: int) -> None:
        match effect:
            case SendPeer():
                peers = range(NODES) if effect.to is None else (effect.to,)
                for peer in peers:
                    if peer != index:
                        self._at(done + LINK_US, peer, PeerSaid(index, effect.data))
            case CommitBlock():
                machine.store.commit(effect.commit)
                self._at(done, index, Committed(effect.commit.height))
                for row in effect.commit.receipts:
                    if self._asked[row.tx_id] == index:
                        self.final[row.tx_id] = done
            case Refuse():
                self.refused[effect.code] += 1
            case _:
                pass

    # ---- what came of it ----

    def served(self, begin: int, end: int) -> float:
        """Transactions that became final in a second of these."""
        return sum(begin <= at < end for at in self.final.values()) * SECOND / (end - begin)

    def waits(self, operator: int) -> list[int]:
        """How long each of an operator's waited that is final, in microseconds."""
        name = f"operator {operator}"
        return [at - self.offered[tx_id][1] for tx_id, at in self.final.items() if self.offered[tx_id][0] == name]

    @property
    def nullified(self) -> int:
        """Turns to lead that came to nothing, as the first node saw them."""
        return sum(self.machines[0].node.engine.slots.missed)


def _weight(data: bytes) -> int:
    """Bytes of a message that may hold a block: transactions by themselves cost their signatures."""
    return 0 if data.startswith(_SUBMIT) else len(data)
