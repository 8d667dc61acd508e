"""Too few validators: writes stop with words, reads go on, nothing is lost, and it resumes by itself."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from guts_cli.outcomes import EXIT_INTERRUPTED

from .devnet import Devnet, wait_until
from .people import a_repository, alice_of

# The issue's own numbers.
WRITE_PATIENCE_SECONDS = 30
RESUME_SECONDS = 60


def test_two_of_four_stopped(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """A push says how many are missing and fails with words; REST answers 504; reads go on; one back is enough."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    mine = a_repository(net, alice, "project")
    a_repository(net, alice, "secret", private=True)
    net.kill(2, 3)
    wait_until(lambda: net.status(0)["peers"] == 1, "the loss is noticed")
    second = mine.commit("file", "two\n")

    start = time.monotonic()
    push = mine("push", f"{net.url(0)}/alice/project.git", "main", check=False)
    waited = time.monotonic() - start
    assert push.returncode != 0
    assert "1 of the validators needed is missing" in push.stderr, push.stderr
    assert "may still happen" in push.stderr
    assert waited >= WRITE_PATIENCE_SECONDS - 1
    answer = net.http(1, "/api/v3/user/repos", token=alice.token, body={"name": "later"})
    assert answer.status == 504
    tx_id = {k.lower(): v for k, v in answer.headers.items()}["guts-transaction"]
    assert len(bytes.fromhex(tx_id)) == 32
    for name in ("project", "secret"):
        assert alice.clone(f"{net.url(0)}/alice/{name}.git", f"clone-{name}").oid("HEAD")

    net.start_node(2)
    back = time.monotonic()
    wait_until(lambda: net.http(1, "/api/v3/repos/alice/later").status == 200, "the write came through")
    assert time.monotonic() - back < RESUME_SECONDS
    found = net.http(1, f"/api/guts/v1/transactions/{tx_id}").json
    assert found["height"] >= 1
    wait_until(
        lambda: alice.refs(f"{net.url(0)}/alice/project.git")["refs/heads/main"] == second, "the push came through too"
    )
    mine("push", f"{net.url(1)}/alice/project.git", "main")
    net.assert_same_state(0, 1, 2)


def test_whoever_stops_waiting_for_a_write_is_told_what_to_ask_for(own_net: Callable[..., Devnet]) -> None:
    """Ctrl-C ends the waiting and not the write; so does the end of the node's patience."""
    net = own_net(2)
    net.kill(1)
    wait_until(lambda: net.status(0)["peers"] == 0, "the loss is noticed")
    words = [sys.executable, "-m", "guts_cli", "repo", "create", "later", "--node", net.url(0)]
    environment = {**os.environ, "GUTS_HOME": str(net.home)}
    waiting = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: net.http(0, "/api/guts/v1/mempool").json["count"] == 1, "it waits")
    tx_id = net.http(0, "/api/guts/v1/mempool").json["transactions"][0]["id"]

    waiting.send_signal(signal.SIGINT)
    stopped = waiting.communicate()[1]
    given_up = subprocess.run([*words, "--json"], env=environment, capture_output=True, text=True, check=False)

    assert waiting.returncode == EXIT_INTERRUPTED
    assert f"may still happen\nnext: guts verify --tx {tx_id}\n" in stopped
    assert given_up.returncode == 6
    assert re.fullmatch("guts verify --tx [0-9a-f]{64}", json.loads(given_up.stdout)["error"]["next"])


def test_private_reads_stop_after_their_grace(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """A node that learns nothing new cannot know of a revocation: 503 with the reason; public reads go on."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    a_repository(net, alice, "open")
    a_repository(net, alice, "secret", private=True)
    net.stop()
    for node in range(4):
        config = Path(net.info["nodes"][node]["dir"]) / "config.toml"
        text, count = re.subn(
            r"(?m)^# private_read_grace_seconds = .*$", "private_read_grace_seconds = 3", config.read_text()
        )
        assert count == 1
        config.write_text(text)
    net.start()
    net.kill(1, 2, 3)
    wait_until(
        lambda: net.http(0, "/api/v3/repos/alice/secret", token=alice.token).status == 503, "the grace is over", 60
    )

    refused = alice("clone", f"{net.url(0)}/alice/secret.git", "secret-clone", check=False)
    assert refused.returncode != 0
    assert "503" in refused.stderr
    assert alice.clone(f"{net.url(0)}/alice/open.git", "open-clone").oid("HEAD")


def test_all_nodes_suspended_for_a_minute(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """A pause of the machine is not a fault."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    mine = a_repository(net, alice, "project")
    net.signal(signal.SIGSTOP, 0, 1, 2, 3)
    time.sleep(60)
    net.signal(signal.SIGCONT, 0, 1, 2, 3)

    oid = mine.commit("file", "after\n")
    mine("push", "-q", f"{net.url(2)}/alice/project.git", "main")
    net.wait_all_at(2)
    assert alice.refs(f"{net.url(3)}/alice/project.git")["refs/heads/main"] == oid
    net.assert_same_state()


def test_one_clock_an_hour_wrong(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """Forward: its proposals are not voted for and its views are skipped. Back: block time goes on from its parent."""
    net = own_net(4)
    alice = alice_of(net, tmp_path / "alice")
    mine = a_repository(net, alice, "project")
    for round_, offset_ms in enumerate((3_600_000, -3_600_000)):
        net.kill(1)
        os.environ["GUTS_CLOCK_OFFSET_MS"] = str(offset_ms)
        try:
            net.start_node(1)
        finally:
            del os.environ["GUTS_CLOCK_OFFSET_MS"]
        for number in range(4):
            oid = mine.commit("file", f"{round_} {number}\n")
            mine("push", "-q", f"{net.url(number)}/alice/project.git", "main")
            net.wait_all_at(number)
            assert alice.refs(f"{net.url((number + 1) % 4)}/alice/project.git")["refs/heads/main"] == oid
    net.assert_same_state()
