"""Tokens of the keyring as commands meet them at a network: replaced by a newer one, forgotten once refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from guts_core.identity import token_of
from tests.cli.desk import Desk
from tests.cli.file_keyring import FILE

from .devnet import Devnet

pytestmark = pytest.mark.e2e
OLD, OTHER = token_of(bytes(32)), token_of(bytes([1] * 32))


def test_an_old_token_in_the_keyring_stands_in_nobodys_way(net: Devnet, tmp_path: Path) -> None:
    """A refused one is forgotten, of an entry that holds this very token; one that is saved anew replaces it."""
    desk, kept = Desk(tmp_path, net.home), tmp_path / "keyring.json"
    keyring: dict[str, Any] = {"PYTHON_KEYRING_BACKEND": "tests.cli.file_keyring.FileKeyring", FILE: str(kept)}
    name = "keyringed"
    account = net.guts_json("account", "create", name, "--node", net.url(0))["id"]
    entry = f"guts {net.guts_json('context', 'show')['chain_id']}/{account}"
    ask = ("repo", "list", "--account", name)
    make = ("token", "create", "--account", name, "--scope", "repo", "--gateway", "all", "--save")

    kept.write_text(json.dumps({entry: OLD}))
    desk.run(*make, **keyring)
    after_saving = json.loads(kept.read_text())
    net.wait_all_at(0)
    listed = desk.json(*ask, **keyring)["repositories"]

    kept.write_text(json.dumps({entry: OLD}))
    desk.json(*ask, code=4, **keyring, GUTS_TOKEN=OTHER)
    after_another = json.loads(kept.read_text())
    refused = desk.json(*ask, code=4, **keyring)["error"]["code"]

    assert (after_saving, listed) == ({}, [])
    assert (after_another, refused, json.loads(kept.read_text())) == ({entry: OLD}, "unauthenticated", {})
    assert desk.json(*ask, **keyring)["repositories"] == []
