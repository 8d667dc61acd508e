"""
What an account may use in a window of block time: the brake on spam in a network without fees.

Windows are aligned (``time // quota_window_ms``), so one small record an account is enough. Paid
whatever becomes of the transaction; one that its payer cannot pay may not stand in a block.
"""

from __future__ import annotations

from attrs import evolve

from guts_core.errors import LimitExceeded
from guts_core.names import AccountId
from guts_core.state.view import Overlay, View

from . import paths, queries
from .params import Params
from .records import Quota

# Votes that an operator can cast in a window beyond everything else: enough for a bad day, too few for a flood.
GOVERNING_RESERVE = 1_000


class QuotaExhausted(LimitExceeded):
    """Nothing is wrong with the request: the account may send it in the next window."""

    code = "quota-exhausted"


def charge(
    state: Overlay,
    account: AccountId,
    time: int,
    transactions: int,
    size: int,
    params: Params,
    *,
    governs: bool = False,
) -> None:
    """Add to what the account used in the window of this block time; raises QuotaExhausted and adds nothing."""
    used = charged(state, account, time, transactions, size, params, governs=governs)
    state.put(paths.quota(account), queries.written(used))


def charged(
    view: View,
    account: AccountId,
    time: int,
    transactions: int,
    size: int,
    params: Params,
    *,
    governs: bool = False,
) -> Quota:
    """What the account will have used in the window of this block time; raises QuotaExhausted."""
    used = _used_after(view, account, time // params.quota_window_ms, transactions, size)
    why = _why_not(_beyond_reserve(used) if governs else used, params)
    if why is not None:
        raise QuotaExhausted(why)
    return used


def _beyond_reserve(used: Quota) -> Quota:
    """An operator whose pushes used everything up can still govern: so much is set aside for that alone."""
    return evolve(used, transactions=max(0, used.transactions - GOVERNING_RESERVE), bytes=0)


def _used_after(state: View, account: AccountId, window: int, transactions: int, size: int) -> Quota:
    before = queries.quota(state, account)
    if before is None or before.window != window:
        return Quota(window, transactions, size)
    return Quota(window, before.transactions + transactions, before.bytes + size)


def _why_not(used: Quota, params: Params) -> str | None:
    minutes = params.quota_window_ms / 60_000
    if used.transactions > params.quota_transactions:
        return f"an account may send {params.quota_transactions} transactions in {minutes:g} minutes"
    if used.bytes > params.quota_bytes:
        return f"an account may send {params.quota_bytes} bytes in {minutes:g} minutes"
    return None
