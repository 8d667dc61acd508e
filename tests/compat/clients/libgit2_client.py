"""libgit2 by pygit2, driven (``driving.py``)."""

from __future__ import annotations

import tempfile

import pygit2

from .driving import IS_ATOMIC, OPTION, TOKEN, USER, CannotError, drive, say


class Callbacks(pygit2.RemoteCallbacks):
    """The token; and what the node says of each ref."""

    def __init__(self) -> None:
        super().__init__(credentials=pygit2.UserPass(USER, TOKEN) if TOKEN else None)
        self.refused: list[str] = []

    def push_update_reference(self, refname: str, message: str | None) -> None:
        """None: it moved."""
        if message is not None:
            self.refused.append(f"{refname}: {message}")


def version() -> None:
    """Which client this is."""
    say(pygit2.LIBGIT2_VERSION)


def ls(url: str) -> None:
    """The refs of a repository."""
    with tempfile.TemporaryDirectory() as empty:
        remote = pygit2.init_repository(empty, bare=True).remotes.create_anonymous(url)
        for head in remote.list_heads(callbacks=Callbacks()):
            say(f"{head.oid} {head.name}")


def clone(url: str, directory: str, depth: str = "") -> None:
    """A copy with a work tree."""
    pygit2.clone_repository(url, directory, callbacks=Callbacks(), depth=int(depth or 0))


def partial(_url: str, _directory: str, _wanted: str) -> None:
    """There is no such option."""
    raise CannotError("libgit2 has no partial clone")


def fetch(directory: str) -> None:
    """What is new at the origin."""
    pygit2.Repository(directory).remotes["origin"].fetch(callbacks=Callbacks())


def commit(directory: str, path: str) -> None:
    """Commit a file that lies there."""
    repo = pygit2.Repository(directory)
    repo.index.add(path)
    repo.index.write()
    who = pygit2.Signature(USER, f"{USER}@example.test")
    parents = [] if repo.head_is_unborn else [repo.head.target]
    say(str(repo.create_commit("HEAD", who, who, "by libgit2", repo.index.write_tree(), parents)))


def push(directory: str, url: str, *refspecs: str) -> None:
    """Move refs; raises with the node's words for one that it refused."""
    if IS_ATOMIC:
        raise CannotError("libgit2 has no atomic push")
    told, options = Callbacks(), [OPTION] if OPTION else None
    remote = pygit2.Repository(directory).remotes.create_anonymous(url)
    remote.push(list(refspecs), callbacks=told, push_options=options)
    if told.refused:
        raise RuntimeError("; ".join(told.refused))


if __name__ == "__main__":
    drive(globals())
