"""Entering views and the timers of one (rules 1, 4 and 8; idle rule 1.8)."""

from __future__ import annotations

from .bounds import ROUNDS_MAX, VOTES_KEPT_VIEWS
from .messages import NOTARIZE, NULLIFY
from .state import Rule, State

_LEADER_DELTAS = 2  # proposal and its relay
_ADVANCE_DELTAS = 3  # one more for the votes
_ABSENT_HEARTBEATS = 2  # longer than an idle but living validator is ever quiet


def enter(s: State, view: int) -> None:
    """Rule 1: go to a view above the current one, with fresh timers."""
    if view <= s.view:
        return
    s.fired[Rule.ENTER] += 1
    s.view = view
    lead(s)
    s.entered, s.stirred, s.retry_at, s.ask_again = s.now.monotonic, None, None, 0
    for passed, round_ in s.rounds.items():
        if passed < view - VOTES_KEPT_VIEWS:
            round_.forget_votes()
        if passed < view - ROUNDS_MAX:
            round_.forget_block()


def lead(s: State) -> None:
    """Whether this validator leads the current view."""
    s.leads = s.may_vote(s.view) and s.committee.leader(s.view) == s.me


def stir(s: State) -> None:
    """There is something to do in this view: stop being idle, from now on."""
    if s.stirred is None:
        s.stirred = s.now.monotonic


def begins(s: State) -> int | None:
    """
    When the leader ought to have proposed: now if there is work, else at the heartbeat.

    A notarized tip that is not final yet may carry acknowledged work, so an empty block follows it
    soon: at once after a nullified view, else when finality has had its time and did not come.
    """
    if s.stirred is not None:
        return s.stirred
    if s.tip > s.settled:
        before = s.seen(s.view - 1)
        lost = before is not None and before.is_skipped
        return s.entered if lost else s.entered + _LEADER_DELTAS * s.delta
    return None if s.committee.size == 1 else s.entered + s.config.heartbeat_us


def expires(s: State) -> int | None:
    """When patience with the current view ends: sooner while nothing was proposed."""
    if not s.may_vote(s.view):
        return None
    current = s.rounds.get(s.view)
    if current is not None and not current.may_cast(NULLIFY):
        return None
    begin = begins(s)
    if begin is None:
        return None
    waiting = current is None or current.proposal is None
    if waiting and is_absent(s, s.committee.leader(s.view)):
        return s.entered
    return begin + (_LEADER_DELTAS if waiting else _ADVANCE_DELTAS) * s.delta


def is_absent(s: State, leader: int) -> bool:
    """
    Whether a leader was silent for long while a quorum was not: its views are passed at once.

    A local rule only; it never decides who leads.
    """
    number = s.numbers[leader]
    if leader == s.me:
        return False
    limit = s.now.monotonic - _ABSENT_HEARTBEATS * s.config.heartbeat_us - 2 * _ADVANCE_DELTAS * s.delta
    if s.heard.get(number, s.began) > limit:
        return False
    lively = sum(1 for at in s.heard.values() if at > limit) + 1
    return lively >= s.committee.quorum


def proposes_at(s: State) -> int | None:
    """When this validator, as leader of the current view, should try to propose (again)."""
    if not s.leads:
        return None
    current = s.seen(s.view)
    if current is not None and not current.may_cast(NOTARIZE):
        return None
    begin = begins(s)
    return None if begin is None else max(begin, s.ask_again)


def next_deadline(s: State) -> int | None:
    """The monotonic time at which ``tick`` is due, or None."""
    now = s.now.monotonic
    times = [at for at in (expires(s), s.retry_at, s.sync_at) if at is not None]
    proposes = proposes_at(s) if s.leads else None
    # What could not be proposed when it was due is tried again with the next question or event.
    if proposes is not None and proposes > now:
        times.append(proposes)
    # So is a block of which the application could not tell; a question's patience may last longer than the view.
    if s.ask_again > now:
        times.append(s.ask_again)
    if s.watch is not None:
        times.append(s.watch.ask_at if s.watch.until is None else min(s.watch.ask_at, s.watch.until))
    return min(times, default=None)
