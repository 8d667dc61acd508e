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

PATIENCE_SECONDS = 180.0
# Nothing listens where the network was made for: flags say otherwise.
NO_PORT = 1
# The program of a release that came before rules 1: all it is told is which rules there were.
OLD_BUILD = """
from guts_core.forge import rules
rules.KNOWN_RULES = (0,)
from guts_cli.main import main
main()
"""
NEW_BUILD = "from guts_cli.main import main; main()"
WORDS = "rules 1 began with epoch 1, and this build knows rules 0: install a build that knows them and start again"


@define
class Process:
    """``guts node run``."""

    child: subprocess.Popen[str]

    def url(self) -> str:
        """Where it serves, once it does (with --json)."""
        return str(self._object()["http"])

    def _object(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        lines = list[str]()
        while not lines or lines[-1] != "}\n":
            lines.append(self.child.stdout.readline())
            assert lines[-1], "it ended before it said anything"
        found: dict[str, Any] = json.loads("".join(lines))
        return found

    def told(self) -> tuple[int, str]:
        """Its exit code, and its last words (with --json)."""
        error = self._object()["error"]
        return self.child.wait(PATIENCE_SECONDS), str(error["message"])

    def cried(self) -> tuple[int, str]:
        """Its exit code, and what is on its standard error."""
        _, words = self.child.communicate(timeout=PATIENCE_SECONDS)
        return self.child.returncode, words.strip()


@contextmanager
def started(build: str, network: networks.Network, *flags: str) -> Iterator[Process]:
    """A process of this build on the network's one node, at ports of the system's choice; it is gone afterwards."""
    listen = ("--http", "127.0.0.1:0", "--p2p", "127.0.0.1:0")
    directory = str(network.node(network.file.seats[0]).path)
    arguments = ("node", "run", "--dir", directory, "--genesis", str(network.genesis), *listen, *flags)
    child = subprocess.Popen(
        [sys.executable, "-c", build, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Process(child)
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
    plan = Plan("local", "alice", FaultModel.BYZANTINE, DEVNET_PARAMS, (Seat(0, NO_PORT, NO_PORT),))
    network = networks.create(tmp_path / "net", plan)
    key = network.node(network.file.seats[0]).path / "keys" / "operator.key"
    with started(OLD_BUILD, network, "--json") as old:
        node = ("--node", old.url(), "--operator-key", str(key))
        # It may end before it has answered who proposed that: then the answer is "unknown yet".
        assert guts(tmp_path / "home", ("network", "propose", "rules", "1", "--now", *node)) in {0, 6}
        assert old.told() == (78, WORDS)

    with started(OLD_BUILD, network) as again:
        assert again.cried() == (78, f"guts: {WORDS}")

    with started(NEW_BUILD, network, "--json") as new:
        status = httpx.get(f"{new.url()}/api/guts/v1/status", timeout=PATIENCE_SECONDS).json()
    assert (status["rules"], status["epoch"]) == (1, 1)
