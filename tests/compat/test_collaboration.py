"""The roadmap's scenario: two people and their stock git clients on a network of several nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ports import free_ports

from .devnet import Devnet, Git, wait_until
from .people import add_collaborator, alice_of, create_repository, newcomer


def collaborate(net: Devnet, alice: Git, bob: Git, nodes: tuple[int, int, int]) -> None:
    """Alice pushes through one node, bob through another, alice pulls from a third."""
    first, second, third = nodes
    create_repository(net, alice, "project")
    add_collaborator(net, alice, "project", bob)
    work = alice.directory / "project"
    work.mkdir()
    mine = alice.at(work)
    mine("init", "-q")
    mine.commit("README", "hello\n", "first")
    mine("push", "-q", f"{net.url(first)}/alice/project.git", "HEAD:refs/heads/main")
    net.wait_all_at(first)

    theirs = bob.clone(f"{net.url(second)}/alice/project.git", "project")
    second_commit = theirs.commit("README", "hello, world\n", "second")
    theirs("push", "-q", "origin", "main")
    net.wait_all_at(second)

    mine("pull", "-q", f"{net.url(third)}/alice/project.git", "main")
    assert mine.oid("HEAD") == second_commit
    assert (work / "README").read_text() == "hello, world\n"
    for index in range(net.validators):
        assert mine.refs(f"{net.url(index)}/alice/project.git")["refs/heads/main"] == second_commit
    net.assert_same_state()


@pytest.mark.parametrize(("validators", "fault_model"), [(3, "byzantine"), (3, "crash"), (4, "byzantine")])
def test_two_people_collaborate(
    own_net: Callable[..., Devnet], tmp_path: Path, validators: int, fault_model: str
) -> None:
    """What one pushes through one node, the other has from the next, and every node has the same state."""
    net = own_net(validators, fault_model)
    alice, bob = alice_of(net, tmp_path / "alice"), newcomer(net, tmp_path / "bob", "bob")

    collaborate(net, alice, bob, (0, 1, 2))

    status = net.status(0)
    assert status["fault_model"] == fault_model
    assert status["quorum"] == {(3, "byzantine"): 3, (3, "crash"): 2, (4, "byzantine"): 3}[validators, fault_model]


def test_a_network_formed_by_hand_works_the_same(tmp_path: Path) -> None:
    """Four operators, four directories: entries handed over, sealed, and each runs its own node."""
    home = tmp_path / "home"
    net = Devnet(tmp_path / "unused", home, 4)
    ports = free_ports(8)
    for index in range(4):
        net.guts(
            "node", "init", "--dir", str(tmp_path / f"op{index}"), "--name", f"node{index}",
            "--http", f"127.0.0.1:{ports[index]}", "--p2p", f"127.0.0.1:{ports[4 + index]}",
            "--out", str(tmp_path / f"op{index}.json"),
        )  # fmt: skip
    draft, genesis = tmp_path / "draft.json", tmp_path / "genesis.json"
    net.guts("genesis", "new", "by-hand", "--draft", str(draft))
    for index in range(4):
        net.guts("genesis", "add", str(tmp_path / f"op{index}.json"), "--draft", str(draft))
    net.guts("genesis", "seal", "--draft", str(draft), "--out", str(genesis))
    processes = [run_node(tmp_path / f"op{index}", genesis, home) for index in range(4)]
    try:
        net.info = {"nodes": [{"http": f"http://127.0.0.1:{ports[i]}", "pid": processes[i].pid} for i in range(4)]}
        for index in range(4):
            net.wait_ready(index)
        operator = tmp_path / "op0" / "keys" / "operator.key"
        net.guts("account", "create", "alice", "--node", net.url(0), "--sponsor-key", str(operator))
        token = net.guts_json("token", "create", "--account", "alice", "--scope", "repo", "--gateway", "all")["token"]
        (tmp_path / "alice").mkdir()
        alice = Git(tmp_path / "alice", "alice", token)
        collaborate(net, alice, newcomer(net, tmp_path / "bob", "bob"), (0, 1, 2))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(timeout=120) for process in processes]
    assert codes == [0, 0, 0, 0], "an orderly stop on SIGTERM"


def run_node(directory: Path, genesis: Path, home: Path) -> subprocess.Popen[bytes]:
    """``guts node run``."""
    command = [sys.executable, "-m", "guts_cli", "node", "run", "--dir", str(directory), "--genesis", str(genesis)]
    output = (directory / "output").open("wb")
    with output:
        return subprocess.Popen(command, env={**os.environ, "GUTS_HOME": str(home)}, stdout=output, stderr=output)


def test_what_devnet_start_prints_is_what_scripts_rely_on(own_net: Callable[..., Devnet]) -> None:
    """The contract of the issue: fields, resumption, idempotent stop, one node restarted."""
    net = own_net(4)

    assert {"chain_id", "genesis", "fault_model", "account", "token", "nodes"} <= set(net.info)
    assert [set(node) >= {"index", "http", "p2p", "pid", "dir"} for node in net.info["nodes"]] == [True] * 4
    assert json.loads(Path(net.info["genesis"]).read_text())
    before = net.status(0)
    token = net.info["token"]
    net.stop()
    net.stop()
    net.start()
    assert net.info["token"] == token
    assert net.status(0)["chain_id"] == before["chain_id"]
    assert net.status(0)["height"] >= before["height"]
    net.kill(2)
    wait_until(lambda: net.status(0)["peers"] == 2, "the others notice")
    net.start_node(2)
    wait_until(lambda: net.status(0)["peers"] == 3, "it is back")


def test_the_status_contract(net: Devnet) -> None:
    """Field by field, on every node."""
    for index in range(4):
        status = net.status(index)
        for name in ("chain_id", "state_root", "block_hash"):
            assert len(bytes.fromhex(status[name])) == 32
        for name in ("height", "view", "validators", "quorum", "peers", "missing_packs", "rules"):
            assert type(status[name]) is int
        assert status["final"].endswith("Z")
        assert status["time"].endswith("Z")
        assert (status["validators"], status["quorum"], status["fault_model"]) == (4, 3, "byzantine")
        block = net.http(index, f"/api/guts/v1/blocks/{status['height']}").json
        assert len(bytes.fromhex(block["state_root"])) == 32
        assert net.http(index, f"/api/guts/v1/blocks/{10**9}").status == 404
