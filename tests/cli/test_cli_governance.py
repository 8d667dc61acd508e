"""Operators at their desks: they propose, vote, admit and rotate on a running network of four."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.desk import Desk
from tests.cli.reference import differences, example
from tests.compat.pages import Shell, Step, steps
from tests.ports import free_ports

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A network of four nodes; alice is at this desk, and the operators' key files lie beside the nodes'."""
    path = tmp_path_factory.mktemp("governance")
    desk = Desk(path, path / "net")
    port = str(free_ports(4)[0])
    desk.json("devnet", "start", "--validators", "4", "--dir", "net", "--http-port", port, "--detach")
    yield desk
    desk.run("devnet", "stop", "--dir", "net")


def by(index: int) -> tuple[str, str]:
    """As this node's operator."""
    return "--operator-key", f"net/node{index}/keys/operator.key"


def end_epoch(net: Desk) -> None:
    """Three of four operators want that."""
    number = str(net.json("network", "propose", "end-epoch", *by(0))["number"])
    net.json("network", "vote", number, *by(1))
    net.json("network", "vote", number, *by(3))


def test_operators_propose_and_vote_until_it_is_decided(net: Desk) -> None:
    proposed = net.json("network", "propose", "set", "delta_ms=300", "registration=approval", *by(0))
    number = str(proposed["number"])
    assert (proposed["says"], proposed["state"]) == ("set delta_ms=300, registration=approval", "open")
    assert (proposed["approve"], proposed["needed"]) == (["operator-0"], 3)

    seen = net.run("network", "show").stdout
    assert f"next: guts network vote {number}" in seen
    net.json("network", "vote", number, *by(1))
    again = net.json("network", "vote", number, *by(1), code=5)
    assert again["error"]["code"] == "already-voted"
    done = net.json("network", "vote", number, *by(2))

    assert differences(example("guts network vote"), done) == []
    assert done["state"] in {"approved", "applied"}
    assert net.json("network", "show", number) == done
    waiting = net.json("network", "validators")["waiting_params"]
    assert waiting is None or (waiting["delta_ms"], waiting["registration"]) == (300, "approval")


def test_what_too_many_reject_is_refused(net: Desk) -> None:
    number = str(net.json("network", "propose", "remove", "node-3", *by(0))["number"])

    net.json("network", "vote", number, "--no", *by(1))
    closed = net.json("network", "vote", number, "--no", *by(3))

    assert (closed["state"], closed["reject"]) == ("refused", ["operator-1", "operator-3"])
    late = net.json("network", "vote", number, *by(2), code=5)
    assert late["error"]["message"] == f"decision {number} was refused"


def test_a_node_is_admitted_proposed_and_let_go(net: Desk) -> None:
    """The same machine first follows, then asks for a seat, each with what its keys signed."""
    net.run("node", "init", "--dir", "five", "--name", "five")
    request = net.json("network", "entry", "--dir", "five")["request"]
    admitted = net.json("network", "admit", request, "--name", "five", *by(1))
    assert [one["name"] for one in net.json("network", "followers")["followers"]] == ["five"]

    net.json("network", "entry", "--dir", "five", "--operator", "alice", "--out", "five.json")
    proposed = net.json("network", "propose", "add", "five.json", *by(0))
    assert proposed["fields"]["operator"] == "alice"
    twisted = json.loads((net.directory / "five.json").read_text()) | {"name": "six"}
    (net.directory / "six.json").write_text(json.dumps(twisted))
    refused = net.json("network", "propose", "add", "six.json", *by(0), code=2)
    assert refused["error"]["code"] == "unproven-key"
    assert net.json("network", "dismiss", "five", *by(2))["number"] == admitted["number"]

    assert net.json("network", "followers")["followers"] == []


def test_an_operator_rotates_the_keys_of_its_validator(net: Desk) -> None:
    done = net.json("network", "rotate", "--vote-key", "new-vote.key", *by(2))

    assert done["validator"] == "node-2"
    assert (net.directory / "new-vote.key").stat().st_mode & 0o077 == 0
    shown = net.json("network", "validators")
    waits = [one["name"] for one in shown["waiting_seats"] if one["move"] == "rotate"]
    assert waits == ["node-2"] or shown["seats"][2]["vote_key"] == done["vote_key"]


