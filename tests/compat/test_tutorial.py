"""
The README and the tutorial, followed to the letter by somebody new: from an empty home, without rights.

What is typed and what is shown are the pages' own blocks. Nothing is fetched: the tree is a copy, and ``make
run`` finds a ``.venv`` whose packages are those of the interpreter that runs the tests (see ``stranger.py``).
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from attrs import define

from guts_cli.ports import choosing_ports
from tests.ports import free_ports

from .devnet import PATIENCE_SECONDS
from .pages import Shell, is_shown, steps_of
from .stranger import Stranger, a_stranger
from .terminal import Terminal

pytestmark = pytest.mark.e2e
CTRL_C = "<!-- Ctrl-C -->"
# How the table of `make run` ends: a row for the last node.
READY = r"^3 +http://127\.0\.0\.1:\d+ +\d+ +\d+ +3 *$"
STOP_SECONDS = 60.0
# A network of this machine is pinned for whoever started it, so that proofs are checked against it.
GENESIS = ".guts/networks/ID.json"


@define(eq=False)
class Reader:
    """A stranger with two terminals: one in which the network runs, and one to type into."""

    stranger: Stranger
    shell: Shell
    ports: str  # where nobody else's network is, so that this one can come back to them
    network: Terminal | None = None

    def make_run(self) -> None:
        """The first terminal; networks that others start meanwhile choose their ports after it."""
        with choosing_ports() if self.stranger.popen else nullcontext():
            self.network = Terminal.open(
                ["make", "run"], self.stranger.tree, self.stranger.environment() | {"ARGS": self.ports},
                python=str(self.stranger.python), **self.stranger.popen,
            )  # fmt: skip
            self.network.wait_for(READY, PATIENCE_SECONDS)

    def words(self) -> dict[str, str]:
        """Addresses and the process as this machine has them, taken from the table."""
        assert self.network is not None
        rows = re.findall(r"^(\d) +http://127\.0\.0\.1:(\d+) +(\d+) ", self.network.text, re.MULTILINE)
        ports = {f"127.0.0.1:808{index}": f"127.0.0.1:{port}" for index, port, _ in rows}
        return ports | {"PID_OF_NODE_3": next(pid for index, _, pid in reversed(rows) if index == "3")}

    def follow(self, page: str) -> None:
        """Type every block; those that are ``make run`` go to the first terminal."""
        for step in steps_of(page):
            if step.commands.strip() != "make run":
                self.shell.type(step, self.words())
                continue
            self.make_run()
            assert self.network is not None
            assert step.shows is None or is_shown(step.shows, self.network.text), self.network.text

    def leave(self) -> None:
        """Ctrl-C in the first terminal."""
        assert self.network is not None
        self.network.interrupt(STOP_SECONDS)
        assert self.network.process.returncode == 0


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Someone new."""
    with a_stranger() as stranger, at_work(stranger) as started:
        yield started


@contextmanager
def at_work(stranger: Stranger) -> Iterator[Reader]:
    """Both terminals; whatever happens, no node stays."""
    shell = Shell.open(stranger.tree, stranger.environment(), stranger.scratch, **stranger.popen)
    first = free_ports(4)[0]
    reader = Reader(stranger, shell, f"--http-port {first}")
    try:
        yield reader
    finally:
        shell.close()
        if reader.network is not None:
            reader.network.close()
        stranger.run(".venv/bin/guts", "devnet", "stop")


def page_of(stranger: Stranger, name: str) -> str:
    """A page of the fresh checkout."""
    return (stranger.tree / name).read_text()


def files_of(reader: Reader) -> set[str]:
    """What is in the home; digits of a chain id do not matter."""
    home = reader.stranger.directory / "home"
    files = (str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return {re.sub(r"[0-9a-f]{64}", "ID", name) for name in files}


def test_the_tutorial_is_what_happens(reader: Reader) -> None:
    """Each block, in order; between the two halves the network is stopped and goes on."""
    assert files_of(reader) == set()
    before, after = page_of(reader.stranger, "docs/tutorial/first-network.md").split(CTRL_C)

    reader.follow(before)
    reader.leave()
    reader.follow(after)

    assert files_of(reader) == {".gitconfig", GENESIS}, "all else is in .guts-devnet"
    reader.leave()


def test_the_first_minute_of_the_readme_is_what_happens(reader: Reader) -> None:
    """The two commands stand on top; what follows them works in a checkout and needs nothing else."""
    page = page_of(reader.stranger, "README.md")
    assert re.search(r"^```\nmake run .*\nmake test .*\n```$", page, re.MULTILINE)

    reader.make_run()
    reader.follow(page)

    assert "[new branch]" in reader.shell.seen
    assert files_of(reader) == {GENESIS}
    reader.leave()


def test_a_page_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """The harness under these tests works itself."""
    page = "```sh\necho one 12 two\n```\n\n```text\none 77 ...o\n```\n\n```sh fails\nfalse\n```\n"
    right, fails = steps_of(page)
    shell = Shell.open(tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path)

    assert shell.type(right) == "one 12 two\n"
    shell.type(fails)
    for wrong in steps_of("```sh\necho one\n```\n```text\ntwo\n```\n```sh\nfalse\ntrue\n```\n"):
        with pytest.raises(AssertionError, match="line"):
            shell.type(wrong)
    shell.close()


def test_a_page_that_waits_for_ever_is_noticed(tmp_path: Path) -> None:
    """What it showed until then is told, and the shell is left all the same."""
    (step,) = steps_of("```sh\nprintf waiting\ntail -f /dev/null\n```\n")
    shell = Shell.open(tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path, start_new_session=True)
    shell.patience = 0.5

    with pytest.raises(AssertionError, match="too long; unfinished: b'waiting'"):
        shell.type(step)
    os.killpg(shell.process.pid, signal.SIGKILL)
    shell.close()


@pytest.mark.parametrize(
    ("expected", "output", "shown"),
    [
        ("height 2", "height 17", True),
        ("alice/hello@refs/heads/main  6daf1219d8", "x\nalice/hello@refs/heads/main  0bb17ff00d\n", True),
        ("a ... c", "a b\nb c", True),
        ("alice ... bob", "bob alice", False),
        ("signed by 3 of 4", "signed by all", False),
    ],
)
def test_words_are_compared_and_numbers_are_not(expected: str, output: str, shown: bool) -> None:
    """Else each run of a page would need its own page, or any output would do."""
    assert is_shown(expected, output) == shown
