"""``git-credential-guts``: asked by stock git and by hand, with each place that a token may lie in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve, frozen

from guts_cli.home import Context, Home
from guts_cli.keys import new_genesis_account
from guts_core.identity import token_of
from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.cli.file_keyring import FILE

CHAIN, OTHER_CHAIN = "ab" * 32, "cd" * 32
NODE = "https://node.example.org"
FROM_FILE, FROM_KEYRING, FROM_ENVIRONMENT, TYPED = (token_of(bytes([number] * 32)) for number in range(1, 5))
ASKED = "protocol=https\nhost=node.example.org\n"
REFUSED = (
    "guts: node.example.org does not accept the token\nnext: guts token create --scope repo --gateway all --save\n"
)


@frozen
class Asking:
    """Somebody with an account on a network, and the helper as git runs it."""

    desk: Desk
    account: str
    keyring: str = "tests.cli.file_keyring.FileKeyring"

    @property
    def keyring_file(self) -> Path:
        """Where the keyring of this test keeps its entries."""
        return self.desk.directory / "keyring.json"

    def environment(self, **more: str) -> dict[str, str]:
        """What git and its helpers see."""
        keyring = {"PYTHON_KEYRING_BACKEND": self.keyring, FILE: str(self.keyring_file)}
        return self.desk.environment() | keyring | more

    def helper(self, operation: str, asked: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        """One operation."""
        argv = [str(Path(sys.executable).parent / "git-credential-guts"), *operation.split()]
        done = subprocess.run(
            argv, input=asked, env=self.environment(**more), cwd=self.desk.directory, capture_output=True, text=True,
            check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    def token(self, asked: str = ASKED, **more: str) -> str:
        """The password that is answered; empty for no answer."""
        lines = self.helper("get", asked, 0, **more).stdout.splitlines()
        return next((line.removeprefix("password=") for line in lines if line.startswith("password=")), "")

    def put(self, token: str) -> None:
        """Into the keyring, under the account."""
        self.keyring_file.write_text(json.dumps({f"guts {CHAIN}/{self.account}": token}))

    def kept(self) -> list[str]:
        """All that the keyring holds."""
        return list(json.loads(self.keyring_file.read_text()).values()) if self.keyring_file.exists() else []


@pytest.fixture
def asking(tmp_path: Path) -> Asking:
    """Alice, with a saved token, on a network with two nodes; and another network, without an account."""
    desk = Desk(tmp_path, tmp_path / "home")
    home, key = Home(desk.home), new_genesis_account("alice")
    home.keep_key(key)
    home.remember(Context("work", OTHER_CHAIN, ("http://127.0.0.1:9090",)))
    home.remember(Context("local", CHAIN, (NODE, "http://127.0.0.1:8081"), key.id))
    home.keep_token(CHAIN, key.id, FROM_FILE)
    return Asking(desk, key.id)


def test_git_asks_and_is_answered(asking: Asking) -> None:
    """By the helper's name alone, as `git config --global credential.helper guts` has it."""
    filled = subprocess.run(
        ["git", "-c", "credential.helper=", "-c", "credential.helper=guts", "credential", "fill"],
        input=f"url={NODE}/alice/hello.git\n\n", env=asking.environment(GIT_TERMINAL_PROMPT="0"),
        cwd=asking.desk.directory, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert filled.stdout == f"{ASKED}username=x-access-token\npassword={FROM_FILE}\n"
    assert filled.stderr == ""


def test_the_environment_comes_before_the_keyring_and_that_before_the_file(asking: Asking) -> None:
    """What is nearer to this one command wins."""
    found = [asking.token()]
    asking.put(FROM_KEYRING)
    found += [asking.token(), asking.token(GUTS_TOKEN=FROM_ENVIRONMENT), asking.token(GUTS_TOKEN="")]

    assert found == [FROM_FILE, FROM_KEYRING, FROM_ENVIRONMENT, FROM_KEYRING]


@pytest.mark.parametrize(
    "asked",
    [
        "protocol=https\nhost=evil.example.org\n",
        "protocol=http\nhost=node.example.org\n",
        "protocol=https\nhost=node.example.org:8443\n",
        "protocol=https\nhost=node.example.org.evil.org\n",
        "protocol=https\nhost=node.example.org@evil.org\n",
        "protocol=https\nhost=node.example.org:no-port\n",
        "protocol=https\n",
        "host=node.example.org\n",
        "\n" + ASKED,
        "",
    ],
)
def test_nobody_else_is_answered_whatever_is_held(asking: Asking, asked: str) -> None:
    """Silently, with success: git asks its next helper."""
    done = asking.helper("get", asked, GUTS_TOKEN=FROM_ENVIRONMENT)

    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    "asked",
    [
        "protocol=https\nhost=node.example.org:443\n",
        "protocol=https\nhost=NODE.example.org\n",
        "protocol=http\nhost=127.0.0.1:8081\n",
        f'capability[]=authtype\n{ASKED}path=alice/hello.git\nwwwauth[]=Basic realm="x"\n\nprotocol=http\n',
    ],
)
def test_an_address_may_be_written_in_other_ways(asking: Asking, asked: str) -> None:
    """Its usual port, its case, and whatever else git says of it."""
    assert asking.token(asked) == FROM_FILE


