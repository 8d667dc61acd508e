"""
Simplex agreement as a state machine: events in, effects out (``consensus.md`` 1).

The adapter performs effects in list order (``Persist(sync=True)`` returns before anything after
it is sent), then waits for the next event or for ``next_deadline()``.

A message that breaks the protocol raises PeerFault and changes nothing; a contradiction in what
this machine knows raises Corrupt, and from then on every call does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from guts_core.errors import Corrupt, Malformed
from guts_core.identity.keys import Signer, Verifier

from . import catchup, door, fence, intake, recovery, views
from .budget import Sort
from .certificates import check
from .effects import Effect
from .journal import LogFloor
from .messages import Certificate, Fetch, Message, Proposal, Propose, Recall, Recalled, Supply, Vote, epoch_of
from .ports import Application, Instant
from .progress import nullify, poll
from .slots import Slots
from .state import EngineConfig, Rule, State
from .voting import admit

__all__ = ["Engine", "EngineConfig", "Rule"]


class Engine:
    """One validator's part in the agreement of one epoch, or a follower's when it has no seat."""

    def __init__(
        self, config: EngineConfig, signer: Signer | None, verifier: Verifier, application: Application
    ) -> None:
        self._state = State(config, signer, verifier, application)
        self.halted: str | None = None
        self._due: int | None = None
        self._is_due_known = False  # until something changes

    @property
    def view(self) -> int:
        """The current view."""
        return self._state.view

    @property
    def epoch(self) -> int:
        """The epoch that this engine is of."""
        return self._state.config.epoch

    @property
    def ended(self) -> bool:
        """Whether the last block of the epoch is final: the next one has an engine of its own (``follow``)."""
        return self._state.ended

    @property
    def votes(self) -> bool:
        """Whether this node may still vote in this epoch."""
        return self._state.me is not None and not self._state.ended

    @property
    def held_back(self) -> str | None:
        """Why this node's key does not vote for a while, in words, if it does not."""
        return fence.held_back(self._state)

    @property
    def final(self) -> Proposal:
        """The newest block finalized through the application."""
        return self._state.final

    @property
    def finalization(self) -> Certificate | None:
        """The highest finalization known: ahead of ``final`` while blocks are being fetched."""
        return self._state.newest

    @property
    def quorum(self) -> int:
        """Votes that make a certificate."""
        return self._state.committee.quorum

    @property
    def leader(self) -> int:
        """Who proposes in the current view."""
        return self._state.committee.leader(self._state.view)

    @property
    def fired(self) -> list[int]:
        """How often each rule was applied, by its number; it goes on being counted there."""
        return self._state.fired

    @property
    def slots(self) -> Slots:
        """Whose turns to lead became blocks since this engine was made, and whose did not."""
        return self._state.slots

    @property
    def held(self) -> dict[str, int]:
        """How much of each bounded thing is held right now."""
        s = self._state
        votes = sum(len(tally) for round_ in s.rounds.values() for tally in round_.tallies.values())
        return {
            "rounds": len(s.rounds),
            "votes": votes,
            "blocks": len(s.blocks),
            "block_bytes": s.blocks.bytes,
            "anchors": len(s.anchors),
            "uncommitted": len(s.uncommitted),
            "evidence": len(s.evidence.pairs),
        }

    @property
    def dropped(self) -> dict[str, int]:
        """Messages above their sender's budget that were not heard, by sort."""
        return {sort.value: self._state.budget.dropped[sort] for sort in Sort}

    def evidence(self) -> list[tuple[Vote, Vote]]:
        """Every pair of votes that convicts its signer, at most one per epoch, signer and kind."""
        return list(self._state.evidence.pairs.values())

    def start(self, log_records: list[bytes], now: Instant) -> list[Effect]:
        """Replay the log (only records for which ``journal.belongs``) and join in; call once, first."""

        def begin() -> None:
            recovery.recover(self._state, log_records)
            recovery.announce(self._state)

        return self._step(now, begin)

    def follow(self, before: Engine, now: Instant) -> list[Effect]:
        """
        Instead of ``start``: go on where the engine of the epoch before ended, in the same process.

        What is not on disk yet is handed over, and what a replayed log tells of this epoch; the log learns
        whose votes follow before any is cast.
        """
        self._state.fired = before._state.fired
        return self._step(now, recovery.inherit, self._state, before._state)

    def receive(self, peer: int, message: Message, now: Instant) -> list[Effect]:
        """A message from a peer that the link authenticated: a validator, or whoever follows."""
        return self._step(now, self._receive, peer, message)

    def is_unasked(self, peer: int, data: bytes) -> bool:
        """Whether bytes of a peer are an answer to nothing: they are counted, and need not be decoded."""
        return door.is_unasked(self._state, peer, data)

    def tick(self, now: Instant) -> list[Effect]:
        """Time has passed: due timers fire."""
        return self._step(now, self._tick)

    def work_arrived(self, now: Instant) -> list[Effect]:
        """A transaction, or data that the application lacked, is here: ask it again at once."""
        return self._step(now, self._ask_anew)

    def lost(self, peer: int) -> None:
        """The link to a peer closed: what was kept of one without a seat is let go."""
        s = self._state
        s.ahead.pop(peer, None)
        if peer not in s.seats:
            s.helped.pop(peer, None)
            s.asked.pop(peer, None)
            s.budget.forget(peer)

    def greet(self, peer: int) -> list[Effect]:
        """The link to a peer opened (again): say what it may have missed, and ask what we did."""

        def say() -> None:
            catchup.greet(self._state, peer)
            fence.ask_one(self._state, peer)

        return self._step(self._state.now, say)

    def peer_stands_at(self, peer: int, epoch: int, view: int, now: Instant) -> list[Effect]:
        """A peer said in which epoch and view it is: help it if that ended long ago, ask it if it is ahead."""

        def look() -> None:
            if epoch != self.epoch:
                catchup.meet_at(self._state, peer, epoch)
            elif view < self._state.view:
                catchup.help_peer(self._state, peer, view)

        return self._step(now, look)

    def committed(self, view: int) -> list[Effect]:
        """
        The application has durably committed the block of this view: the log's floor moves up to it.

        Until then finalized blocks stay in memory and in ``snapshot_records``; an adapter whose
        database falls behind should stop feeding events rather than let them pile up.
        """
        return self._step(self._state.now, self._commit, view)

    def check_certificate(self, certificate: Certificate) -> None:
        """Raise PeerFault unless a quorum of this epoch signed exactly this; touches nothing."""
        check(self._state.committee, certificate, None)

    def snapshot_records(self) -> list[bytes]:
        """
        All log records still needed, to replace the log file by: written beside, synced, renamed.

        Between this call and the rename no other record may be appended.
        """
        return recovery.snapshot(self._state)

    def next_deadline(self) -> int | None:
        """The monotonic time (us) at which ``tick`` is due, or None: nothing to wait for."""
        if self.halted is not None:
            return None
        if not self._is_due_known:
            self._due, self._is_due_known = views.next_deadline(self._state), True
        return self._due

    def _step(self, now: Instant, action: Callable[..., bool | None], *arguments: Any) -> list[Effect]:
        if self.halted is not None:
            raise Corrupt(self.halted)
        s = self._state
        s.now, s.effects = now, []
        try:
            # Most votes complete no quorum, or come after their certificate, and most certificates are known: nothing
            # can follow from them, and no deadline comes nearer.
            if action(*arguments) is False:
                return s.effects
            self._is_due_known = False
            poll(s)
            if s.ended:
                return s.effects
        except Corrupt as error:
            self.halted = str(error)
            raise
        if not catchup.is_stuck(s):
            s.sync_at = None  # an old question's patience must not delay the next one
        elif s.sync_at is None:
            # A voter is mostly about to hear it; who follows hears of nothing but what is final, and asks at once.
            asked = s.me is None and catchup.ask(s)
            s.sync_at = now.monotonic + (s.config.retry_us if asked else s.config.delta_us // 2)
        return s.effects

    def _receive(self, peer: int, message: Message) -> bool:
        s = self._state
        changed = True
        if isinstance(message, Vote):
            epoch: int | None = message.epoch
        elif door.permits(s, peer, message):
            epoch = epoch_of(message)
        else:
            return False
        if epoch != s.config.epoch and epoch is not None:
            catchup.meet(s, peer, epoch, message)
            return True
        seat = s.seats.get(peer)
        if seat is None and isinstance(message, Vote | Propose):
            raise Malformed(f"peer {peer} has no seat in epoch {epoch}")
        match message:
            case Vote():
                changed = intake.on_vote(s, peer, message)
            case Certificate():
                changed = intake.on_certificate(s, peer, message)
            case Propose():
                intake.on_propose(s, peer, message)
            case Fetch():
                catchup.serve(s, peer, message)
            case Supply():
                self._supplied(peer, message)
            case Recall():
                fence.answer(s, peer, message)
            case Recalled():
                fence.told(s, peer, message)
            case _:
                assert_never(message)
        if seat is not None:
            now = s.now.monotonic
            # Who is heard of again after a long silence may be the one more by which others count as absent.
            before = s.heard.get(peer)
            s.heard[peer] = now
            return changed or before is None or before < now - s.config.heartbeat_us
        return changed

    def _supplied(self, peer: int, message: Supply) -> None:
        s = self._state
        # Asked in an epoch that ended meanwhile: the answer is about that one.
        mine = s.config.epoch
        certificates = tuple(one for one in message.certificates if one.epoch == mine)
        blocks = tuple(one for one in message.blocks if one.proposal.epoch == mine)
        for block in blocks:
            s.committee.check_proposal(block.proposal)
            if block.proposal.block_hash not in s.blocks and not s.application.is_bound(block.proposal, block.body):
                raise Malformed(f"a supplied body is not the block of view {block.proposal.view} that it is said to be")
        news = intake.checked_news(s, certificates)
        s.asked[peer] -= 1
        for certificate in news:
            admit(s, certificate, peer, relay=False)
        taken = catchup.accept_blocks(s, blocks)
        before = s.final
        poll(s)
        catchup.stay_within_bounds(s, taken)
        # An answer that helped is followed by the next question at once.
        if s.ended:
            return
        if (taken or news or before != s.final) and catchup.is_stuck(s) and catchup.ask(s):
            s.sync_at = s.now.monotonic + s.config.retry_us

    def _tick(self) -> None:
        s = self._state
        fence.tick(s)
        now = s.now.monotonic
        expires = views.expires(s)
        if expires is not None and expires <= now:
            nullify(s)
        if s.retry_at is not None and s.retry_at <= now:
            catchup.retry(s)
        if s.sync_at is not None and s.sync_at <= now:
            s.sync_at = now + s.config.retry_us if catchup.is_stuck(s) and catchup.ask(s) else None

    def _ask_anew(self) -> bool:
        """Whether that may change anything: not where this view has work already, and no answer was "cannot tell"."""
        s = self._state
        waits = s.stirred is None or s.ask_again > 0
        s.ask_again = 0
        for held in s.blocks:
            waits = waits or held.ask_again > 0
            held.ask_again = 0
        return waits

    def _commit(self, view: int) -> bool:
        """What is durable changes what the log must tell, and no rule."""
        s = self._state
        done = [(held, certificate) for held, certificate in s.uncommitted if held.proposal.view <= view]
        if not done:
            return False
        s.uncommitted = s.uncommitted[len(done) :]
        s.ends = {at: end for at, end in s.ends.items() if at > view}
        held, certificate = done[-1]
        s.floor = held.proposal
        if s.floor.view >= s.sworn.view:
            s.sworn = s.floor
        s.log(LogFloor(held.proposal, certificate))
        return False
