"""
Somebody who has just checked Guts out: no rights, an empty home, a clean tree, and no internet.

As root the commands run as ``nobody``, otherwise as whoever runs the tests. The tree is a copy of the files
that git does not ignore. Its ``.venv`` is made as ``make run`` would, except that its packages are those of the running
interpreter, so that nothing is fetched; the mark that says "installed" is the one the Makefile writes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

TREE = Path(__file__).parents[2]
# What is about to be committed is part of the tree that is tried.
UNCOMMITTED = ("--cached", "--others", "--exclude-standard")
# Parts of an interpreter's own library that nothing here imports.
UNUSED = ("test", "idlelib", "tkinter", "ensurepip", "site-packages")
_GUTS = """#!{python}
import sys
from guts_cli.main import main
sys.exit(main())
"""


@frozen
class Stranger:
    """Where somebody works, and as whom."""

    directory: Path
    popen: dict[str, Any]  # user and group for subprocess, when they are not the running ones
    python: Path

    @property
    def tree(self) -> Path:
        """The fresh checkout."""
        return self.directory / "guts"

    @property
    def scratch(self) -> Path:
        """For files of the test that they may read."""
        return self.directory / "scratch"

    def environment(self) -> dict[str, str]:
        """All that a shell of theirs begins with."""
        return {
            "HOME": str(self.directory / "home"),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "COLUMNS": "120",
            "PYTHON": str(self.python),
            # An interpreter whose library is a file beside it finds that at its new place only if told.
            "LD_LIBRARY_PATH": str(self.python.parents[1] / "lib"),
        }

    def run(self, *argv: str) -> None:
        """A command in the checkout, which may fail."""
        subprocess.run(argv, cwd=self.tree, env=self.environment(), check=False, capture_output=True, **self.popen)


@contextmanager
def a_stranger() -> Iterator[Stranger]:
    """One in a directory of their own, which goes in the end."""
    # Not below pytest's own directories: those are root's alone.
    directory = Path(tempfile.mkdtemp(prefix="guts-stranger-"))
    try:
        directory.chmod(0o755)
        stranger = Stranger(directory, _identity(), _interpreter(directory))
        for made in (stranger.directory / "home", stranger.scratch, stranger.tree):
            made.mkdir()
        _check_out(stranger.tree)
        _set_up(stranger)
        if stranger.popen:
            _give(stranger)
        yield stranger
    finally:
        shutil.rmtree(directory)


def _identity() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give(stranger: Stranger) -> None:
    for top in (stranger.directory / "home", stranger.tree):
        for path in (top, *top.rglob("*")):
            os.chown(path, stranger.popen["user"], stranger.popen["group"], follow_symlinks=False)


def _check_out(tree: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", *UNCOMMITTED], cwd=TREE, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        if name and (TREE / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TREE / name, tree / name)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Guts"]):
        who = ["-c", "user.name=Guts", "-c", "user.email=guts@example.org"]
        subprocess.run(["git", *who, *command], cwd=tree, check=True)


def _set_up(stranger: Stranger) -> None:
    """What ``make setup`` would leave, without fetching anything."""
    venv = stranger.tree / ".venv"
    subprocess.run(
        [stranger.python, "-m", "venv", "--without-pip", venv], check=True, env=os.environ | stranger.environment()
    )
    packages = _readable(Path(sysconfig.get_path("purelib")), stranger.directory / "packages")
    site = next(venv.glob("lib/python3.*/site-packages"))
    (site / "guts.pth").write_text(f"{stranger.tree}\n{packages}\n")
    program = venv / "bin" / "guts"
    program.write_text(_GUTS.format(python=venv / "bin" / "python"))
    program.chmod(0o755)
    wanted = b"".join((stranger.tree / name).read_bytes() for name in ("requirements.lock", "pyproject.toml"))
    version = f"Python {platform.python_version()}\n".encode()
    (venv / ".installed").write_text(hashlib.sha256(wanted + version).hexdigest() + "\n")


def _interpreter(directory: Path) -> Path:
    """The running interpreter, where everybody can run it; otherwise the same files at another place."""
    program = Path(sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    return _readable(prefix, directory / "python", *UNUSED) / program.relative_to(prefix)


def _readable(path: Path, copy: Path, *unused: str) -> Path:
    """The directory itself if everybody may enter it, or else a copy by links, which costs no space."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in (path, *path.parents)):
        return path
    ignore = shutil.ignore_patterns(*unused)
    return Path(shutil.copytree(path, copy, symlinks=True, copy_function=_link, ignore=ignore))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
