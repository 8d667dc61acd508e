"""A node joins a network of real processes: pinned, admitted, verified; it serves, takes pushes, and is killed."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, evolve, field

from guts_core.chain.genesis_json import genesis_from_json, to_json
from tests.cli.reference import differences, example
from tests.ports import free_ports

from .conftest import running
from .devnet import PATIENCE_SECONDS, Devnet, Git, wait_until
from .pages import exchanged, steps
from .people import a_repository, alice_of
from .terminal import Terminal

pytestmark = pytest.mark.e2e
_NUMBERS = itertools.count(1)


@define
class Joiner:
    """Somebody else's machine: its own home, its own directory."""

    net: Devnet
    directory: Path
    name: str
    ports: list[int] = field(factory=lambda: free_ports(2))
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where the follower serves."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def home(self) -> Path:
        """Of whoever joins: nothing is pinned there."""
        return self.directory / "home"

    @property
    def node(self) -> Path:
        """The node's directory."""
        return self.directory / "node"

    @property
    def addresses(self) -> tuple[str, str]:
        """Where it serves and hears others."""
        return f"--http=127.0.0.1:{self.ports[0]}", f"--p2p=127.0.0.1:{self.ports[1]}"

    def words(self, *options: str) -> tuple[str, ...]:
        """What is typed to join."""
        return ("join", self.net.url(1), "--dir", str(self.node), "--name", self.name, *self.addresses, *options)

    def pinned(self) -> tuple[str, ...]:
        """The same as the page has it, with the chain id."""
        return (*self.page("join"), *self.addresses)

    def page(self, kind: str, at: int = 0) -> tuple[str, ...]:
        """A command of guts on the page, with the words of this machine."""
        words = {
            "https://git.example.org": self.net.url(1),
            "~/guts-node": str(self.node),
            "berlin": self.name,
            "5f2c...": str(self.net.info["chain_id"]),
            "DIR": str(self.restored),
        }
        found = [step.commands for step in steps("join-a-network.md") if step.notes == (kind,)]
        return tuple(shlex.split(exchanged(found[at], words)))[1:]

    @property
    def restored(self) -> Path:
        """Where a backup comes back."""
        return self.directory / "restored"

    def start(self, *words: str) -> None:
        """A command that stays."""
        log = (self.directory / "said").open("a")
        argv = [sys.executable, "-m", "guts_cli", *words]
        self.process = subprocess.Popen(argv, env=self.environment, stdout=log, stderr=log, text=True)
        log.close()

    @property
    def environment(self) -> dict[str, str]:
        """Of its commands."""
        http, p2p = (f"127.0.0.1:{port}" for port in self.ports)
        listens = {"GUTS_HTTP_LISTEN": http, "GUTS_P2P_LISTEN": p2p}
        return {**os.environ, "GUTS_HOME": str(self.home), **listens}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the command that stays; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def height(self) -> int:
        """Of the follower; below 0 while it serves nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/guts/v1/status", timeout=30) as answer:  # noqa: S310  # loopback
                return int(json.load(answer)["height"])
        except OSError:
            return -1

    def wait_level(self) -> None:
        """Until it has what a validator has now."""
        height = int(self.net.status(0)["height"])
        wait_until(lambda: self.height() >= height, f"{self.name} at height {height}")

    def admit(self, request: str) -> None:
        """What an operator of the network types."""
        key = self.net.directory / "node0/keys/operator.key"
        typed = (request if word == "guts_node_..." else word for word in self.page("operator"))
        self.net.guts(*typed, "--operator-key", str(key))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four validators in their second epoch."""
    with running(tmp_path_factory.mktemp("joined"), 4) as started:
        _end_epoch(started)
        yield started


def _end_epoch(net: Devnet) -> None:
    keys = [("--operator-key", str(net.directory / f"node{index}/keys/operator.key")) for index in range(3)]
    number = str(net.guts_json("network", "propose", "end-epoch", *keys[0])["number"])
    net.guts("network", "vote", number, *keys[1])
    net.guts("network", "vote", number, *keys[2])


@pytest.fixture
def joiner(net: Devnet, tmp_path: Path) -> Iterator[Joiner]:
    """Whoever joins, until the test ends."""
    made = Joiner(net, tmp_path, f"follower-{next(_NUMBERS)}")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop(signal.SIGKILL)


def test_what_nobody_named_is_not_joined(net: Devnet, joiner: Joiner, tmp_path: Path) -> None:
    shown = genesis_from_json(Path(net.info["genesis"]).read_text())
    (tmp_path / "other.json").write_text(to_json(evolve(shown, genesis=evolve(shown.genesis, name="elsewhere"))))

    silent = net.guts(*joiner.words(), home=joiner.home, check=False)
    eager = net.guts(*joiner.words("--yes"), home=joiner.home, check=False)
    wrong = net.guts(*joiner.words("--chain-id", "5f" * 32), home=joiner.home, check=False)
    foreign = net.guts(*joiner.words("--genesis", str(tmp_path / "other.json")), home=joiner.home, check=False)

    assert [one.returncode for one in (silent, eager, wrong, foreign)] == [2, 2, 5, 5]
    assert "which network? Its chain id is what everything else is checked against" in silent.stderr
    assert "--yes cannot confirm a network that nobody named" in eager.stderr
    assert f"the node is of network {net.info['chain_id']}, and you named {'5f' * 32}" in wrong.stderr
    assert f"the node is of network {net.info['chain_id']}, {tmp_path / 'other.json'} is" in foreign.stderr
    assert not joiner.node.exists()


