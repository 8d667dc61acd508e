"""A network of real processes, checked by somebody who trusts none of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .devnet import Devnet, Git
from .people import a_repository, alice_of

pytestmark = pytest.mark.e2e


def test_a_push_is_verified_through_any_node_also_with_one_down(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """Pushed to one, verified through another; and again after a power cut of a third."""
    net = own_net()
    alice = alice_of(net, tmp_path / "alice")
    work = a_repository(net, alice, "hello")
    tip = work("rev-parse", "HEAD").stdout.strip()

    first = net.guts_json("verify", "alice/hello@main", "--node", net.url(2), "--save", str(tmp_path / "first.proof"))
    every = net.guts_json("verify", "alice/hello", "--node", net.url(1))
    absent = net.guts("verify", "alice/hello@gone", "--node", net.url(3), check=False)
    net.kill(3)
    second = _second_push(net, work)
    after = net.guts_json("verify", "alice/hello@main", "--node", net.url(1), "--max-age", "10m")
    saved = net.guts_json("verify", str(tmp_path / "first.proof"))
    by_context = net.guts_json("verify", "alice/hello@main")
    down = net.guts("verify", "alice/hello@main", "--node", net.url(3), check=False)

    assert first["oid"] == saved["oid"] == tip
    assert (first["validators"], first["quorum"], len(first["signers"])) == (4, 3, 3)
    assert first["network"]["chain_id"] == net.info["chain_id"]
    assert every["refs"] == [{"ref": "refs/heads/main", "oid": tip}]
    assert absent.returncode == 3, absent.stderr
    assert "proven absent at height" in absent.stdout
    assert after["oid"] == by_context["oid"] == second
    assert after["height"] > first["height"]
    assert "node-3" not in after["signers"]
    assert down.returncode == 6


def _second_push(net: Devnet, work: Git) -> str:
    work.commit("file", "two\n")
    work("push", "-q", f"{net.url(0)}/alice/hello.git", "main")
    height = int(net.status(0)["height"])
    net.wait_height(height, 1)
    return work("rev-parse", "HEAD").stdout.strip()


def test_a_stranger_needs_the_genesis_and_nothing_else(net: Devnet, alice: Git, tmp_path: Path) -> None:
    """Somebody else's home: nothing is pinned, and no node's word replaces it."""
    work = a_repository(net, alice, "strange")
    home = tmp_path / "stranger"
    ask = ("verify", "alice/strange@main", "--node", net.url(1))

    unknown = net.guts(*ask, home=home, check=False)
    named = net.guts_json(*ask, "--genesis", net.info["genesis"], home=home)
    net.guts("network", "trust", net.info["genesis"], home=home)
    pinned = net.guts_json(*ask, home=home)

    assert unknown.returncode == 2
    assert "guts network trust FILE" in unknown.stderr
    assert named["oid"] == pinned["oid"] == work("rev-parse", "HEAD").stdout.strip()


def test_what_is_private_is_verified_with_a_token(net: Devnet, alice: Git) -> None:
    """The saved token of the context's account is shown to the context's nodes, and to no others."""
    work = a_repository(net, alice, "secret", private=True)

    shown = net.guts_json("verify", "alice/secret@main", "--node", net.url(2))
    log = net.guts_json("ref", "log", "alice/secret@main")

    assert shown["oid"] == work("rev-parse", "HEAD").stdout.strip()
    assert shown["repository"]["private"] is True
    assert log["moves"][0]["new"] == shown["oid"]
