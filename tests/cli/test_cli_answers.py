"""Every command with --json against a real node: what it prints is what the reference page shows."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from guts_cli.main import run
from guts_core.identity import token_of
from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.cli.reference import differences, example, sections
from tests.house.test_house import every_command
from tests.ports import free_ports

pytestmark = pytest.mark.e2e
STRANGERS_TOKEN = token_of(bytes(32))
# Speaks git's format, whatever it is asked.
NO_JSON = {"guts credential"}
# Their answers are looked at where what they need is made: several operators, a broken seed, a network to break.
ELSEWHERE = {
    "guts network vote": "test_cli_governance.py",
    "guts chaos": "test_cli_chaos.py",
    "guts sim soak": "test_cli_sim.py",
    "guts sim twins": "test_cli_sim.py",
    "guts sim shrink": "test_cli_sim.py",
    "guts sim replay": "test_cli_sim.py",
    "guts sim show": "test_cli_sim.py",
    "guts join": "../compat/test_join.py",
}


@define
class Story:
    """A network of one node, and what every command said to its people."""

    desk: Desk
    said: dict[str, Any] = Factory(dict)

    def tell(self, *words: str, code: int = 0) -> Any:
        """Run a command and keep its answer under the words that lead to it."""
        answer = self.desk.json(*words, code=code)
        self.said[_command(words)] = answer
        return answer

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A command that stays; its answer is kept when it is ready."""
        argv = [sys.executable, "-m", "guts_cli", *words, "--json"]
        child = subprocess.Popen(
            argv, cwd=self.desk.directory, env=self.desk.environment(), stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        text = ""
        for line in child.stdout:
            text += line
            if line == "}\n":
                self.said[_command(words)] = json.loads(text)
                return child
        raise AssertionError(f"{words} ended after {text!r}")

    def end(self, child: subprocess.Popen[str]) -> None:
        """Ctrl-C."""
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE_SECONDS)