def test_a_node_joins_serves_clones_and_passes_a_push_on(net: Devnet, joiner: Joiner, tmp_path: Path) -> None:
    alice = alice_of(net, tmp_path / "alice")
    work = a_repository(net, alice, "joined")
    argv = [sys.executable, "-m", "guts_cli", *joiner.words()]

    terminal = Terminal.open(argv, tmp_path, joiner.environment)
    try:
        terminal.wait_for(r"Is it the same\?", PATIENCE_SECONDS)
        assert net.info["chain_id"] in terminal.text.replace(" ", "").replace("\n", "")
        _type(terminal, "y\n")
        joiner.admit(terminal.wait_for(r"guts network admit (\S+) --name", PATIENCE_SECONDS)[1])
        terminal.wait_for(r"follows network", PATIENCE_SECONDS)
        joiner.wait_level()
        _clone_equals(joiner, alice, work)
        _push_arrives(joiner, alice)
    finally:
        terminal.interrupt(PATIENCE_SECONDS)
    work("pull", "-q", f"{net.url(0)}/alice/joined.git", "main")
    work.commit("file", "while it was away\n")
    work("push", "-q", f"{net.url(0)}/alice/joined.git", "main")

    joiner.start(*joiner.page("run"))
    joiner.wait_level()

    _wait_served(joiner.url, alice)
    assert alice.refs(f"{joiner.url}/alice/joined.git")["refs/heads/main"] == work.oid("HEAD")
    assert joiner.stop() == 0


def _type(terminal: Terminal, words: str) -> None:
    assert terminal.process.stdin is not None
    terminal.process.stdin.write(words.encode())
    terminal.process.stdin.flush()


def _wait_served(base: str, alice: Git) -> str:
    """Blocks come before the packs that they admit: until those are here too, clones are refused in words."""
    url = f"{base}/alice/joined.git"
    wait_until(lambda: alice("ls-remote", url, check=False).returncode == 0, f"{base} has the packs")
    return url


def _clone_equals(joiner: Joiner, alice: Git, work: Git) -> None:
    url = _wait_served(joiner.url, alice)
    cloned = alice.clone(url, "from-follower")
    assert cloned.oid("HEAD") == work.oid("HEAD")
    assert cloned("cat-file", "-p", "HEAD:file").stdout == work("cat-file", "-p", "HEAD:file").stdout


def _push_arrives(joiner: Joiner, alice: Git) -> None:
    """A token for the follower; what is pushed to it is on a validator, and on it."""
    net = joiner.net
    made = net.guts_json(*joiner.page("token"), "--account", "alice", "--node", net.url(0))
    net.wait_all_at(0)
    mine = Git(alice.directory / "from-follower", "alice", str(made["token"]))
    tip = mine.commit("file", "by way of a follower\n")
    mine("push", "-q", f"{joiner.url}/alice/joined.git", "HEAD:main")
    joiner.wait_level()
    for base in (joiner.url, net.url(2)):
        url = _wait_served(base, alice)
        wait_until(lambda at=url: alice.refs(at)["refs/heads/main"] == tip, f"it is at {base}")  # type: ignore[misc]  # binds now


def test_a_joining_node_that_is_killed_goes_on(net: Devnet, joiner: Joiner) -> None:
    words = joiner.pinned()
    joiner.start(*words)
    wait_until(lambda: "guts network admit" in _said(joiner), "it asks to be admitted")
    assert joiner.stop(signal.SIGKILL) == -signal.SIGKILL
    joiner.admit(_said(joiner).split("guts network admit ")[1].split()[0])
    joiner.start(*words)
    wait_until((joiner.node / "chain.db").exists, "it has begun to take blocks")
    assert joiner.stop(signal.SIGKILL) == -signal.SIGKILL

    assert words[words.index("--chain-id") + 1] == net.info["chain_id"]
    said = net.guts_json(*words, "--yes", "--no-run", home=joiner.home)
    joiner.start(*joiner.page("run"))
    joiner.wait_level()

    assert differences(example("guts join"), said) == []
    assert (said["network"], said["dir"]) == (net.info["chain_id"], str(joiner.node))
    assert joiner.stop() == 0
    _comes_back_from_its_backup(joiner)


def _comes_back_from_its_backup(joiner: Joiner) -> None:
    """All but its keys and votes was copied; a node with keys of its own serves that, and no one admitted it."""
    shutil.copytree(joiner.node, joiner.directory / "backup", ignore=shutil.ignore_patterns("keys", "votes.log*"))
    made = (step.commands for step in steps("join-a-network.md") if step.notes == ("restore",))
    words = {"DIR": str(joiner.restored), "BACKUP": str(joiner.directory / "backup"), "berlin": "again"}
    argv = ["bash", "-ec", exchanged(next(made), words)]
    environment = joiner.environment | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(argv, check=True, env=environment, capture_output=True)

    joiner.start(*joiner.page("run", 1))

    wait_until(lambda: joiner.height() > 0, "what was saved is served")
    assert joiner.stop() == 0


def _said(joiner: Joiner) -> str:
    return (joiner.directory / "said").read_text()
