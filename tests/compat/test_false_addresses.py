"""An address that nobody listed and that claims to be of the user's network: it is shown no saved token."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.desk import Desk

from .devnet import Devnet, Git
from .people import a_repository
from .ready_user import User, changed

pytestmark = pytest.mark.e2e


def listening(heard: list[bytes]) -> Callable[[bytes, bytes], bytes]:
    """What passes everything on, the network's id and its proofs included."""

    def passed(request: bytes, answer: bytes) -> bytes:
        heard.append(request)
        return answer

    return passed


def test_a_saved_token_is_not_shown_to_an_address_that_claims_to_be_of_its_network(
    net: Devnet, alice: Git, tmp_path: Path
) -> None:
    """Neither by commands, nor by the helper for ready-made clones, nor by git in the clone; a given one is."""
    a_repository(net, alice, "open")
    a_repository(net, alice, "closed", private=True)
    programs = User(net, tmp_path / "user", ()).directory / "bin"
    desk = Desk(tmp_path, net.home)
    path = f"{programs}{os.pathsep}{desk.environment()['PATH']}"
    heard: list[bytes] = []
    with changed(net.url(0), listening(heard)) as stranger:
        told = desk.run("clone", f"{stranger}/alice/open", "copy", PATH=path).stderr
        copy = desk.at("copy")
        copy.run("git", "fetch", "-q", "guts://alice/open", PATH=path, GUTS_NODE=stranger)
        copy.run("git", "-c", "credential.helper=guts", "ls-remote", f"{stranger}/alice/closed.git", code=128,
                 GIT_TERMINAL_PROMPT="0")  # fmt: skip
        closed = desk.run("clone", f"{stranger}/alice/closed", PATH=path).stderr
        refused = desk.json("repo", "list", "--node", stranger, code=2)["error"]
        without = [request for request in heard if b"authorization:" in request.lower()]
        desk.run("repo", "list", "--node", stranger, GUTS_TOKEN=str(net.info["token"]))

    assert len(heard) > len(without) == 0
    assert b"authorization:" in heard[-1].lower()
    assert f"{stranger}: there is no such repository, or you may not read it; another node was asked" in closed
    assert f"no context of this network lists {stranger}: the saved token is not shown there" in told
    assert refused["next"] == f"where you trust it: guts context add {stranger}"
