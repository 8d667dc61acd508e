"""F51 in real processes: the build before, on a network that goes over to rules that it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from attrs import define

from guts_cli import network as networks
from guts_cli.network import DEVNET_PARAMS, Plan, Seat
from guts_core.simplex.quorum import FaultModel
from tests.compat.devnet import wait_until
from tests.net.world import free_ports

PATIENCE_SECONDS = 60.0
# The program of a release that came before rules 1: all it is told is which rules there were.
OLD_BUILD = """
from guts_core.forge import rules
rules.KNOWN_RULES = (0,)
from guts_cli.main import main
main()
"""
NEW_BUILD = "from guts_cli.main import main; main()"
WORDS = (
    "guts: rules 1 began with epoch 1, and this build knows rules 0: install a build that knows them and start again"
)


@define
class Process:
    """``guts node run``."""

    child: subprocess.Popen[str]
    url: str

    def status(self) -> dict[str, Any]:
        """What it says of itself, once it does."""
        wait_until(lambda: self._answer("/startupz") is not None, "the node is ready", PATIENCE_SECONDS)
        status: dict[str, Any] = json.loads(self._answer("/api/guts/v1/status") or "")
        return status

    def _answer(self, path: str) -> str | None:
        assert self.child.poll() is None, "it ended before it was ready"
        try:
            answer = httpx.get(self.url + path, timeout=PATIENCE_SECONDS)
        except httpx.TransportError:
            return None
        return answer.text if answer.status_code == 200 else None

    def ended(self) -> tuple[int, str]:
        """Its exit code and its last words."""
        _, words = self.child.communicate(timeout=PATIENCE_SECONDS)
        return self.child.returncode, words.strip()


@contextmanager
def started(build: str, network: networks.Network) -> Iterator[Process]:
    """A process of this build on the network's one node; it is gone afterwards."""
    seat = network.file.seats[0]
    directory, listen = str(network.node(seat).path), ("--http", f"127.0.0.1:{seat.http_port}", "--p2p", "127.0.0.1:0")
    arguments = ("node", "run", "--dir", directory, "--genesis", str(network.genesis), *listen)
    child = subprocess.Popen(
        [sys.executable, "-c", build, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Process(child, seat.url)
    finally:
        child.kill()
        child.communicate()


def guts(home: Path, arguments: Sequence[str]) -> int:
    """A command of its operator; the exit code."""
    environment = {**os.environ, "GUTS_HOME": str(home)}
    command = [sys.executable, "-c", NEW_BUILD, *arguments]
    return subprocess.run(command, env=environment, check=False, timeout=PATIENCE_SECONDS).returncode


def test_fault_F51_a_process_of_the_build_before_ends_with_78_and_its_sentence(tmp_path: Path) -> None:
    """When the rules begin, and at every start afterwards; the build that knows them goes on from there."""
    plan = Plan("local", "alice", FaultModel.BYZANTINE, DEVNET_PARAMS, (Seat(0, *free_ports(2)),))
    network = networks.create(tmp_path / "net", plan)
    key = network.node(network.file.seats[0]).path / "keys" / "operator.key"
    with started(OLD_BUILD, network) as old:
        assert old.status()["rules"] == 0
        node = ("--node", old.url, "--operator-key", str(key))
        # It may end before it has answered who proposed that: then the answer is "unknown yet".
        assert guts(tmp_path / "home", ("network", "propose", "rules", "1", "--now", *node)) in {0, 6}
        assert old.ended() == (78, WORDS)

    with started(OLD_BUILD, network) as again:
        assert again.ended() == (78, WORDS)

    with started(NEW_BUILD, network) as new:
        status = new.status()
    assert (status["rules"], status["epoch"]) == (1, 1)
