"""Somebody who clones by ``guts://``, and nodes that answer what a test makes of their answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define, field

from tests.cli.desk import TREE

from .devnet import Devnet, Git
from .people import a_repository

# Whatever is asked of a proxy fits into this many bytes at once.
REQUEST_BYTES = 64 * 1024
BIG_BYTES = 300_000


@define
class User:
    """Somebody with git, the helper, a home that pinned the network, and nodes to ask."""

    net: Devnet
    directory: Path
    nodes: tuple[str, ...]
    token: str | None = None
    settings: tuple[str, ...] = ()
    trace: Path = field(init=False)
    home: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "bin").mkdir(exist_ok=True)
        program = self.directory / "bin" / "git-remote-guts"
        program.write_text(f"#!{sys.executable}\nfrom guts_cli.ready.conversation import main\nmain()\n")
        program.chmod(0o700)
        self.trace = self.directory / "trace"
        self.home = self.directory / "home"
        self.home.mkdir(exist_ok=True)
        shutil.copytree(self.net.home / "networks", self.home / "networks")

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git; what it said to the person, and what it started is in ``trace``."""
        self.trace.unlink(missing_ok=True)
        done = Git(self.directory)(*self._settings(), *arguments, check=check, **self._environment())
        return done.stderr if done.returncode == 0 else f"FAILED {done.stderr}"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run git as at a terminal of its own: a signal to its group reaches all that it started."""
        quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
        return subprocess.Popen(
            ["git", *self._settings(), *arguments], cwd=self.directory, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **quiet, **self._environment()}, start_new_session=True,
        )  # fmt: skip

    def _settings(self) -> list[str]:
        return [part for setting in self.settings for part in ("-c", setting)]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(TREE),
            "GUTS_HOME": str(self.home),
            "GUTS_NODE": " ".join(self.nodes),
            "GIT_TRACE": str(self.trace),
            **({} if self.token is None else {"GUTS_TOKEN": self.token}),
        }

    @property
    def was_ready_made(self) -> bool:
        """Whether git indexed nothing and no other helper ran."""
        words = self.trace.read_text()
        return "index-pack" not in words and "remote-http" not in words

    def refs(self, name: str) -> str:
        """What is in a clone, after git looked at every object of it."""
        self.git("-C", name, "fsck", "--full", "--strict")
        return Git(self.directory / name)("show-ref", "--head").stdout


def packs_of(user: User, name: str) -> list[str]:
    found = (user.directory / name / "objects" / "pack").iterdir()
    return sorted(path.name for path in found if path.suffix == ".pack")


def left_over(user: User, name: str) -> list[str]:
    """What is neither pack nor index."""
    found = (user.directory / name / "objects" / "pack").iterdir()
    return sorted(path.name for path in found if path.suffix not in (".pack", ".idx"))


def a_big_one(net: Devnet, alice: Git, name: str) -> Git:
    """A repository whose one pack is much longer than an answer's head."""
    work = a_repository(net, alice, name)
    work.commit("noise", os.urandom(BIG_BYTES // 2).hex())
    work("push", "-q", f"{net.url(0)}/alice/{name}.git", "main")
    net.wait_all_at(0)
    return work


@contextmanager
def changed(url: str, change: Callable[[bytes, bytes], bytes | None]) -> Iterator[str]:
    """
    A proxy before a node, one request a connection: its URL.

    ``change`` is given the request and the whole answer, and says what is sent, after which the connection ends.
    """
    where = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                taken, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=pass_on, args=(taken,), daemon=True).start()

    def pass_on(taken: socket.socket) -> None:
        with taken:
            taken.settimeout(60)
            asked = request_of(taken)
            if not asked:
                return
            asked = asked.replace(b"Connection: keep-alive", b"Connection: close")
            if b"Connection:" not in asked:
                asked = asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
            with socket.create_connection((where.hostname, where.port), timeout=60) as node:
                node.sendall(asked)
                answer = bytearray()
                while piece := node.recv(REQUEST_BYTES):
                    answer += piece
            said = change(asked, bytes(answer))
            if said is not None:
                taken.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listener.close()


def request_of(taken: socket.socket) -> bytes:
    """The head and the body that it tells the length of; empty where nobody asks."""
    asked = b""
    while piece := taken.recv(REQUEST_BYTES):
        asked += piece
        head, end, body = asked.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if end and len(body) >= int(lengths[0] if lengths else 0):
            return asked
    return b""


def is_file(asked: bytes, kind: bytes) -> bool:
    return b"/packs/" in asked.split(b"\r\n")[0] and kind in asked.split(b"\r\n")[0]


def replayed(kept: list[bytes]) -> Callable[[bytes, bytes], bytes]:
    """A node that shows its first proof for ever."""

    def again(request: bytes, answer: bytes) -> bytes:
        if b"/proof" not in request.split(b"\r\n")[0]:
            return answer
        kept.append(answer)
        return kept[0]

    return again


def push(net: Devnet, work: Git, name: str) -> str:
    """Another commit, on every node."""
    tip = work.commit("file", f"{time.monotonic_ns()}\n")
    work("push", "-q", f"{net.url(0)}/alice/{name}.git", "main")
    net.wait_all_at(0)
    return tip


def assert_one_sentence(said: str) -> None:
    assert said.startswith("FAILED")
    assert "Traceback" not in said
    assert "guts: " in said
