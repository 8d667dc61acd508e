"""`guts node status` of real nodes: who is away, whose clock is wrong, what does not run; and TLS on one machine."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.cli.reference import differences, example
from tests.ports import free_ports

pytestmark = pytest.mark.e2e
AHEAD_SECONDS = 60


def until(look: Callable[[], Any]) -> Any:
    """What a look gives, once it gives something."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < ends
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A network of four on one machine, with short heartbeats."""
    made = Desk(tmp_path, tmp_path / "net")
    made.run("devnet", "start", "--dir", "net", "--heartbeat-ms", "1000", "--detach")
    yield made
    made.run("devnet", "stop", "--dir", "net")


def test_an_absent_validator_and_a_wrong_clock_are_told(desk: Desk) -> None:
    """What an operator sees in the order in which it happens: well, one away, one with a wrong clock."""
    well = until(lambda: _advised(desk, "net/node0", "well"))
    pid = desk.json("devnet", "status", "--dir", "net")["nodes"][3]["pid"]
    subprocess.run(["kill", "-TERM", str(pid)], check=True)
    away = until(lambda: _advised(desk, "net/node0", "no-spare"))
    gone = desk.json("node", "status", "--dir", "net/node3", code=6)["error"]
    missed = until(lambda: _missed(desk))
    config = desk.directory / "net" / "node3" / "config.toml"
    config.write_text(
        re.sub(r"^\[clock\].*$", f"[clock]\noffset_ms = {AHEAD_SECONDS * 1000}", config.read_text(), flags=re.MULTILINE)
    )
    desk.run("devnet", "start-node", "--dir", "net", "--index", "3", "--detach")
    wrong = until(lambda: _advised(desk, "net/node3", "clock"))
    doctor = desk.json("doctor", "--dir", "net/node3", code=1)
    told = desk.run("node", "status", "--dir", "net/node3").stdout

    assert differences(example("guts node status"), well) == []
    assert (well["role"], well["peers"], len(well["connections"])) == ("validator 1 of 4", 3, 3)
    assert "node-3 must come back" in away["advice"]["sentence"]
    assert "does not run" in gone["message"]
    assert gone["next"] == "guts node run --dir net/node3"
    assert missed > 0
    assert "clock is about 60 s ahead of most others" in wrong["advice"]["sentence"]
    assert {one["check"]: one["next"] for one in doctor["checks"] if not one["ok"]} == {
        "clock": "timedatectl set-ntp true"
    }
    assert "validator 4 of 4" in told
    assert "clock -60." in told or "clock -59." in told
    assert told.rstrip().endswith("next: timedatectl set-ntp true")


def _advised(desk: Desk, directory: str, code: str) -> Any:
    found = desk.json("node", "status", "--dir", directory)
    return found if found["advice"]["code"] == code else None


def _missed(desk: Desk) -> int:
    found = desk.json("node", "status", "--dir", "net/node0")
    missed: int = next(one["missed"] for one in found["connections"] if one["name"] == "node-3")
    return missed


def test_local_networks_refuse_tls_before_anything_starts(tmp_path: Path) -> None:
    """Their own commands speak plain HTTP to their nodes: said at the start, not after half a minute."""
    desk = Desk(tmp_path, tmp_path / "home")
    chain = str(_certificate(desk))
    tls = {"GUTS_HTTP_TLS_CERT": chain, "GUTS_HTTP_TLS_KEY": chain}
    begun = time.monotonic()
    up = _error(desk, tls, "up", "--dir", "alone")
    net = _error(desk, tls, "devnet", "start", "--validators", "1", "--dir", "net", "--detach")
    one = _error(desk, tls, "devnet", "start-node", "--dir", "net", "--index", "0", "--detach")

    for error in (up, net, one):
        assert error["code"] == "configuration"
        assert error["message"].startswith("environment variable GUTS_HTTP_TLS_CERT: tls_cert is set")
    assert time.monotonic() - begun < PATIENCE_SECONDS
    assert desk.json("devnet", "status", "--dir", "net")["nodes"][0]["running"] is False


def _error(desk: Desk, environment: dict[str, str], *words: str) -> Any:
    return desk.json(*words, code=2, **environment)["error"]


def _certificate(desk: Desk) -> Path:
    issued = trustme.CA().issue_cert("127.0.0.1")
    path = desk.directory / "chain.pem"
    path.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
    return path


def test_a_node_with_a_certificate_is_asked_by_its_directory(tmp_path: Path) -> None:
    """Its own certificate convinces, whatever name stands in it; a stranger's would not."""
    desk = Desk(tmp_path, tmp_path / "home")
    http, p2p = free_ports(2)
    entry = desk.json(
        "node", "init", "--dir", "n", "--name", "ada", "--p2p", f"127.0.0.1:{p2p}", "--http", f"127.0.0.1:{http}"
    )
    desk.run("genesis", "new", "our-net", "--account", "sam")
    desk.run("genesis", "add", entry["entry"])
    desk.run("genesis", "seal")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(trustme.CA().issue_cert("git.example.org").private_key_and_cert_chain_pem.bytes())
    tls = {"GUTS_HTTP_TLS_CERT": str(chain), "GUTS_HTTP_TLS_KEY": str(chain)}
    argv = [sys.executable, "-m", "guts_cli", "node", "run", "--dir", "n", "--genesis", "genesis.json", "--json"]
    environment = desk.environment() | tls
    with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "}\n":
                break
        try:
            found = desk.json("node", "status", "--dir", "n", code=0, **tls)
            doctor = desk.json("doctor", "--dir", "n", code=0, **tls)
            chain.write_bytes(trustme.CA().issue_cert("git.example.org").private_key_and_cert_chain_pem.bytes())
            other = tmp_path / "other.pem"
            other.write_bytes(trustme.CA().issue_cert("git.example.org").private_key_and_cert_chain_pem.bytes())
            elsewhere = {"GUTS_HTTP_TLS_CERT": str(other), "GUTS_HTTP_TLS_KEY": str(other)}
            stranger = desk.json("node", "status", "--dir", "n", code=6, **elsewhere)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_SECONDS)

    assert found["url"] == f"https://127.0.0.1:{http}"
    assert found["advice"]["code"] == "well"
    assert {"certificate", "answers"} <= {one["check"] for one in doctor["checks"] if one["ok"]}
    assert "certificate verify failed" in json.dumps(stranger)
