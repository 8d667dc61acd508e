"""Registering accounts: a name, a key of their own, and someone who vouches (``architecture.md`` 4)."""

from __future__ import annotations

from guts_core.errors import Conflict, Invalid, NotAllowed, NotFound
from guts_core.identity import is_acceptable_public_key
from guts_core.names import account_name
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import Register
from .activities import AccountRegistered
from .context import Context
from .ids import account_id
from .params import Registration
from .records import Account
from .storing import count_up, put_account


class NameTaken(Conflict):
    """Another account or repository holds this name."""

    code = "name-taken"


class NameReserved(Invalid):
    """The name means something to the network itself."""

    code = "name-reserved"


class BadKey(Invalid):
    """A public key that the one verifier would refuse whatever it signs."""

    code = "bad-key"


class KeyTaken(Conflict):
    """The key has a role already: a key has one owner and one role, for ever."""

    code = "key-taken"


class NotSponsored(NotAllowed):
    """The sponsor may not bring in new accounts."""

    code = "not-sponsored"


def register(action: Register, state: Overlay, context: Context) -> tuple[AccountRegistered]:
    """Create the author's account. Admission has checked both signatures: the new key's and the sponsor's."""
    if context.credential is not None:
        raise NotAllowed("an account is registered with its own key, not through a credential")
    _check_author(action, state, context)
    _check_sponsor(action, state, context)
    name = _free_name(action.name, state, context.reserved_names)
    check_key_is_free(action.key, state)
    number = count_up(state, paths.counter(paths.Count.ACCOUNTS))
    put_account(
        state, Account(context.author, name, (action.key,), number, context.time, action.sponsor, is_operator=False)
    )
    return (AccountRegistered(context.author, name, action.sponsor),)


def check_key_is_free(key: bytes, state: View) -> None:
    """
    Raise unless the key may sign for a new owner.

    One key in two accounts would leave open who signed, and revoking it in one would not stop it
    in the other; a key that is also a node's or a credential's would let one signature stand for another.
    """
    if not is_acceptable_public_key(key):
        raise BadKey("the public key has small order, mixed order or not its canonical form")
    if queries.account_of_key(state, key) is not None:
        raise KeyTaken("the key belongs to an account already, or did before it was removed")
    if queries.credential_of_key(state, key) is not None:
        raise KeyTaken("the key belongs to a credential already, be it revoked")
    if queries.node_of_key(state, key) is not None:
        raise KeyTaken("the key belongs to a node already")


def _check_author(action: Register, state: View, context: Context) -> None:
    if context.author != account_id(context.chain_id, action.key, action.salt):
        raise Invalid("the author is not the id that the new key and salt make")
    if queries.account(state, context.author) is not None:
        raise Conflict("this account is registered already")


def _check_sponsor(action: Register, state: View, context: Context) -> None:
    policy = context.params.registration
    if policy is Registration.OPEN:
        raise NotSponsored("open registration is reserved and not part of these rules")
    sponsor = queries.account(state, action.sponsor)
    if sponsor is None:
        raise NotFound("the sponsor is not an account of this network")
    if policy is Registration.APPROVAL and not sponsor.is_operator:
        raise NotSponsored(f"on this network operators approve new accounts, and {sponsor.name} is not one")


def _free_name(text: str, state: View, reserved: frozenset[str]) -> str:
    name = account_name(text)
    if name in reserved:
        raise NameReserved(f"account name {name} is reserved on this network")
    if queries.account_by_name(state, name) is not None:
        raise NameTaken(f"account name {name} is taken")
    return name
