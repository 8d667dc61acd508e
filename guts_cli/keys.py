"""
Keys on disk, one private file each.

A node has three, each a 32-byte seed in hex, and no key has two roles: ``node`` speaks to peers,
``vote`` signs agreement, ``operator`` is the account of whoever runs it. The key file of an
account, in a user's home, is JSON: it also says which account.
"""

from __future__ import annotations

from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from guts_core.errors import Invalid
from guts_core.identity import SEED_BYTES, KeyPair
from guts_core.names import AccountId

from .outcomes import Misconfigured
from .private_files import read_private, read_record, write_private, write_record

if TYPE_CHECKING:
    from guts_core.chain.genesis import InitialAccount

NODE_KEY, VOTE_KEY, OPERATOR_KEY = "node.key", "vote.key", "operator.key"
# An operator's account id follows from its key alone, so the key file needs nothing beside the seed.
OPERATOR_SALT = bytes(SEED_BYTES)


@frozen
class AccountKey:
    """An account's key file: the account it belongs to and the secret seed, in hex."""

    name: str
    id: str
    seed: str
    salt: str

    @property
    def pair(self) -> KeyPair:
        """The key."""
        return KeyPair(bytes.fromhex(self.seed))

    @property
    def account(self) -> AccountId:
        """The account's id."""
        return AccountId(bytes.fromhex(self.id))

    def initial(self, *, is_operator: bool) -> InitialAccount:
        """This account as a genesis names it."""
        from guts_core.chain.genesis import InitialAccount  # noqa: PLC0415 -- git's helper reads keys, and waits for it

        return InitialAccount(self.name, self.pair.public_key, bytes.fromhex(self.salt), is_operator)


def new_pair() -> KeyPair:
    """A fresh key from the system's entropy."""
    return KeyPair(token_bytes(SEED_BYTES))


def new_genesis_account(name: str) -> AccountKey:
    """A fresh account for a network that does not exist yet."""
    return _genesis_account(name, new_pair(), token_bytes(SEED_BYTES))


def operator_account(name: str, pair: KeyPair) -> AccountKey:
    """The account of a node's operator."""
    return _genesis_account(name, pair, OPERATOR_SALT)


def _genesis_account(name: str, pair: KeyPair, salt: bytes) -> AccountKey:
    account = AccountKey(name, "", pair.seed.hex(), salt.hex())
    return evolve(account, id=account.initial(is_operator=False).id.hex())


def write_pair(path: Path, pair: KeyPair) -> None:
    """Store one of a node's keys."""
    write_private(path, pair.seed.hex() + "\n")


def read_pair(path: Path) -> KeyPair:
    """One of a node's keys."""
    text = read_private(path).strip()
    try:
        return KeyPair(bytes.fromhex(text))
    except (ValueError, Invalid):
        raise Misconfigured(f"{path} does not hold a key: 64 hexadecimal digits expected") from None


def write_account_key(path: Path, key: AccountKey) -> None:
    """Store an account's key."""
    write_record(path, key)


def read_account_key(path: Path) -> AccountKey:
    """An account's key file."""
    read_private(path)
    key = read_record(path, AccountKey)
    try:
        key.initial(is_operator=False)
        bytes.fromhex(key.id)
    except (ValueError, Invalid):
        raise Misconfigured(f"{path} does not hold an account's key") from None
    return key