def test_a_user_in_the_address_chooses_the_account(asking: Asking) -> None:
    """Somebody has two accounts; a stranger's name gets no answer."""
    home, second = Home(asking.desk.home), new_genesis_account("robot")
    home.keep_key(second)
    home.keep_token(CHAIN, second.id, TYPED)

    assert asking.token(f"{ASKED}username=robot\n") == TYPED
    assert asking.token(f"{ASKED}username=alice\n") == FROM_FILE
    assert "username=robot\n" in asking.helper("get", f"{ASKED}username=robot\n").stdout
    assert asking.helper("get", f"{ASKED}username=bob\n").stdout == ""


def test_a_network_without_a_token_is_told_how_to_get_one(asking: Asking) -> None:
    """Git's own prompt comes right after it."""
    done = asking.helper("get", "protocol=http\nhost=127.0.0.1:9090\n")

    assert done.stdout == ""
    assert done.stderr == (
        "guts: no token for 127.0.0.1:9090 is saved here\nnext: guts token create --scope repo --gateway all --save\n"
    )


def test_what_was_typed_and_worked_is_kept_in_the_keyring(asking: Asking) -> None:
    """And is the answer from then on."""
    asking.helper("store", f"{ASKED}username=alice\npassword={TYPED}\n")

    assert asking.token() == TYPED


@pytest.mark.parametrize(
    ("asked", "environment"),
    [
        (f"{ASKED}username=alice\npassword={FROM_FILE}\n", ""),
        (f"{ASKED}username=alice\npassword={TYPED}\n", TYPED),
        (f"{ASKED}username=alice\npassword=correct horse\n", ""),
        (f"{ASKED}username=bob\npassword={TYPED}\n", ""),
        (f"{ASKED}username=alice\n", ""),
        (f"protocol=https\nhost=evil.example.org\nusername=alice\npassword={TYPED}\n", ""),
    ],
    ids=["saved already", "of the environment", "no token", "another's", "no password", "another host"],
)
def test_what_is_not_to_be_kept_is_not(asking: Asking, asked: str, environment: str) -> None:
    """Git tells its helpers of everything that worked anywhere."""
    done = asking.helper("store", asked, GUTS_TOKEN=environment)

    assert (asking.kept(), done.stdout, done.stderr) == ([], "", "")


