"""Stock git, driven (``driving.py``), in the protocol version that ``GUTS_GIT_PROTOCOL`` names."""

from __future__ import annotations

import os
import subprocess
import sys

from .driving import IS_ATOMIC, OPTION, REFUSED, TOKEN, drive, say

SETTINGS = [
    f"protocol.version={os.environ.get('GUTS_GIT_PROTOCOL', '2')}",
    "credential.helper=",
    *(["credential.helper=!f() { echo username=$GUTS_USER; echo password=$GUTS_TOKEN; }; f"] if TOKEN else []),
]


def git(*words: str) -> str:
    """What git answers; its words and an end of this process when it fails."""
    settings = [part for one in SETTINGS for part in ("-c", one)]
    done = subprocess.run(["git", *settings, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stderr)
        sys.exit(REFUSED)
    return done.stdout


def version() -> None:
    """Which client this is."""
    say(git("version").split()[2])


def ls(url: str) -> None:
    """The refs of a repository."""
    say(git("ls-remote", url).replace("\t", " ").strip())


def clone(url: str, directory: str, depth: str = "") -> None:
    """A copy with a work tree."""
    git("clone", "-q", *([f"--depth={depth}"] if depth else []), url, directory)


def partial(url: str, directory: str, wanted: str) -> None:
    """A copy that fetches what it lacks when it is looked at."""
    git("clone", "-q", "--no-checkout", f"--filter={wanted}", url, directory)


def fetch(directory: str) -> None:
    """What is new at the origin."""
    git("-C", directory, "fetch", "-q", "origin")


def commit(directory: str, path: str) -> None:
    """Commit a file that lies there."""
    git("-C", directory, "add", "--", path)
    git("-C", directory, "commit", "-q", "-m", "by git")
    say(git("-C", directory, "rev-parse", "HEAD").strip())


def push(directory: str, url: str, *refspecs: str) -> None:
    """Move refs."""
    options = [*(["--atomic"] if IS_ATOMIC else []), *([f"--push-option={OPTION}"] if OPTION else [])]
    git("-C", directory, "push", "-q", *options, url, *refspecs)


if __name__ == "__main__":
    drive(globals())