def test_a_node_finds_its_rotated_vote_key_by_itself(net: Desk) -> None:
    """No file is moved and nothing is started again: the node votes with whichever key has its seat."""
    before = net.json("network", "validators")["number"]
    done = net.json("network", "rotate", "--dir", "net/node3")
    waiting = net.json("network", "validators")["waiting_seats"]
    for _ in waiting:  # an epoch has room for one change of seats, and those of other tests come first
        end_epoch(net)

    assert (net.directory / "net/node3/keys/vote-1.key").stat().st_mode & 0o077 == 0
    epoch = net.json("network", "validators")
    assert epoch["number"] == before + len(waiting) > before
    assert epoch["seats"][3]["vote_key"] == done["vote_key"]
    role = net.json("node", "status", "--dir", "net/node3")["role"]
    assert role == "validator 4 of 4"


def test_who_does_not_govern_is_told_so(net: Desk) -> None:
    """Alice has an account and no seat; a mistyped change never leaves this machine."""
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("network", "propose", "end-epoch"), 4, "may not govern"),
        (("network", "propose", "set", "delta=1", *by(0)), 2, "there is no parameter 'delta'"),
        (("network", "propose", "set", "delta_ms", *by(0)), 2, "not KEY=VALUE"),
        (("network", "propose", "rules", "1", "--not-before", "soon", *by(0)), 2, "no time such as"),
        (("network", "propose", "remove", "nobody", *by(0)), 3, "no validator nobody"),
        (("network", "vote", "999", *by(0)), 3, "no decision 999"),
        (("network", "show", "999"), 3, "no decision 999"),
        (("network", "rotate", *by(0)), 2, "--dir DIR"),
        (("network", "admit", "guts_node_00", "--name", "x", *by(0)), 2, "begins with guts_node_"),
        (("network", "dismiss", "nobody", *by(0)), 3, "no follower nobody"),
    ]
    for words, code, said in cases:
        answer: Any = net.json(*words, code=code)
        assert said in answer["error"]["message"], answer


def test_what_was_approved_holds_from_the_next_epoch_on(net: Desk) -> None:
    """A decision with --now, three votes: the next block is made under other parameters, and agreement goes on."""
    before = net.json("network", "validators")
    number = str(net.json("network", "propose", "set", "retry_ms=444", "--now", *by(0))["number"])
    net.json("network", "vote", number, *by(1))

    done = net.json("network", "vote", number, *by(3))

    after = net.json("network", "validators")
    assert (done["state"], done["epoch"], after["number"]) == ("applied", before["number"] + 1, before["number"] + 1)
    assert (after["params"]["retry_ms"], after["waiting_params"]) == (444, None)
    follow = net.json("network", "propose", "end-epoch", *by(1))
    assert follow["state"] == "open"


def test_what_is_typed_goes_before_what_the_environment_says(net: Desk, shell: Shell) -> None:
    """An operator with a key file in the environment acts as another account by naming it; both typed are no answer."""
    shell.type(Step(0, "export GUTS_OPERATOR_KEY=net/node0/keys/operator.key"))
    other = shell.type(Step(0, "guts network propose end-epoch --account alice", ("fails",)))
    both = net.run("network", "propose", "end-epoch", *by(1), "--account", "alice", code=2).stderr

    assert "this account may not govern the network" in other
    assert "--account names who signs and --operator-key another way to tell: leave one away" in both


@pytest.fixture
def shell(net: Desk, tmp_path: Path) -> Iterator[Shell]:
    """A shell at this desk."""
    opened = Shell.open(net.directory, net.environment(), tmp_path)
    yield opened
    opened.close()


def follow(shell: Shell, page: list[Step], words: dict[str, str]) -> list[str]:
    """Type a page as operators do: one proposes, two others look and vote; the numbers of what was proposed."""
    proposed: list[str] = []
    for step in page:
        for index in (1, 2) if "others" in step.notes else (0,):
            shell.type(Step(0, f"export GUTS_OPERATOR_KEY=net/node{index}/keys/operator.key"))
            numbered = {f"network {verb} 1": f"network {verb} {proposed[-1]}" for verb in ("show", "vote") if proposed}
            said = shell.type(step, words | numbered)
        proposed += re.findall(r"guts network vote (\d+)", said) if "propose" in step.commands else []
    return proposed


def test_the_pages_on_changes_are_followed(net: Desk, shell: Shell) -> None:
    """Eve gets a seat by votes, other changes are proposed, a key is replaced; rules are voted for a later time."""
    words = {
        "node/keys": "net/node0/keys",
        "--operator eve": "--operator alice",
        "remove dan": "remove node-3",
        "rotate --dir node": "rotate --dir net/node0",
    }

    changed = follow(shell, steps("change-validators.md"), words)
    upgraded = follow(shell, steps("upgrade.md"), words)

    states = [net.json("network", "show", number)["state"] for number in changed + upgraded]
    assert (states[0], states[-1]) == ("approved", "approved")
    assert states[1:-1] == ["open"] * 3
