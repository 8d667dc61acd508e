"""Homes, keys, configuration, ports: what the command line keeps and refuses, without any node."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from guts_cli import network as networks
from guts_cli.acting import open_network
from guts_cli.config import Address, Config
from guts_cli.devnet import moved_if_taken
from guts_cli.home import Context, Home
from guts_cli.keys import new_genesis_account, new_pair, read_pair, write_pair
from guts_cli.main import run
from guts_cli.network import DEVNET_PARAMS, Network, Plan, Seat
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import EXIT_CODES, Misconfigured, Usage, failure_of, printable
from guts_cli.ports import free_ports, http_ports
from guts_cli.private_files import write_record
from guts_cli.processes import Started, is_alive, running, spawn, stop, wait_gone
from guts_cli.view import commands_to_try
from guts_core import errors
from guts_core.chain.genesis_json import genesis_from_json
from guts_core.errors import Conflict, Invalid, NotFound
from guts_core.simplex.quorum import FaultModel

SLEEPER = [
    sys.executable,
    "-c",
    "import sys; print('awake', flush=True); sys.stdin.read(); import signal; signal.pause()",
]
DEAF = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]
PATIENCE_SECONDS = 60.0


def a_network(path: Path, ports: tuple[int, ...] = (18200, 18201)) -> Network:
    seats = tuple(Seat(index, port, port + 1000) for index, port in enumerate(ports))
    return networks.create(path, Plan("devnet", "alice", FaultModel.CRASH, DEVNET_PARAMS, seats))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_error_of_guts_has_an_exit_code() -> None:
    """A script tells "not found" from "not reachable" without reading English."""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    ours = [cls for cls in classes if issubclass(cls, errors.GutsError)]

    assert {cls.__name__: failure_of(cls("words")).exit_code for cls in ours} == {
        "GutsError": 70,
        "Refused": 1,
        "Invalid": 2,
        "NotFound": 3,
        "Unauthenticated": 4,
        "NotAllowed": 4,
        "Conflict": 5,
        "LimitExceeded": 1,
        "Unavailable": 6,
        "PeerFault": 1,
        "Malformed": 1,
        "BadSignature": 1,
        "Corrupt": 70,
        "ForkSeen": 78,
        "KeyInUse": 78,
    }
    assert EXIT_CODES["unknown-rules"] == 78


def test_an_unforeseen_error_is_called_a_bug() -> None:
    """Nobody should look for their own mistake in ours."""
    assert ((failure := failure_of(ZeroDivisionError("x"))).code, failure.exit_code) == ("bug", 70)


def test_text_from_elsewhere_cannot_address_the_terminal() -> None:
    """A repository's name must not clear the screen."""
    assert printable("a\x1b[2Jb\u202ec\n") == "a\\x1b[2Jb\\x202ec\n"


def test_keys_are_private_from_the_start_and_refused_when_they_are_not(tmp_path: Path) -> None:
    """A key that others could read may have been read."""
    path, pair = tmp_path / "keys" / "node.key", new_pair()
    write_pair(path, pair)

    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert read_pair(path) == pair

    path.chmod(0o640)
    with pytest.raises(Misconfigured, match=r"can be read by others \(mode 640\)") as refusal:
        read_pair(path)
    assert refusal.value.next_step == f"chmod 600 {path}"


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    """A damaged key is found at start, not at the first vote."""
    path = tmp_path / "vote.key"
    path.write_text("42")
    path.chmod(0o600)

    with pytest.raises(Misconfigured, match=r"vote\.key does not hold a key"):
        read_pair(path)


def test_a_home_remembers_contexts_keys_and_tokens(tmp_path: Path) -> None:
    """What one command stores the next one finds."""
    home, key = Home(tmp_path / "home"), new_genesis_account("alice")
    context = Context("devnet", "ab" * 32, ("http://127.0.0.1:1",), key.id)
    home.keep_key(key)
    home.remember(Context("older", "cd" * 32, ()))
    home.remember(context)
    home.keep_token(context.chain_id, key.id, "secret")

    assert home.current() == context
    assert home.key_by_id(key.id) == key
    assert home.token(context.chain_id, key.id) == "secret"
    assert home.token("cd" * 32, key.id) is None
    assert {mode(path) for path in home.path.rglob("*") if path.is_file()} == {0o600}
    with pytest.raises(NotFound, match="no key of account eeee"):
        home.key_by_id("ee" * 32)


