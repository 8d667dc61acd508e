"""F19 to F21, F40: real node processes that are stopped, killed, short of memory or run twice, of one network."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import running
from tests.compat.devnet import Devnet, Git, wait_until
from tests.compat.people import a_repository, alice_of

# Beside what it has: enough to say no, too little for a pack.
LEFT_BYTES = 4 << 20
PACK_BYTES = 24 << 20
# Of two processes with one key the peers keep one link at a time: what one of them misses, the other votes on.
TWIN_SECONDS = 120.0


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """Four processes; each test leaves them as it found them."""
    with running(tmp_path_factory.mktemp("faults"), 4) as started:
        yield started


@pytest.fixture(scope="module")
def mine(net: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """Alice's repository."""
    return a_repository(net, alice_of(net, tmp_path_factory.mktemp("alice")), "project")


def push(net: Devnet, mine: Git, through: int, text: str) -> str:
    """Acknowledged; the commit."""
    oid = mine.commit("file", text)
    mine("push", "-q", f"{net.url(through)}/alice/project.git", "main")
    return oid


def assert_has(net: Devnet, mine: Git, oid: str) -> None:
    """On every node."""
    net.wait_whole()
    for index in range(4):
        assert mine.refs(f"{net.url(index)}/alice/project.git")["refs/heads/main"] == oid
    net.assert_same_state()


def test_fault_F19_a_stopped_process_wakes_up_behind_catches_up_and_contradicts_nothing(net: Devnet, mine: Git) -> None:
    """It missed views in which it had a vote: nobody sees it say two things, and it votes in the next ones."""
    marks = [net.mark(index) for index in range(4)]
    for victim in (1, 2):
        net.signal(signal.SIGSTOP, victim)
        for number in range(3):
            oid = push(net, mine, 0, f"{victim} sleeps {number}\n")
        net.signal(signal.SIGCONT, victim)
        net.wait_height(net.status(0)["height"], victim)
        net.wait_whole(victim)
        oid = push(net, mine, victim, f"{victim} is back\n")

    assert_has(net, mine, oid)
    assert [net.lines(index, mark, "equivocation", {}) for index, mark in enumerate(marks)] == [[], [], [], []]
    # A pause is no stall of the loop, and nobody steps aside for it.
    assert [net.lines(index, mark, "stands_aside", {}) for index, mark in enumerate(marks)] == [[], [], [], []]


def test_fault_F20_more_than_f_are_killed_and_it_halts_and_goes_on_from_there(net: Devnet, mine: Git) -> None:
    """Two of four: nothing is final without them, and the first block afterwards stands on the last before."""
    before = push(net, mine, 3, "before\n")
    net.wait_all_at(3)
    height = net.status(0)["height"]
    net.kill(1, 2)
    wait_until(lambda: net.status(0)["peers"] == 1, "the loss is noticed")
    assert mine.refs(f"{net.url(0)}/alice/project.git")["refs/heads/main"] == before
    assert net.status(0)["height"] <= height + 1
    net.start_node(1)
    net.start_node(2)

    assert_has(net, mine, push(net, mine, 1, "after\n"))


def test_fault_F21_a_process_without_memory_does_not_hold_up_the_others(net: Devnet, mine: Git) -> None:
    """A large pack and no memory for it: three acknowledge it; the fourth holds it, too, once it may have memory."""
    used = int(Path(f"/proc/{net.pid(3)}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(net.pid(3), resource.RLIMIT_AS, (used + LEFT_BYTES, resource.RLIM_INFINITY))
    (mine.directory / "large").write_bytes(os.urandom(PACK_BYTES))
    oid = push(net, mine, 0, "large\n")
    net.kill(3)
    net.start_node(3)

    assert_has(net, mine, oid)


def a_process(net: Devnet, directory: Path, http: str, p2p: str) -> subprocess.Popen[str]:
    """``guts node run`` of this network on a directory."""
    command = ["node", "run", "--dir", str(directory), "--genesis", str(net.info["genesis"]), "--http", http]
    program = [sys.executable, "-m", "guts_cli", *command, "--p2p", p2p]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_fault_F40_of_two_processes_with_one_key_one_ends_with_78(net: Devnet, mine: Git, tmp_path: Path) -> None:
    """A directory and its copy: the first of them that sees a vote of the other says so on its standard error."""
    node = net.info["nodes"][3]
    net.kill(3)
    shutil.copytree(node["dir"], tmp_path / "copy")
    processes = [a_process(net, node["dir"], node["http"].removeprefix("http://"), node["p2p"])]
    try:
        net.wait_ready(3)
        oid = push(net, mine, 0, "after the copy\n")
        processes.append(a_process(net, tmp_path / "copy", "127.0.0.1:0", "127.0.0.1:0"))
        number, deadline = 0, time.monotonic() + TWIN_SECONDS
        while all(one.poll() is None for one in processes) and time.monotonic() < deadline:
            oid = push(net, mine, 0, f"beside a copy {number}\n")  # what is to be seen is votes
            number += 1
        ended = next(one for one in processes if one.poll() is not None)
        _, words = ended.communicate(timeout=180)
    finally:
        for one in processes:
            one.kill()
            one.communicate()
    net.start_node(3)

    assert ended.returncode == 78, words
    assert words.startswith("guts: another process votes with this key: its ")
    assert "Stop one of the two, and never start the same keys twice" in words
    assert_has(net, mine, oid)
