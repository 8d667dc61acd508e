"""
From a fresh clone of Guts to the first acknowledged push, by typing what the README says.

Fetching packages is left out, for it measures somebody's line: they lie in a directory before the clock
starts, and ``make run`` installs them from there. Cloning, making the environment, unpacking, compiling,
starting four validators and pushing all count. The home is empty and nothing is cached.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from tests.compat.devnet import PATIENCE_SECONDS
from tests.compat.pages import Shell, Step, steps_of
from tests.compat.terminal import Terminal

from .figures import Figure, figure
from .run import Run

FIRST_PUSH_BAR_SECONDS = 60.0
TREE = Path(__file__).parents[1]
WHEELS = TREE / ".bench" / "wheels"
# Unpacking some sixty packages on a busy machine with a slow disk.
SET_UP_SECONDS = 300.0
STOP_SECONDS = 15.0
SET_UP = r"^Setting up .* done$"
# How the table of `make run` ends: a row for the last of four nodes, connected to the three others.
READY = r"^3 +http://127\.0\.0\.1:\d+ +\d+ +\d+ +3 *$"
ACKNOWLEDGED = "[new branch]"


@frozen
class Stages:
    """Seconds of one run, part by part."""

    clone: float
    set_up: float
    start: float
    push: float

    @property
    def total(self) -> float:
        """From typing ``git clone`` to git's word that the branch is new."""
        return self.clone + self.set_up + self.start + self.push


def measure(run: Run) -> list[Figure]:
    """The median of some runs, with its stages."""
    wheels = wheelhouse()
    stages = [first_push(run.fresh("first-push"), wheels) for _ in range(run.times(2, 1))]
    middle = sorted(stages, key=lambda one: one.total)[len(stages) // 2]
    note = (
        f"clone {middle.clone:.1f} s, environment and packages {middle.set_up:.1f} s, "
        f"four validators {middle.start:.1f} s, push {middle.push:.1f} s; fetching packages is left out"
    )
    bar = FIRST_PUSH_BAR_SECONDS
    return [figure("first push from a fresh clone", "s", [one.total for one in stages], bar=bar, note=note)]


def wheelhouse() -> Path:
    """The locked packages for this interpreter, fetched once for each lock."""
    lock = TREE / "requirements.lock"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = WHEELS / f"{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}-{version}"
    if not found.exists():
        fetched = found.with_suffix(".part")
        argv = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--require-hashes",
            "-r",
            str(lock),
            "-d",
            str(fetched),
        ]
        subprocess.run(argv, check=True)
        fetched.rename(found)
    return found


def first_push(directory: Path, wheels: Path) -> Stages:
    """One run, as somebody with an empty home."""
    (directory / "home").mkdir()
    (directory / "typed").mkdir()
    environment = a_users(directory / "home", wheels)
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", TREE, directory / "guts"], env=environment, check=True)
    cloned = time.monotonic()
    network = Terminal.open(["make", "run"], directory / "guts", environment)
    shell = Shell.open(directory / "guts", environment, directory / "typed")
    try:
        network.wait_for(SET_UP, SET_UP_SECONDS)
        installed = time.monotonic()
        network.wait_for(READY, PATIENCE_SECONDS)
        ready = time.monotonic()
        answer = shell.type(up_to_the_push((directory / "guts" / "README.md").read_text()))
        assert ACKNOWLEDGED in answer, answer
        return Stages(cloned - began, installed - cloned, ready - installed, time.monotonic() - ready)
    finally:
        shell.close()
        network.interrupt(STOP_SECONDS)


def a_users(home: Path, wheels: Path) -> Mapping[str, str]:
    """All that a shell has; packages come from the directory, and from nowhere else."""
    packages = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_CACHE_DIR": "1"}
    fixed = {"HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "120"}
    # The packages are those of this interpreter.
    return {"PATH": os.environ["PATH"], "PYTHON": str(Path(sys.executable).resolve())} | fixed | packages


def up_to_the_push(readme: str) -> Step:
    """What the README types first, as far as the push."""
    step = steps_of(readme)[0]
    lines: Sequence[str] = step.commands.splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith("guts push"))
    return Step(step.line, "\n".join(lines[: last + 1]))
