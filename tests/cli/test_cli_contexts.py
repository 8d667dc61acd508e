"""Contexts, what a shell completes, what git is told, and what is shown while one waits: without any node."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from guts_cli.git import Helper
from guts_cli.home import REPOSITORIES_SEEN_MAX, Context, Home
from guts_cli.keys import new_genesis_account
from guts_cli.main import ROOT
from guts_cli.outcomes import EXIT_INTERRUPTED, Usage
from guts_cli.target import Target, parse_target
from tests.cli.desk import TREE, Desk

CHAIN = "ab" * 32
NODE = "http://127.0.0.1:8080"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Somebody who knows two networks, of which no node runs, and has an account on one."""
    desk = Desk(tmp_path, tmp_path / "home")
    home, key = Home(desk.home), new_genesis_account("alice")
    home.keep_key(key)
    home.remember(Context("work", "cd" * 32, ("http://127.0.0.1:9090",)))
    home.remember(Context("local", CHAIN, (NODE, "http://127.0.0.1:8081"), key.id))
    home.keep_token(CHAIN, key.id, "guts_pat_secret")
    home.remember_repository(CHAIN, "alice/hello", "alice/help", "bob/tools")
    return desk


# ---- contexts ----


def test_contexts_are_listed_chosen_and_forgotten(desk: Desk) -> None:
    """An address book: what is forgotten takes no key along."""
    assert [(row["name"], row["current"]) for row in desk.json("context", "list")["contexts"]] == [
        ("work", False),
        ("local", True),
    ]
    assert desk.json("context", "show")["account"] == "alice"
    assert desk.json("context", "use", "work")["account"] is None
    desk.json("context", "remove", "work")
    assert desk.json("context", "show", code=3)["error"]["next"] == "guts context list"
    assert desk.json("status", code=2)["error"]["message"] == "no network is known here"
    assert desk.json("context", "use", "local")["current"] is True
    assert len(desk.json("key", "show")["keys"]) == 1


def test_a_home_that_knows_nothing_says_how_to_begin(tmp_path: Path) -> None:
    """The first command of a newcomer must not end in a riddle."""
    desk = Desk(tmp_path, tmp_path / "none")

    assert "next: guts up" in desk.run("context", "list").stdout
    assert "next: guts up" in desk.run("repo", "list", code=2).stderr


def test_repositories_that_were_met_are_remembered_up_to_a_bound(tmp_path: Path) -> None:
    """The file is read at every press of the tab key."""
    home = Home(tmp_path)
    home.remember_repository(CHAIN, *(f"alice/r{number}" for number in range(REPOSITORIES_SEEN_MAX)))
    home.remember_repository(CHAIN, "alice/latest")

    assert home.repositories(CHAIN)[0] == "alice/latest"
    assert len(home.repositories(CHAIN)) == REPOSITORIES_SEEN_MAX
    assert home.repositories("00" * 32) == ()


# ---- names of repositories ----


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("alice/hello", Target("alice", "hello")),
        ("Alice/Hello.git", Target("alice", "Hello")),
        ("http://127.0.0.1:8080/alice/hello.git", Target("alice", "hello", NODE)),
        ("https://example.org/alice/hello/", Target("alice", "hello", "https://example.org")),
    ],
)
def test_a_repository_is_named_by_owner_and_name_or_by_its_url(text: str, target: Target) -> None:
    """What stands in the address bar, in `origin` and in a mail all work."""
    assert target == parse_target(text)


@pytest.mark.parametrize(
    "text", ["", "hello", "a/b/c", "http://h/alice", "http://u:p@h/a/b", "file:///a/b", "http:///a/b"]
)
def test_what_names_no_repository_is_refused(text: str) -> None:
    """Before a node or git hears of it; a password in it is not repeated."""
    with pytest.raises(Usage) as refusal:
        parse_target(text)
    assert "p@h" not in str(refusal.value)


# ---- the credential helper ----


def asked(desk: Desk, question: str, *words: str, operation: str = "get", **environment: str) -> tuple[str, str]:
    argv = [sys.executable, "-m", "guts_cli", "credential", "--node", NODE, *words, operation]
    done = subprocess.run(
        argv, input=question, env=desk.environment() | environment, capture_output=True, text=True, check=True
    )
    return done.stdout, done.stderr


def test_the_helper_answers_for_its_node_and_for_no_other_host(desk: Desk) -> None:
    """A token that is offered to another host is a token lost."""
    mine = "protocol=http\nhost=127.0.0.1:8080\n\n"
    answer = "username=x-access-token\npassword=guts_pat_secret\n"

    assert asked(desk, mine) == (answer, "")
    assert asked(desk, mine, "--account", "alice", "--network", CHAIN) == (answer, "")
    assert asked(desk, mine, GUTS_TOKEN="from-environment")[0].endswith("password=from-environment\n")
    for other in (
        "protocol=http\nhost=127.0.0.1:8081",
        "protocol=https\nhost=127.0.0.1:8080",
        "host=127.0.0.1:8080",
        "",
    ):
        assert asked(desk, other + "\n\n", GUTS_TOKEN="from-environment") == ("", "")


