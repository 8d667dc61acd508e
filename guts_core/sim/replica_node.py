"""A node made of an engine and a replica of a state machine: small enough for a hundred thousand views."""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve

from guts_core.codec import Family, Tag, digest, to_bytes
from guts_core.identity.keys import Signer
from guts_core.names import BlockHash, ChainId
from guts_core.simplex.effects import Blame, Effect, Persist, ReportEquivocation, Send
from guts_core.simplex.engine import Engine, EngineConfig
from guts_core.simplex.messages import Certificate, Fetch, Message, Proposal, Propose, Recall, Recalled, Supply, Vote
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import FaultModel

from .crypto import KeyRing
from .machine import StateMachine, WordList
from .ports import Accuse, Act, Fault, Say, Store
from .replica import GENESIS, FinalBlock, Page, Replica, page_of

CHAIN = ChainId(b"a chain that is simulated only  ")
_MESSAGES = Family((Propose, Vote, Certificate, Fetch, Supply, Recall, Recalled))
_COMMAND = b"\x00"  # no canonical record starts with it
# Agreement messages are immutable; decoding each broadcast once instead of n times halves a run.
_READ_MAX = 1024

DELTA_US, RETRY_US, HEARTBEAT_US = 50_000, 250_000, 1_000_000


class Reader:
    """Decodes messages; remembers recent ones unless ``remember`` is off, which must change no trace."""

    def __init__(self, *, remember: bool = True) -> None:
        self._known: dict[bytes, Message] = {}
        self._most = _READ_MAX if remember else 0

    def read(self, data: bytes) -> Message:
        """The message of these bytes; raises Malformed."""
        found = self._known.get(data)
        if found is None:
            found = self._keep(data, _MESSAGES.from_bytes(data))
        return found

    def agreement(self, data: bytes) -> Message | None:
        """The same, or None for a command."""
        found = self._known.get(data)
        if found is None and data[:1] != _COMMAND:
            found = self._keep(data, _MESSAGES.from_bytes(data))
        return found

    def written(self, message: Message) -> bytes:
        """The bytes of a message that somebody is about to say: read once, whoever hears it."""
        data = to_bytes(message)
        self._keep(data, message)
        return data

    def _keep(self, data: bytes, message: Message) -> Message:
        if self._most:
            if len(self._known) >= self._most:
                self._known.clear()
            self._known[data] = message
        return message


