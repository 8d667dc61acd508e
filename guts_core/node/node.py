"""
One node: events in, effects out.

``Node`` routes. Agreement is the engine's, execution the ledger's, pushes on their way to a
witness the attestations'; what stands here is who is told what, and when again.
"""

from __future__ import annotations

from typing import assert_never

from attrs import frozen

from guts_core.chain.commit import ChainStore
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.ledger import Ledger
from guts_core.chain.transaction import Item, Witness, transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import BadSignature, PeerFault, Refused
from guts_core.forge import queries
from guts_core.identity import Signer, Verifier
from guts_core.names import TxId
from guts_core.simplex import journal
from guts_core.simplex.effects import Effect as EngineEffect
from guts_core.simplex.effects import Persist, ReportEquivocation, Send
from guts_core.simplex.engine import Engine, EngineConfig
from guts_core.simplex.messages import Certificate, Fetch, Proposal, Propose, Supply, Vote
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import quorum

from .attestation import Announced, Attestations, Attested, live_attestations, manifest_of
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
# Own pushes judged anew after a block, half a millisecond each; the rest wait for the next.
REHEARSED_MAX = 64


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
        self._own: dict[TxId, Item] = {}  # submitted here, without a manifest, until final or expired
        self._deferred: dict[TxId, tuple[int, Announce]] = {}
        self._views: dict[int, int] = {}  # of blocks on their way to disk, by height
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
        for attested in live_attestations(records, self.ledger.head.time):
            self._attested[TxId(attested.tx_id)] = attested
        ours = [data for data in records if journal.belongs(data)]
        return self._from_engine(self.engine.start(ours, now))

    def _greet(self, peer: int) -> list[Effect]:
        self.connected.add(peer)
        out: list[Effect] = [self._to(peer, Hello(self.ledger.head.height, self.engine.view), Urgency.CATCH_UP)]
        # Whatever was said while the link was down is said again: agreement first, then clients' work.
        out += self._from_engine(self.engine.greet(peer))
        out += [self._to(peer, self._announcement(own), Urgency.TRANSACTION) for own in self.attestations.own()]
        items = list(self._own.values())
        for start in range(0, len(items), ITEMS_PER_SUBMIT_MAX):
            batch = tuple(items[start : start + ITEMS_PER_SUBMIT_MAX])
            out.append(self._to(peer, Submit(batch), Urgency.TRANSACTION))
        return out

    def _committed(self, height: int) -> list[Effect]:
        self.ledger.committed(height)
        view = self._views.pop(height)
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
                return self._witnessed(message, now)
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
                self.ledger.rehearse(item)  # no validator would hold a pack for what cannot be
            self.ledger.admit(item, now)
        except Refused as refusal:
            return [Refuse(tx_id, refusal.code, str(refusal))]
        self._arm_retry(now)
        if manifest is None:
            self._own[tx_id] = item
            return [self._to(None, Submit((item,)), Urgency.TRANSACTION), *self._work_arrived(now)]
        announced = self.attestations.add(Announced(tx_id, item, manifest, None, now.monotonic, event.pack))
        out: list[Effect] = [self._to(None, self._announcement(announced), Urgency.TRANSACTION)]
        return out + self._attest(announced, *self._counters(announced), now)

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
            return self._asked_again(peer, known)
        if self.index is None or self.attestations.is_full_for(peer):
            return []
        try:
            self.ledger.admit(item, now)
            self.ledger.rehearse(item)
        except Refused as refusal:
            # This node may be a block behind the announcer's: looked at again with the next block.
            if may_defer and len(self._deferred) < DEFERRED_MAX:
                self._deferred[tx_id] = (peer, message)
            return [Log("announcement_refused", (("peer", peer), ("code", refusal.code), ("reason", str(refusal))))]
        known = self.attestations.add(Announced(tx_id, item, manifest, peer, now.monotonic, message.pack))
        return self._check(known)

    def _asked_again(self, peer: int, known: Announced) -> list[Effect]:
        out: list[Effect] = []
        if known.witness is not None:
            out.append(self._to(peer, Witnessed(known.tx_id, known.witness), Urgency.TRANSACTION))
        if known.mine is not None and self._still_true(known):
            return [*out, self._to(peer, known.mine, Urgency.TRANSACTION)]
        return out + (self._check(known) if known.source is not None else [])

    def _check(self, known: Announced) -> list[Effect]:
        if known.checking or known.problem is not None:
            return []
        known.checking = True
        objects_epoch, removals = self._counters(known)
        refs = tuple(queries.refs(self.ledger.view(), known.manifest.repo))
        source = known.source if known.source is not None else -1
        return [CheckPack(known.tx_id, known.manifest, refs, objects_epoch, removals, source, known.pack)]

    def _pack_checked(self, event: PackChecked, now: Instant) -> list[Effect]:
        known = self.attestations.get(event.tx_id)
        if known is None:
            return []
        known.checking = False
        known.pack = None if known.source is not None else known.pack
        if event.problem is not None:
            known.problem = event.problem
            return [Log("pack_not_attested", (("tx", event.tx_id.hex()), ("reason", event.problem)))]
        return self._attest(known, event.objects_epoch, event.removals, now)

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
        known = self.attestations.heard(said)
        return self._try_witness(known, now) if known is not None else []

    def _witnessed(self, message: Witnessed, now: Instant) -> list[Effect]:
        known = self.attestations.get(TxId(message.tx_id))
        if known is None or known.witness is not None:
            return []
        return self._ready(known, message.witness, now)

    def _try_witness(self, known: Announced, now: Instant) -> list[Effect]:
        if known.witness is not None:
            return []
        witness = self.attestations.try_witness(known)
        if witness is None:
            return []
        known.witness = None  # set again by _ready, once the ledger took it
        out = self._ready(known, witness, now)
        if known.source is None:
            out.append(self._to(None, Witnessed(known.tx_id, witness), Urgency.TRANSACTION))
        return out

    def _ready(self, known: Announced, witness: Witness, now: Instant) -> list[Effect]:
        try:
            self.ledger.set_witness(known.tx_id, witness)
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
        for own in [a for a in self.attestations.own() if a.witness is None][:REHEARSED_MAX]:
            try:
                self.ledger.rehearse(own.item)
            except Refused as refusal:
                self.attestations.forget(own.tx_id)
                self.ledger.mempool.discard(own.tx_id)
                out.append(Refuse(own.tx_id, refusal.code, str(refusal)))
        deferred, self._deferred = self._deferred, {}
        for peer, message in deferred.values():
            out += self._announced(peer, message, now, may_defer=False)
        return out

    def _arm_retry(self, now: Instant) -> None:
        if self._retry_at is None:
            self._retry_at = now.monotonic + self._retry_us

    def _retry(self, now: Instant) -> list[Effect]:
        if self._retry_at is None or self._retry_at > now.monotonic:
            return []
        self._retry_at = None
        self._forget_expired()
        out: list[Effect] = []
        for own in self.attestations.own():
            out += self._announce_again(own, now)
        items = list(self._own.values())
        for start in range(0, len(items), ITEMS_PER_SUBMIT_MAX):
            out.append(self._to(None, Submit(tuple(items[start : start + ITEMS_PER_SUBMIT_MAX])), Urgency.TRANSACTION))
        if self._own or len(self.attestations):
            self._retry_at = now.monotonic + self._retry_us
        return out

    def _announce_again(self, own: Announced, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        if own.mine is not None and own.witness is None and not self._still_true(own):
            out += self._check(own)
        elif own.witness is None and own.mine is not None:
            out += self._try_witness(own, now)
        silent = [p for p in sorted(self.connected) if p not in own.avails or own.witness is None]
        out += [self._to(peer, self._announcement(own), Urgency.TRANSACTION) for peer in silent]
        if own.witness is not None:
            out.append(self._to(None, Witnessed(own.tx_id, own.witness), Urgency.TRANSACTION))
        return out

    def _forget_expired(self) -> None:
        time = self.ledger.head.time
        self.attestations.forget_expired(time)
        for tx_id in [t for t, item in self._own.items() if item.signed.body.expires < time]:
            del self._own[tx_id]
        for tx_id in [t for t, a in self._attested.items() if a.expires < time]:
            del self._attested[tx_id]

    # ---- the engine's and the ledger's words, as this node's effects ----

    def _commits(self, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        for commit in self.ledger.take_commits():
            for row in commit.receipts:
                self._own.pop(row.tx_id, None)
                self.attestations.forget(row.tx_id)
            self._views[commit.height] = from_bytes(Proposal, commit.proposal).view
            out.append(CommitBlock(commit))
        if out and (self._attested or len(self.attestations) or self._deferred):
            self._forget_expired()
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
