"""dulwich, driven (``driving.py``)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import dulwich
from dulwich import porcelain
from dulwich.repo import Repo

from .driving import IS_ATOMIC, OPTION, TOKEN, USER, drive, say

WHO: dict[str, Any] = {"username": USER, "password": TOKEN} if TOKEN else {}


def version() -> None:
    """Which client this is."""
    say(".".join(map(str, dulwich.__version__)))


def ls(url: str) -> None:
    """The refs of a repository."""
    for name, oid in porcelain.ls_remote(url, **WHO).refs.items():
        say(f"{(oid or b'').decode()} {name.decode()}")


def clone(url: str, directory: str, depth: str = "") -> None:
    """A copy with a work tree."""
    porcelain.clone(url, directory, depth=int(depth) if depth else None, errstream=io.BytesIO(), **WHO).close()


def partial(url: str, directory: str, wanted: str) -> None:
    """Its files are looked for in vain at once: only the history is asked for."""
    porcelain.clone(url, directory, checkout=False, filter_spec=wanted, errstream=io.BytesIO(), **WHO).close()


def fetch(directory: str) -> None:
    """What is new at the origin."""
    porcelain.fetch(directory, errstream=io.BytesIO(), include_tags=True, **WHO)


def commit(directory: str, path: str) -> None:
    """Commit a file that lies there."""
    porcelain.add(directory, [str(Path(directory, path))])
    who = f"{USER} <{USER}@example.test>".encode()
    say(porcelain.commit(directory, message=b"by dulwich", author=who, committer=who).decode())


def push(directory: str, url: str, *refspecs: str) -> None:
    """Move refs; raises with the node's words for one that it refused."""
    wanted: dict[str, Any] = {"atomic": IS_ATOMIC, "push_options": [OPTION] if OPTION else None} | WHO
    with Repo(directory) as repo:
        result = porcelain.push(repo, url, list(refspecs), outstream=io.BytesIO(), errstream=io.BytesIO(), **wanted)
    refused = {ref: words for ref, words in (result.ref_status or {}).items() if words}
    if refused:
        raise RuntimeError("; ".join(f"{ref.decode()}: {words}" for ref, words in refused.items()))


if __name__ == "__main__":
    drive(globals())
