"""
One node: events in, effects out.

``Node`` routes. Agreement is the engine's, execution the ledger's, pushes on their way to a
witness the attestations'; what stands here is who is told what, and when again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar, assert_never

from attrs import frozen

from guts_core.chain.admission import (
    BadForm,
    Replayed,
    TextMissing,
    TextUnexpected,
    TooLarge,
    TransactionExpired,
    WitnessWrong,
    WrongChain,
)
from guts_core.chain.commit import ChainStore
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.ledger import Ledger
from guts_core.chain.standing import Where
from guts_core.chain.transaction import Item, Witness, transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import BadSignature, Invalid, LimitExceeded, PeerFault, Refused
from guts_core.forge import queries
from guts_core.forge.actions import Manifest
from guts_core.identity import Signer, Verifier
from guts_core.names import TxId
from guts_core.simplex import journal
from guts_core.simplex.effects import Effect as EngineEffect
from guts_core.simplex.effects import Persist, ReportEquivocation, Send
from guts_core.simplex.engine import Engine, EngineConfig
from guts_core.simplex.messages import Certificate, Fetch, Proposal, Propose, Supply, Vote
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import quorum

from .attestation import EPOCH, GROUP_ALL, Announced, Attestations, Attested, live_attestations, manifest_of
from .effects import CheckPack, CommitBlock, Disconnect, Effect, Log, Refuse, SendPeer, Stop, Urgency
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
from .messages import ITEMS_PER_SUBMIT_MAX, PEER_MESSAGES, Announce, AvailSaid, Hello, PeerMessage, Submit, Witnessed

# Announcements that did not fit this node's finalized state; most do after one more block.
DEFERRED_MAX = 256
# Of these one validator may fill so much: a burst of ordinary pushes, or four of the largest.
DEFERRED_BYTES_PER_PEER_MAX = 4 << 20
# Refusals that no later block takes back.
LASTING = (BadForm, TooLarge, WrongChain, TransactionExpired, Replayed, TextMissing, TextUnexpected, WitnessWrong)
# Own pushes judged anew after a block, half a millisecond each; the rest have their turn after the next.
REHEARSED_MAX = 64
# Others' pushes whose old ids are compared after a block, some microseconds a ref.
COMPARED_MAX = 256
# A Submit stays this small, so that it fits in a frame of 2 MiB together with the largest last item.
SUBMIT_BYTES_MAX = 1 << 20
# A check that failed for what may pass is tried again after the retry time, doubled so often at most.
CHECK_DOUBLINGS_MAX = 6
# What one peer's nonsense writes into the log: one line so often.
COMPLAINT_US = 1_000_000

_Some = TypeVar("_Some")


@frozen
class _Own:
    """A client's transaction without a manifest, and what it weighs on the wire."""

    item: Item
    size: int


@frozen
class _Deferred:
    """An announcement to be looked at again after the next block."""

    peer: int
    message: Announce
    size: int


@frozen
class NodeConfig:
    """Who this node is. ``index`` None follows without voting."""

    genesis: Genesis
    index: int | None
    vote_signer: Signer
    verifier: Verifier


