"""
Pushes on their way to a witness, as one validator sees them (``architecture.md`` 5, steps 3 to 5).

A push is announced, checked here or not, vouched for with an Avail, and given its witness by a quorum of equal
ones; blocks that come meanwhile decide some, and make others worth another look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from guts_core.chain.inadmissible import (
    BadForm,
    Replayed,
    TextMissing,
    TextUnexpected,
    TooLarge,
    TransactionExpired,
    WitnessWrong,
    WrongChain,
)
from guts_core.chain.ledger import Ledger
from guts_core.chain.transaction import Item, Witness, transaction_id
from guts_core.codec import to_bytes
from guts_core.errors import Invalid, LimitExceeded, Refused
from guts_core.forge import queries
from guts_core.forge.actions import Manifest
from guts_core.names import TxId
from guts_core.simplex.effects import Persist
from guts_core.simplex.ports import Instant

from .attestation import GROUP_ALL, Announced, Attestations, Attested, manifest_of
from .effects import CheckPack, Disconnect, Effect, Log, Refuse
from .events import PackChecked, TransactionSubmitted
from .judged_by import refs_to_judge_by
from .messages import Announce, AvailSaid, Witnessed
from .outgoing import say

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
# A check that failed for what may pass is tried again after the retry time, doubled so often at most.
CHECK_DOUBLINGS_MAX = 6
# What one peer's nonsense writes into the log: one line so often.
COMPLAINT_US = 1_000_000

# Two packs of the largest size; what is in a block already is the account's quota's affair.
IN_FLIGHT_BYTES_MAX = 4 << 30
# An announced push cannot be called back: others may have vouched for it already, a ref can move back, and a
# repository be restored.
MAY_STILL_HAPPEN = "; should that change back within the half hour, this push may still happen"

_Some = TypeVar("_Some")


@frozen
class _Deferred:
    """An announcement to be looked at again after the next block."""

    peer: int
    message: Announce
    size: int


class Pushes:
    """Decides about announced pushes; the ledger holds their transactions, ``known`` the Avails."""

    def __init__(
        self,
        seat: int | None,
        numbers: tuple[int, ...],
        ledger: Ledger,
        known: Attestations,
        retry_us: int,
        work_arrived: Callable[[Instant], list[Effect]],
    ) -> None:
        self.seat, self.numbers, self.ledger, self.known = seat, numbers, ledger, known
        self.deferred: dict[TxId, _Deferred] = {}
        self.attested: dict[TxId, Attested] = {}  # promises that still hold
        self.retry_us, self._work_arrived = retry_us, work_arrived
        self._complained: dict[int, int] = {}  # by peer: no line about it before this, monotonic us
        self._turns = 0

    def __len__(self) -> int:
        return len(self.known)

    def turn(self, seat: int | None, numbers: tuple[int, ...], known: Callable[[], None], now: Instant) -> list[Effect]:
        """
        Another epoch: who still holds what it vouched for says so again at once, and gateways ask who is new.

        ``known`` has the attestations forget what counts no more.
        """
        vouched = [one for one in self.known.all() if one.mine is not None and self._is_current(one)]
        strangers = sorted(set(numbers) - set(self.numbers))
        self.seat, self.numbers = seat, numbers
        known()
        out: list[Effect] = []
        for own in self.known.own():
            if not own.held_back:
                out += [say(peer, self._announcement(own)) for peer in strangers]
        for one in vouched if seat is not None else ():
            out += self._vouch(one, *self._counters(one), now)
        return out

    def require_room(self, item: Item, manifest: Manifest) -> None:
        """Raise LimitExceeded when this node's clients, or this account, have too much on its way."""
        if self.known.is_full_for(None):
            raise LimitExceeded("too many pushes are on their way from this node: try again in a few seconds")
        self._require_flight(item, manifest)

    def _require_flight(self, item: Item, manifest: Manifest) -> None:
        """Before a byte is pulled: packs that no block lists yet are held on the account's word alone."""
        if manifest.blob is None:
            return
        flying = self.known.in_flight(item.signed.body.author, manifest.blob.digest)
        if flying + manifest.blob.size > IN_FLIGHT_BYTES_MAX:
            raise LimitExceeded(
                f"this account has {flying} bytes of packs on their way; with this one they would be more than "
                f"{IN_FLIGHT_BYTES_MAX}: wait until the others are decided"
            )

    def submit(self, tx_id: TxId, manifest: Manifest, event: TransactionSubmitted, now: Instant) -> list[Effect]:
        """An own client's push, admitted by the ledger."""
        own = self.known.add(Announced(tx_id, event.item, manifest, None, now.monotonic, event.pack))
        if event.judged != self._counters(own):
            # What nobody here looked at, or looked at before a block that forced a ref, is not vouched for.
            own.held_back = True
            return self._check(own, now)
        return self._announce(own, *event.judged, now)

    def greet(self, peer: int) -> list[Effect]:
        """Own pushes, said to a validator whose link opened."""
        return [say(peer, self._announcement(own)) for own in self.known.own() if not own.held_back]

    def forget_promises(self, applied_time: int) -> None:
        """By what is on disk: a block that is final and not yet there may still call a promise in after a restart."""
        for tx_id in [t for t, a in self.attested.items() if a.expires < applied_time]:
            del self.attested[tx_id]

    def _announcement(self, announced: Announced) -> Announce:
        return Announce(announced.item, announced.pack)

    def announced(self, peer: int, message: Announce, now: Instant, *, may_defer: bool = True) -> list[Effect]:
        """A validator announced a push of its client."""
        item, manifest = message.item, manifest_of(message.item)
        if manifest is None:
            return [Disconnect(peer, ban=False, reason="announced a transaction that needs no witness")]
        tx_id = transaction_id(item.signed.body)
        known = self.known.get(tx_id)
        if known is not None:
            return self._asked_again(peer, known, now)
        if self.seat is None or not self._make_room(peer):
            return []
        was_waiting = self.ledger.is_pending(tx_id)
        try:
            self._require_flight(item, manifest)
            self.ledger.admit(item, now)
            self.ledger.rehearse(item)
        except Refused as refusal:
            if not was_waiting:
                self.ledger.mempool.discard(tx_id)
            if may_defer and not isinstance(refusal, LASTING) and self._defer(tx_id, peer, message):
                return []
            reason = (("peer", peer), ("code", refusal.code), ("reason", str(refusal)))
            return self._complain(peer, Log("announcement_refused", reason), now)
        known = self.known.add(Announced(tx_id, item, manifest, peer, now.monotonic, message.pack))
        return self._check(known, now)

    def _make_room(self, peer: int) -> bool:
        """Whether one more push of this validator can be tracked; one that failed here gives way."""
        if self.known.is_full_for(peer):
            failed = self.known.failed(peer)
            if failed is None:
                return False
            self._drop(failed.tx_id)
        return True

    def _drop(self, tx_id: TxId) -> None:
        self.known.forget(tx_id)
        self.ledger.mempool.discard(tx_id)

    def _defer(self, tx_id: TxId, peer: int, message: Announce) -> bool:
        """This node may be a block behind the announcer's: keep it for the next block, within bounds."""
        size = len(to_bytes(message))
        held = sum(deferred.size for deferred in self.deferred.values() if deferred.peer == peer)
        if len(self.deferred) >= DEFERRED_MAX or held + size > DEFERRED_BYTES_PER_PEER_MAX:
            return False
        self.deferred[tx_id] = _Deferred(peer, message, size)
        return True

    def _complain(self, peer: int, line: Log, now: Instant) -> list[Effect]:
        if now.monotonic < self._complained.get(peer, 0):
            return []
        self._complained[peer] = now.monotonic + COMPLAINT_US
        return [line]

    def _asked_again(self, peer: int, known: Announced, now: Instant) -> list[Effect]:
        out: list[Effect] = []
        if known.witness is not None:
            out.append(say(peer, Witnessed(known.tx_id, known.witness)))
        if known.mine is not None and self._still_true(known):
            return [*out, say(peer, known.mine)]
        return out + (self._check(known, now) if known.source is not None else [])

    def _check(self, known: Announced, now: Instant) -> list[Effect]:
        if known.checking or not self._may_check(known, now):
            return []
        known.checking, known.checked_at = True, self.ledger.head.height
        objects_epoch, removals = self._counters(known)
        refs = refs_to_judge_by(self.ledger.view(), known.manifest)
        source = known.source if known.source is not None else -1
        return [CheckPack(known.tx_id, known.manifest, refs, objects_epoch, removals, source, known.pack)]

    def _may_check(self, known: Announced, now: Instant) -> bool:
        if known.problem is None:
            return True
        # Facts are judged by refs and packs as of a block: the next one may bring what this node lacked.
        changed = known.may_pass or self.ledger.head.height > known.checked_at
        return changed and known.check_again_at <= now.monotonic

    def pack_checked(self, event: PackChecked, now: Instant) -> list[Effect]:
        """A CheckPack ended."""
        known = self.known.get(event.tx_id)
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
            words = problem if known.held_back else problem + MAY_STILL_HAPPEN
            return [line, Refuse(known.tx_id, Invalid.code, words)]
        wait = self.retry_us << min(known.failures, CHECK_DOUBLINGS_MAX)
        known.problem, known.failures = problem, known.failures + 1
        known.may_pass, known.check_again_at = may_pass, now.monotonic + wait
        return [line]

    def _attest(self, known: Announced, objects_epoch: int, removals: int, now: Instant) -> list[Effect]:
        if self.seat is None:
            return []
        blob = known.manifest.blob
        attested = Attested(known.tx_id, blob.digest if blob else None, known.item.signed.body.expires)
        self.attested[known.tx_id] = attested
        return [Persist(to_bytes(attested), sync=True), *self._vouch(known, objects_epoch, removals, now)]

    def _vouch(self, known: Announced, objects_epoch: int, removals: int, now: Instant) -> list[Effect]:
        """Say to every validator, and to the gateway if it is none, that this node holds what a push needs."""
        assert self.seat is not None, "who has no seat vouches for nothing"
        said = self.known.attest(known, self.seat, self.ledger.network.epoch, objects_epoch, removals)
        out: list[Effect] = [say(None, said)]
        if known.source is not None and known.source not in self.numbers:
            out.append(say(known.source, said))
        return out + self._try_witness(known, now)

    def avail(self, peer: int, said: AvailSaid, now: Instant) -> list[Effect]:
        """A validator vouches for a push."""
        if said.avail.epoch != self.ledger.network.epoch:
            return []
        if (
            said.signer >= len(self.numbers)
            or self.numbers[said.signer] != peer
            or said.avail.chain_id != self.ledger.network.chain_id
        ):
            return [Disconnect(peer, ban=False, reason="an Avail in another's name or chain")]
        if said.avail.group != GROUP_ALL:
            return [Disconnect(peer, ban=False, reason="an Avail for another group")]
        known = self.known.heard(said)
        return self._try_witness(known, now) if known is not None else []

    def witnessed(self, peer: int, message: Witnessed, now: Instant) -> list[Effect]:
        """A validator has the witness of a push."""
        known = self.known.get(TxId(message.tx_id))
        if known is None or known.witness is not None:
            return []
        if message.witness.avail.epoch != self.ledger.network.epoch:
            return []
        try:
            return self._ready(known, message.witness, now)
        except WitnessWrong as wrong:
            # Whoever passes a witness on has made it or checked it: only a broken node sends this.
            return [Disconnect(peer, ban=True, reason=str(wrong))]

    def _try_witness(self, known: Announced, now: Instant) -> list[Effect]:
        if known.witness is not None:
            return []
        counted = self.known.try_witness(known)
        out: list[Effect] = [
            Disconnect(self.numbers[seat], ban=True, reason=f"an Avail that seat {seat} did not sign")
            for seat in counted.forgers
        ]
        if counted.witness is None:
            return out
        out += self._ready(known, counted.witness, now)
        if known.source is None and known.witness is not None:
            out.append(say(None, Witnessed(known.tx_id, known.witness)))
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
        return known.mine is not None and self._is_current(known)

    def _is_current(self, known: Announced) -> bool:
        assert known.mine is not None
        return (known.mine.avail.objects_epoch, known.mine.avail.removals) == self._counters(known)

    def after_blocks(self, now: Instant) -> list[Effect]:
        """What new blocks decide about pushes that have no witness yet: here, and announced too early."""
        out: list[Effect] = []
        undecided = [a for a in self.known.all() if a.witness is None]
        for own in self._in_turn([a for a in undecided if a.source is None], REHEARSED_MAX):
            try:
                self.ledger.rehearse(own.item)
            except Refused as refusal:
                self._drop(own.tx_id)
                out.append(Refuse(own.tx_id, refusal.code, f"{refusal}{MAY_STILL_HAPPEN}"))
        for other in self._in_turn([a for a in undecided if a.source is not None], COMPARED_MAX):
            if self._has_moved(other.manifest):
                self._drop(other.tx_id)
        deferred, self.deferred = self.deferred, {}
        for waiting in deferred.values():
            out += self.announced(waiting.peer, waiting.message, now, may_defer=False)
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
        repository = queries.repository_even_deleted(view, manifest.repo)
        if repository is not None and repository.deleted is not None:
            return True
        for update in manifest.updates:
            ref = queries.ref(view, manifest.repo, update.ref)
            if (None if ref is None else ref.oid) not in (update.old, update.new):
                return True
        return False

    def announce_again(self, own: Announced, connected: set[int], now: Instant) -> list[Effect]:
        """An own push that is not final yet, said again to whom it may help."""
        if own.held_back:
            return []
        out: list[Effect] = []
        if own.witness is None:
            looks_again = self.seat is not None and not self._still_true(own)
            out += self._check(own, now) if looks_again else self._try_witness(own, now)
        heard = {self.numbers[seat] for seat in own.avails}
        silent = [p for p in self.numbers if p in connected and (p not in heard or own.witness is None)]
        out += [say(peer, self._announcement(own)) for peer in silent]
        if own.witness is not None:
            out.append(say(None, Witnessed(own.tx_id, own.witness)))
        return out

    def _announce(self, own: Announced, objects_epoch: int, removals: int, now: Instant) -> list[Effect]:
        own.held_back = False
        out: list[Effect] = [say(None, self._announcement(own))]
        return out + self._attest(own, objects_epoch, removals, now)
