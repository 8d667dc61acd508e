"""
A network of validators on this machine: one directory that holds it whole.

``network.json`` (who listens where), ``genesis.json``, ``node0/ node1/ ...``, and beside them a
home (contexts, keys, tokens), so that ``GUTS_HOME=DIR`` makes every command act on this network.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from guts_core.chain.genesis import Draft, EntryFile, seal
from guts_core.chain.genesis_json import GenesisFile, addresses_of, genesis_from_json, to_json
from guts_core.forge.params import Params
from guts_core.forge.tuning import check_params
from guts_core.identity import Ed25519Verifier
from guts_core.names import account_name
from guts_core.simplex.quorum import FaultModel
from guts_net.disk import LocalDisk

from .config import Address, Config
from .home import Context, Home
from .keys import new_genesis_account
from .node_directory import NodeDirectory
from .outcomes import Missing
from .ports import LOOPBACK
from .private_files import read_record, write_record
from .public_files import write_public

VALIDATORS_MAX = 31  # more processes than that teach nothing more on one machine
NETWORK_FILE = "network.json"
EXECUTABLE_MODE = 0o700
# On loopback a message takes microseconds; 200 ms still covers two busy cores and a slow disk.
DEVNET_PARAMS = Params(delta_ms=200, retry_ms=400, heartbeat_ms=30_000)


def with_timings(params: Params, timings: Mapping[str, int | None]) -> Params:
    """The parameters with those timings that were given; raises Invalid for one that no network could keep."""
    given: dict[str, Any] = {name: value for name, value in timings.items() if value is not None}
    timed = evolve(params, **given)
    check_params(timed)
    return timed


@frozen
class Seat:
    """One node of the network."""

    index: int
    http_port: int
    p2p_port: int

    @property
    def url(self) -> str:
        """Where its API and its repositories are."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def p2p(self) -> str:
        """Where it hears other validators."""
        return f"{LOOPBACK}:{self.p2p_port}"


@frozen
class NetworkFile:
    """``network.json``."""

    name: str
    chain_id: str
    fault_model: str
    account: str
    account_id: str
    seats: tuple[Seat, ...]


@frozen
class Plan:
    """What a new network shall be."""

    name: str
    account: str
    fault_model: FaultModel
    params: Params
    seats: tuple[Seat, ...]


@frozen
class Network:
    """A network that exists in a directory."""

    path: Path
    file: NetworkFile

    @property
    def home(self) -> Home:
        """The directory is a ``GUTS_HOME`` too."""
        return Home(self.path)

    @property
    def genesis(self) -> Path:
        """The genesis file that every node runs with."""
        return self.path / "genesis.json"

    @property
    def credential_helper(self) -> Path:
        """A program that gives git the token, for these nodes only."""
        return self.path / "credential-helper"

    def node(self, seat: Seat) -> NodeDirectory:
        """A node's directory."""
        return NodeDirectory(self.path / f"node{seat.index}")

    def seat(self, index: int) -> Seat:
        """The node of this index."""
        for seat in self.file.seats:
            if seat.index == index:
                return seat
        status = f"guts devnet status --dir {shlex.quote(str(self.path))}"
        raise Missing(f"{self.path} has nodes 0 to {len(self.file.seats) - 1}, not {index}", status)

    def token(self) -> str | None:
        """The account's token, once there is one."""
        return self.home.token(self.file.chain_id, self.file.account_id)

    def keep_token(self, token: str) -> None:
        """Store the account's token, and a helper that gives it to git."""
        self.home.keep_token(self.file.chain_id, self.file.account_id, token)
        self.write_helper()

    def write_helper(self) -> None:
        """(Re)write the credential helper for the nodes' present addresses."""
        token = self.home.token_path(self.file.chain_id, self.file.account_id).relative_to(self.path)
        hosts = "|".join(f"host={LOOPBACK}:{seat.http_port}" for seat in self.file.seats)
        text = f"""#!/bin/sh
# Answers git for the nodes of this network and for nobody else.
[ "$1" = get ] || exit 0
ours=
while read -r line; do case $line in {hosts}) ours=yes ;; esac; done
[ "$ours" ] || exit 0
echo username={self.file.account}
# The directory may have been moved since.
echo "password=$(cat "${{0%/*}}"/{token})"
"""
        LocalDisk().write_file(self.credential_helper, text.encode(), EXECUTABLE_MODE)

    def with_ports(self, http: list[int], p2p: list[int]) -> Network:
        """The same network, its nodes at other ports from the next start on. Nothing may run meanwhile."""
        seats = tuple(Seat(index, *ports) for index, ports in enumerate(zip(http, p2p, strict=True)))
        moved = Network(self.path, evolve(self.file, seats=seats))
        # Addresses are hints beside the genesis: the chain id stays.
        sealed = genesis_from_json(self.genesis.read_text())
        nodes = [validator.node_key.hex() for validator in sealed.genesis.validators]
        addresses = {node: seat.p2p for node, seat in zip(nodes, seats, strict=True)}
        write_public(self.genesis, to_json(evolve(sealed, addresses=addresses)))
        moved.save()
        if moved.token() is not None:
            moved.write_helper()
        return moved

    def save(self) -> None:
        """Write ``network.json`` and the context that names it."""
        write_record(self.path / NETWORK_FILE, self.file)
        urls = tuple(seat.url for seat in self.file.seats)
        self.home.remember(Context(self.file.name, self.file.chain_id, urls, self.file.account_id))


def exists(path: Path) -> bool:
    """Whether a directory holds a network."""
    return (path / NETWORK_FILE).exists()


def load(path: Path) -> Network:
    """The network in a directory."""
    if not exists(path):
        raise Missing(f"{path} holds no network", f"guts devnet start --dir {shlex.quote(str(path))}")
    return Network(path, read_record(path / NETWORK_FILE, NetworkFile))


def create(path: Path, plan: Plan) -> Network:
    """
    Make keys, genesis and directories of a new network; nothing runs yet.

    ``network.json`` is written last; node directories that are there without it are refused, not reused.
    """
    account = new_genesis_account(account_name(plan.account))
    entries = tuple(_node(path, seat) for seat in plan.seats)
    now = time.time_ns() // 1_000_000
    draft = Draft(plan.name, now, plan.fault_model, plan.params, (account.initial(is_operator=False),))
    sealed = GenesisFile(seal(draft, entries, Ed25519Verifier()), addresses_of(entries), entries)
    home = Home(path)
    home.keep_key(account)
    fault_model = plan.fault_model.name.lower()
    file = NetworkFile(plan.name, sealed.chain_id.hex(), fault_model, account.name, account.id, plan.seats)
    network = Network(path, file)
    write_public(network.genesis, to_json(sealed))
    network.save()
    return network


def _node(path: Path, seat: Seat) -> EntryFile:
    name = f"node-{seat.index}"
    listen = str(Address(LOOPBACK, seat.http_port))
    config = Config.of({"node.name": name, "http.listen": listen, "p2p.listen": seat.p2p})
    return NodeDirectory(path / f"node{seat.index}").create(config, f"operator-{seat.index}", seat.p2p)


def node_ids(network: Network) -> tuple[bytes, ...]:
    """The nodes' network keys, in voting order."""
    sealed = genesis_from_json(network.genesis.read_text()).genesis
    return tuple(validator.node_key for validator in sealed.validators)