def _command(words: tuple[str, ...]) -> str:
    """The words that lead to the command, as the table of commands has them."""
    known = [command for command, _ in every_command()]
    return max((one for one in known if f"guts {' '.join(words)} ".startswith(f"{one} ")), key=len)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All that the commands say in the life of one small network; it goes on running for the refusals."""
    path = tmp_path_factory.mktemp("story")
    told = Story(Desk(path, path / "net"))
    http = str(free_ports(1)[0])
    told.tell("devnet", "start", "--validators", "1", "--dir", "net", "--http-port", http, "--detach")
    try:
        _people(told)
        _repositories(told, f"http://127.0.0.1:{http}")
        _files(told)
        _council(told)
        yield told
    finally:
        told.desk.run("devnet", "stop", "--dir", "net")


def _people(told: Story) -> None:
    tell = told.tell
    tell("devnet", "stop", "--dir", "net")
    tell("devnet", "start-node", "--dir", "net", "--index", "0", "--detach")
    tell("devnet", "status", "--dir", "net")
    tell("status")
    tell("node", "status", "--dir", "net/node0")
    tell("doctor", "--dir", "net/node0", "--limits")
    tell("key", "rotate")
    tell("account", "create", "bob")
    tell("token", "create", "--account", "bob", "--scope", "repo", "--save")
    tell("token", "create", "--scope", "repo", "--scope", "delete_repo", "--note", "temporary")
    tell("token", "list")
    tell("token", "revoke", "--note", "temporary")
    spare = tell("key", "add", "new", "--out", "spare.key")
    tell("key", "remove", spare["public_key"])
    tell("key", "show")


def _repositories(told: Story, url: str) -> None:
    tell, desk = told.tell, told.desk
    work = desk.work_tree()
    told.said["guts push"] = work.json("push", "-u", "alice/hello")
    tell("clone", "alice/hello")
    told.said["guts pull"] = work.json("pull")
    tell("repo", "create", "second")
    tell("repo", "list")
    tell("repo", "view", "alice/hello")
    tell("network", "trust", "net/genesis.json")
    tell("network", "list")
    tell("verify", "alice/hello@main")
    tell("repo", "edit", "alice/hello", "--private", "--name", "greeting", "--description", "A greeting")
    tell("text", "list", "alice/greeting")
    tell("text", "erase", "alice/greeting")
    tell("ref", "log", "alice/greeting@main")
    tell("repo", "share", "alice/greeting", "bob", "--role", "read")
    tell("repo", "members", "alice/greeting")
    tell("repo", "unshare", "alice/greeting", "bob")
    tell("repo", "delete", "alice/second", "--yes-delete", "alice/second")
    tell("repo", "restore", "alice/second")
    machine = desk.elsewhere("laptop")
    told.said["guts key new"] = machine.json("key", "new", "alice", "--node", url)
    tell("key", "add", told.said["guts key new"]["request"])
    told.said["guts context add"] = machine.json("context", "add", url)
    tell("context", "list")
    tell("context", "show")
    tell("context", "use", "devnet", "--account", "bob")
    tell("context", "use", "devnet", "--account", "alice")
    told.said["guts context remove"] = machine.json("context", "remove", "devnet")
    tell("completion", "bash")


def _files(told: Story) -> None:
    tell = told.tell
    p2p = free_ports(2)
    entry = tell("node", "init", "--dir", "n0", "--name", "ada", "--p2p", f"127.0.0.1:{p2p[0]}")["entry"]
    tell("node", "config", "--dir", "n0")
    tell("genesis", "new", "our-net", "--account", "carol")
    tell("genesis", "add", entry)
    tell("genesis", "seal")
    http = free_ports(2)
    listen = ("--http", f"127.0.0.1:{http[0]}")
    told.end(told.begin("node", "run", "--dir", "n0", "--genesis", "genesis.json", *listen))
    told.end(told.begin("up", "--dir", "alone", "--http-port", str(http[1])))
    tell("sim", "run", "--seed", "7")


def _council(told: Story) -> None:
    """Of one operator, who decides alone."""
    tell, by = told.tell, ("--operator-key", "net/node0/keys/operator.key")
    tell("network", "propose", "rotate", "--dir", "net/node0", *by)
    tell("network", "propose", "end-epoch", *by)
    tell("network", "validators")
    request = tell("network", "entry", "--dir", "n0")["request"]
    tell("network", "admit", request, "--name", "ada", *by)
    tell("network", "followers")
    tell("network", "dismiss", "ada", *by)
    tell("network", "rotate", "--dir", "net/node0", *by)
    tell("node", "init", "--dir", "n1", "--name", "bea", "--p2p", "127.0.0.1:1")
    entry = told.desk.json("network", "entry", "--dir", "n1", "--operator", "operator-0")["entry"]
    tell("network", "propose", "add", entry, *by)
    tell("network", "propose", "remove", "node-0", *by)
    tell("network", "propose", "set", "retry_ms=500", *by)
    tell("network", "propose", "rules", "1", *by)
    tell("network", "show")


@pytest.mark.parametrize(
    "words", [words for words, _ in every_command() if words not in NO_JSON and words not in ELSEWHERE]
)
def test_an_answer_is_what_the_reference_shows(story: Story, words: str) -> None:
    """A program that was written after the page works with the command."""
    assert differences(example(words), story.said[words]) == []


@pytest.mark.parametrize("words", sorted(ELSEWHERE))
def test_an_answer_is_looked_at_elsewhere(words: str) -> None:
    """Where it is said to be."""
    assert f'example("{words}")' in (Path(__file__).parent / ELSEWHERE[words]).read_text()


Refuse = Callable[[list[str], int], Any]


@pytest.fixture
def refused(story: Story, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run a command that must fail in this process: a second of loading for each would be all of the time."""
    for name in [name for name in os.environ if name.startswith("GUTS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GUTS_HOME", str(story.desk.home))
    monkeypatch.chdir(story.desk.directory)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run_refused(words: list[str], exit_code: int) -> Any:
        assert run([*words, "--json"]) == exit_code, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    return run_refused


def test_every_section_is_a_commands() -> None:
    """What is documented exists."""
    assert {words for words, _ in every_command()} == sections().keys()


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["repo", "view"], 2, "usage"),
        (["repo", "view", "hello"], 2, "usage"),
        (["repo", "edit", "alice/greeting"], 2, "usage"),
        (["repo", "edit", "alice/greeting", "--name", "a/b"], 2, "invalid"),
        (["repo", "delete", "alice/greeting"], 2, "usage"),
        (["repo", "delete", "alice/greeting", "--yes-delete", "greeting"], 2, "usage"),
        (["repo", "view", "alice/nope"], 3, "not-found"),
        (["repo", "restore", "alice/nope"], 3, "not-found"),
        (["repo", "share", "alice/greeting", "nope"], 3, "not-found"),
        (["repo", "share", "alice/greeting", "bob", "--role", "king"], 2, "usage"),
        (["repo", "unshare", "alice/greeting", "alice"], 5, "is-owner"),
        (["ref", "log", "alice/greeting@nope"], 3, "not-found"),
        (["context", "use", "nope"], 3, "not-found"),
        (["context", "remove", "nope"], 3, "not-found"),
        (["token", "revoke", "--note", "nope"], 3, "not-found"),
        (["token", "revoke"], 2, "usage"),
        (["token", "revoke", "ab"], 2, "usage"),
        (["key", "remove", "ab"], 2, "usage"),
        (["key", "remove", "ab" * 32], 3, "not-found"),
        (["key", "add", "guts_key_00"], 2, "usage"),
        (["key", "add", "new"], 2, "usage"),
        (["key", "new", "alice"], 5, "conflict"),
        (["account", "create", "bob"], 5, "conflict"),
        (["repo", "create", "greeting"], 5, "conflict"),
        (["repo", "create", "x", "--account", "nobody"], 3, "not-found"),
        (["status", "--node", "http://127.0.0.1:1"], 6, "unreachable"),
        (["clone", "alice/greeting", "--node", "http://127.0.0.1:1"], 6, "unreachable"),
        (["completion", "csh"], 2, "usage"),
    ],
)
def test_an_error_has_one_shape_and_its_familys_exit_code(
    refused: Refuse, words: list[str], exit_code: int, code: str
) -> None:
    """A script tells what happened without reading English, and a person what to type."""
    error = refused(words, exit_code)

    assert set(error) == {"error"}
    assert set(error["error"]) == {"code", "message", "next"}
    assert _family(error["error"]["code"], code)
    assert error["error"]["message"]


