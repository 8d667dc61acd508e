"""
Whole nodes in the simulator: ``guts_core.node.Node`` over a database in memory.

A wish becomes a transaction that creates a repository, so that every block is executed by the
forge's own rules and every state root is the real one.
"""

from __future__ import annotations

from collections import Counter
from typing import cast

from guts_core.chain import compose
from guts_core.chain.commit import Commit
from guts_core.chain.genesis import Genesis, InitialAccount, ValidatorEntry, chain_id, check
from guts_core.chain.memory import MemoryStore
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import Tag, digest
from guts_core.errors import Corrupt, Malformed
from guts_core.forge.actions import CreateRepository
from guts_core.forge.params import Params
from guts_core.forge.records import ObjectFormat
from guts_core.names import NodeId, TxId
from guts_core.node.effects import CheckPack, CommitBlock, Disconnect, Effect, Log, Refuse, SendPeer, Stop
from guts_core.node.events import Committed, Event, PeerConnected, PeerSaid, Started, Ticked, TransactionSubmitted
from guts_core.node.messages import PEER_MESSAGES
from guts_core.node.node import Node, NodeConfig
from guts_core.simplex.effects import Persist, ReportEquivocation
from guts_core.simplex.engine import Rule
from guts_core.simplex.messages import Certificate, Fetch, Message, Propose, Supply, Vote
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel

from .crypto import KeyRing
from .ports import Accuse, Act, Say, Store, Write

_GENESIS_MS = 1_600_000_000_000
_EXPIRES_MS = 10 * 60 * 1000
_PARAMS = Params(delta_ms=50, retry_ms=250, heartbeat_ms=1000)


def a_genesis(ring: KeyRing, size: int, fault_model: FaultModel) -> Genesis:
    """A network whose vote keys are the ring's first, node keys the next, operators' keys the last."""
    keys = ring.public_keys
    accounts = tuple(
        InitialAccount(f"operator-{index}", keys[2 * size + index], digest(Tag.TRACE, b"%d" % index), is_operator=True)
        for index in range(size)
    )
    validators = tuple(
        ValidatorEntry(keys[index], NodeId(keys[size + index]), accounts[index].id, f"node-{index}")
        for index in range(size)
    )
    genesis = Genesis("simulated", _GENESIS_MS, fault_model, _PARAMS, validators, accounts, ())
    check(genesis)
    return genesis


class ForgeCast:
    """Whole nodes, all honest."""

    def __init__(self, seed: int, size: int, fault_model: FaultModel = FaultModel.BYZANTINE) -> None:
        self.size, self.ring = size, KeyRing(seed, 3 * size)
        self.genesis = a_genesis(self.ring, size, fault_model)
        self.chain_id = chain_id(self.genesis)
        self.wishes: dict[TxId, bytes] = {}

    @property
    def villains(self) -> frozenset[int]:
        """None."""
        return frozenset()

    def make(self, index: int, records: list[bytes], stored: list[Store]) -> ForgeNode:
        """A new process of a node."""
        return ForgeNode(self, index, records, [cast("Commit", store.item) for store in stored])

    def read(self, data: bytes) -> Message | None:
        """The agreement message in these bytes, if it is one."""
        message = PEER_MESSAGES.from_bytes(data)
        return message if isinstance(message, Propose | Vote | Certificate | Fetch | Supply) else None

    def is_signed(self, _message: Message, /) -> bool:
        """Whether every signature in the message is genuine; honest nodes sign truly."""
        return True

    def wish(self, index: int, work: bytes, now: Instant) -> Item:
        """A transaction by this node's operator."""
        action = CreateRepository(
            name=work.decode().replace(" ", "-"),
            salt=digest(Tag.TRACE, work),
            private=False,
            default_branch="refs/heads/main",
            object_format=ObjectFormat.SHA1,
            placement="all",
            description=None,
        )
        author = self.genesis.accounts[index].id
        salt = digest(Tag.TRACE, b"transaction", work)
        body = compose.by_account(self.chain_id, author, (action,), now.wall + _EXPIRES_MS, salt)
        self.wishes[transaction_id(body)] = work
        return Item(compose.sign_with_account_key(body, self.ring.signer(2 * self.size + index)), None, ())


class ForgeNode:
    """One whole node, its database and what the simulator asks of it."""

    def __init__(self, cast_: ForgeCast, index: int, records: list[bytes], commits: list[Commit]) -> None:
        self._cast, self._index, self._records = cast_, index, tuple(records)
        self._store = MemoryStore()
        for commit in commits:
            self._store.commit(commit)
        ring = cast_.ring
        self.node = Node(NodeConfig(cast_.genesis, index, ring.signer(index), ring), self._store)

    @property
    def height(self) -> int:
        """Finalized blocks."""
        return self.node.ledger.head.height

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing the engine holds."""
        return self.node.engine.held

    @property
    def fired(self) -> Counter[Rule]:
        """How often each rule was applied."""
        return self.node.engine.fired

    def start(self, now: Instant) -> list[Act]:
        """The process begins, and every link opens."""
        acts = self._receive(Started(self._records), now)
        for peer in range(self._cast.size):
            if peer != self._index:
                acts += self._receive(PeerConnected(peer), now)
        return acts

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node."""
        return self._receive(PeerSaid(peer, data), now)

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""
        return self._receive(Ticked(), now)

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """A client wants a repository of this name."""
        return self._receive(TransactionSubmitted(self._cast.wish(self._index, work, now), None), now)

    def stored(self, store: Store, now: Instant, /) -> list[Act]:
        """The database holds this block."""
        self._store.commit(cast("Commit", store.item))
        return self._receive(Committed(store.height), now)

    def snapshot(self) -> list[bytes]:
        """A whole log to replace the present one."""
        return self.node.log_snapshot()

    def next_deadline(self) -> int | None:
        """When to tick."""
        return self.node.next_deadline()

    def _receive(self, event: Event, now: Instant) -> list[Act]:
        acts = [self._act(effect) for effect in self.node.receive(event, now)]
        return [act for act in acts if act is not None]

    def _act(self, effect: Effect) -> Act | None:
        match effect:
            case SendPeer(to, data, _):
                return None if self._cast.size == 1 else Say(to, data)
            case Persist(record, sync):
                return Write(record, sync)
            case ReportEquivocation():
                return Accuse(effect.second.signer)
            case CommitBlock(commit):
                return self._store_of(commit)
            case Disconnect():
                raise Malformed(effect.reason)
            case Stop():
                raise Corrupt(effect.sentence)
            case Refuse() | Log() | CheckPack():
                # Nobody waits here, and nobody pushes: a refused wish is simply not made.
                return None

    def _store_of(self, commit: Commit) -> Store:
        contents = tuple(self._cast.wishes[row.tx_id] for row in commit.receipts)
        return Store(commit.height, commit.block_hash, commit.meta["state_root"], contents, commit)