class ReplicaNode:
    """An honest node."""

    def __init__(
        self,
        index: int,
        ring: KeyRing,
        reader: Reader,
        records: list[bytes],
        stored: list[Store],
        fault_model: FaultModel = FaultModel.BYZANTINE,
        machine: StateMachine[Any] | None = None,
        *,
        recalls: bool = True,
    ) -> None:
        self.index, self.size, self._records = index, len(ring.public_keys), records
        self.ring, self.reader = ring, reader
        committed = [cast("FinalBlock", store.item) for store in stored]
        self.replica = Replica(machine or WordList(), committed)
        last = committed[-1] if committed else None
        self.engine = Engine(
            EngineConfig(
                chain_id=CHAIN,
                epoch=0,
                validators=ring.public_keys,
                me=index,
                fault_model=fault_model,
                delta_us=DELTA_US,
                retry_us=RETRY_US,
                heartbeat_us=HEARTBEAT_US,
                final=last.block.proposal if last else GENESIS,
                certificate=last.certificate if last else None,
                recalls=recalls,
            ),
            ring.signer(index),
            ring,
            self.replica,
        )
        self.next_deadline = self.engine.next_deadline
        self.read = reader.agreement

    @property
    def signer(self) -> Signer:
        """This node's own key."""
        return self.ring.signer(self.index)

    @property
    def seat(self) -> int:
        """Its seat in the one epoch."""
        return self.index

    @property
    def chain(self) -> ChainId:
        """The network that its votes are for."""
        return CHAIN

    def rival(self, said: Propose) -> tuple[BlockHash, bytes] | None:
        """The same page a millisecond later: valid in every way, and another block."""
        page = page_of(said.body)
        assert page is not None, "an own page"
        body = evolve(page, time=page.time + 1).encoded()
        return BlockHash(digest(Tag.HEADER, body)), body

    def spoilt(self, said: Propose) -> tuple[BlockHash, bytes]:
        """The same page with another root."""
        page = page_of(said.body)
        assert page is not None, "an own page"
        body = evolve(page, root=digest(Tag.STATE_NODE, page.root)).encoded()
        return BlockHash(digest(Tag.HEADER, body)), body

    def skipping(self, said: Propose, now: Instant) -> tuple[Proposal, bytes] | None:
        """Behind the tip if all is final; else on the tip, over the head of a notarized block."""
        log = self.replica.log
        if len(log) < 2:
            return None
        old = log[-2] if said.proposal.parent_hash == log[-1].block.proposal.block_hash else log[-1]
        parent, view, page = old.block.proposal, said.proposal.view, page_of(old.block.body)
        assert page is not None, "a final block is a page"
        time = max(now.wall, page.time + 1)
        body = Page(said.proposal.epoch, view, parent.view, parent.block_hash, time, old.root, ()).encoded()
        block_hash = BlockHash(digest(Tag.HEADER, body))
        return Proposal(said.proposal.epoch, view, parent.view, parent.block_hash, block_hash), body

    @property
    def height(self) -> int:
        """Finalized blocks."""
        return len(self.replica.log)

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing the engine holds."""
        return self.engine.held

    @property
    def fired(self) -> list[int]:
        """How often each rule was applied."""
        return self.engine.fired

    def start(self, now: Instant) -> list[Act]:
        """The process begins."""
        return self._acts(self.engine.start(self._records, now))

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Bytes from another node."""
        message = self.read(data)
        if message is None:
            return self._take(data[1:], now)
        effects = self.engine.receive(peer, message, now)
        return self._acts(effects) if effects or self.replica.fresh else []

    def tick(self, now: Instant) -> list[Act]:
        """The deadline passed."""
        return self._acts(self.engine.tick(now))

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """A client wants this command in the log: every node hears of it."""
        return [Say(None, _COMMAND + work), *self._take(work, now)]

    def written(self, store: Store, /) -> None:
        """A replica keeps its own log."""

    def stored(self, store: Store, _now: Instant, /) -> list[Act]:
        """The database holds this block."""
        return self._acts(self.engine.committed(cast("FinalBlock", store.item).block.proposal.view))

    def snapshot(self) -> list[bytes]:
        """A whole log to replace the present one."""
        return self.engine.snapshot_records()

    def _take(self, command: bytes, now: Instant) -> list[Act]:
        self.replica.submit(command)
        return self._acts(self.engine.work_arrived(now))

    def _acts(self, effects: list[Effect]) -> list[Act]:
        acts: list[Act] = []
        last: Message | None = None
        for effect in effects:
            if isinstance(effect, Send):
                # The same message often goes to some peers one by one.
                if effect.message is not last:
                    last, data = effect.message, self.reader.written(effect.message)
                acts.append(Say(effect.to, data))
            elif isinstance(effect, Persist):
                acts.append(effect)
            elif isinstance(effect, Blame):
                acts.append(Fault(effect.peer, effect.reason))
            else:
                acts.append(_accusation(effect))
        if self.replica.fresh:
            acts += [_store(final) for final in self.replica.take_fresh()]
        return acts


def _accusation(report: ReportEquivocation) -> Accuse:
    return Accuse(report.second.signer)


def _store(final: FinalBlock) -> Store:
    page = page_of(final.block.body)
    assert page is not None, "a final block is a page"
    proposal = final.block.proposal
    return Store(final.height, proposal.block_hash, final.root, page.commands, final, proposal.view)


class HonestCast:
    """Everybody plays by the rules."""

    def __init__(
        self,
        seed: int,
        size: int,
        fault_model: FaultModel = FaultModel.BYZANTINE,
        *,
        remember: bool = True,
        machine: StateMachine[Any] | None = None,
    ) -> None:
        self.ring, self.fault_model, self.machine = KeyRing(seed, size), fault_model, machine
        self.reader = Reader(remember=remember)
        self.read = self.reader.agreement

    @property
    def villains(self) -> frozenset[int]:
        """None."""
        return frozenset()

    def make(self, index: int, records: list[bytes], stored: list[Store], *, recalls: bool = True) -> ReplicaNode:
        """A new process of a node."""
        model, machine = self.fault_model, self.machine
        return ReplicaNode(index, self.ring, self.reader, records, stored, model, machine, recalls=recalls)

    def is_signed(self, _message: Message, /) -> bool:
        """Whether every signature in the message is genuine; honest nodes sign truly."""
        return True
