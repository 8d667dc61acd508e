"""
One node: events in, effects out.

``Node`` routes. Agreement is the engine's, execution the ledger's, pushes on their way to a
witness the attestations'; what stands here is who is told what, and when again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import assert_never

from guts_core.chain.commit import ChainStore, Commit
from guts_core.chain.genesis import chain_id
from guts_core.chain.inadmissible import ExpiresTooLate
from guts_core.chain.ledger import Ledger
from guts_core.chain.mempool import Mempool
from guts_core.chain.standing import Where
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import BadSignature, PeerFault, Refused
from guts_core.names import TxId
from guts_core.simplex import journal
from guts_core.simplex.effects import Effect as EngineEffect
from guts_core.simplex.effects import ReportEquivocation
from guts_core.simplex.engine import Engine
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Instant

from .agreement import Agreement, number_of
from .attestation import Attestations, Attested, live_attestations, manifest_of
from .config import NodeConfig as NodeConfig  # noqa: PLC0414 -- who makes a node takes both from here
from .effects import CommitBlock, CompactLog, Disconnect, Effect, Refuse, Stop
from .events import (
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
from .intake import AT_ONCE, Intake
from .messages import PEER_MESSAGES, Announce, AvailSaid, Hello, PeerMessage, Submit, Witnessed
from .outgoing import addressed, of_engine, say, told_to
from .own import OwnTransactions
from .pushes import MAY_STILL_HAPPEN, Pushes
from .reports import Reports
from .waiting import believed_height


class Node:
    """A validator without its machine."""

    def __init__(self, config: NodeConfig, store: ChainStore) -> None:
        genesis = config.genesis
        self.chain_id = chain_id(genesis)
        mempool = Mempool(config.mempool_bytes, config.mempool_transactions)
        self.ledger = Ledger(genesis, store, config.verifier, mempool, config.rules_known)
        self._index, self._node_signer = config.index, config.node_signer
        self.agreement = Agreement(self.ledger, config.signers, config.verifier)
        self.attestations = Attestations(
            self.chain_id, self.vote_keys, self.quorum, self.agreement.signer, config.verifier
        )
        self._retry_us = self.ledger.network.params.retry_ms * 1000
        self.pushes = Pushes(
            self.seat, self.agreement.numbers, self.ledger, self.attestations, self._retry_us, self._work_arrived
        )
        self.reports = Reports(self.ledger, config.node_signer)
        self._validators = self._others()  # to whom agreement speaks
        self.connected: set[int] = set()
        self.equivocations = 0
        self._told: dict[int, int] = {}  # the height at which each peer said it was when it greeted us
        self._own = OwnTransactions()
        self._intake = Intake()
        self._has_work = False  # that agreement has not been told of
        self._on_their_way: dict[int, tuple[int, Commit]] = {}  # to disk: by height, with their views
        self._applied_time = self.ledger.head.time  # of the last block on disk
        self._retry_at: int | None = None
        self._stopped = False

    # ---- the one door ----

    def receive(self, event: Event, now: Instant) -> list[Effect]:
        """Decide what follows from an event. Effects are performed in list order."""
        return self.receive_all((event,), now)

    def receive_all(self, events: Iterable[Event], now: Instant) -> list[Effect]:
        """The same for events that came together: what clients bring is passed on, and proposed, as one."""
        out: list[Effect] = []
        self.ledger.now = now.monotonic
        for event in events:
            if Intake.is_for(event):
                beyond_room = self._intake.put(event)
                out += self._not_taken(*beyond_room) if beyond_room else []
            elif not self._stopped or isinstance(event, Committed):
                out += self._addressed(partial(self._follow, event), now)
        if self._intake and not self._stopped:
            out += self._addressed(self._judge_some, now)
        if self._has_work and not self._stopped:
            out += self._addressed(self._tell_of_work, now)
        return out

    def _judge_some(self, now: Instant) -> list[Effect]:
        return [effect for event in self._intake.take() for effect in self._follow(event, now)]

    def _addressed(self, decide: Callable[[Instant], list[Effect]], now: Instant) -> list[Effect]:
        before = self._validators
        out = decide(now) + self._commits(now)
        if len(self.reports):
            self._arm_retry(now)
        return addressed(out, self.connected, before | self._validators)

    def _follow(self, event: Event, now: Instant) -> list[Effect]:
        match event:
            case Started():
                return self._start(event.records, now)
            case PeerConnected():
                return self._greet(event.peer)
            case PeerDisconnected():
                self.connected.discard(event.peer)
                self.agreement.lost(event.peer)
                self._intake.lost(event.peer)
                return []
            case PeerSaid():
                return self._hear(event.peer, event.data, now)
            case TransactionSubmitted():
                return self._submit(event, now)
            case PackChecked():
                return self.pushes.pack_checked(event, now)
            case Committed():
                return self._committed(event.height)
            case Ticked():
                return self._from_engine(self.engine.tick(now)) + self._retry(now)
            case _:
                assert_never(event)

    @property
    def engine(self) -> Engine:
        """Agreement in the current epoch."""
        return self.agreement.engine

    @property
    def index(self) -> int | None:
        """The number by which the network knows this node."""
        if self._index is None and self._node_signer is not None:
            self._index = number_of(self.ledger, self._node_signer.public_key)
        return self._index

    @property
    def seat(self) -> int | None:
        """Where this node sits in the current epoch; None: it has no vote."""
        return self.agreement.seat

    @property
    def vote_keys(self) -> tuple[bytes, ...]:
        """Of the validators of the current epoch, in order of seats."""
        return self.ledger.network.vote_keys

    @property
    def quorum(self) -> int:
        """How many of them make a certificate."""
        return self.ledger.network.quorum

    @property
    def behind(self) -> int:
        """
        How many blocks this node lacks, at most.

        By the newest finalization that it has checked (views, of which some had no block), and by the height that
        so many validators tell that not all of them lie. Of followers there may be any number, and all of them may.
        """
        newest = self.engine.finalization
        shown = 0 if newest is None else newest.view - self.engine.final.view
        told = [height for peer, height in self._told.items() if peer in self.connected & self._validators]
        return max(0, shown, believed_height(told, len(self.vote_keys) - self.quorum) - self.ledger.head.height)

    def next_deadline(self) -> int | None:
        """When to send Ticked, in monotonic microseconds."""
        if self._intake and not self._stopped:
            return AT_ONCE
        return min((d for d in (self.engine.next_deadline(), self._retry_at) if d is not None), default=None)

    def knows(self, tx_id: TxId) -> bool:
        """Whether this transaction may still be ordered, as far as this node knows."""
        waits = tx_id in self._intake or tx_id in self._own or self.ledger.is_pending(tx_id)
        return waits or self.attestations.get(tx_id) is not None

    def attested(self) -> list[Attested]:
        """Promises that still hold: what must not be swept, and what a compacted log keeps."""
        return list(self.pushes.attested.values())

    def log_snapshot(self) -> list[bytes]:
        """Everything a restart needs, for the adapter to rewrite its log with."""
        return self.engine.snapshot_records() + [to_bytes(a) for a in self.pushes.attested.values()]

    # ---- start and peers ----

    def _start(self, records: tuple[bytes, ...], now: Instant) -> list[Effect]:
        for attested in live_attestations(records, self._applied_time):
            self.pushes.attested[TxId(attested.tx_id)] = attested
        ours = [data for data in records if journal.belongs(data)]
        # The last life may have ended between an erasure and the compaction that was to follow it.
        out: list[Effect] = self._from_engine(self.engine.start(ours, now))
        self.reports.note(self.engine.evidence())
        return [*out, CompactLog()]

    def _turn(self, now: Instant) -> list[Effect]:
        """What follows when the last block of an epoch is final: the log tells of the next one before anything else."""
        out = self._from_engine(self.agreement.turn(now))
        network = self.ledger.network
        self._retry_us = self.pushes.retry_us = network.params.retry_ms * 1000
        forget = partial(self.attestations.turn, network.vote_keys, network.quorum, self.agreement.signer)
        out += self.pushes.turn(self.seat, self.agreement.numbers, forget, now)
        self._validators = self._others()
        self._arm_retry(now)
        return out

    def _hear_early(self, now: Instant) -> list[Effect]:
        """What peers said in this epoch before it began here."""
        out: list[Effect] = []
        for peer, message in self.agreement.take_early() if self.ledger.stopped is None else ():
            out += self._judged(peer, partial(self._heard, peer, message, now))
        return out

    def _others(self) -> frozenset[int]:
        return frozenset(self.agreement.numbers) - {self.index}

    def _greet(self, peer: int) -> list[Effect]:
        self.connected.add(peer)
        out: list[Effect] = [say(peer, Hello(self.ledger.head.height, self.engine.view, self.engine.epoch))]
        # Whatever was said while the link was down is said again: agreement first, then clients' work.
        out += self._from_engine(self.engine.greet(peer))
        out += self.pushes.greet(peer)
        return out + [say(peer, batch) for batch in self._own.all()]

    def _committed(self, height: int) -> list[Effect]:
        self.ledger.committed(height)
        view, commit = self._on_their_way.pop(height)
        self._applied_time = commit.time
        out = self._from_engine(self.engine.committed(view))
        return [*out, CompactLog()] if commit.erased else out

    def _hear(self, peer: int, data: bytes, now: Instant) -> list[Effect]:
        """A peer that breaks the protocol changes nothing and loses its link."""
        if self.engine.is_unasked(peer, data):
            return []

        def hear() -> list[Effect]:
            message = PEER_MESSAGES.from_bytes(data)
            self.agreement.keep_early(peer, message, len(data))
            return self._heard(peer, message, now)

        return self._judged(peer, hear)

    def _judged(self, peer: int, hear: Callable[[], list[Effect]]) -> list[Effect]:
        try:
            return hear()
        except BadSignature as error:
            return [Disconnect(peer, ban=True, reason=str(error))]
        except PeerFault as error:
            return [Disconnect(peer, ban=False, reason=str(error))]

    def _heard(self, peer: int, message: PeerMessage, now: Instant) -> list[Effect]:
        match message:
            case Submit():
                return self._take(message.items, now)
            case Announce():
                return self.pushes.announced(peer, message, now)
            case AvailSaid():
                return self.pushes.avail(peer, message, now)
            case Witnessed():
                return self.pushes.witnessed(peer, message, now)
            case Hello():
                self._told[peer] = message.height
                return self._from_engine(self.engine.peer_stands_at(peer, message.epoch, message.view, now))
            case _:
                return self._from_engine(self.engine.receive(peer, message, now))

    # ---- transactions ----

    def _submit(self, event: TransactionSubmitted, now: Instant) -> list[Effect]:
        item = event.item
        tx_id = transaction_id(item.signed.body)
        if tx_id in self._own or self.attestations.get(tx_id) is not None:
            return []
        manifest = manifest_of(item)
        try:
            if manifest is not None:
                self.pushes.require_room(item, manifest)
                self.ledger.rehearse(item)  # no validator would hold a pack for what cannot be
            self.ledger.admit(item, now, is_own=True)
        except Refused as refusal:
            return self._not_taken(tx_id, refusal)
        self._arm_retry(now)
        if manifest is None:
            self._own.add(tx_id, item, now.monotonic, self._retry_us)
            self._has_work = True
            return []
        return self.pushes.submit(tx_id, manifest, event, now)

    def _not_taken(self, tx_id: TxId, refusal: Refused) -> list[Effect]:
        """The answer to a client, unless the same transaction is final, or still may be: then that is the answer."""
        if self.knows(tx_id) or self.ledger.transaction_status(tx_id).where is Where.FINAL:
            return []
        return [Refuse(tx_id, refusal.code, str(refusal))]

    def _take(self, items: tuple[Item, ...], now: Instant) -> list[Effect]:
        for item in items:
            if manifest_of(item) is not None:
                continue  # pushes come announced, so that this node checks their packs
            with suppress(Refused):  # its gateway answers the client; a peer's view may differ by a block
                self.ledger.admit(item, now)
                self._has_work = True
        return []

    def _tell_of_work(self, now: Instant) -> list[Effect]:
        self._has_work = False
        return [say(None, batch) for batch in self._own.unsaid()] + self._work_arrived(now)

    def _work_arrived(self, now: Instant) -> list[Effect]:
        return self._from_engine(self.engine.work_arrived(now))

    # ---- again ----

    def _arm_retry(self, now: Instant) -> None:
        if self._retry_at is None:
            self._retry_at = now.monotonic + self._retry_us

    def _retry(self, now: Instant) -> list[Effect]:
        if self._retry_at is None or self._retry_at > now.monotonic:
            return []
        self._retry_at = None
        out: list[Effect] = self._let_go()
        for own in self.attestations.own():
            out += self.pushes.announce_again(own, self.connected, now)
        again = self._own.due(now.monotonic, self._retry_us, self.ledger.mempool.is_queued)
        out += [say(None, batch) for batch in again]
        for report in self.reports.due(self.ledger.next_time(now.believed)):
            out += self._submit(TransactionSubmitted(report, None), now)
        if len(self._own) or len(self.attestations) or len(self.reports):
            self._retry_at = now.monotonic + self._retry_us
        return out

    def _let_go(self) -> list[Effect]:
        """Forget what no block can hold any more; clients who wait for it are told."""
        own = [*self._own, *(a.tx_id for a in self.attestations.own())]
        ended = [tx_id for tx_id in own if not self.ledger.is_pending(tx_id)]
        self.attestations.forget_expired(self.ledger.head.time)
        out: list[Effect] = []
        for tx_id in ended:
            self._own.forget(tx_id)
            self.attestations.forget(tx_id)
            standing = self.ledger.transaction_status(tx_id)
            if standing.error is not None and standing.message is not None and standing.where is not Where.FINAL:
                # What expires too late by a clock that was wrong is soon in time, and others were told of it.
                doubt = MAY_STILL_HAPPEN if standing.error == ExpiresTooLate.code else ""
                out.append(Refuse(tx_id, standing.error, standing.message + doubt))
        self.pushes.forget_promises(self._applied_time)
        return out

    # ---- the engine's and the ledger's words, as this node's effects ----

    def _commits(self, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        while self.engine.ended or self.ledger.has_commits:
            # Whatever a block decided is forgotten before the next epoch asks for it again.
            commits = self._take_commits()
            turned = self.engine.ended
            out += [*(self._turn(now) if turned else ()), *commits]
            if len(self._own) or self.pushes.attested or len(self.attestations) or self.pushes.deferred:
                out += self._let_go()
                out += self.pushes.after_blocks(now)
            out += self._hear_early(now) if turned else []
        if self.ledger.stopped is not None and not self._stopped:
            self._stopped = True
            out.append(Stop(self.ledger.stopped))
        return out

    def _take_commits(self) -> list[Effect]:
        out: list[Effect] = []
        for commit in self.ledger.take_commits():
            for row in commit.receipts:
                self._own.forget(row.tx_id)
                self.attestations.forget(row.tx_id)
            self._on_their_way[commit.height] = from_bytes(Proposal, commit.proposal).view, commit
            out.append(CommitBlock(commit))
            out += told_to(commit, self.connected - self._validators)
        return out

    def _from_engine(self, effects: list[EngineEffect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, ReportEquivocation):
                self.equivocations += 1
                self.reports.note([(effect.first, effect.second)])
        return [of_engine(effect) for effect in effects]