def test_a_refused_token_is_forgotten_by_the_keyring_and_the_file_stays(asking: Asking) -> None:
    """Only the very one: another that lies there since then is not the refused one."""
    asking.put(FROM_KEYRING)
    other = asking.helper("erase", f"{ASKED}username=alice\npassword={TYPED}\n")
    kept = asking.kept()
    refused = asking.helper("erase", f"{ASKED}username=alice\npassword={FROM_KEYRING}\n")
    of_the_file = asking.helper("erase", f"{ASKED}username=alice\npassword={FROM_FILE}\n")

    assert (other.stderr, kept) == ("", [FROM_KEYRING])
    assert (refused.stderr, asking.kept()) == (REFUSED, [])
    assert of_the_file.stderr == REFUSED
    assert asking.token() == FROM_FILE


def test_a_keyring_that_is_locked_is_said_and_the_file_answers(asking: Asking) -> None:
    """A push by a timer at night goes on."""
    asking.keyring_file.mkdir()
    done = asking.helper("get", ASKED)

    assert done.stdout == f"username=x-access-token\npassword={FROM_FILE}\n"
    assert "the keyring does not answer (it is locked)" in done.stderr


@pytest.mark.parametrize(
    ("keyring", "words"),
    [
        ("keyrings.absent.Keyring", "No module named 'keyrings"),
        ("keyring.backends.SecretService.Keyring", "Unable to initialize SecretService"),
    ],
)
def test_a_keyring_that_cannot_be_reached_is_said_and_the_file_answers(
    asking: Asking, keyring: str, words: str
) -> None:
    """A desktop's keyring that somebody chose, on a machine without the desktop."""
    done = evolve(asking, keyring=keyring).helper("get", ASKED)

    assert done.stdout == f"username=x-access-token\npassword={FROM_FILE}\n"
    assert f"guts: the keyring does not answer ({words}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "keyring", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring", "keyrings.alt.here.Plain"]
)
def test_a_keyring_that_keeps_nothing_or_in_the_clear_is_none(asking: Asking, keyring: str, tmp_path: Path) -> None:
    """A file that others cannot read is better than a file that says it is a keyring."""
    module = tmp_path / "site/keyrings/alt/here.py"
    module.parent.mkdir(parents=True)
    module.write_text("from tests.cli.file_keyring import FileKeyring\nclass Plain(FileKeyring):\n    pass\n")
    asking = evolve(asking, keyring=keyring)
    path = f"{tmp_path / 'site'}:{asking.environment()['PYTHONPATH']}"

    stored = asking.helper("store", f"{ASKED}username=alice\npassword={TYPED}\n", PYTHONPATH=path)
    assert (stored.stdout, stored.stderr, asking.kept()) == ("", "", [])
    assert asking.token(PYTHONPATH=path) == FROM_FILE


