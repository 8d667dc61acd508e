"""
Fetch and build what the client tests need and the lock does not bring: ``python -m tests.compat.clients.prepare``.

isomorphic-git comes from npm as ``package-lock.json`` names it, with its hashes; JGit and go-git are Debian's packages,
for which two small programs are compiled. All goes into a cache outside the tree, and a second run has nothing to do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .programs import (
    ALL_MADE,
    CLASS_PATH,
    GO_GIT,
    GO_GIT_CLIENT,
    GO_LIBRARIES,
    HERE,
    ISOMORPHIC_GIT,
    JGIT,
    JGIT_CLIENT,
    Made,
    cache,
    program,
)

# Go compiles for half a minute where two cores have other work, too. A fetch takes two seconds; a registry that is slow
# today gets a second and a third chance, and what came at one is kept for the next. npm waits before it asks again.
BUILD_SECONDS_MAX = 300
FETCH_SECONDS_MAX = 120
FETCHES_MAX = 3


class NotPreparedError(Exception):
    """A client cannot be had here, with the reason and what to do."""


def main() -> int:
    """Make what is missing; 1 when something could not be made."""
    failed = [made.name for made in ALL_MADE if not made.is_here and not _made(made)]
    sys.stdout.write(f"clients are in {cache()}\n" if not failed else f"not prepared: {', '.join(failed)}\n")
    return 1 if failed else 0


def _made(made: Made) -> bool:
    """Whether it could be made; nothing is left half made."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=".making-") as making:
        done = Path(making, "done")
        done.mkdir()
        try:
            HOW[made.name](done)
        except NotPreparedError as error:
            sys.stderr.write(f"{made.name}: {error}\n  it needs: sudo apt install {' '.join(made.packages)}\n")
            return False
        _moved(done, made)
    return True


def _moved(done: Path, made: Made) -> None:
    """To its place, unless another run was there first."""
    try:
        done.rename(made.directory)
    except OSError:
        if not made.is_here:
            raise


def _isomorphic_git(directory: Path) -> None:
    _need(Path(program("npm")))
    for source in ISOMORPHIC_GIT.sources:
        shutil.copy(source, directory)
    words = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-timeout=30000", "--fetch-retries=1")
    for attempt in range(1, FETCHES_MAX + 1):
        try:
            return run(words, directory, seconds=FETCH_SECONDS_MAX)
        except NotPreparedError as error:
            if attempt == FETCHES_MAX:
                raise NotPreparedError(
                    f"tried {attempt} times what `npm config get registry` names; {error}"
                ) from error
    return None


def _jgit(directory: Path) -> None:
    _need(Path(program("javac")))
    _need(JGIT)
    class_path = os.pathsep.join(map(str, CLASS_PATH))
    run(("javac", "-cp", class_path, "-d", str(directory), str(JGIT_CLIENT.sources[0])), HERE)


def _go_git(directory: Path) -> None:
    """
    Debian has go-git's source in a GOPATH, without the major version that stands in import paths.

    Go leaves that version out for code that lies in a GOPATH too and has a ``go.mod``.
    """
    _need(Path(program("go")))
    _need(GO_GIT)
    source = directory / "src/guts/client"
    source.mkdir(parents=True)
    shutil.copy(GO_GIT_CLIENT.sources[0], source)
    (source / "go.mod").write_text("module guts/client\n")
    settings = {
        "CGO_ENABLED": "0",  # no C compiler is needed
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "GOPATH": os.pathsep.join(map(str, (directory, GO_LIBRARIES))),
        "GOCACHE": str(directory.parent / "go-build"),
    }
    run(("go", "build", "-ldflags", f"-X main.packaged={_go_git_version()}", "-o", "../../../client"), source, settings)


def _go_git_version() -> str:
    """Its source does not say it; its package does."""
    said = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", GO_GIT_CLIENT.packages[-1]], capture_output=True, text=True, check=False
    )
    return said.stdout.partition("-")[0] or "unknown"


HOW: dict[str, Callable[[Path], None]] = {"isomorphic-git": _isomorphic_git, "JGit": _jgit, "go-git": _go_git}


def _need(path: Path) -> None:
    if not path.exists():
        raise NotPreparedError(f"{path} is not there")


def run(
    words: tuple[str, ...], directory: Path, settings: dict[str, str] | None = None, seconds: float = BUILD_SECONDS_MAX
) -> None:
    """Run a program to its end; NotPreparedError says how it failed."""
    with tempfile.TemporaryFile("w+") as told:
        code = _ended((program(words[0]), *words[1:]), directory, {**os.environ, **(settings or {})}, told, seconds)
        told.seek(0)
        if code:
            raise NotPreparedError(f"{words[0]} ended with {code}: {told.read()[-1500:].strip()}")


def _ended(argv: tuple[str, ...], directory: Path, environment: dict[str, str], told: IO[str], seconds: float) -> int:
    """How it ended; after its time it is ended, with all that it started."""
    with subprocess.Popen(
        argv, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=told, stderr=told, start_new_session=True
    ) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise NotPreparedError(f"{Path(argv[0]).name} took longer than {seconds:g} s") from None


if __name__ == "__main__":
    sys.exit(main())
