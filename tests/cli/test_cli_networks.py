"""Networks of real processes: `guts up`, one devnet, and one formed by hand in four directories."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from attrs import define, field

from tests.ports import free_ports

pytestmark = pytest.mark.e2e
GUTS = [sys.executable, "-m", "guts_cli"]
PATIENCE_SECONDS = 180
# Away from the ports that other local networks choose.


@define
class Desk:
    """Somebody at a terminal: a home, a directory, and what they left running."""

    path: Path
    children: list[subprocess.Popen[str]] = field(factory=list)

    def environment(self) -> dict[str, str]:
        """Nothing of the machine's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUTS_", "GIT_"))}
        return {**kept, "GUTS_HOME": str(self.path / "home"), "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(self.path)}

    def run(self, *words: str, code: int = 0) -> Any:
        """One guts command with --json."""
        done = subprocess.run(
            [*GUTS, *words, "--json"], cwd=self.path, env=self.environment(), capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def begin(self, *words: str) -> Any:
        """A guts command that stays; returns what it says when it is ready."""
        child = subprocess.Popen(
            [*GUTS, *words, "--json"], cwd=self.path, env=self.environment(), stdout=subprocess.PIPE, text=True
        )
        self.children.append(child)
        assert child.stdout is not None
        return one_object(child.stdout)

    def git(self, *words: str) -> str:
        """Stock git."""
        done = subprocess.run(
            ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words],
            cwd=self.path, env=self.environment(), capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def a_commit(self) -> None:
        """A repository ``work`` with one commit."""
        self.git("init", "-q", "-b", "main", "work")
        (self.path / "work" / "README").write_text("hello\n")
        self.git("-C", "work", "add", ".")
        self.git("-C", "work", "commit", "-qm", "First")

    def end(self) -> None:
        """Stop what was left running."""
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.communicate(timeout=PATIENCE_SECONDS)


def one_object(stream: IO[str]) -> Any:
    """The first JSON object of a stream that stays open."""
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            return json.loads(text)
    raise AssertionError(f"ended after {text!r}")


def status(url: str) -> Any:
    answer = httpx.get(f"{url}/api/guts/v1/status", timeout=PATIENCE_SECONDS, trust_env=False)
    return answer.json()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.end()


def test_up_starts_a_network_that_takes_a_push_and_resumes(desk: Desk) -> None:
    """The first minute of every newcomer."""
    port = str(free_ports(1)[0])
    first = desk.begin("up", "--account", "ada", "--http-port", port)
    url, helper = first["nodes"][0]["http"], desk.path / "home" / "credential-helper"
    desk.a_commit()
    desk.git("-C", "work", "-c", f"credential.helper={helper}", "push", "-q", f"{url}/ada/hello.git", "HEAD:main")
    assert [repo["name"] for repo in desk.run("repo", "list")["repositories"]] == ["ada/hello"]
    assert desk.run("up", code=5)["error"]["message"].startswith(f"this network runs already: {url}, process ")
    desk.end()
    assert desk.children[0].returncode == 0

    again = desk.begin("up")

    assert {name: again[name] for name in ("chain_id", "token", "account")} == {
        name: first[name] for name in ("chain_id", "token", "account")
    }
    desk.git("clone", "-q", f"{url}/ada/hello.git", "clone")
    assert (desk.path / "clone" / "README").read_text() == "hello\n"


def test_a_devnet_is_started_stopped_and_resumed_as_scripts_expect(desk: Desk) -> None:
    """The contract of `guts devnet`: fields, ports, pids, idempotence."""
    first_port = free_ports(4)[0]
    begin = ("devnet", "start", "--validators", "1", "--dir", "net", "--detach")
    net = desk.run(*begin, "--http-port", str(first_port))
    try:
        node = net["nodes"][0]
        assert set(net) == {"chain_id", "genesis", "fault_model", "account", "token", "nodes"}
        assert set(node) == {"index", "http", "p2p", "pid", "dir"}
        assert node["http"] == f"http://127.0.0.1:{first_port}"
        assert status(node["http"])["chain_id"] == net["chain_id"]
        assert net == desk.run(*begin)
        taken = desk.run("devnet", "start", "--dir", "other", "--http-port", str(first_port), "--detach", code=2)
        assert f"port {first_port} on 127.0.0.1 is taken" in taken["error"]["message"]

        os.kill(node["pid"], signal.SIGKILL)
        killed = desk.run("devnet", "status", "--dir", "net")["nodes"][0]
        assert (killed["running"], killed["height"]) == (False, None)
        back = desk.run("devnet", "start-node", "--dir", "net", "--index", "0", "--detach")
        assert {**node, "pid": back["pid"]} == back
        assert desk.run("devnet", "start-node", "--dir", "net", "--index", "1", "--detach", code=3)["error"]
    finally:
        stopped = desk.run("devnet", "stop", "--dir", "net")
    assert stopped == {"stopped": [0]}
    assert desk.run("devnet", "stop", "--dir", "net") == {"stopped": []}


def test_a_network_formed_by_hand_takes_a_push_from_an_account_an_operator_vouched_for(desk: Desk) -> None:
    """No step of forming a network may need `guts devnet`."""
    http, p2p = free_ports(4), free_ports(4)
    entries = [
        desk.run("node", "init", "--dir", f"n{i}", "--name", f"node-{i}", "--p2p", f"127.0.0.1:{p2p[i]}")["entry"]
        for i in range(4)
    ]
    desk.run("genesis", "new", "our-net", "--delta-ms", "200", "--retry-ms", "400")
    desk.run("genesis", "add", *entries)
    sealed = desk.run("genesis", "seal")
    nodes = [
        desk.begin("node", "run", "--dir", f"n{i}", "--genesis", "genesis.json", "--http", f"127.0.0.1:{http[i]}")
        for i in range(4)
    ]

    urls = [node["http"] for node in nodes]
    desk.run("account", "create", "eve", "--node", urls[0], "--sponsor-key", "n0/keys/operator.key")
    desk.run("context", "add", urls[1])
    made = desk.run("token", "create", "--scope", "repo", "--node", urls[1], "--gateway", "node-1", "--save")
    desk.a_commit()
    helper = f"!f() {{ echo username=eve; echo password={made['token']}; }}; f"
    desk.git("-C", "work", "-c", f"credential.helper={helper}", "push", "-q", f"{urls[1]}/eve/hello.git", "HEAD:main")
    desk.git("clone", "-q", f"{urls[1]}/eve/hello.git", "clone")

    assert {status(url)["chain_id"] for url in urls} == {sealed["chain_id"]}
    assert (desk.path / "clone" / "README").read_text() == "hello\n"
    listed = desk.run("repo", "list", "--node", urls[1])["repositories"]
    assert [repo["name"] for repo in listed] == ["eve/hello"]
    assert desk.run("account", "create", "eve", code=5)["error"]["message"] == "account name eve is taken"
    assert len(desk.run("key", "show")["keys"]) == 1


def test_a_node_that_cannot_start_says_why(desk: Desk) -> None:
    """The words are the node's own, and nothing is left running."""
    begin = ("devnet", "start", "--validators", "1", "--dir", "net", "--detach")
    desk.run(*begin, "--http-port", str(free_ports(1)[0]))
    again = desk.run("node", "run", "--dir", "net/node0", "--http", "127.0.0.1:0", "--p2p", "127.0.0.1:0", code=5)
    desk.run("devnet", "stop", "--dir", "net")
    (desk.path / "net" / "node0" / "keys" / "vote.key").chmod(0o644)

    refused = desk.run(*begin, code=6)

    assert "is in use by process" in again["error"]["message"]
    assert "vote.key can be read by others (mode 644)" in refused["error"]["message"]
    assert desk.run("devnet", "stop", "--dir", "net") == {"stopped": []}


def test_a_seed_runs_and_prints_its_trace(desk: Desk) -> None:
    """The simulator is a command, not only a test."""
    assert desk.run("sim", "run", "--seed", "7")["trace"] == desk.run("sim", "run", "--seed", "7")["trace"]