def test_the_helper_says_what_to_type_where_it_has_nothing(desk: Desk) -> None:
    """Plain git in a clone says only that it was refused."""
    mine = "protocol=http\nhost=127.0.0.1:8080\n\n"

    missing = asked(desk, mine, "--account", "bob")
    refused = asked(desk, mine, operation="erase")

    assert missing == ("", "guts: no token is saved here\nnext: guts token create --scope repo --save\n")
    assert "does not accept the saved token\nnext: guts token create" in refused[1]
    assert asked(desk, mine, "--account", "bob", "--quiet") == ("", "")
    assert asked(desk, mine, operation="store") == ("", "")


def test_settings_for_git_forget_other_helpers_and_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A home with a space in its name is no reason to ask for a password."""
    monkeypatch.setenv("GUTS_HOME", "/a home")
    forget, ours = Helper(NODE, ("--account", "x y")).kept()

    assert forget == f"credential.{NODE}.helper="
    assert ours.startswith(f"credential.{NODE}.helper=!GUTS_HOME='/a home' ")
    assert ours.endswith(f" credential --node {NODE} --account 'x y'")


INTERRUPTED = """
import sys
from guts_cli.git import run_git
code = run_git(["-c", "alias.wait=!echo up; exec sleep 60", "wait"], may_ask=False)
print("still here")
sys.exit(code)
"""


def test_ctrl_c_ends_git_and_leaves_the_last_word_to_us() -> None:
    """Git tidies up a half-made clone on its own; its exit code is the shell's for an interrupt."""
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, cwd=TREE, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    os.killpg(child.pid, signal.SIGINT)

    assert child.communicate()[0] == "still here\n"
    assert child.returncode == EXIT_INTERRUPTED


# ---- completion, by bash itself ----

COMPLETE = """
eval "$(guts completion bash)"
COMP_WORDS=({words}); COMP_CWORD={place}; COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}
_guts_completion guts
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(desk: Desk, *words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f'"{word}"' for word in ("guts", *words))
    script = COMPLETE.format(words=quoted, place=len(words))
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=desk.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["cl"], ["clone"]),
        (["repo", "re"], ["restore"]),
        (["clone", "alice/hel"], ["alice/hello", "alice/help"]),
        (["repo", "view", "b"], ["bob/tools"]),
        (["context", "use", ""], ["work", "local"]),
        (["repo", "list", "--account", "a"], ["alice"]),
        (["token", "create", "--scope", "de"], ["delete_repo"]),
        (["push", "--set"], ["--set-upstream"]),
        (["completion", "f"], ["fish"]),
        (["cred"], []),
    ],
)
def test_bash_completes_commands_and_what_is_stored_here(desk: Desk, words: list[str], offered: list[str]) -> None:
    """No node runs, and none is asked while somebody types."""
    assert offered == completed(desk, *words)


def test_a_damaged_home_completes_nothing_and_says_nothing(desk: Desk) -> None:
    """A traceback amid a command line helps nobody."""
    (desk.home / "contexts.json").write_text("{")

    assert completed(desk, "context", "use", "") == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(desk: Desk, shell: str) -> None:
    """A script and nothing else: a shell reads it."""
    script = desk.run("completion", shell).stdout

    assert "guts" in script
    assert "next:" not in script


HEAVY = {"httpx", "trio", "rich"}
LOADED = """
import sys, guts_cli.main as m
try: m.run([])
finally: print(sorted({} & set(sys.modules)), file=sys.stderr)
"""


def test_completing_loads_nothing_heavy(desk: Desk) -> None:
    """The tab key answers at once."""
    code = LOADED.format(HEAVY)
    environment = desk.environment() | {"_GUTS_COMPLETE": "bash_complete", "COMP_WORDS": "guts re", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["plain,repo", "plain,ref"]
    assert done.stderr == "[]\n"


# ---- on a terminal ----

SLOW = """
import click, time, sys
from guts_cli.progress import working
from guts_cli.shape import command
@command()
def slow():
    with working("waiting until it is final"):
        time.sleep(float(sys.argv[1]))  # as a command does that waits for a node: it leaves the processor to others
slow(standalone_mode=False, args={args})
"""


def on_a_terminal(seconds: float, args: list[str]) -> str:
    """All that a terminal is sent on standard error."""
    primary, secondary = pty.openpty()
    code = SLOW.format(args=args)
    subprocess.run([sys.executable, "-c", code, str(seconds)], stderr=secondary, cwd=TREE, check=True)
    os.close(secondary)
    said = b""
    try:
        while piece := os.read(primary, 65536):
            said += piece
    except OSError:
        pass
    os.close(primary)
    return said.decode()


def test_what_takes_long_shows_that_it_lives_and_leaves_no_trace() -> None:
    """On a terminal only, never beside JSON, and not for what is done in a moment."""
    assert "waiting until it is final" in on_a_terminal(3.0, [])
    assert on_a_terminal(3.0, ["--json"]) == ""
    assert on_a_terminal(0.1, []) == ""


def every_help(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    for name in group.list_commands(click.Context(group)):
        below = group.get_command(click.Context(group), name)
        inner = (*words, name)
        found += every_help(below, inner) if isinstance(below, click.Group) else [inner]
    return found


def test_every_help_fits_an_old_terminal_and_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    """80 columns, a sentence, and no option without words."""
    for words in every_help(ROOT):
        ROOT.main([*words, "--help"], prog_name="guts", standalone_mode=False)
        text = capsys.readouterr().out
        assert max(len(line) for line in text.splitlines()) <= 80, words
        assert text.splitlines()[2].strip(), words
