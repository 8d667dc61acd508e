"""`guts doctor` finds what was planted, one thing after another, and names the command that mends it."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import trustme
from attrs import evolve

from guts_cli import network as networks
from guts_cli.checkup import Finding, look_at_home, look_at_node
from guts_cli.checkup.certificate import validity
from guts_cli.checkup.home import PYTHON_LEAST, _python
from guts_cli.home import Context, Home
from guts_cli.keys import new_genesis_account, new_pair, write_pair
from guts_cli.network import DEVNET_PARAMS, Network, Plan, Seat
from guts_cli.node_directory import NodeDirectory
from guts_core.errors import Invalid
from guts_core.simplex.quorum import FaultModel
from guts_net.disk import LocalDisk
from guts_net.journal import Journal
from guts_net.lock import hold_lock
from tests.cli.desk import Desk
from tests.ports import free_ports

FEW_FILES = 512


@pytest.fixture
def node(tmp_path: Path) -> NodeDirectory:
    """A node that could be started, and never was."""
    seat = Seat(0, *free_ports(1), *free_ports(1))
    network = networks.create(tmp_path / "net", Plan("our-net", "ada", FaultModel.BYZANTINE, DEVNET_PARAMS, (seat,)))
    made = network.node(seat)
    made.adopt_genesis(network.genesis)
    return made


def bad(found: Iterator[Finding]) -> dict[str, Finding]:
    """What is wrong, by check: each with words, and with the next thing to type."""
    wrong = {one.check: one for one in found if not one.ok}
    assert all(one.message and one.next for one in wrong.values())
    return wrong


def configure(node: NodeDirectory, section: str, lines: str) -> None:
    """Settings in the node's file, at the beginning of their section."""
    text = node.config_file.read_text()
    changed = re.sub(rf"^\[{section}\].*$", f"[{section}]\n{lines}", text, flags=re.MULTILINE)
    assert changed != text
    node.config_file.write_text(changed)


def test_a_good_node_directory_has_nothing_wrong(node: NodeDirectory) -> None:
    """Each check is there, calm."""
    found = list(look_at_node(node.path))

    assert [one for one in found if not one.ok] == []
    assert [one.check for one in found] == [
        "config", "public address", "keys", "genesis", "ports", "disk", "open files", "vote log",
    ]  # fmt: skip
    assert not (node.path / "chain.db").exists()
    assert not (node.path / "node.lock").exists()


def test_no_node_at_all(tmp_path: Path) -> None:
    """The first mistake of all: another directory."""
    (found,) = bad(look_at_node(tmp_path)).values()

    assert found.check == "config"
    assert "holds no node" in found.message
    assert (found.next or "").startswith("guts node init --dir ")


def test_wrong_settings_are_all_told(node: NodeDirectory) -> None:
    """As `guts node run` would refuse them, before anything else is looked at."""
    configure(node, "limits", "fetches = 0\nshoes = 1")
    found = [one for one in look_at_node(node.path) if not one.ok]

    assert [one.check for one in found] == ["config", "config"]
    assert "limits.fetches" in found[0].message
    assert "unknown setting 'shoes'" in found[1].message
    assert str(node.config_file) in (found[0].next or "")


