"""
The networks whose proofs this user believes: genesis files under ``GUTS_HOME/networks``, by chain id.

A genesis comes from whoever made the network, by a way its user trusts; never from a node that is asked
for a proof. A context is only an address book: it pins nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from guts_core.chain.genesis import Genesis
from guts_core.chain.genesis_json import GenesisFile, genesis_from_json, to_json
from guts_core.errors import Invalid
from guts_core.names import BlockHash, ChainId
from guts_core.proof import Checkpoint

from .home import Home, user_home
from .outcomes import Misconfigured
from .public_files import write_public

if TYPE_CHECKING:
    from .network import Network

TRUST = "guts network trust FILE"


def pin(home: Home, file: GenesisFile) -> Path:
    """Believe proofs of this network from now on."""
    path = _path(home, file.chain_id)
    write_public(path, to_json(file))
    return path


def pinned(home: Home, chain_id: ChainId) -> Genesis:
    """The genesis of a network; Misconfigured when it is not pinned here."""
    path = _path(home, chain_id)
    if not path.exists():
        raise Misconfigured(
            f"network {chain_id.hex()} is not pinned in {home.path}: nothing that is said of it can be checked", TRUST
        )
    return _read(path).genesis


def newest_epoch(home: Home, chain_id: ChainId) -> Checkpoint | None:
    """The newest epoch of a network that a true proof led to here; None: no proof went beyond the first."""
    path = _newest(home, chain_id)
    if not path.exists():
        return None
    try:
        epoch, boundary = path.read_text().split()
        return Checkpoint(int(epoch), BlockHash(bytes.fromhex(boundary)))
    except ValueError as error:
        raise Misconfigured(f"{path} does not say which epoch is known: {error}", f"rm {path}") from error


def remember_epoch(home: Home, chain_id: ChainId, found: Checkpoint | None) -> None:
    """From now on no other history of this network is believed up to there."""
    known = newest_epoch(home, chain_id)
    if found is None or (known is not None and known.epoch >= found.epoch):
        return
    # Whoever has no home that can be written verifies all the same, and has nothing to compare with later.
    with suppress(OSError):
        write_public(_newest(home, chain_id), f"{found.epoch} {found.boundary.hex()}\n")


def all_pinned(home: Home) -> list[GenesisFile]:
    """Every network whose proofs are believed here, in order of chain id."""
    return [_read(path) for path in sorted((home.path / "networks").glob("*.json"))]


def pin_local(network: Network) -> None:
    """Pin a network that was made on this machine, in its own home and in its user's."""
    file = genesis_from_json(network.genesis.read_text())
    pin(network.home, file)
    # A network whose user has no home that can be written runs all the same; `guts verify` then asks for --genesis.
    with suppress(OSError):
        pin(user_home(), file)


def read_genesis(path: Path) -> GenesisFile:
    """A genesis file that somebody named; Misconfigured says what is wrong with it."""
    try:
        return genesis_from_json(path.read_bytes())
    except Invalid as error:
        raise Misconfigured(f"{path}: {error}") from error


def _read(path: Path) -> GenesisFile:
    file = read_genesis(path)
    if file.chain_id.hex() != path.stem:
        raise Misconfigured(f"{path} holds the genesis of another network, {file.chain_id.hex()}", f"rm {path}")
    return file


def _newest(home: Home, chain_id: ChainId) -> Path:
    return home.path / "networks" / f"{chain_id.hex()}.epoch"


def _path(home: Home, chain_id: ChainId) -> Path:
    return home.path / "networks" / f"{chain_id.hex()}.json"
