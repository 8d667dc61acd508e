"""
Epochs: who votes, under which rules and parameters, and until when (``consensus.md`` 2.4).

All of that is one record, and it changes nowhere but in ``turn``, at the end of the block that ends
an epoch. Lengths are block time; the operators can end one before its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.state.view import Overlay, View

from . import paths, queries
from .decisions import DecisionState, Queue
from .params import EVIDENCE_EPOCHS, Params
from .records import Epoch, PastEpoch, ValidatorEntry
from .seats import put_queue, take_turn


def found(state: Overlay, seats: Sequence[ValidatorEntry], rules: int, params: Params, time: int) -> Epoch:
    """Write epoch 0, which begins with block 1."""
    return _put(state, Epoch(0, time, rules, params, tuple(seats), ends=False))


def current(view: View) -> Epoch:
    """The epoch that the next block belongs to."""
    return queries.epoch(view)


def past(view: View, number: int) -> PastEpoch | None:
    """An epoch that ended, while evidence of it counts; None for older ones and for those to come."""
    return queries.past_epoch(view, number)


def ends(view: View, time: int) -> bool:
    """Whether a block of this time, with this state after its transactions, is the last one of its epoch."""
    epoch = current(view)
    return epoch.ends or time >= epoch.since + epoch.params.epoch_ms


def end_now(state: Overlay) -> None:
    """Let the epoch end with the block that is being executed."""
    _put(state, evolve(current(state), ends=True))


def turn(state: Overlay, time: int) -> Epoch:
    """End the epoch with a block of this time: write and return the next one."""
    before = current(state)
    _remember(state, before, time)
    seats, done = take_turn(state, before.seats)
    queue = queries.queue(state)
    params, rules = queue.params or before.params, before.rules
    done += queue.params_decisions
    if queue.rules is not None and queue.rules.not_before <= time:
        rules, done = queue.rules.rules, (*done, queue.rules.decision)
        queue = evolve(queue, rules=None)
    put_queue(state, Queue(seats=queue.seats, rules=queue.rules))
    _mark_applied(state, done, before.number + 1)
    return _put(state, Epoch(before.number + 1, time, rules, params, seats, ends=False))


def _remember(state: Overlay, epoch: Epoch, ended: int) -> None:
    state.put(paths.past_epoch(epoch.number), to_bytes(PastEpoch(epoch.number, epoch.seats, ended)))
    if epoch.number >= EVIDENCE_EPOCHS:
        state.delete(paths.past_epoch(epoch.number - EVIDENCE_EPOCHS))


def _mark_applied(state: Overlay, decisions: Iterable[int], epoch: int) -> None:
    for number in decisions:
        decision = queries.decision(state, number)
        assert decision is not None, "what waits was decided"
        state.put(paths.decision(number), to_bytes(evolve(decision, state=DecisionState.APPLIED, epoch=epoch)))


def _put(state: Overlay, epoch: Epoch) -> Epoch:
    state.put(paths.epoch(), to_bytes(epoch))
    return epoch
