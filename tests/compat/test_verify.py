"""A network of real processes, checked by somebody who trusts none of its nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def _decided(net: Devnet, *words: str) -> dict[str, Any]:
    """Proposed by the first operator, and approved by two more."""
    key = [("--operator-key", str(net.directory / f"node{index}/keys/operator.key")) for index in range(3)]
    number = str(net.guts_json("network", "propose", *words, *key[0])["number"])
    net.guts_json("network", "vote", number, *key[1])
    return net.guts_json("network", "vote", number, *key[2])


def test_a_network_whose_validators_changed_is_verified_by_its_genesis(
    own_net: Callable[..., Devnet], tmp_path: Path
) -> None:
    """A seat goes, another takes a new key, epochs end: a stranger with the genesis file follows all of it."""
    net = own_net()
    alice = alice_of(net, tmp_path / "alice")
    work = a_repository(net, alice, "hello")
    tip = work("rev-parse", "HEAD").stdout.strip()
    home = tmp_path / "stranger"
    ask = ("verify", "alice/hello@main", "--genesis", net.info["genesis"])
    first = net.guts_json(*ask, "--node", net.url(0), "--save", str(tmp_path / "first.proof"), home=home)

    net.guts("network", "rotate", "--validator", "node-1", "--vote-key", str(net.directory / "node1/keys/vote-2.key"),
             "--operator-key", str(net.directory / "node1/keys/operator.key"))  # fmt: skip
    net.kill(1)
    net.start_node(1)
    assert _decided(net, "end-epoch")["state"] == "applied"
    assert _decided(net, "remove", "node-3", "--now")["state"] == "applied"
    later = _second_push(net, work)
    shown = net.guts_json(*ask, "--node", net.url(1), "--min-height", str(first["height"] + 1), home=home)
    by_removed = net.guts_json(*ask, "--node", net.url(3), home=home)
    said = net.guts(*ask, "--node", net.url(1), home=home).stdout
    old = net.guts_json("verify", str(tmp_path / "first.proof"), "--genesis", net.info["genesis"], home=home)
    refused = net.guts(
        "verify", str(tmp_path / "first.proof"), "--genesis", net.info["genesis"], "--min-height",
        str(shown["height"]), home=home, check=False,
    )  # fmt: skip

    assert (first["epoch"], first["validators"], first["oid"]) == (0, 4, tip)
    assert (shown["epoch"], shown["validators"], shown["quorum"], shown["oid"]) == (2, 3, 3, later)
    assert shown["signers"] == ["node-0", "node-1", "node-2"]
    assert by_removed["signers"] == shown["signers"]
    assert "epoch    2, rules 0" in said
    assert (old["epoch"], old["oid"]) == (0, tip)
    assert refused.returncode == 7
    assert f"the proof is of height {first['height']}; at least {shown['height']} is accepted" in refused.stderr
