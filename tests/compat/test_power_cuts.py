"""``kill -9`` in the middle of pushes and a moment after them; synchronised on what nodes log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .devnet import Devnet, Git, wait_until
from .people import alice_of, create_repository

# Large enough that pulling it takes a while even on loopback: the kill lands inside.
LARGE_BYTES = 24 << 20


def a_large_change(alice: Git, name: str) -> tuple[Git, str]:
    """A repository whose only commit holds an incompressible file."""
    work = alice.directory / name
    work.mkdir()
    mine = alice.at(work)
    mine("init", "-q")
    (work / "data").write_bytes(os.urandom(LARGE_BYTES))
    return mine, mine.commit("README", name)


def leader_of(net: Devnet, asked: int) -> int:
    """Who leads the view that this node is in."""
    return int(net.status(asked)["view"]) % net.validators


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_validator_dies_in_the_middle_of_a_push(own_net: Callable[..., Devnet], tmp_path: Path, role: str) -> None:
    """The push succeeds without it; restarted, it catches up with the pack and serves a clone."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    create_repository(net, alice, "project")
    mine, oid = a_large_change(alice, "project")
    leader = leader_of(net, 1)
    gateway = (leader + 1) % 4
    victim = leader if role == "leader" else (leader + 2) % 4
    mark = net.mark(victim)
    push = mine.popen("push", "-q", f"{net.url(gateway)}/alice/project.git", "HEAD:refs/heads/main")
    net.wait_log(victim, "pack_wanted", mark)
    net.kill(victim)

    output, _ = push.communicate(timeout=300)
    assert push.returncode == 0, output
    net.start_node(victim)
    net.wait_height(net.status(gateway)["height"], victim)
    net.wait_whole(victim)
    clone = alice.clone(f"{net.url(victim)}/alice/project.git", "clone")
    assert clone.oid("HEAD") == oid
    net.assert_same_state()


def test_the_gateway_dies_in_the_middle_of_a_push(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """The client fails; the same push through another node ends ok or up to date."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    create_repository(net, alice, "project")
    mine, oid = a_large_change(alice, "project")
    mark = net.mark(0)
    push = mine.popen("push", f"{net.url(0)}/alice/project.git", "HEAD:refs/heads/main")
    net.wait_log(0, "push_submitted", mark)
    net.kill(0)
    push.communicate(timeout=300)
    assert push.returncode != 0

    mine("push", f"{net.url(1)}/alice/project.git", "HEAD:refs/heads/main")
    net.start_node(0)
    net.wait_height(net.status(1)["height"], 0)
    net.wait_whole()
    for index in range(4):
        assert mine.refs(f"{net.url(index)}/alice/project.git")["refs/heads/main"] == oid
    assert alice.clone(f"{net.url(0)}/alice/project.git", "clone").oid("HEAD") == oid
    net.assert_same_state()


def test_all_nodes_die_a_moment_after_an_acknowledged_push(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """Acknowledged is durable: after the power cut it is there on all nodes, and git fsck finds nothing."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    work = alice.directory / "project"
    work.mkdir()
    mine = alice.at(work)
    mine("init", "-q")
    oids = []
    for round_ in range(3):
        oids.append(mine.commit("README", f"round {round_}\n"))
        mine("push", "-q", f"{net.url(round_ % 4)}/alice/project.git", "HEAD:refs/heads/main")
        net.kill(0, 1, 2, 3)
        net.start()

    net.wait_whole()
    wait_until(lambda: len({net.status(i)["height"] for i in range(4)}) == 1, "one height")
    for index in range(4):
        assert mine.refs(f"{net.url(index)}/alice/project.git")["refs/heads/main"] == oids[-1]
        clone = alice.clone(f"{net.url(index)}/alice/project.git", f"clone{index}")
        clone("fsck", "--strict", "--no-progress")
        for repository in sorted(Path(net.info["nodes"][index]["dir"]).glob("repos/??/*.git")):
            checked = Git(repository)("fsck", "--no-progress", "--full", "--connectivity-only")
            assert "missing" not in checked.stdout + checked.stderr
    net.assert_same_state()