def test_a_damaged_home_is_named(tmp_path: Path) -> None:
    """Refused with the file and the field, not with a traceback."""
    (tmp_path / "contexts.json").write_text('{"current": 3, "contexts": {}, "colour": "red"}')

    with pytest.raises(Misconfigured, match=r"contexts\.json: .*colour"):
        Home(tmp_path).contexts()


def test_without_a_network_the_next_step_is_said(tmp_path: Path) -> None:
    """The first command of a newcomer must not end in a riddle."""
    with pytest.raises(Misconfigured, match="no network is known") as refusal, open_network(None, home=Home(tmp_path)):
        pass
    assert "guts up" in str(refusal.value.next_step)


@pytest.mark.parametrize("text", ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x", "host:80", ":80"])
def test_an_address_that_cannot_be_listened_on_is_refused(text: str) -> None:
    """At once, not after the database was opened."""
    with pytest.raises(Invalid):
        Address.parse(text)


def test_ports_that_were_asked_for_must_all_be_free() -> None:
    """A network at other ports than those its scripts know is no network."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(Misconfigured, match=f"port {port} on 127.0.0.1 is taken"):
            http_ports(2, port - 1)
        assert port not in free_ports(2, port)


def test_a_network_keeps_its_keys_private_and_its_genesis_public(tmp_path: Path) -> None:
    """The directory can be looked at, its secrets cannot."""
    network = a_network(tmp_path)
    private = [*tmp_path.rglob("keys/*"), tmp_path / "network.json"]

    assert genesis_from_json(network.genesis.read_text()).chain_id.hex() == network.file.chain_id
    assert len(private) == 2 * 3 + 1 + 1
    assert {mode(path) for path in private} == {0o600}
    assert networks.load(tmp_path) == network
    assert network.home.current() is not None


def test_a_network_that_moves_keeps_its_chain_id(tmp_path: Path) -> None:
    """Ports are hints; everything that was signed stays valid."""
    network = a_network(tmp_path)

    moved = moved_if_taken(network, 18300)

    assert [seat.url for seat in moved.file.seats] == ["http://127.0.0.1:18300", "http://127.0.0.1:18301"]
    assert genesis_from_json(moved.genesis.read_text()).chain_id.hex() == network.file.chain_id
    assert networks.load(tmp_path) == moved


def test_the_credential_helper_answers_its_own_nodes_only(tmp_path: Path) -> None:
    """A token that git offers to another host is a token lost."""
    network = a_network(tmp_path / "with space's")
    network.keep_token("guts_pat_x")

    def asked(host: str) -> str:
        question = f"protocol=http\nhost={host}\n\n"
        helper = [str(network.credential_helper), "get"]
        return subprocess.run(helper, input=question, text=True, capture_output=True, check=True).stdout

    assert asked("127.0.0.1:18201") == "username=alice\npassword=guts_pat_x\n"
    assert asked("127.0.0.1:18202") == ""
    assert asked("example.org") == ""


def test_the_credential_helper_works_in_git_from_a_directory_that_was_moved(tmp_path: Path) -> None:
    """What `guts devnet start` prints is pasted into a shell; git runs a helper's path through another one."""
    a_network(tmp_path / "before").keep_token("guts_pat_x")
    (tmp_path / "before").rename(tmp_path / "with space's")
    line = next(one for one in commands_to_try(networks.load(tmp_path / "with space's")).splitlines() if "-c " in one)

    filled = subprocess.run(
        ["sh", "-c", f"{line.removesuffix(chr(92))} credential fill"],
        input="protocol=http\nhost=127.0.0.1:18201\n\n",
        text=True,
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_TERMINAL_PROMPT": "0"},
    )

    assert "password=guts_pat_x" in filled.stdout.splitlines()


def test_a_node_directory_never_loses_its_keys(tmp_path: Path) -> None:
    """A validator that votes with new keys is another one; with the same keys twice, a liar."""
    directory = NodeDirectory(tmp_path / "n")
    directory.create(Config.of({"node.name": "ada"}), "ada", "127.0.0.1:7080")
    before = directory.vote_key()

    with pytest.raises(Conflict, match="never replaced"):
        directory.create(Config.of({"node.name": "eve"}), "eve", "127.0.0.1:7080")
    assert before == directory.vote_key()


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["genesis", "add", "strange", "--draft", "draft"], "strange"),
        (["genesis", "add", "entry", "--draft", "strange"], "strange"),
        (["genesis", "seal", "--draft", "strange"], "strange"),
        (["network", "trust", "strange"], "strange"),
        (["node", "run", "--dir", "n0", "--genesis", "strange"], "strange"),
        (["context", "list"], "home/contexts.json"),
        (["key", "show"], "home/keys/k.json"),
        (["key", "show", "--dir", "n0"], "n0/keys/node.key"),
        (["node", "config", "--dir", "n0"], "n0/config.toml"),
    ],
)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[", b"[]", b'{"name":"a","id":"zz","seed":"zz","salt":"zz"}'])
def test_a_file_that_is_something_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], place: str,
    content: bytes,
) -> None:  # fmt: skip
    """The wrong file, or half of one, is no bug of guts: the words say which it is."""
    monkeypatch.setenv("GUTS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run(["node", "init", "--dir", "n0", "--name", "ada", "--out", "entry"]) == 0
    assert run(["genesis", "new", "our-net", "--draft", "draft"]) == 0
    (tmp_path / "home" / "keys").mkdir(parents=True)
    (tmp_path / place).touch(mode=0o600)
    (tmp_path / place).write_bytes(content)
    capsys.readouterr()

    code = run([*words, "--json"])

    error = json.loads(capsys.readouterr().out)["error"]
    assert code == 2
    assert place in error["message"]


def test_a_genesis_of_another_network_is_refused(tmp_path: Path) -> None:
    """A node that changes networks would show one's history as the other's."""
    mine, other = a_network(tmp_path / "mine"), a_network(tmp_path / "other")
    node = mine.node(mine.seat(0))
    node.adopt_genesis(mine.genesis)

    assert node.adopt_genesis(None) == node.genesis
    with pytest.raises(Conflict, match="belongs to network devnet"):
        node.adopt_genesis(other.genesis)
    with pytest.raises(NotFound, match="is no validator of"):
        mine.node(mine.seat(1)).adopt_genesis(other.genesis)


def test_stop_ends_what_was_started_here_and_nothing_else(tmp_path: Path) -> None:
    """Pids are used again: a pid file from before a reboot must not kill a stranger."""
    stranger = subprocess.Popen(SLEEPER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ours = spawn(SLEEPER, tmp_path / "log", tmp_path / "ours.pid")
    write_record(tmp_path / "stale.pid", Started(stranger.pid, "0:1"))

    assert running(tmp_path / "ours.pid") == ours
    assert running(tmp_path / "stale.pid") is None
    stop([ours, Started(stranger.pid, "0:1")], PATIENCE_SECONDS)
    assert not is_alive(ours)
    assert stranger.poll() is None

    stranger.kill()
    stranger.communicate()


def test_stop_kills_what_does_not_listen(tmp_path: Path) -> None:
    """`stop` keeps its promise of time with a node that hangs."""
    log = tmp_path / "log"
    deaf = spawn(DEAF, log, tmp_path / "pid")
    while "deaf" not in log.read_text():
        assert is_alive(deaf)

    stop([deaf], 0.2)

    assert wait_gone([deaf], PATIENCE_SECONDS)


def test_resuming_with_another_size_is_refused(tmp_path: Path) -> None:
    """A network's size is in its genesis."""
    a_network(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "guts_cli", "devnet", "start", "--dir", str(tmp_path), "--validators", "3", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert run.returncode == 2
    assert json.loads(run.stdout)["error"]["message"].endswith("holds a network of 2 validators, not 3")
    assert Usage("x").code == "usage"
