"""The how-to pages, typed as they stand: only their example hosts, keys and ids are exchanged for real ones."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from attrs import define, field

from guts_cli.ports import choosing_ports
from tests.http.test_http_nginx import MAIN, the_page
from tests.optional_programs import program
from tests.ports import free_ports

from .devnet import PATIENCE_SECONDS, Devnet, wait_until
from .pages import HOW_TO, Shell, Step, exchanged, steps
from .terminal import Terminal

pytestmark = pytest.mark.e2e
OPERATORS = ("ada", "bea", "cyd", "dan")
TESTS = Path(__file__).parents[1]
STOP_SECONDS = 60.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """A user with this ``GUTS_HOME``, whom git knows."""
    who = {f"GIT_{role}_{what}": "alice@example.test" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home.parent), "GUTS_HOME": str(home), "LC_ALL": "C.UTF-8"} | who | more


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[Path, Mapping[str, str]], Shell]]:
    """Shells that are left in the end."""
    (tmp_path / "typed").mkdir()
    with ExitStack() as stack:

        def start(directory: Path, settings: Mapping[str, str]) -> Shell:
            scratch = tmp_path / "typed" / directory.name
            scratch.mkdir()
            shell = Shell.open(directory, settings, scratch)
            stack.callback(shell.close)
            return shell

        yield start


Opened = Callable[[Path, Mapping[str, str]], Shell]


def a_work_tree(directory: Path, shell_of: Opened, home: Path) -> Shell:
    """Alice in a repository with one commit."""
    directory.mkdir()
    shell = shell_of(directory, environment(home))
    shell.type(Step(0, "git init -q -b main && echo one > file && git add file && git commit -qm one"))
    return shell


def test_repositories_are_worked_with(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """From the first push to a key on another machine."""
    net = own_net()
    shell = a_work_tree(tmp_path / "work", opened, net.home)
    other = opened(tmp_path, environment(tmp_path / "laptop"))
    words = {
        "guts repo delete alice/hello": "guts repo delete alice/hello --yes-delete alice/hello",
        "https://node.example.org": net.url(1),
        "/media/usb": str(tmp_path),
        "guts context use local": "guts context use devnet",
    }
    for step in steps("work-with-repositories.md"):
        if "key new" in step.commands:
            other.type(step, words)
            continue
        if "PUBLIC_KEY" in step.commands:
            spare = net.guts_json("key", "add", "new", "--out", str(tmp_path / "lost.json"))["public_key"]
            words |= {"PUBLIC_KEY": spare, "revoke ID": f"revoke {a_further_token(net)}"}
        shell.type(step, words)

    shown = net.guts_json("repo", "view", "alice/hello")
    assert (shown["description"], shown["private"]) == ("A greeting", True)
    assert "guts key add guts_key_" in other.seen


def a_further_token(net: Devnet) -> str:
    """One that can be revoked; its id."""
    net.guts("token", "create", "--scope", "read", "--note", "old laptop")
    rows = net.guts_json("token", "list")["tokens"]
    return next(str(row["id"]) for row in rows if row["note"] == "old laptop")


def test_git_signs_in_by_itself(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """Plain git, no user in the URL, no prompt: a private repository is cloned and pushed to."""
    net = own_net(1)
    a_work_tree(tmp_path / "work", opened, net.home).type(Step(0, "guts push alice/secret -- -o private"))
    shell = opened(tmp_path, environment(net.home, GIT_TERMINAL_PROMPT="0"))
    words = {"http://127.0.0.1:8080": net.url(0), "guts_pat_...": net.info["token"]}
    for step in steps("sign-in-with-git.md"):
        shell.type(step, words)

    assert "refs/heads/topic" in shell.seen
    assert net.info["token"] not in (tmp_path / "secret/.git/config").read_text()


def test_clones_are_taken_ready_made(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """By who has a network, and by somebody who was sent its genesis; each block in a directory of its own."""
    net = own_net(1)
    a_work_tree(tmp_path / "work", opened, net.home).type(Step(0, "guts push alice/hello"))
    shell = opened(net.home, environment(net.home))
    words = {
        "guts clone alice/hello": "guts clone alice/hello && mv hello the-other-way",
        "http://NODE": net.url(0),
        "genesis.json": str(net.info["genesis"]),
    }
    for step in steps("clone-ready-made.md"):
        if "context add" in step.commands:
            shell = opened(tmp_path, environment(tmp_path / "stranger"))
        shell.type(Step(0, f"mkdir {tmp_path}/line{step.line} && cd {tmp_path}/line{step.line}"))
        shell.type(step, words)

    copies = [path.read_text() for path in tmp_path.glob("line*/*/file")]
    assert copies == ["one\n"] * len(copies)
    assert len(copies) >= 3
    assert "refs proven" in shell.seen


def test_a_repository_is_verified(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """With the genesis that somebody sent, and a node of which nothing else is known."""
    net = own_net()
    a_work_tree(tmp_path / "work", opened, net.home).type(Step(0, "guts push alice/hello"))
    net.wait_all_at(0)
    (tmp_path / "reader").mkdir()
    shell = opened(tmp_path / "reader", environment(tmp_path / "readers-home"))
    shell.type(Step(0, f"git clone -q {net.url(1)}/alice/hello.git . && cp {net.info['genesis']} genesis.json"))
    pushed = net.guts_json("ref", "log", "alice/hello@main")["moves"][0]["tx_id"]
    for step in steps("verify-a-repository.md"):
        shell.type(step, {"https://node.example": net.url(2), "5ca1...e0": pushed})

    oid = shell.type(Step(0, "git rev-parse HEAD")).strip()
    assert shell.seen.count(f"alice/hello@refs/heads/main  {oid}") >= 3
    assert (tmp_path / "reader/main.proof").exists()


def test_keys_are_backed_up(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """What was copied works when the rest is gone; what was removed does not."""
    net = own_net()
    shutil.copytree(Path(net.info["nodes"][0]["dir"]), tmp_path / "node", ignore=shutil.ignore_patterns("*.db*"))
    (tmp_path / "usb").mkdir()
    shell = opened(tmp_path, environment(net.home))
    spare = ""
    for step in steps("back-up-keys.md"):
        words = {"/media/usb": str(tmp_path / "usb"), "~/.guts": str(net.home)}
        if "PUBLIC_KEY" in step.commands:
            lost = net.guts_json("key", "add", "new", "--out", str(tmp_path / "lost.json"))["public_key"]
            words |= {"PUBLIC_KEY": lost, "revoke ID": f"revoke {a_further_token(net)}"}
        shell.type(step, words)
        spare = spare or next(iter(path.read_text() for path in (tmp_path / "usb").glob("alice.json")), "")

    (tmp_path / "rescue/keys").mkdir(parents=True, mode=0o700)
    shutil.copy(tmp_path / "usb/alice.json", tmp_path / "rescue/keys/alice.json")
    net.guts("repo", "create", "rescued", "--account", "alice", "--node", net.url(0), home=tmp_path / "rescue")
    assert json.loads(spare)["name"] == "alice"


def test_nginx_is_put_in_front(own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened) -> None:
    """A site is enabled in an nginx that runs; what the site does is tried in tests/http/test_http_nginx.py."""
    executable = program("nginx", "nginx-light")
    net, etc, (port,) = own_net(1), tmp_path / "etc", free_ports(1)
    the_site(etc, net.url(0).removeprefix("http://"), port)
    nginx = [executable, "-p", str(etc), "-c", "nginx.conf", "-e", "error.log"]
    # A reload is done some moments after it was told.
    curl = f"curl -s --retry 30 --retry-delay 1 --retry-connrefused --cacert {etc}/ca.pem"
    shell = opened(tmp_path, environment(net.home))
    with subprocess.Popen(nginx) as running:
        try:
            wait_until((etc / "nginx.pid").exists, "nginx runs")
            words = {
                "sudo ln": "ln",
                "/etc/nginx": str(etc),
                "sudo nginx -t": f"{shlex.join(nginx)} -t",
                "sudo systemctl reload nginx": f"{shlex.join(nginx)} -s reload",
                "curl https://git.example.org": f"{curl} https://127.0.0.1:{port}",
            }
            for step in steps("put-nginx-in-front.md"):
                shell.type(step, words)
        finally:
            running.terminate()

    assert f'"chain_id": "{net.info["chain_id"]}"' in shell.seen


def the_site(etc: Path, upstream: str, port: int) -> None:
    """The page's site, available and not enabled yet, and an nginx that includes what is enabled."""
    for name in ("sites-available", "sites-enabled"):
        (etc / name).mkdir(parents=True)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(etc / "ca.pem")
    issued.private_key_pem.write_to_path(etc / "privkey.pem")
    (etc / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (etc / "sites-available/guts").write_text(the_page(port, upstream, etc))
    user = "user root;" if os.geteuid() == 0 else ""
    (etc / "nginx.conf").write_text(MAIN.format(user=user, site="include sites-enabled/*;"))


def test_a_node_is_operated_and_comes_back_from_its_backup(
    own_net: Callable[..., Devnet], tmp_path: Path, opened: Opened
) -> None:
    """The daily look; then the disk is lost, and keys, settings and genesis are all that was copied."""
    net = own_net(4, "byzantine", "--heartbeat-ms", "500")
    lost = Path(net.info["nodes"][3]["dir"])
    a_work_tree(tmp_path / "work", opened, net.home).type(Step(0, "guts push alice/hello"))
    shell = opened(tmp_path, environment(net.home))
    for step in steps("operate-a-node.md"):
        shell.type(step, {"n0": net.info["nodes"][0]["dir"]})
    net.kill(3)
    lost.rename(tmp_path / "broken")
    (lost / "keys").mkdir(parents=True)
    for name in ("config.toml", "genesis.json", "keys/node.key", "keys/vote.key", "keys/operator.key"):
        shutil.copyfile(tmp_path / "broken" / name, lost / name)
    shell.type(Step(0, f"chmod 700 {lost}/keys && chmod 600 {lost}/keys/* && guts doctor --dir {lost}"))
    net.wait_height(net.status(0)["height"] + 3, 0)
    net.start_node(3)

    net.wait_height(net.status(0)["height"], 3)
    net.wait_whole(3)
    net.assert_same_state()
    assert "all is well" in shell.seen


@define(eq=False)
class Operator:
    """One of the four: a directory, a home and a shell of their own; the node stays in another terminal."""

    name: str
    directory: Path
    http: str
    p2p: str
    shell: Shell
    settings: Mapping[str, str]
    node: Terminal | None = field(default=None)

    def follow(self, step: Step, words: Mapping[str, str]) -> None:
        """What the page has this operator do."""
        mine = {**words, "127.0.0.1:8080": self.http, "0.0.0.0:7080": self.p2p}  # the page's, exchanged
        if "stay" not in step.notes:
            self.shell.type(step, mine)
            return
        argv = ["bash", "-c", f"exec {exchanged(step.commands, mine)}"]
        self.node = Terminal.open(argv, self.directory, self.settings)
        self.node.wait_for("is ready at", PATIENCE_SECONDS)


def test_four_operators_form_a_network(tmp_path: Path, opened: Opened) -> None:
    """Four directories that share nothing but the files which the page has them send."""
    with choosing_ports(), ExitStack() as stack:
        ports = free_ports(8)
        everybody = {name: an_operator(tmp_path / name, opened, *ports[at::4]) for at, name in enumerate(OPERATORS)}
        stack.callback(hang_up, everybody.values())
        words = {f"{one.name}.example.org:7080": one.p2p for one in everybody.values()}
        for step in steps("form-a-network.md"):
            everybody[step.notes[0]].follow(step, words)
            send(tmp_path, everybody["ada"].directory)
        heights = [json.loads(status(one))["height"] for one in everybody.values()]
        assert min(heights) >= 1
        for one in everybody.values():
            assert one.node is not None
            one.node.interrupt(STOP_SECONDS)
            assert one.node.process.returncode == 0


def hang_up(operators: Iterable[Operator]) -> None:
    """Whatever happened, no node stays."""
    for one in operators:
        if one.node is not None:
            one.node.close()


def an_operator(directory: Path, opened: Opened, http: int, p2p: int) -> Operator:
    directory.mkdir()
    listen = f"127.0.0.1:{http}"
    settings = environment(directory / "home", GUTS_HTTP_LISTEN=listen)
    return Operator(directory.name, directory, listen, f"127.0.0.1:{p2p}", opened(directory, settings), settings)


def send(everywhere: Path, sealer: Path) -> None:
    """Entries go to the sealer, the genesis to everybody."""
    for entry in everywhere.glob("*/node/*.entry.json"):
        shutil.copy(entry, sealer / entry.name)
    for name in OPERATORS:
        if (sealer / "genesis.json").exists() and everywhere / name != sealer:
            shutil.copy(sealer / "genesis.json", everywhere / name / "genesis.json")


def status(one: Operator) -> str:
    """What the operator's node says, once it is at block 1."""
    said = ""

    def is_at_one() -> bool:
        nonlocal said
        said = one.shell.type(Step(0, f"guts status --json --node http://{one.http}"))
        return bool(json.loads(said)["height"] >= 1)

    wait_until(is_at_one, f"{one.name} has block 1")
    return said


def test_every_page_is_followed_somewhere() -> None:
    """A page whose commands nobody types goes stale."""
    tests = [*TESTS.glob("compat/test_*.py"), *TESTS.glob("cli/test_*.py")]
    tested = "".join(path.read_text() for path in tests)
    pages = sorted(path.name for path in HOW_TO.glob("*.md"))

    assert [page for page in pages if f'steps("{page}")' not in tested] == []
