"""
Running stock git for somebody: its terminal is its own, and its exit code is ours.

A token reaches git only from the credential helper that git asks for it, ``guts credential``, and
only for the one node this run talks to: it stands in no argument, URL or configuration. Other
helpers are switched off for that node, because git tells every helper what worked, and one that
stores would keep the token.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

from attrs import frozen

from guts_core.errors import Refused

from .outcomes import Misconfigured

# A shell's way to say that a signal ended a child.
SIGNALLED = 128
# git asks from inside any directory: no module that lies there is imported.
THIS_PROGRAM = (sys.executable, "-P", "-m", "guts_cli")


class GitEnded(Refused):
    """Git said on the terminal what is wrong; this says what is known beyond that. The exit code is git's."""

    def __init__(self, message: str, exit_code: int, code: str = "git-failed", next_step: str | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.code = code  # type: ignore[misc]  # of the refusal behind git's, where there is one
        self.next_step = next_step


@frozen
class Helper:
    """The credential helper for one node: ``guts credential`` with what it needs to find the token, never the token."""

    base: str
    words: tuple[str, ...] = ()

    def once(self) -> tuple[str, ...]:
        """Settings for one run of git."""
        return self._settings(THIS_PROGRAM, quiet=("--quiet",))

    def kept(self) -> tuple[str, ...]:
        """Settings for a clone's own configuration, so that plain git finds the token as well."""
        home = os.environ.get("GUTS_HOME")
        before = [f"GUTS_HOME={shlex.quote(os.path.realpath(home))}"] if home else []
        found = shutil.which("guts")
        return self._settings([found] if found else THIS_PROGRAM, before=before)

    def _settings(
        self, program: Sequence[str], *, before: Sequence[str] = (), quiet: Sequence[str] = ()
    ) -> tuple[str, ...]:
        words = [shlex.quote(word) for word in (*program, "credential", "--node", self.base, *self.words, *quiet)]
        key = f"credential.{self.base}.helper"
        # The empty one forgets helpers that were configured before.
        return (f"{key}=", f"{key}=!{' '.join([*before, *words])}")


def run_git(
    arguments: Sequence[str],
    settings: Sequence[str] = (),
    *,
    may_ask: bool,
    to_stderr: bool = False,
    more: Mapping[str, str] | None = None,
) -> int:
    """
    Run git in front of the user and wait; the exit code.

    ``may_ask``: it may ask for a password itself. ``more`` stands in its environment beside what is there.
    """
    argv = [_git(), *(part for setting in settings for part in ("-c", setting)), *arguments]
    environment = {**os.environ, **({} if may_ask else {"GIT_TERMINAL_PROMPT": "0"}), **(more or {})}
    with _interrupts_are_gits(), subprocess.Popen(argv, env=environment, stdout=2 if to_stderr else None) as child:
        code = child.wait()
    return code if code >= 0 else SIGNALLED - code


def ask_git(*arguments: str) -> str | None:
    """One line that git knows about the current directory; None when it knows none."""
    done = subprocess.run([_git(), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _git() -> str:
    found = shutil.which("git")
    if found is None:
        raise Misconfigured("git is not installed, or not on PATH", "sudo apt install git")
    return found


@contextmanager
def _interrupts_are_gits() -> Iterator[None]:
    """Ctrl-C reaches git, which ends as it sees fit; a handler (other than ignoring) is not inherited by it."""

    def leave_it_to_git(_number: int, _frame: FrameType | None) -> None:
        pass

    before = signal.signal(signal.SIGINT, leave_it_to_git)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