class Node:
    """A validator without its machine."""

    def __init__(self, config: NodeConfig, store: ChainStore) -> None:
        genesis = config.genesis
        self.index = config.index
        self.chain_id = chain_id(genesis)
        self.vote_keys = tuple(entry.vote_key for entry in genesis.validators)
        self.quorum = quorum(len(self.vote_keys), genesis.fault_model)
        self.ledger = Ledger(genesis, store, config.verifier)
        params = genesis.params
        self._retry_us = params.retry_ms * 1000
        self.engine = Engine(
            EngineConfig(
                chain_id=self.chain_id,
                epoch=0,
                validators=self.vote_keys,
                me=config.index,
                fault_model=genesis.fault_model,
                delta_us=params.delta_ms * 1000,
                retry_us=self._retry_us,
                heartbeat_us=params.heartbeat_ms * 1000,
                final=self.ledger.final_point(),
                certificate=self.ledger.final_certificate(),
            ),
            config.vote_signer,
            config.verifier,
            self.ledger,
        )
        self.attestations = Attestations(
            self.chain_id, self.vote_keys, self.quorum, config.vote_signer, config.verifier
        )
        self.connected: set[int] = set()
        self.equivocations = 0
        self._own: dict[TxId, _Own] = {}  # submitted here, without a manifest, until final or expired
        self._deferred: dict[TxId, _Deferred] = {}
        self._complained: dict[int, int] = {}  # by peer: no line about it before this, monotonic us
        self._turns = 0
        self._views: dict[int, tuple[int, int]] = {}  # (view, time) of blocks on their way to disk, by height
        self._applied_time = self.ledger.head.time  # of the last block on disk
        self._retry_at: int | None = None
        self._stopped = False
        self._attested: dict[TxId, Attested] = {}

    # ---- the one door ----

    def receive(self, event: Event, now: Instant) -> list[Effect]:
        """Decide what follows from an event. Effects are performed in list order."""
        match event:
            case Started():
                out = self._start(event.records, now)
            case PeerConnected():
                out = self._greet(event.peer)
            case PeerDisconnected():
                self.connected.discard(event.peer)
                out = []
            case PeerSaid():
                out = self._hear(event.peer, event.data, now)
            case TransactionSubmitted():
                out = self._submit(event, now)
            case PackChecked():
                out = self._pack_checked(event, now)
            case Committed():
                out = self._committed(event.height)
            case Ticked():
                out = self._from_engine(self.engine.tick(now)) + self._retry(now)
            case _:
                assert_never(event)
        return out + self._commits(now)

    def next_deadline(self) -> int | None:
        """When to send Ticked, in monotonic microseconds."""
        deadlines = [d for d in (self.engine.next_deadline(), self._retry_at) if d is not None]
        return min(deadlines, default=None)

    def knows(self, tx_id: TxId) -> bool:
        """Whether this transaction may still be ordered, as far as this node knows."""
        return tx_id in self._own or self.attestations.get(tx_id) is not None or self.ledger.is_pending(tx_id)

    def attested(self) -> list[Attested]:
        """Promises that still hold: what must not be swept, and what a compacted log keeps."""
        return list(self._attested.values())

    def log_snapshot(self) -> list[bytes]:
        """Everything a restart needs, for the adapter to rewrite its log with."""
        return self.engine.snapshot_records() + [to_bytes(a) for a in self._attested.values()]

    # ---- start and peers ----

    def _start(self, records: tuple[bytes, ...], now: Instant) -> list[Effect]:
        for attested in live_attestations(records, self._applied_time):
            self._attested[TxId(attested.tx_id)] = attested
        ours = [data for data in records if journal.belongs(data)]
        return self._from_engine(self.engine.start(ours, now))

    def _greet(self, peer: int) -> list[Effect]:
        self.connected.add(peer)
        out: list[Effect] = [self._to(peer, Hello(self.ledger.head.height, self.engine.view), Urgency.CATCH_UP)]
        # Whatever was said while the link was down is said again: agreement first, then clients' work.
        out += self._from_engine(self.engine.greet(peer))
        told = [own for own in self.attestations.own() if not own.held_back]
        out += [self._to(peer, self._announcement(own), Urgency.TRANSACTION) for own in told]
        return out + [self._to(peer, batch, Urgency.TRANSACTION) for batch in self._batches()]

    def _batches(self) -> Iterator[Submit]:
        """What clients wait for, in messages that a frame carries."""
        batch: list[Item] = []
        size = 0
        for own in self._own.values():
            if batch and (len(batch) == ITEMS_PER_SUBMIT_MAX or size + own.size > SUBMIT_BYTES_MAX):
                yield Submit(tuple(batch))
                batch, size = [], 0
            batch.append(own.item)
            size += own.size
        if batch:
            yield Submit(tuple(batch))

    def _committed(self, height: int) -> list[Effect]:
        self.ledger.committed(height)
        view, self._applied_time = self._views.pop(height)
        return self._from_engine(self.engine.committed(view))

    def _hear(self, peer: int, data: bytes, now: Instant) -> list[Effect]:
        """A peer that breaks the protocol changes nothing and loses its link."""
        try:
            return self._heard(peer, PEER_MESSAGES.from_bytes(data), now)
        except BadSignature as error:
            return [Disconnect(peer, ban=True, reason=str(error))]
        except PeerFault as error:
            return [Disconnect(peer, ban=False, reason=str(error))]

    def _heard(self, peer: int, message: PeerMessage, now: Instant) -> list[Effect]:
        match message:
            case Submit():
                return self._take(message.items, now)
            case Announce():
                return self._announced(peer, message, now)
            case AvailSaid():
                return self._avail(peer, message, now)
            case Witnessed():
                return self._witnessed(peer, message, now)
            case Hello():
                return self._from_engine(self.engine.peer_stands_at(peer, message.view, now))
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
                self._require_room()
                self.ledger.rehearse(item)  # no validator would hold a pack for what cannot be
            self.ledger.admit(item, now)
        except Refused as refusal:
            return self._not_taken(tx_id, refusal)
        self._arm_retry(now)
        if manifest is None:
            self._own[tx_id] = _Own(item, len(to_bytes(item)))
            return [self._to(None, Submit((item,)), Urgency.TRANSACTION), *self._work_arrived(now)]
        own = self.attestations.add(Announced(tx_id, item, manifest, None, now.monotonic, event.pack))
        if event.judged != self._counters(own):
            # What nobody here looked at, or looked at before a block that forced a ref, is not vouched for.
            own.held_back = True
            return self._check(own, now)
        return self._announce(own, *event.judged, now)

    def _announce(self, own: Announced, objects_epoch: int, removals: int, now: Instant) -> list[Effect]:
        own.held_back = False
        out: list[Effect] = [self._to(None, self._announcement(own), Urgency.TRANSACTION)]
        return out + self._attest(own, objects_epoch, removals, now)

    def _require_room(self) -> None:
        if self.attestations.is_full_for(None):
            raise LimitExceeded("too many pushes are on their way from this node: try again in a few seconds")

    def _not_taken(self, tx_id: TxId, refusal: Refused) -> list[Effect]:
        """The answer to a client, unless the same transaction is final: then its commit is the answer."""
        if self.ledger.transaction_status(tx_id).where is Where.FINAL:
            return []
        return [Refuse(tx_id, refusal.code, str(refusal))]

    def _take(self, items: tuple[Item, ...], now: Instant) -> list[Effect]:
        taken = False
        for item in items:
            if manifest_of(item) is not None:
                continue  # pushes come announced, so that this node checks their packs
            try:
                self.ledger.admit(item, now)
                taken = True
            except Refused:
                continue  # its gateway answers the client; a peer's view may differ by a block
        return self._work_arrived(now) if taken else []

    def _work_arrived(self, now: Instant) -> list[Effect]:
        return self._from_engine(self.engine.work_arrived(now))

    # ---- pushes ----

    def _announcement(self, announced: Announced) -> Announce:
        return Announce(announced.item, announced.pack)

    def _announced(self, peer: int, message: Announce, now: Instant, *, may_defer: bool = True) -> list[Effect]:
        item, manifest = message.item, manifest_of(message.item)
        if manifest is None:
            return [Disconnect(peer, ban=False, reason="announced a transaction that needs no witness")]
        tx_id = transaction_id(item.signed.body)
        known = self.attestations.get(tx_id)
        if known is not None:
            return self._asked_again(peer, known, now)
        if self.index is None or not self._make_room(peer):
            return []
        was_waiting = self.ledger.is_pending(tx_id)
        try:
            self.ledger.admit(item, now)
            self.ledger.rehearse(item)
        except Refused as refusal:
            if not was_waiting:
                self.ledger.mempool.discard(tx_id)
            if may_defer and not isinstance(refusal, LASTING) and self._defer(tx_id, peer, message):
                return []
            reason = (("peer", peer), ("code", refusal.code), ("reason", str(refusal)))
            return self._complain(peer, Log("announcement_refused", reason), now)
        known = self.attestations.add(Announced(tx_id, item, manifest, peer, now.monotonic, message.pack))
        return self._check(known, now)

    def _make_room(self, peer: int) -> bool:
        """Whether one more push of this validator can be tracked; one that failed here gives way."""
        if self.attestations.is_full_for(peer):
            failed = self.attestations.failed(peer)
            if failed is None:
                return False
            self._drop(failed.tx_id)
        return True

    def _drop(self, tx_id: TxId) -> None:
        self.attestations.forget(tx_id)
        self.ledger.mempool.discard(tx_id)

    def _defer(self, tx_id: TxId, peer: int, message: Announce) -> bool:
        """This node may be a block behind the announcer's: keep it for the next block, within bounds."""
        size = len(to_bytes(message))
        held = sum(deferred.size for deferred in self._deferred.values() if deferred.peer == peer)
        if len(self._deferred) >= DEFERRED_MAX or held + size > DEFERRED_BYTES_PER_PEER_MAX:
            return False
        self._deferred[tx_id] = _Deferred(peer, message, size)
        return True

    def _complain(self, peer: int, line: Log, now: Instant) -> list[Effect]:
        if now.monotonic < self._complained.get(peer, 0):
            return []
        self._complained[peer] = now.monotonic + COMPLAINT_US
        return [line]

    def _asked_again(self, peer: int, known: Announced, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        if known.witness is not None:
            out.append(self._to(peer, Witnessed(known.tx_id, known.witness), Urgency.TRANSACTION))
        if known.mine is not None and self._still_true(known):
            return [*out, self._to(peer, known.mine, Urgency.TRANSACTION)]
        return out + (self._check(known, now) if known.source is not None else [])

    def _check(self, known: Announced, now: Instant) -> list[Effect]:
        if known.checking or not self._may_check(known, now):
            return []
        known.checking, known.checked_at = True, self.ledger.head.height
        objects_epoch, removals = self._counters(known)
        refs = tuple(queries.refs(self.ledger.view(), known.manifest.repo))
        source = known.source if known.source is not None else -1
        return [CheckPack(known.tx_id, known.manifest, refs, objects_epoch, removals, source, known.pack)]

    def _may_check(self, known: Announced, now: Instant) -> bool:
        if known.problem is None:
            return True
        # Facts are judged by refs and packs as of a block: the next one may bring what this node lacked.
        changed = known.may_pass or self.ledger.head.height > known.checked_at
        return changed and known.check_again_at <= now.monotonic

    def _pack_checked(self, event: PackChecked, now: Instant) -> list[Effect]:
        known = self.attestations.get(event.tx_id)
        if known is None:
            return []
        known.checking = False
        if event.problem is not None:
            return self._check_failed(known, event.problem, event.may_pass, now)
        known.problem = None
        if known.held_back:
            return self._announce(known, event.objects_epoch, event.removals, now)
        known.pack = None if known.source is not None else known.pack
        return self._attest(known, event.objects_epoch, event.removals, now)

    def _check_failed(self, known: Announced, problem: str, may_pass: bool, now: Instant) -> list[Effect]:
        line = Log("pack_not_attested", (("tx", known.tx_id.hex()), ("reason", problem)))
        # An own push that this node vouched for before refs were forced, and cannot any more, is over too:
        # nobody else finds it true, and its client can push again on what is there now.
        is_over = known.source is None and known.witness is None and not may_pass
        if known.held_back or is_over:
            self._drop(known.tx_id)
            return [line, Refuse(known.tx_id, Invalid.code, problem)]
        wait = self._retry_us << min(known.failures, CHECK_DOUBLINGS_MAX)
        known.problem, known.failures = problem, known.failures + 1
        known.may_pass, known.check_again_at = may_pass, now.monotonic + wait
        return [line]

    def _attest(self, known: Announced, objects_epoch: int, removals: int, now: Instant) -> list[Effect]:
        if self.index is None:
            return []
        blob = known.manifest.blob
        attested = Attested(known.tx_id, blob.digest if blob else None, known.item.signed.body.expires)
        self._attested[known.tx_id] = attested
        said = self.attestations.attest(known, self.index, 0, objects_epoch, removals)
        out: list[Effect] = [Persist(to_bytes(attested), sync=True), self._to(None, said, Urgency.TRANSACTION)]
        return out + self._try_witness(known, now)

    def _avail(self, peer: int, said: AvailSaid, now: Instant) -> list[Effect]:
        if said.signer != peer or said.avail.chain_id != self.chain_id:
            return [Disconnect(peer, ban=False, reason="an Avail in another's name or chain")]
        if not 0 <= peer < len(self.vote_keys) or (said.avail.epoch, said.avail.group) != (EPOCH, GROUP_ALL):
            return [Disconnect(peer, ban=False, reason="an Avail of no validator, or for another epoch or group")]
        known = self.attestations.heard(said)
        return self._try_witness(known, now) if known is not None else []

    def _witnessed(self, peer: int, message: Witnessed, now: Instant) -> list[Effect]:
        known = self.attestations.get(TxId(message.tx_id))
        if known is None or known.witness is not None:
            return []
        try:
            return self._ready(known, message.witness, now)
        except WitnessWrong as wrong:
            # Whoever passes a witness on has made it or checked it: only a broken node sends this.
            return [Disconnect(peer, ban=True, reason=str(wrong))]

    def _try_witness(self, known: Announced, now: Instant) -> list[Effect]:
        if known.witness is not None:
            return []
        counted = self.attestations.try_witness(known)
        out: list[Effect] = [
            Disconnect(peer, ban=True, reason=f"an Avail that validator {peer} did not sign")
            for peer in counted.forgers
        ]
        if counted.witness is None:
            return out
        out += self._ready(known, counted.witness, now)
        if known.source is None and known.witness is not None:
            out.append(self._to(None, Witnessed(known.tx_id, known.witness), Urgency.TRANSACTION))
        return out

    def _ready(self, known: Announced, witness: Witness, now: Instant) -> list[Effect]:
        try:
            self.ledger.set_witness(known.tx_id, witness)
        except WitnessWrong:
            raise
        except Refused as refusal:
            return [Log("witness_refused", (("tx", known.tx_id.hex()), ("reason", str(refusal))))]
        known.witness = witness
        return self._work_arrived(now)

    def _counters(self, known: Announced) -> tuple[int, int]:
        repository = queries.repository(self.ledger.view(), known.manifest.repo)
        return (0, 0) if repository is None else (repository.objects_epoch, repository.removals)

    def _still_true(self, known: Announced) -> bool:
        assert known.mine is not None
        return (known.mine.avail.objects_epoch, known.mine.avail.removals) == self._counters(known)

    # ---- again ----

    def _after_blocks(self, now: Instant) -> list[Effect]:
        """What new blocks decide about pushes that have no witness yet: here, and announced too early."""
        out: list[Effect] = []
        undecided = [a for a in self.attestations.all() if a.witness is None]
        for own in self._in_turn([a for a in undecided if a.source is None], REHEARSED_MAX):
            try:
                self.ledger.rehearse(own.item)
            except Refused as refusal:
                self._drop(own.tx_id)
                out.append(Refuse(own.tx_id, refusal.code, str(refusal)))
        for other in self._in_turn([a for a in undecided if a.source is not None], COMPARED_MAX):
            if self._has_moved(other.manifest):
                self._drop(other.tx_id)
        deferred, self._deferred = self._deferred, {}
        for waiting in deferred.values():
            out += self._announced(waiting.peer, waiting.message, now, may_defer=False)
        self._turns += 1
        return out

    def _in_turn(self, every: Sequence[_Some], most: int) -> Sequence[_Some]:
        """So many of them, others after the next block."""
        if len(every) <= most:
            return every
        first = self._turns * most % len(every)
        return [*every[first:], *every[:first]][:most]

    def _has_moved(self, manifest: Manifest) -> bool:
        view = self.ledger.view()
        for update in manifest.updates:
            ref = queries.ref(view, manifest.repo, update.ref)
            if (None if ref is None else ref.oid) not in (update.old, update.new):
                return True
        return False

    def _arm_retry(self, now: Instant) -> None:
        if self._retry_at is None:
            self._retry_at = now.monotonic + self._retry_us

    def _retry(self, now: Instant) -> list[Effect]:
        if self._retry_at is None or self._retry_at > now.monotonic:
            return []
        self._retry_at = None
        out: list[Effect] = self._let_go()
        for own in self.attestations.own():
            out += self._announce_again(own, now)
        out += [self._to(None, batch, Urgency.TRANSACTION) for batch in self._batches()]
        if self._own or len(self.attestations):
            self._retry_at = now.monotonic + self._retry_us
        return out

    def _announce_again(self, own: Announced, now: Instant) -> list[Effect]:
        if own.held_back:
            return []
        out: list[Effect] = []
        if own.mine is not None and own.witness is None and not self._still_true(own):
            out += self._check(own, now)
        elif own.witness is None and own.mine is not None:
            out += self._try_witness(own, now)
        silent = [p for p in sorted(self.connected) if p not in own.avails or own.witness is None]
        out += [self._to(peer, self._announcement(own), Urgency.TRANSACTION) for peer in silent]
        if own.witness is not None:
            out.append(self._to(None, Witnessed(own.tx_id, own.witness), Urgency.TRANSACTION))
        return out

    def _let_go(self) -> list[Effect]:
        """Forget what no block can hold any more; clients who wait for it are told."""
        own = [*self._own, *(a.tx_id for a in self.attestations.own())]
        ended = [tx_id for tx_id in own if not self.ledger.is_pending(tx_id)]
        self.attestations.forget_expired(self.ledger.head.time)
        out: list[Effect] = []
        for tx_id in ended:
            self._own.pop(tx_id, None)
            self.attestations.forget(tx_id)
            standing = self.ledger.transaction_status(tx_id)
            if standing.error is not None and standing.message is not None and standing.where is not Where.FINAL:
                out.append(Refuse(tx_id, standing.error, standing.message))
        # By what is on disk: a block that is final and not yet there may still call a promise in after a restart.
        for tx_id in [t for t, a in self._attested.items() if a.expires < self._applied_time]:
            del self._attested[tx_id]
        return out

    # ---- the engine's and the ledger's words, as this node's effects ----

    def _commits(self, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        for commit in self.ledger.take_commits():
            for row in commit.receipts:
                self._own.pop(row.tx_id, None)
                self.attestations.forget(row.tx_id)
            self._views[commit.height] = (from_bytes(Proposal, commit.proposal).view, commit.time)
            out.append(CommitBlock(commit))
        if out and (self._own or self._attested or len(self.attestations) or self._deferred):
            out += self._let_go()
            out += self._after_blocks(now)
        if self.ledger.stopped is not None and not self._stopped:
            self._stopped = True
            out.append(Stop(self.ledger.stopped))
        return out

    def _from_engine(self, effects: list[EngineEffect]) -> list[Effect]:
        out: list[Effect] = []
        for effect in effects:
            match effect:
                case Send():
                    out.append(self._to(effect.to, effect.message, _urgency(effect.message)))
                case Persist():
                    out.append(effect)
                case ReportEquivocation():
                    self.equivocations += 1
                    out.append(effect)
                case _:
                    assert_never(effect)
        return out

    def _to(self, peer: int | None, message: PeerMessage, urgency: Urgency) -> SendPeer:
        return SendPeer(peer, to_bytes(message), urgency)


def _urgency(message: PeerMessage) -> Urgency:
    if isinstance(message, Vote | Certificate):
        return Urgency.VOTE
    if isinstance(message, Propose):
        return Urgency.PROPOSAL
    if isinstance(message, Fetch | Supply):
        return Urgency.CATCH_UP
    return Urgency.TRANSACTION
