"""`guts node run` and `guts node config` as an operator meets them: refusals before anything opens, and TLS."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.cli.desk import PATIENCE_SECONDS, Desk

# What a system may give a process that asks for nothing.
FEW_FILES = 512


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Somebody with a node's directory ``n`` and the genesis of a network of one."""
    made = Desk(tmp_path, tmp_path / "home")
    entry = made.json("node", "init", "--dir", "n", "--name", "ada", "--p2p", "127.0.0.1:0", "--address", "127.0.0.1:1")
    made.run("genesis", "new", "our-net", "--account", "sam")
    made.run("genesis", "add", entry["entry"])
    made.run("genesis", "seal")
    return made


@contextmanager
def running(desk: Desk, *words: str, **environment: str) -> Iterator[dict[str, Any]]:
    """A node that runs for as long as the block lasts, and what it said when it was ready."""
    argv = [
        sys.executable,
        "-m",
        "guts_cli",
        "node",
        "run",
        "--dir",
        "n",
        "--genesis",
        "genesis.json",
        *words,
        "--json",
    ]
    # A shell that lowers its own bound, as some systems do for everybody.
    lowered = ["sh", "-c", f'ulimit -S -n {FEW_FILES}; exec "$@"', "sh", *argv]
    with subprocess.Popen(
        lowered, cwd=desk.directory, env=desk.environment() | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line == "}\n":
                break
        try:
            yield json.loads(said)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0


def test_a_public_address_without_protection_is_not_served(desk: Desk) -> None:
    """Before anything opens, with the next command; a flag of the operator's overrules it."""
    run = ("node", "run", "--dir", "n", "--genesis", "genesis.json", "--http", "0.0.0.0:0")
    refused = desk.json(*run, code=2)["error"]

    assert refused["code"] == "configuration"
    assert "http.listen is 0.0.0.0:0, an address that others reach" in refused["message"]
    assert "--insecure-http" in refused["next"]
    assert not (desk.directory / "n" / "chain.db").exists()


def test_wrong_settings_are_refused_all_at_once(desk: Desk) -> None:
    """With file and line, variable and flag; nothing is opened."""
    file = desk.directory / "n" / "config.toml"
    file.write_text(file.read_text() + "\nfetches = 0\nshoes = 1\n")
    lines = len(file.read_text().splitlines())
    run = ("node", "run", "--dir", "n", "--genesis", "genesis.json", "--set", "limits.pushes=many")
    message = desk.json(*run, code=2, GUTS_HTTP_COLOUR="red")["error"]["message"]

    assert [line.split(": ")[0] for line in message.splitlines()] == [
        f"n/config.toml, line {lines - 1}",
        f"n/config.toml, line {lines}",
        "environment variable GUTS_HTTP_COLOUR",
        "--set limits.pushes",
    ]
    assert desk.json("node", "config", "--dir", "n", code=2)["error"]["code"] == "configuration"


def test_a_certificate_that_does_not_load_ends_the_start_in_words(desk: Desk) -> None:
    """Exit code 2, with the names of the files; a port that was taken for it is free again."""
    (desk.directory / "chain.pem").write_text("nothing")
    tls = ("--tls-cert", "chain.pem", "--tls-key", "absent.pem")
    run = ("node", "run", "--dir", "n", "--genesis", "genesis.json", "--http", "127.0.0.1:0", *tls)
    refused = desk.json(*run, code=2)["error"]

    assert (
        f"{desk.directory / 'chain.pem'} with the key {desk.directory / 'absent.pem'} does not load"
        in refused["message"]
    )


def test_every_setting_is_shown_with_its_origin(desk: Desk) -> None:
    """Nobody has to guess why a node does what it does."""
    shown = desk.json("node", "config", "--dir", "n", "--show", "--set", "limits.fetches=3", GUTS_CLOCK_OFFSET_MS="-5")
    rows = {row["key"]: row for row in shown["settings"]}
    few = desk.run("node", "config", "--dir", "n", GUTS_CLOCK_OFFSET_MS="-5").stdout.splitlines()

    assert rows["node.name"]["value"] == "ada"
    assert rows["node.name"]["origin"].startswith("n/config.toml, line ")
    assert (rows["limits.fetches"]["value"], rows["limits.fetches"]["origin"]) == (3, "--set limits.fetches")
    assert rows["clock.offset_ms"]["origin"] == "environment variable GUTS_CLOCK_OFFSET_MS"
    assert rows["limits.pushes"]["origin"] == "default"
    assert rows["http.tls_key"]["value"] == ""
    assert [line.split(" = ")[0] for line in few[:4]] == ["node.name", "http.listen", "p2p.listen", "clock.offset_ms"]
    assert few[-1] == "next: guts node config --dir n --show"


@pytest.mark.e2e
def test_a_node_serves_https_and_takes_a_renewed_certificate(desk: Desk) -> None:
    """Flags and environment reach the doors; stock git clones with the authority named to it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(desk.directory / "ca.pem"))

    def issue() -> None:
        issued = authority.issue_cert("127.0.0.1")
        (desk.directory / "key.pem").write_bytes(issued.private_key_pem.bytes())
        (desk.directory / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    issue()
    tls = ("--tls-cert", "chain.pem", "--tls-key", "key.pem", "--http", "127.0.0.1:0")
    with running(desk, *tls, GUTS_HTTP_PUBLIC_URL="https://git.example.org") as node:
        url = node["http"]
        files = re.search(r"Max open files +(\d+)", Path(f"/proc/{node['pid']}/limits").read_text())
        assert url.startswith("https://127.0.0.1:")
        trusting = {"GIT_SSL_CAINFO": str(desk.directory / "ca.pem")}
        refused = desk.run("git", "ls-remote", f"{url}/sam/none.git", code=128, **trusting).stderr
        issue()
        again = desk.run("git", "ls-remote", f"{url}/sam/none.git", code=128, **trusting).stderr
        stranger = desk.run("git", "ls-remote", f"{url}/sam/none.git", code=128).stderr

    assert files is not None
    assert int(files[1]) > FEW_FILES
    assert "could not read Username" in refused  # the door answered, inside TLS
    assert again == refused
    assert "certificate" in stranger
    log = [json.loads(line) for line in (desk.directory / "n/logs/node.log").read_text().splitlines()]
    assert any(line["event"] == "the certificate was read again" for line in log)
