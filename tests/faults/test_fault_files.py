"""F14: a process that may open no more files goes on agreeing, and lets people in again when it can."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from guts_core.link.handshake import HANDSHAKE_BYTES_MAX

TREE = Path(__file__).parents[2]
# More than the process may open, and few enough for the kernel's queue of who waits to be let in.
STRANGERS = 100


@contextmanager
def few_files(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The process, and the port of its first node."""
    program = [sys.executable, "-m", "tests.faults.few_files", str(directory)]
    with (
        (directory / "errors").open("w") as errors,
        subprocess.Popen(
            program, cwd=TREE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            word, port = said(process).split()
            assert word == "ready"
            yield process, int(port)
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """The next line."""
    out: IO[str] | None = process.stdout
    assert out is not None
    return out.readline()


def grows(process: subprocess.Popen[str]) -> int:
    """The height after two more blocks."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    word, height = said(process).split()
    assert word == "height"
    return int(height)


def is_let_in(port: int) -> bool:
    """Whether the node reads what a stranger says: it hangs up on a message longer than any."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as stranger:
        stranger.sendall((HANDSHAKE_BYTES_MAX + 1).to_bytes(2, "big"))
        try:
            return stranger.recv(1) == b""
        except ConnectionResetError:
            return True


def test_fault_F14_without_files_to_open_agreement_goes_on_and_the_door_opens_again(tmp_path: Path) -> None:
    """Strangers take every descriptor there is; links that stand need none; when the strangers go, others come in."""
    with few_files(tmp_path) as (process, port):
        first = grows(process)
        with ExitStack() as strangers:
            for _ in range(STRANGERS):
                strangers.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            assert grows(process) > first

        second = grows(process)
        assert is_let_in(port)
        assert grows(process) > second
    assert (tmp_path / "errors").read_text() == ""
    assert (tmp_path / "node0.log").read_text().count("connections_not_accepted") == 1
