"""Which addresses a saved token goes to: those that a context of its network lists, whatever a node claims to be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from guts_cli.addresses import is_listed
from guts_cli.home import Context, Home
from guts_cli.keys import new_genesis_account
from guts_cli.ready.known import _mirrors
from guts_core.identity import token_of
from tests.cli.desk import Desk

CHAIN, OTHER_CHAIN = "ab" * 32, "cd" * 32
NODE, STRANGER = "http://127.0.0.1:8080", "http://127.0.0.2:8080"
SAVED = token_of(bytes(32))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Alice with a saved token for a network of two nodes, who knows another network as well."""
    desk = Desk(tmp_path, tmp_path / "home")
    home, key = Home(desk.home), new_genesis_account("alice")
    home.keep_key(key)
    home.remember(Context("work", OTHER_CHAIN, ("http://127.0.0.2:9090",)))
    home.remember(Context("local", CHAIN, (NODE, "https://node.example.org"), key.id))
    home.keep_token(CHAIN, key.id, SAVED)
    for name in ("GUTS_TOKEN", "GUTS_ACCOUNT", "GUTS_NODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GUTS_HOME", str(desk.home))
    return desk


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        (NODE, True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080/", True),
        ("https://NODE.example.org:443", True),
        (STRANGER, False),
        ("http://localhost:8081", False),
        ("https://localhost:8080", False),
        ("http://localhost.evil.org:8080", False),
        ("http://127.0.0.1:8080@evil.org", False),
        ("https://evil.org", False),
        ("http://127.0.0.1:port", False),
        ("http://127.0.0.2:9090", False),
    ],
)
def test_an_address_is_a_networks_own_where_its_context_lists_it(desk: Desk, url: str, listed: bool) -> None:
    """Names of this machine for itself are one; nothing else is, and another network's nodes are not."""
    assert is_listed(Home(desk.home), CHAIN, url) is listed


@pytest.mark.parametrize("account", [None, "alice"])
def test_the_ready_made_way_shows_a_saved_token_to_listed_nodes_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, account: str | None
) -> None:
    """Also in a clone that is bound to the network: what is asked there is checked, and nothing is shown."""
    monkeypatch.setenv("GUTS_NODE", f"{STRANGER} http://localhost:8080 {NODE}")
    if account is not None:
        monkeypatch.setenv("GUTS_ACCOUNT", account)
    saved = [(one.token, one.network) for one in _mirrors(Home(desk.home), CHAIN)]
    monkeypatch.setenv("GUTS_TOKEN", "given")

    assert saved == [(None, CHAIN), (SAVED, CHAIN), (SAVED, CHAIN)]
    assert [one.token for one in _mirrors(Home(desk.home), CHAIN)] == ["given"] * 3


@pytest.mark.parametrize("words", [(), ("--network", CHAIN), ("--network", CHAIN, "--account", "alice")])
@pytest.mark.parametrize(("node", "is_answered"), [(NODE, True), ("http://localhost:8080", True), (STRANGER, False)])
def test_a_clones_helper_answers_for_listed_nodes_only(
    desk: Desk,
    node: str,
    is_answered: bool,
    words: tuple[str, ...],
) -> None:
    """The network that stands in a clone's configuration is what its node claimed."""
    argv = [sys.executable, "-m", "guts_cli", "credential", "--node", node, *words, "get"]
    done = subprocess.run(
        argv, input=f"protocol=http\nhost={node.removeprefix('http://')}\n\n", env=desk.environment(),
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert (SAVED in done.stdout) is is_answered
