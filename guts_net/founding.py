"""A network in a directory, for programs that embed nodes: their keys, the genesis, one account."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from guts_core.chain.genesis import Draft, Entry, EntryFile, InitialAccount, seal, sign_entry
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.errors import Conflict, Invalid
from guts_core.forge.params import Params
from guts_core.identity import SEED_BYTES, Ed25519Verifier, KeyPair
from guts_core.names import AccountId, NodeId, account_name
from guts_core.simplex.quorum import FaultModel

from .disk import LocalDisk, make_lasting_directory
from .protocols import Disk
from .settings import KEY_FILES

PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
ACCOUNT_KEY_FILE = "account.key"
# Its id follows from its key alone, so the key file needs nothing beside the seed.
_SALT = bytes(SEED_BYTES)
_NAME = "embedded"


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
    """A network of one node, all of it in this directory."""
    return _found(directory, (directory,), account, disk or LocalDisk())


def found_network(directory: Path, validators: int, account: str = "me", disk: Disk | None = None) -> Founder:
    """A network whose nodes have the directories ``node0``, ``node1``, ...; the genesis lies beside them."""
    return _found(directory, [directory / f"node{index}" for index in range(validators)], account, disk or LocalDisk())


def _found(directory: Path, nodes: Sequence[Path], account: str, disk: Disk) -> Founder:
    """
    Keys for every node, one account beside their operators', and the genesis, which is written last.

    A directory without genesis is no network, and keys that lie there are not reused: Conflict.
    """
    founder = Founder(KeyPair(os.urandom(SEED_BYTES)))
    me = _account(account_name(account), founder.key, is_operator=False)
    for place in (directory, *nodes):
        if (place / "keys").exists():
            raise Conflict(f"{place} holds keys already; they are never replaced")
    entries = tuple(_seat(node, index, disk) for index, node in enumerate(nodes))
    make_lasting_directory(disk, directory / "keys")
    _keep(disk, directory, ACCOUNT_KEY_FILE, founder.key)
    draft = Draft(_NAME, time.time_ns() // 1_000_000, FaultModel.BYZANTINE, Params(), (me,))
    genesis = seal(draft, entries, Ed25519Verifier())
    text = to_json(GenesisFile(genesis=genesis, addresses={}, entries=entries))
    disk.write_file(directory / "genesis.json", text.encode(), PUBLIC_MODE)
    return founder


def _seat(directory: Path, index: int, disk: Disk) -> EntryFile:
    """A node's three keys, and its signed entry."""
    make_lasting_directory(disk, directory / "keys")
    pairs = {role: KeyPair(os.urandom(SEED_BYTES)) for role in KEY_FILES}
    for role, pair in pairs.items():
        _keep(disk, directory, KEY_FILES[role], pair)
    vote, node, operator = pairs["vote"], pairs["node"], pairs["operator"]
    account = _account(f"operator-{index}", operator, is_operator=True)
    entry = Entry(f"node-{index}", vote.public_key, NodeId(node.public_key), account, None)
    return sign_entry(entry, vote, node, operator)


def _keep(disk: Disk, directory: Path, name: str, pair: KeyPair) -> None:
    disk.write_file(directory / "keys" / name, f"{pair.seed.hex()}\n".encode(), PRIVATE_MODE)


def founder_of(directory: Path) -> Founder:
    """The account of a network that ``found_alone`` made; Invalid where its key is not there."""
    path = directory / "keys" / ACCOUNT_KEY_FILE
    if not path.exists():
        raise Invalid(f"{directory} was not founded by a program: sign with an account key of your own")
    return Founder(KeyPair(bytes.fromhex(path.read_text().strip())))


def _account(name: str, key: KeyPair, *, is_operator: bool) -> InitialAccount:
    return InitialAccount(name, key.public_key, _SALT, is_operator)
