"""
Keys: a node's are there when its genesis is, an account's at every moment of a rotation.

The network is a list of keys here: what it was told of the rotation, it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from guts_cli import private_files
from guts_cli.home import Home
from guts_cli.keys import AccountKey, new_genesis_account
from guts_cli.rotation import adopt, prepare, settled
from guts_core.chain.genesis_json import genesis_from_json
from guts_core.identity import KeyPair
from guts_net.founding import found_network, founder_of, is_founded
from guts_net.protocols import Disk
from guts_net.settings import KEY_FILES
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk

OLD = new_genesis_account("ada")


@contextmanager
def _writes_on(disk: Disk) -> Iterator[None]:
    """What the commands keep of an account goes to this disk."""
    before, private_files.DISK = private_files.DISK, disk
    try:
        yield
    finally:
        private_files.DISK = before


def _first_key(directory: Path, disk: FaultDisk) -> None:
    """In a home that is not there yet."""
    home = Home(directory / "home")
    with _writes_on(disk):
        home.keep_key(OLD)
        disk.promise(("listed", OLD.pair.public_key))


def _rotation(directory: Path, disk: FaultDisk) -> None:
    """Twice, each as ``rotate`` does it."""
    home, key = Home(directory / "home"), OLD
    with _writes_on(disk):
        for _ in range(2):
            following = prepare(home, key)
            disk.promise(("heard", following.pair.public_key))
            disk.promise(("listed", following.pair.public_key))
            key = adopt(home, key, following)


def _recover(directory: Path, disk: Disk) -> tuple[Home, Disk]:
    return Home(directory / "home"), disk


def _check(_: Path, found: tuple[Home, Disk], promises: list[tuple[str, bytes]]) -> None:
    """The next command signs with a key that the network lists, whichever it is by then."""
    home, disk = found
    listed = [public for said, public in promises if said == "listed"][-1:]
    with _writes_on(disk):
        for on_chain in [listed] if listed else []:
            key: AccountKey = settled(home, home.key_by_id(OLD.id), lambda on_chain=on_chain: on_chain)  # type: ignore[misc]  # bound here
            assert key.pair.public_key in on_chain, "no key that the network lists is on file"
            assert [one.pair.public_key for one in home.all_keys()] == on_chain


def _home_with_key(directory: Path) -> None:
    Home(directory / "home").keep_key(OLD)


def _check_rotation(directory: Path, found: tuple[Home, Disk], promises: list[tuple[str, bytes]]) -> None:
    _check(directory, found, [("listed", OLD.pair.public_key), *promises])


@frozen
class _Founded:
    """What stands there."""

    directory: Path
    is_founded: bool


def _found(directory: Path, disk: FaultDisk) -> None:
    found_network(directory / "net", 2, disk=disk)
    disk.promise("founded")


def _look(directory: Path, _: Disk) -> _Founded:
    return _Founded(directory / "net", is_founded(directory / "net"))


def _check_founded(_: Path, found: _Founded, promises: list[str]) -> None:
    """Where the genesis is, all keys that it names are."""
    assert found.is_founded or not promises
    if not found.is_founded:
        return
    genesis = genesis_from_json((found.directory / "genesis.json").read_text()).genesis
    assert founder_of(found.directory).account in {account.id for account in genesis.accounts}
    for index, entry in enumerate(genesis.validators):
        keys = found.directory / f"node{index}" / "keys"
        seeds = {role: bytes.fromhex((keys / name).read_text().strip()) for role, name in KEY_FILES.items()}
        assert KeyPair(seeds["vote"]).public_key == entry.vote_key
        assert KeyPair(seeds["node"]).public_key == entry.node_key


FIRST_KEY = Workload("first key", lambda _: None, _first_key, _recover, _check)
ROTATION = Workload("key rotation", _home_with_key, _rotation, _recover, _check_rotation)
FOUNDING = Workload("founding", lambda _: None, _found, _look, _check_founded)