def test_a_public_address_without_protection(node: NodeDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of `guts node run`, whatever the setting comes from."""
    monkeypatch.setenv("GUTS_HTTP_LISTEN", "0.0.0.0:0")

    assert "--insecure-http" in (bad(look_at_node(node.path))["public address"].next or "")


def test_keys_that_others_can_read_or_that_are_gone(node: NodeDirectory) -> None:
    """The operator's own key may be kept elsewhere."""
    (node.keys / "operator.key").unlink()
    assert bad(look_at_node(node.path)) == {}
    (node.keys / "vote.key").chmod(0o640)
    found = bad(look_at_node(node.path))["keys"]
    assert "vote.key can be read by others (mode 640)" in found.message
    assert found.next == f"chmod 600 {node.keys / 'vote.key'}"

    (node.keys / "vote.key").unlink()

    assert "vote.key is gone" in bad(look_at_node(node.path))["keys"].message


def test_a_genesis_that_is_missing_or_has_no_such_seat(node: NodeDirectory, tmp_path: Path) -> None:
    """Copy, seat and vote key belong together."""
    text = node.genesis.read_text()
    node.genesis.unlink()
    assert "has no genesis.json yet" in bad(look_at_node(node.path))["genesis"].message
    node.genesis.write_text(text)
    own = (node.keys / "vote.key").read_text()
    write_pair(node.keys / "vote.key", new_pair())
    assert "another vote key" in bad(look_at_node(node.path))["genesis"].message
    (node.keys / "vote.key").write_text(own)
    write_pair(node.keys / "node.key", new_pair())
    found = bad(look_at_node(node.path))["genesis"]

    assert "has no seat in network our-net" in found.message
    assert (found.next or "").startswith("guts network entry --dir")


def test_a_node_that_runs_and_does_not_answer(node: NodeDirectory) -> None:
    """The lock says who holds it."""
    with hold_lock(node.path / "node.lock"):
        found = list(look_at_node(node.path))

    assert f"process {os.getpid()} runs it" in next(one.message for one in found if one.check == "node")
    assert "nothing answers" in bad(iter(found))["answers"].message


def test_a_port_that_another_program_has(node: NodeDirectory) -> None:
    """While the node itself does not run."""
    address = node.settings().config.http_address
    with socket.create_server((address.host, address.port)):
        found = bad(look_at_node(node.path))["ports"]

    assert found.message == f"{address} is taken by another program"
    assert (found.next or "").endswith("--http HOST:PORT")


def test_a_disk_with_less_free_than_the_reserve(node: NodeDirectory) -> None:
    """In the same words as the node refuses writes with."""
    configure(node, "limits", f"disk_reserve_mib = {1 << 30}")

    assert "are kept for agreement" in bad(look_at_node(node.path))["disk"].message


def test_too_few_open_files_for_the_limits(node: NodeDirectory, tmp_path: Path) -> None:
    """What the system will not give, no node can take."""
    desk = Desk(tmp_path, tmp_path / "net")
    lowered = 'ulimit -n "$0"; exec "$@"'
    argv = ["git", "-c", f"alias.low=!sh -c '{lowered}' {FEW_FILES} python -m guts_cli", "low"]
    said = json.loads(desk.run(*argv, "doctor", "--dir", str(node.path), "--json", code=1).stdout)
    (found,) = [one for one in said["checks"] if one["check"] == "open files"]

    assert not said["ok"]
    assert f"a process may have {FEW_FILES} files open" in found["message"]
    assert "ulimit -n" in found["next"]


def test_a_vote_log_that_lost_a_vote(node: NodeDirectory) -> None:
    """A node that may have forgotten votes must not be started; looking changes no byte."""
    log = node.path / "votes.log"
    journal, _ = Journal.open(log, LocalDisk())
    for record in (b"one", b"two"):
        journal.append([record])
        journal.sync()
    journal.close()
    good = log.read_bytes()
    whole = [one.message for one in look_at_node(node.path) if one.check == "vote log"]
    torn = good[:-1]
    log.write_bytes(torn)
    assert bad(look_at_node(node.path)) == {}  # a power cut: nothing of it was ever said
    assert log.read_bytes() == torn
    log.write_bytes(good.replace(b"one", b"0ne"))
    found = bad(look_at_node(node.path))["vote log"]

    assert whole == ["2 records, whole"]
    assert "must not vote again" in found.message
    assert (found.next or "").startswith("do not start this node")


CERTIFICATES: dict[str, tuple[timedelta | None, str]] = {
    "good": (None, ""),
    "expired": (timedelta(days=-1), "expired at"),
    "soon": (timedelta(days=3), "expires at"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificates_that_end(node: NodeDirectory, case: str) -> None:
    """Before clients see it."""
    left, words = CERTIFICATES[case]
    _certify(node, None if left is None else datetime.now(UTC) + left)
    found = bad(look_at_node(node.path))

    assert set(found) == ({"certificate"} if words else set())
    if words:
        assert words in found["certificate"].message


def _certify(node: NodeDirectory, end: datetime | None) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1", not_after=end)
    (node.path / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (node.path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    configure(node, "http", 'tls_cert = "chain.pem"\ntls_key = "key.pem"')


def test_a_certificate_with_another_key_or_without_one(node: NodeDirectory) -> None:
    """Whether it loads is tried as the server does it."""
    _certify(node, None)
    chain = node.path / "chain.pem"
    begin, end = validity(chain)
    (node.path / "key.pem").write_bytes(trustme.CA().issue_cert("127.0.0.1").private_key_pem.bytes())
    assert "does not load" in bad(look_at_node(node.path))["certificate"].message
    damaged = chain.read_text().splitlines()
    damaged[1:5] = []
    chain.write_text("\n".join(damaged))
    with pytest.raises(Invalid, match="damaged"):
        validity(chain)
    chain.write_text("nothing")
    with pytest.raises(Invalid, match="no certificate"):
        validity(chain)

    assert begin < datetime.now(UTC) < end


# ---- the user's side ----


def home_with(path: Path, *contexts: Context) -> Home:
    """A home that knows these networks; the last one is current."""
    home = Home(path / "home")
    for context in contexts:
        home.remember(context)
    return home


DEAD = Context("dead", "ab" * 32, ("http://127.0.0.1:1",))


def test_a_newcomer_without_anything(tmp_path: Path) -> None:
    """One thing to do; for an operator who looks at a node it is none."""
    home = Home(tmp_path / "home")
    found = bad(look_at_home(home, {}))

    assert set(found) == {"contexts"}
    assert (found["contexts"].next or "").startswith("guts up")
    assert bad(look_at_home(home, {}, needs_network=False)) == {}
    assert not home.path.exists()


def test_an_old_python() -> None:
    """This one is good enough to run the test."""
    (old,) = _python((3, PYTHON_LEAST[1] - 1))
    (here,) = _python()

    assert (old.ok, here.ok) == (False, True)
    assert "too old" in old.message


@pytest.mark.parametrize(
    ("script", "words"),
    [("", "not installed"), ("echo git version 2.30.1", "too old"), ("echo hello", "`git version` answered")],
)
def test_no_git_an_old_one_or_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    """By what `git version` says."""
    if script:
        program = tmp_path / "git"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert words in bad(look_at_home(Home(tmp_path / "home"), {}))["git"].message


def test_a_home_that_others_can_change(tmp_path: Path) -> None:
    """They could put in networks of their own."""
    home = home_with(tmp_path, DEAD)
    home.path.chmod(0o777)
    found = bad(look_at_home(home, {}))["home"]
    home.path.chmod(stat.S_IRWXU)

    assert found.next == f"chmod 700 {home.path}"
    assert "home" not in bad(look_at_home(home, {}))


def test_secrets_that_others_can_read_or_that_are_damaged(tmp_path: Path) -> None:
    """Each is named, with its own command."""
    home = home_with(tmp_path)
    kept = home.keep_key(new_genesis_account("ada"))
    token = home.keep_token("ab" * 32, "cd" * 32, "guts_pat_x")
    assert "secrets" not in bad(look_at_home(home, {}))
    token.chmod(0o644)
    found = bad(look_at_home(home, {}))["secrets"]
    token.chmod(0o600)
    kept.write_text("{}")
    damaged = bad(look_at_home(home, {}))["secrets"]

    assert found.next == f"chmod 600 {token}"
    assert "guts_pat_x" not in found.message
    assert str(kept) in damaged.message


def test_a_network_that_does_not_answer(tmp_path: Path) -> None:
    """Of the network in use it is wrong; of others it is only said."""
    live = evolve(DEAD, name="other", chain_id="cd" * 32)
    found = list(look_at_home(home_with(tmp_path, live, DEAD), {}))
    wrong = bad(iter(found))

    assert "context dead: no node answers" in wrong["contexts"].message
    assert "context other: no node answers now; it is not the one in use" in [one.message for one in found]
    assert wrong["genesis"].next == "guts network trust FILE"
    assert "no token is saved" in wrong["token"].message


def test_a_pinned_genesis_of_another_name(tmp_path: Path, node: NodeDirectory) -> None:
    """A file that was put there by hand."""
    home = home_with(tmp_path, DEAD)
    path = home.path / "networks" / f"{DEAD.chain_id}.json"
    path.parent.mkdir()
    path.write_text(node.genesis.read_text())

    assert bad(look_at_home(home, {}))["genesis"].next == f"rm {path}"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A network of one that runs."""
    path = tmp_path_factory.mktemp("living")
    desk = Desk(path, path / "net")
    desk.run("devnet", "start", "--validators", "1", "--dir", "net", "--detach")
    yield networks.load(path / "net")
    desk.run("devnet", "stop", "--dir", "net")


def _no_token(network: Network, home: Home) -> None:
    home.token_path(network.file.chain_id, network.file.account_id).unlink()


def _bad_token(network: Network, home: Home) -> None:
    other = "guts_pat_" + "0" * 49
    home.keep_token(network.file.chain_id, network.file.account_id, other)


def _other_chain(network: Network, home: Home) -> None:
    current = home.current()
    assert current is not None
    home.remember(evolve(current, chain_id="ab" * 32))


PLANTED: dict[str, tuple[Callable[[Network, Home], None], str]] = {
    "token": (_no_token, "no token is saved"),
    "token ": (_bad_token, "the token is no good"),
    "contexts": (_other_chain, "belongs to another network"),
}


@pytest.mark.e2e
@pytest.mark.parametrize("case", PLANTED)
def test_what_a_living_network_tells(living: Network, tmp_path: Path, case: str) -> None:
    """With a copy of its own home, in which one thing is wrong."""
    plant, words = PLANTED[case]
    home = _copied(living, tmp_path)
    calm = list(look_at_home(home, {}))
    plant(living, home)

    assert [one for one in calm if not one.ok] == []
    assert "the token is good until" in next(one.message for one in calm if one.check == "token")
    assert words in bad(look_at_home(home, {}))[case.strip()].message


def _copied(network: Network, tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    current, token = network.home.current(), network.token()
    assert current is not None
    assert token is not None
    home.remember(current)
    home.keep_token(current.chain_id, network.file.account_id, token)
    (home.path / "networks").mkdir()
    (home.path / "networks" / f"{current.chain_id}.json").write_text(network.genesis.read_text())
    return home


@pytest.mark.e2e
def test_a_token_of_the_environment_and_one_that_ends_soon(living: Network, tmp_path: Path) -> None:
    """GUTS_TOKEN goes before the saved one."""
    desk = Desk(tmp_path, living.path.resolve())
    made = desk.json("token", "create", "--scope", "repo", "--gateway", "all", "--expires", "2d")["token"]
    look = partial(look_at_home, _copied(living, tmp_path))

    assert "the token expires at" in bad(look({"GUTS_TOKEN": made}))["token"].message
    assert bad(look({})) == {}


@pytest.mark.e2e
def test_a_running_node_has_nothing_wrong_and_another_ones_address_is_told(living: Network, tmp_path: Path) -> None:
    """Its directory, its process and its door belong together."""
    seat = living.file.seats[0]
    found = list(look_at_node(living.node(seat).path))
    checks = [one.check for one in found]
    stranger = networks.create(tmp_path / "x", Plan("x", "ada", FaultModel.BYZANTINE, DEVNET_PARAMS, (seat,)))
    other = stranger.node(seat)
    other.adopt_genesis(stranger.genesis)
    with hold_lock(other.path / "node.lock"):
        wrong = bad(look_at_node(other.path))

    assert bad(iter(found)) == {}
    assert {"node", "answers", "clock", "network"} < set(checks)
    assert "another node answers" in wrong["answers"].message
