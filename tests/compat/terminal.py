"""A terminal that a command was typed into and that is left open, as the first one of the tutorial is."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

CTRL_C = b"\x03"
_READ_BYTES = 65_536
# In a process of its own, because forking a pseudo terminal is for programs with one thread.
# Whoever started us may ignore Ctrl-C, as background jobs do; in a terminal it ends what runs there.
_PTY = """\
import pty, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(pty.spawn(sys.argv[1:]) >> 8)
"""
# What moves a cursor or changes colours.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@define(eq=False)
class Terminal:
    """A pseudo terminal with one command in its foreground."""

    process: subprocess.Popen[bytes]
    _seen: bytearray = field(factory=bytearray)

    @classmethod
    def open(
        cls, argv: Sequence[str], directory: Path, environment: Mapping[str, str], *,
        python: str = sys.executable, **popen: Any,
    ) -> Terminal:  # fmt: skip
        """Type a command; ``python`` is one that the terminal's user may run."""
        return cls(
            subprocess.Popen(
                [python, "-c", _PTY, *argv], cwd=directory, env=dict(environment),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **popen,
            )
        )  # fmt: skip

    @property
    def text(self) -> str:
        """All that it showed."""
        return _CONTROL.sub("", self._seen.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "\n")

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Until it shows this, from here on or since it was opened."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text, re.MULTILINE)):
            assert self._read(deadline), f"the terminal never showed {pattern!r}:\n{self.text}"
        return found

    def interrupt(self, seconds: float) -> None:
        """Ctrl-C, and what comes until the command has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(CTRL_C)
        self.process.stdin.flush()
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        self.process.wait(max(0.0, deadline - time.monotonic()))
        self._forget()

    def close(self) -> None:
        """Whatever runs in it is hung up on."""
        if self.process.returncode is None:
            self.process.terminate()
            self.process.wait()
            self._forget()

    def _read(self, deadline: float) -> bool:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
        data = os.read(self.process.stdout.fileno(), _READ_BYTES)
        self._seen += data
        return bool(data)

    def _forget(self) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
