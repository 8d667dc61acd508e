"""
The keys of an account: added and removed by transaction, the id stays (``architecture.md`` 4).

A removed key signs nothing from its height on, also in transactions that wait; it stays taken, so that
what it signed before names one account for ever. Rotating is both in one transaction.
"""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import Tag
from guts_core.errors import Conflict, LimitExceeded, NotFound
from guts_core.state.view import Overlay, View

from . import queries
from .accounts import check_key_is_free
from .actions import AddKey, RemoveKey
from .activities import KeyAdded, KeyRemoved
from .context import Context
from .credentials import UnprovenKey
from .ids import account_key_proof_body
from .permissions import Permission, demand
from .records import KEYS_PER_ACCOUNT_MAX, Account
from .storing import put_account


class LastKey(Conflict):
    """Without a key nobody could ever sign for the account again."""

    code = "last-key"


def add_key(action: AddKey, state: Overlay, context: Context) -> tuple[KeyAdded]:
    """Let one more key sign for the author, at once."""
    demand(context.principal, Permission.MANAGE_KEYS, None, state)
    account = _author(state, context)
    check_key_is_free(action.key, state)
    _check_proof(action, context)
    if len(account.keys) >= KEYS_PER_ACCOUNT_MAX:
        raise LimitExceeded(f"an account has at most {KEYS_PER_ACCOUNT_MAX} keys: remove one first")
    put_account(state, evolve(account, keys=(*account.keys, action.key)))
    return (KeyAdded(account.id, action.key),)


def remove_key(action: RemoveKey, state: Overlay, context: Context) -> tuple[KeyRemoved]:
    """Let a key of the author's sign no more; it may be the one that signed this."""
    demand(context.principal, Permission.MANAGE_KEYS, None, state)
    account = _author(state, context)
    if action.key not in account.keys:
        raise NotFound(f"{account.name} has no key {action.key.hex()[:16]}")
    if len(account.keys) == 1:
        raise LastKey(f"this is the last key of {account.name}: add another one first")
    put_account(state, evolve(account, keys=tuple(key for key in account.keys if key != action.key)))
    return (KeyRemoved(account.id, action.key),)


def _author(state: View, context: Context) -> Account:
    account = queries.account(state, context.author)
    assert account is not None, "admission knows the author"
    return account


def _check_proof(action: AddKey, context: Context) -> None:
    body = account_key_proof_body(context.author)
    verify = context.verifier.verify
    if not verify(action.key, Tag.SIGN_ACCOUNT_KEY, context.chain_id, body, action.proof):
        raise UnprovenKey("the proof is not the new key's signature over this chain and account")