def test_a_clones_own_helper_and_commands_find_the_keyring_too(asking: Asking) -> None:
    """One person, one token, whoever asks."""
    asking.put(FROM_KEYRING)
    done = subprocess.run(
        [sys.executable, "-m", "guts_cli", "credential", "--node", NODE, "get"], input=ASKED,
        env=asking.environment(), capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert done.stdout.endswith(f"password={FROM_KEYRING}\n")


@pytest.mark.parametrize("account", ["", "alice"])
def test_proofs_and_ready_made_clones_find_the_keyring_too(asking: Asking, account: str) -> None:
    """Where commands and git find it, for the context's account and for one that is named."""
    asking.put(FROM_KEYRING)
    code = (
        "from guts_cli.asking import token_for\nfrom guts_cli.home import user_home\n"
        "from guts_cli.ready.known import _mirrors\nhome = user_home()\n"
        "print(token_for(home, home.current()), *(one.token for one in _mirrors(home, None)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=asking.environment(GUTS_ACCOUNT=account), capture_output=True, text=True,
        check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert done.stdout.split() == [FROM_KEYRING] * 3


def test_a_keyring_that_is_locked_is_asked_once_for_all_nodes(asking: Asking) -> None:
    """Each question may be a dialogue on somebody's screen."""
    asking.keyring_file.mkdir()
    code = "from guts_cli.home import user_home; from guts_cli.ready.known import _mirrors; _mirrors(user_home(), None)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=asking.environment(), capture_output=True, text=True, check=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert done.stderr.count("the keyring does not answer") == 1


def test_the_doctor_looks_into_the_keyring_too(asking: Asking) -> None:
    """Where the token lies in the keyring alone, nothing is amiss."""
    Home(asking.desk.home).token_path(CHAIN, asking.account).unlink()
    asking.put(FROM_KEYRING)
    done = subprocess.run(
        [sys.executable, "-m", "guts_cli", "doctor", "--json"], env=asking.environment(), cwd=asking.desk.directory,
        capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["token"]["message"] == "a token is saved; no node answers that could tell more"


@pytest.mark.parametrize("before", [FROM_KEYRING, None])
def test_a_token_that_is_saved_anew_is_the_answer_from_then_on(asking: Asking, before: str | None) -> None:
    """An older one in the keyring would be found first for ever."""
    if before is not None:
        asking.put(before)
    code = (
        "import sys\nfrom guts_cli.home import user_home\nfrom guts_cli.saved_tokens import save_token\n"
        "save_token(user_home(), *sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, CHAIN, asking.account, TYPED], env=asking.environment(), capture_output=True,
        text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip

    assert (asking.kept(), done.stderr) == ([], "")
    assert asking.token() == TYPED


@pytest.mark.parametrize("words", [(), ("--network", CHAIN), ("--quiet",)])
def test_a_clones_own_helper_forgets_what_a_node_refused(asking: Asking, words: tuple[str, ...]) -> None:
    """As git's other way in does: only the very one, and never the file."""
    asking.put(FROM_KEYRING)
    argv = [sys.executable, "-m", "guts_cli", "credential", "--node", NODE, *words, "erase"]
    kept = []
    for token in (TYPED, FROM_KEYRING, FROM_FILE):
        subprocess.run(
            argv, input=f"{ASKED}username=x-access-token\npassword={token}\n", env=asking.environment(),
            capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        kept.append(asking.kept())

    assert kept == [[FROM_KEYRING], [], []]
    assert asking.token() == FROM_FILE


def test_a_token_whose_account_is_unknown_is_not_kept_which_is_said(asking: Asking) -> None:
    """Under the name that fits every account a node takes any account's token."""
    done = asking.helper("store", f"{ASKED}username=x-access-token\npassword={TYPED}\n")
    known = asking.helper("store", f"{ASKED}username=x-access-token\npassword={FROM_FILE}\n")

    assert asking.kept() == []
    assert done.stderr == (
        "guts: whose token was typed is unknown, and it is not kept\n"
        "next: type the name of your account as the user, and it is\n"
    )
    assert known.stderr == ""
    without = evolve(asking, keyring="keyring.backends.null.Keyring")
    assert without.helper("store", f"{ASKED}username=x-access-token\npassword={TYPED}\n").stderr == ""


def test_operations_of_a_later_git_are_left_alone_and_people_are_told_what_this_is(asking: Asking) -> None:
    """gitcredentials: any other operation is silently ignored."""
    assert asking.helper("capability", "").stdout == ""
    for words in ("", "--help", "get more"):
        assert "next: git config --global credential.helper guts" in asking.helper(words, "", code=2).stderr


def test_a_home_that_others_can_read_is_refused_with_words(asking: Asking) -> None:
    """Nothing is answered from a file that is no secret any more."""
    Home(asking.desk.home).token_path(CHAIN, asking.account).chmod(0o644)
    done = asking.helper("get", ASKED, code=1)

    assert done.stdout == ""
    assert "can be read by others" in done.stderr


def test_the_helper_loads_nothing_heavy() -> None:
    """Git waits for it with each fetch."""
    heavy = "{'trio', 'quart', 'httpx', 'rich', 'dulwich', 'keyring'}"
    code = f"import sys, guts_cli.git_credential; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"
