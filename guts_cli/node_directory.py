"""A node's data directory: made once, with three fresh keys and an entry for a genesis."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from attrs import frozen

from guts_core.chain.genesis import Entry, EntryFile, sign_entry
from guts_core.chain.genesis_json import GenesisFile, genesis_from_json, to_json
from guts_core.errors import Conflict, NotFound
from guts_core.identity import KeyPair
from guts_core.names import NodeId
from guts_net.disk import LocalDisk, make_lasting_directory
from guts_net.settings import lost_node_key

from .config import CONFIG_FILE, Config, Given, Loaded, config_text, load
from .keys import (
    NODE_KEY,
    OPERATOR_KEY,
    VOTE_KEY,
    new_pair,
    operator_account,
    read_pair,
    write_pair,
)
from .outcomes import Missing
from .private_files import PRIVATE_DIRECTORY_MODE, naming
from .public_files import write_public


@frozen
class NodeDirectory:
    """The files in a node's data directory that the command line makes or reads."""

    path: Path

    @property
    def keys(self) -> Path:
        """Three key files."""
        return self.path / "keys"

    @property
    def genesis(self) -> Path:
        """The node's own copy of the genesis file."""
        return self.path / "genesis.json"

    @property
    def log(self) -> Path:
        """Where the node writes its log."""
        return self.path / "logs" / "node.log"

    @property
    def pid_file(self) -> Path:
        """Names the process, when a command started it in the background."""
        return self.path / "node.pid"

    @property
    def config_file(self) -> Path:
        """Its settings."""
        return self.path / CONFIG_FILE

    def settings(self, flags: Sequence[Given] = ()) -> Loaded:
        """What holds and where it comes from: defaults, the file if there is one, environment, flags."""
        return load(self.config_file, os.environ, flags)

    def node_key(self) -> KeyPair:
        """The key that speaks to peers."""
        return read_pair(self.keys / NODE_KEY)

    def vote_key(self) -> KeyPair:
        """The key that signs agreement."""
        return read_pair(self.keys / VOTE_KEY)

    def next_vote_key(self) -> Path:
        """Where one that is to follow this one goes: ``keys/vote-1.key`` and so on, where the node looks for it."""
        stem = Path(VOTE_KEY).stem
        return next(path for n in count(1) if not (path := self.keys / f"{stem}-{n}.key").exists())

    def vote_key_files(self) -> list[Path]:
        """``vote.key`` unless it is lost, and those that follow it."""
        stem = Path(VOTE_KEY).stem
        return [path for path in (self.keys / VOTE_KEY, *sorted(self.keys.glob(f"{stem}-*.key"))) if path.exists()]

    def operator_key(self) -> KeyPair:
        """The key of the account that answers for the node."""
        return read_pair(self.keys / OPERATOR_KEY)

    def check_keys(self) -> None:
        """Misconfigured when a key that the node needs is damaged, or readable by others."""
        if not (self.keys / NODE_KEY).exists():
            raise Missing(lost_node_key(self.keys / NODE_KEY), f"guts doctor --dir {shlex.quote(str(self.path))}")
        self.node_key()
        for path in self.vote_key_files():
            read_pair(path)  # of one that is lost the node itself tells, which knows whether it has a seat

    def create(self, config: Config, operator: str, advertised: str) -> EntryFile:
        """Make keys and settings; returns the signed entry. Refused where keys are: they are never replaced."""
        if self.keys.exists():
            raise Conflict(f"{self.path} holds a node already; its keys are never replaced")
        vote, node, operator_pair = new_pair(), new_pair(), new_pair()
        make_lasting_directory(LocalDisk(), self.path, PRIVATE_DIRECTORY_MODE)
        for name, pair in ((OPERATOR_KEY, operator_pair), (VOTE_KEY, vote), (NODE_KEY, node)):
            write_pair(self.keys / name, pair)
        write_public(self.config_file, config_text(config, ("node.name", "http.listen", "p2p.listen")))
        account = operator_account(operator, operator_pair).initial(is_operator=True)
        entry = Entry(config.node.name, vote.public_key, NodeId(node.public_key), account, advertised)
        return sign_entry(entry, vote, node, operator_pair)

    def adopt_genesis(self, given: Path | None) -> Path:
        """
        The genesis to run with: the given file, of which a copy is kept, or the copy.

        A file of another network is refused; new address hints for the same network are taken over.
        """
        if given is None:
            if not self.genesis.exists():
                if not self.keys.is_dir():
                    init = f"guts node init --dir {shlex.quote(str(self.path))} --name NAME"
                    raise Missing(f"there is no node in {self.path}", init)
                raise Missing(f"{self.path} has no genesis.json yet", "the same command with --genesis FILE")
            return self.genesis
        with naming(given):
            wanted = genesis_from_json(given.read_bytes())
        if self.genesis.exists():
            held = genesis_from_json(self.genesis.read_text())
            if held.chain_id != wanted.chain_id:
                raise Conflict(
                    f"{self.path} belongs to network {held.genesis.name} ({held.chain_id.hex()[:12]}), "
                    f"{given} is {wanted.genesis.name} ({wanted.chain_id.hex()[:12]})"
                )
        self._check_seat(wanted, given)
        write_public(self.genesis, to_json(wanted))
        return self.genesis

    def _check_seat(self, file: GenesisFile, given: Path) -> None:
        mine = self.node_key().public_key
        if mine not in {validator.node_key for validator in file.genesis.validators}:
            raise NotFound(f"the node in {self.path} is no validator of {given}")
