"""A network of one node in a directory, for programs that embed a node: its keys, its genesis, one account."""

from __future__ import annotations

import os
import time
from pathlib import Path

from attrs import frozen

from guts_core.chain.genesis import Draft, Entry, InitialAccount, seal, sign_entry
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.errors import Conflict, Invalid
from guts_core.forge.params import Params
from guts_core.identity import SEED_BYTES, Ed25519Verifier, KeyPair
from guts_core.names import AccountId, NodeId, account_name
from guts_core.simplex.quorum import FaultModel

from .disk import Disk
from .runtime import KEY_FILES

PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
ACCOUNT_KEY_FILE = "account.key"
# Its id follows from its key alone, so the key file needs nothing beside the seed.
_SALT = bytes(SEED_BYTES)
_NAME = "alone"


@frozen
class Founder:
    """The account that a network of one begins with, and its key."""

    key: KeyPair

    @property
    def account(self) -> AccountId:
        """Its id."""
        return _account("founder", self.key, is_operator=False).id


def is_founded(directory: Path) -> bool:
    """Whether a node's keys and genesis stand in a directory."""
    return (directory / "genesis.json").exists()


def found_alone(directory: Path, account: str = "me", disk: Disk | None = None) -> Founder:
    """
    Make a network of one node, with one account beside its operator's; Conflict where keys are already.

    The genesis is written last: a directory without one is no network, and what lies there is not reused.
    """
    disk = disk or Disk()
    name = account_name(account)
    if (directory / "keys").exists():
        raise Conflict(f"{directory} holds keys already; they are never replaced")
    disk.make_directory(directory / "keys")
    pairs = {role: KeyPair(os.urandom(SEED_BYTES)) for role in KEY_FILES}
    founder = Founder(KeyPair(os.urandom(SEED_BYTES)))
    files = {KEY_FILES[role]: pair for role, pair in pairs.items()} | {ACCOUNT_KEY_FILE: founder.key}
    for file_name, pair in files.items():
        disk.write_file(directory / "keys" / file_name, f"{pair.seed.hex()}\n".encode(), PRIVATE_MODE)
    operator = _account("operator", pairs["operator"], is_operator=True)
    entry = sign_entry(
        Entry(_NAME, pairs["vote"].public_key, NodeId(pairs["node"].public_key), operator, None),
        pairs["vote"],
        pairs["node"],
        pairs["operator"],
    )
    me = _account(name, founder.key, is_operator=False)
    draft = Draft(_NAME, time.time_ns() // 1_000_000, FaultModel.BYZANTINE, Params(), (me,))
    genesis = seal(draft, (entry,), Ed25519Verifier())
    text = to_json(GenesisFile(genesis=genesis, addresses={}, entries=(entry,)))
    disk.write_file(directory / "genesis.json", text.encode(), PUBLIC_MODE)
    return founder


def founder_of(directory: Path) -> Founder:
    """The account of a network that ``found_alone`` made; Invalid where its key is not there."""
    path = directory / "keys" / ACCOUNT_KEY_FILE
    if not path.exists():
        raise Invalid(f"{directory} was not founded by a program: sign with an account key of your own")
    return Founder(KeyPair(bytes.fromhex(path.read_text().strip())))


def _account(name: str, key: KeyPair, *, is_operator: bool) -> InitialAccount:
    return InitialAccount(name, key.public_key, _SALT, is_operator)
