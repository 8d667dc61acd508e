"""
The node processes of a run: each finds every other through a proxy of its own.

Addresses are hints beside the genesis, so each node is given a genesis file of the same chain with other
hints. What is wrong with a node's clock or disk it is told as an operator would tell it, by its settings.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio
from attrs import evolve

from guts_cli import devnet
from guts_cli.network import Network, Seat
from guts_cli.processes import Started, spawn, stop, wait_gone
from guts_cli.public_files import write_public
from guts_core.chain.genesis_json import genesis_from_json, to_json
from guts_core.simplex.quorum import FaultModel, faults_tolerated, quorum

from .roads import Roads

STOP_SECONDS = 10.0
# A pid that was killed is gone in milliseconds; a machine that swaps takes longer.
GONE_SECONDS = 10.0
# More than any disk has: everything that is free is kept back.
DISK_FULL = {"GUTS_LIMITS_DISK_RESERVE_MIB": str(1 << 30)}

# A node that learned where the others really are would go around the proxies.
HINTS_ONLY = {"GUTS_P2P_GOSSIP_SECONDS": "0"}


class Nodes:
    """The processes of a network, by index. Everything that waits for the system does so in a thread."""

    def __init__(self, network: Network, roads: Roads) -> None:
        self.network, self._roads = network, roads
        self.paused: set[int] = set()
        self.odd: set[int] = set()  # with a wrong clock or a full disk
        self.died: list[int] = []  # ended by themselves

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.network.file.seats)

    @property
    def quorum(self) -> int:
        """How many must agree."""
        return quorum(self.count, FaultModel.BYZANTINE)

    @property
    def faults(self) -> int:
        """How many may fail: f."""
        return faults_tolerated(self.count, FaultModel.BYZANTINE)

    def seat(self, index: int) -> Seat:
        """Where one is."""
        return self.network.file.seats[index]

    def is_alive(self, index: int) -> bool:
        """Whether its process runs."""
        return devnet.running_node(self.network, self.seat(index)) is not None

    def write_genesis(self) -> None:
        """A genesis file for each node, in which every other is behind a proxy."""
        sealed = genesis_from_json(self.network.genesis.read_text())
        keys = [validator.node_key.hex() for validator in sealed.genesis.validators]
        for index in range(self.count):
            others = {key: self._roads.address(index, peer) for peer, key in enumerate(keys) if peer != index}
            write_public(self._genesis(index), to_json(evolve(sealed, addresses=others)))

    def _genesis(self, index: int) -> Path:
        return self.network.path / f"genesis-of-node{index}.json"

    def start(self, index: int, settings: Mapping[str, str] | None = None) -> None:
        """Start one, with further settings as environment variables."""
        if self.is_alive(index):
            return
        node = self.network.node(self.seat(index))
        argv = devnet.node_command(self.network, self.seat(index))
        argv[argv.index("--genesis") + 1] = str(self._genesis(index).resolve())
        spawn(argv, node.log, node.pid_file, {**os.environ, **HINTS_ONLY, **(settings or {})})
        (self.odd.add if settings else self.odd.discard)(index)

    def start_dead(self) -> list[int]:
        """Start those that ended though nobody made them; which they were."""
        dead = [index for index in range(self.count) if not self.is_alive(index)]
        for index in dead:
            self.start(index)
        self.died += dead
        return dead

    async def kill(self, indexes: Sequence[int]) -> None:
        """A power cut for these processes; returns when they are gone."""
        found = [self._started(index) for index in indexes]
        alive = [started for started in found if started]
        for started in alive:
            os.kill(started.pid, signal.SIGKILL)
        await trio.to_thread.run_sync(wait_gone, alive, GONE_SECONDS)
        self.paused -= set(indexes)

    async def stop(self, indexes: Sequence[int]) -> None:
        """Ask these to end, and wait until they have."""
        alive = [started for index in indexes if (started := self._started(index))]
        await trio.to_thread.run_sync(stop, alive, STOP_SECONDS)
        self.paused -= set(indexes)

    def pause(self, index: int) -> None:
        """Nothing of it runs until it goes on."""
        if started := self._started(index):
            os.kill(started.pid, signal.SIGSTOP)
            self.paused.add(index)

    def go_on(self, index: int) -> None:
        """As if nothing had been."""
        if started := self._started(index):
            os.kill(started.pid, signal.SIGCONT)
        self.paused.discard(index)

    def _started(self, index: int) -> Started | None:
        return devnet.running_node(self.network, self.seat(index))