def _family(said: str, code: str) -> bool:
    """The code itself or, for a refusal of the state machine, any that stands for a leaf."""
    return said == code or (code in {"conflict", "not-found", "invalid"} and re.fullmatch(r"[a-z-]+", said) is not None)


@pytest.mark.parametrize(
    ("words", "environment", "exit_code", "code"),
    [
        (["repo", "list"], {"GUTS_TOKEN": STRANGERS_TOKEN}, 4, "unauthenticated"),
        (["repo", "view", "alice/greeting"], {"GUTS_TOKEN": "guts_pat_nonsense"}, 4, "unauthenticated"),
        (["status"], {"GUTS_HOME": ""}, 2, "configuration"),
        (["status"], {"GUTS_HOME": "/nonexistent/home"}, 2, "configuration"),
    ],
)
def test_who_asks_and_from_where_is_checked(
    refused: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: dict[str, str],
    exit_code: int,
    code: str,
) -> None:
    """A wrong token and a wrong home are no bugs of guts."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = refused(words, exit_code)["error"]

    assert code == error["code"]
    assert error["next"] is not None or error["code"] == "configuration"


@pytest.mark.parametrize(
    ("words", "exit_code", "message", "following"),
    [
        (["rpeo"], 2, "there is no command 'rpeo'; did you mean 'repo'?", "guts --help"),
        (["repo", "veiw", "alice/greeting"], 2, "there is no command 'veiw'; did you mean 'view'?", "guts repo --help"),
        (
            ["token", "create"],
            2,
            "Missing option '--scope'. Choose from: read, repo, delete_repo",
            "guts token create --help",
        ),
        (
            ["token", "create", "--scope", "read", "--gateway", "x"],
            3,
            "no node 'x'",
            "the same command with --gateway all",
        ),
        (
            ["devnet", "status", "--dir", "no where"],
            3,
            "no where holds no network",
            "guts devnet start --dir 'no where'",
        ),
        (["verify", "/no/such.proof"], 2, "there is no file '/no/such.proof'", "guts verify --help"),
        (["verify"], 2, "verify what?", "guts verify --help"),
        (
            ["status", "--node", "http://127.0.0.1:1"],
            6,
            "no answer from http://127.0.0.1:1: Connection refused",
            "guts ",
        ),
    ],
)
def test_what_was_mistyped_is_told_with_what_to_type(
    refused: Refuse, words: list[str], exit_code: int, message: str, following: str
) -> None:
    """One line of words, without what is the machine's business, and one to go on with."""
    error = refused(words, exit_code)["error"]

    assert error["message"].startswith(message)
    assert "\n" not in error["message"]
    assert error["next"].startswith(following)


def test_a_token_of_the_environment_is_the_one_to_take_away(refused: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new token that is saved would not be asked for while the variable is set."""
    monkeypatch.setenv("GUTS_TOKEN", STRANGERS_TOKEN)

    assert refused(["repo", "list"], 4)["error"]["next"].startswith("unset GUTS_TOKEN; guts token create ")


def test_somebody_without_an_account_is_told_how_to_get_one(story: Story) -> None:
    """Whoever knows no more than a node's address has no name to say with --account."""
    url = story.said["guts devnet start"]["nodes"][0]["http"]
    stranger = story.desk.elsewhere("strangers-machine")

    refused = stranger.json("repo", "list", "--node", url, code=2)["error"]

    assert refused["next"].startswith(f"guts account create NAME --node {url}")


def test_what_a_role_does_not_allow_is_refused(story: Story) -> None:
    """Bob may read a public repository, and nothing more; of a private one he learns nothing."""
    story.desk.json("repo", "edit", "alice/second", "--public")

    refused = story.desk.json("repo", "edit", "alice/second", "--private", "--account", "bob", code=4)
    hidden = story.desk.json("repo", "view", "alice/greeting", "--account", "bob", code=3)

    assert refused["error"]["code"] == "not-allowed"
    assert hidden["error"]["next"] == "guts repo list"


def test_answers_for_people_end_with_what_to_type_next(story: Story) -> None:
    """Also those of commands that found nothing to do."""
    for words in (["repo", "view", "alice/greeting"], ["repo", "edit", "alice/greeting", "--private"], ["key", "show"]):
        assert re.search(r"\n\nnext: guts .+\n$", story.desk.run(*words).stdout)


def test_the_privacy_of_a_repository_is_said_in_words(story: Story) -> None:
    """Nobody shall learn only later who the operators are to a private repository."""
    shown = story.desk.run("repo", "view", "alice/greeting").stdout

    assert "private, readable by members and by the operators of this network" in shown
    assert "your role    admin" in shown
