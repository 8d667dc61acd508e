"""
Pages as somebody follows them: their shell blocks typed in order into one shell, their outputs compared.

A block that begins with ```` ```sh ```` is typed, ```` ```sh fails ```` is typed and has to fail, and a
```` ```text ```` right after it is what it shows; other words behind ``sh`` are for whoever follows the page. Words of
outputs are compared; numbers, ids and times are not, and
``...`` stands for anything.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, frozen

from .devnet import PATIENCE_SECONDS

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
_FENCE = re.compile(r"^( *)```(\w[^\n]*)?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_ENDED = "guts-page-step"
# Left to itself the shell runs on after a command that failed, as one does at a prompt; a page may not.
_LOOP = f"""while read -r step; do . "$step" </dev/null; echo "{_ENDED} $?"; set -e; done"""
# From so many digits on it is an id or a hash, as git shortens them.
_ID_DIGITS = 7
_READ_BYTES = 65_536
_LOOSE = re.compile(rf"\.\.\.|\s+|[0-9a-f]{{{_ID_DIGITS},}}|[0-9]+")


@frozen
class Step:
    """One block that is typed, and what the page says it shows."""

    line: int
    commands: str
    notes: tuple[str, ...] = ()  # what stands behind ``sh``
    shows: str | None = None

    @property
    def fails(self) -> bool:
        """Whether it has to."""
        return "fails" in self.notes


def steps_of(page: str) -> list[Step]:
    """The shell blocks of a page."""
    steps: list[Step] = []
    for found in _FENCE.finditer(page):
        kind, body = found[2] or "", re.sub(rf"^{found[1]}", "", found[3], flags=re.MULTILINE)
        line = page.count("\n", 0, found.start()) + 1
        if kind.split(" ")[0] == "sh":
            steps.append(Step(line, body, tuple(kind.split(" ")[1:])))
        elif kind == "text" and steps and not page[: found.start()].rpartition("```")[2].strip():
            steps[-1] = evolve(steps[-1], shows=body)
    return steps


def steps(page: str) -> list[Step]:
    """The shell blocks of a how-to page."""
    return steps_of((HOW_TO / page).read_text())


def is_shown(expected: str, output: str) -> bool:
    """Whether the output has these words, one after the other."""
    pattern, at = "", 0
    for gap in _LOOSE.finditer(expected := expected.strip()):
        pattern += re.escape(expected[at : gap.start()]) + _gap(gap[0])
        at = gap.end()
    return re.search(pattern + re.escape(expected[at:]), output) is not None


def _gap(gap: str) -> str:
    if gap == "...":
        return r"[\s\S]*?"
    if gap.isspace():
        return r"\s+"
    return r"\d+" if gap.isdecimal() and len(gap) < _ID_DIGITS else r"[0-9a-f]+"


@define(eq=False)
class Shell:
    """A shell that pages are typed into; ``cd`` and ``export`` last."""

    process: subprocess.Popen[bytes]
    scratch: Path
    patience: float = PATIENCE_SECONDS
    seen: str = ""
    _count: int = field(default=0)
    _rest: bytes = b""  # of a line that has not ended
    _hangs: bool = False

    @classmethod
    def open(cls, directory: Path, environment: Mapping[str, str], scratch: Path, **popen: Any) -> Shell:
        """A shell in this directory; what is typed passes through files in ``scratch``."""
        return cls(
            subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-e", "-c", _LOOP], cwd=directory, env=dict(environment),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **popen,
            ),
            scratch,
        )  # fmt: skip

    def type(self, step: Step, words: Mapping[str, str] | None = None) -> str:
        """Type a block, with words of the page exchanged for those of this machine; checks what comes."""
        commands = exchanged(step.commands, words or {})
        code, output = self._run(f"set {'+' if step.fails else '-'}e\n{commands}")
        assert (code != 0) == step.fails, f"line {step.line}: exit code {code}\n{commands}\n{output}"
        assert step.shows is None or is_shown(step.shows, output), (
            f"line {step.line} does not show\n{step.shows}\nbut\n{output}"
        )
        self.seen += output
        return output

    def close(self) -> None:
        """Leave it."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        if self._hangs:
            self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def _run(self, text: str) -> tuple[int, str]:
        self._count += 1
        script = self.scratch / f"step{self._count}"
        script.write_text(text)
        script.chmod(0o644)
        assert self.process.stdin is not None
        self.process.stdin.write(f"{script}\n".encode())
        self.process.stdin.flush()
        lines = list(self._lines(time.monotonic() + self.patience))
        if not lines or not lines[-1].startswith(_ENDED):
            return self.process.wait(PATIENCE_SECONDS) or 1, "".join(lines)
        return int(lines[-1].split()[1]), "".join(lines[:-1])

    def _lines(self, deadline: float) -> Iterator[str]:
        for line in self._lines_until(deadline):
            # Output that ends without a newline stands before the mark.
            head, mark, tail = line.partition(_ENDED)
            if mark and head:
                yield head + "\n"
            yield mark + tail if mark else line
            if mark:
                return

    def _lines_until(self, deadline: float) -> Iterator[str]:
        while data := self._read_until(deadline):
            *whole, self._rest = (self._rest + data).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace") + "\n"
        if self._rest:
            yield self._rest.decode(errors="replace")

    def _read_until(self, deadline: float) -> bytes:
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            self._hangs = not selector.select(max(0.0, deadline - time.monotonic()))
        assert not self._hangs, f"the page takes too long; unfinished: {self._rest!r}"
        return os.read(self.process.stdout.fileno(), _READ_BYTES)


def exchanged(text: str, words: Mapping[str, str]) -> str:
    """The text with words of the page replaced, the longest first, all at once."""
    if not words:
        return text
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda found: words[found[0]], text)
