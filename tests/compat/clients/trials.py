"""What each client is to do at a node, one function each: the rows of the matrix."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from guts_core.identity import token_of
from tests.compat.devnet import PATIENCE_SECONDS, Devnet, Git

from .driving import CANNOT
from .programs import Client

STRANGERS_TOKEN = token_of(bytes(32))
# More than a client sends at once without asking first, and more than a packet or a chunk holds.
LARGE_BYTES = 6 << 20
BRANCHES = 1_000
ODD_BRANCH = "größe/日本語+x"
ODD_PATH = "naïve dir/日本語 \"quoted\" 'x' #%.txt"
NOBODY = ""


class FailedError(AssertionError):
    """The client said no: its words, and whether it is unable at all."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.words = words
        self.is_unable = code == CANNOT


@frozen
class Trial:
    """One client of one person, at one node, with a directory of its own."""

    client: Client
    net: Devnet
    library: Git  # where the repository was pushed from that all trials read
    git: Git  # stock git of the same person, to look and to prepare
    name: str  # of repositories that are this trial's own

    @property
    def here(self) -> Path:
        """For clones."""
        return self.git.directory

    def url(self, name: str = "") -> str:
        """A repository of this trial's own, or another one of the same owner."""
        return f"{self.net.url(0)}/{self.git.user}/{name or self.name}.git"

    @property
    def shared(self) -> str:
        """The repository that is only read."""
        return self.url("library")

    def does(self, *words: str, token: str | None = None, **more: str) -> str:
        """What the client answers; FailedError with its words."""
        token = self.git.token if token is None else token
        said = {"GUTS_TOKEN": token or NOBODY, "LC_ALL": "C.UTF-8"} | more
        environment = self.git.environment() | self.client.environment | said
        done = subprocess.run(
            [*self.client.argv, *words], cwd=self.here, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise FailedError(done.stderr, done.returncode)
        return done.stdout.strip()

    def is_refused(self, words: str, *command: str, token: str | None = None, **more: str) -> None:
        """The client fails, and its user reads such words; never a token."""
        with pytest.raises(FailedError, match=words) as failed:
            self.does(*command, token=token, **more)

        assert not failed.value.is_unable
        assert (self.git.token or "-") not in failed.value.words

    def clone(self, url: str, name: str = "copy", *, token: str | None = None) -> Git:
        """A clone by the client, in which stock git may look around."""
        self.does("clone", url, str(self.here / name), token=token)
        return self.git.at(self.here / name)

    def seeded(self, *options: str) -> Git:
        """This trial's own repository, which has one commit; stock git's work tree of it."""
        work = self.git.at(self.here / "work")
        work.directory.mkdir()
        work("init", "-q")
        work.commit("file", "one\n", "first")
        work("push", "-q", *options, self.url(), "main")
        return work

    def commits(self, copy: Git, path: str = "file", data: bytes = b"by the client\n") -> str:
        """The client commits a file."""
        (copy.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (copy.directory / path).write_bytes(data)
        return self.does("commit", str(copy.directory), path)

    def pushes(self, copy: Git, *refspecs: str, name: str = "") -> str:
        """The client pushes to a repository of this trial."""
        return self.does("push", str(copy.directory), self.url(name), *refspecs)

    def refs(self, name: str = "") -> dict[str, str]:
        """What the node has, as stock git sees it."""
        return self.git.refs(self.url(name))


def is_whole(copy: Git) -> None:
    """Every object is here and right."""
    copy("fsck", "--strict", "--no-dangling")


def listing(trial: Trial) -> None:
    """Every ref by its name, none that does not exist."""
    lines = (line.split(" ", 1) for line in trial.does("ls", trial.shared, token=NOBODY).splitlines())
    said = {name: oid for oid, name in lines}
    there = trial.library.refs(trial.shared)

    # Clients show in their own ways what HEAD and tags lead to.
    named = {name: oid for name, oid in there.items() if name != "HEAD" and not name.endswith("^{}")}
    assert {name: said.get(name) for name in named} == named
    assert set(said) <= set(there)


def public_clone(trial: Trial) -> None:
    """Nobody signs in to read what is public."""
    copy = trial.clone(trial.shared, token=NOBODY)

    is_whole(copy)
    assert copy.oid("HEAD") == trial.library.oid("main")
    assert (copy.directory / "file").read_text() == "library\n"


def private_clone(trial: Trial) -> None:
    """With a token only."""
    work = trial.seeded("-o", "private")
    copy = trial.clone(trial.url())

    assert copy.oid("HEAD") == work.oid("main")
    trial.is_refused(r"(?i)401|auth|denied|credential|username", "clone", trial.url(), str(trial.here / "no"), token="")


def wrong_token(trial: Trial) -> None:
    """For reading and for writing."""
    work = trial.seeded("-o", "private")
    words = r"(?i)401|auth|denied|credential|HTTP"

    trial.is_refused(words, "clone", trial.url(), str(trial.here / "no"), token=STRANGERS_TOKEN)
    trial.is_refused(
        words, "push", str(work.directory), trial.url(), "refs/heads/main:refs/heads/x", token=STRANGERS_TOKEN
    )
    assert set(trial.refs()) == {"HEAD", "refs/heads/main"}


def empty_clone(trial: Trial) -> None:
    """A repository without a commit is cloned, committed to, and pushed."""
    body = {"name": trial.name, "private": False}
    assert trial.net.http(0, "/api/v3/user/repos", token=trial.git.token, body=body).status == 201
    copy = trial.clone(trial.url())
    made = trial.commits(copy)
    trial.pushes(copy, f"{copy('symbolic-ref', 'HEAD').stdout.strip()}:refs/heads/main")

    assert trial.refs()["refs/heads/main"] == made


def increment(trial: Trial) -> None:
    """New commits, a new branch and a new tag come by a fetch."""
    work = trial.seeded()
    copy = trial.clone(trial.url())
    second = work.commit("file", "two\n", "second")
    work("branch", "topic")
    work("tag", "-a", "-m", "noted", "v1")
    work("push", "-q", trial.url(), "main", "topic", "v1")
    trial.does("fetch", str(copy.directory))

    is_whole(copy)
    assert [copy.oid(f"refs/remotes/origin/{name}") for name in ("main", "topic")] == [second, second]
    assert copy.oid("refs/tags/v1") == work.oid("refs/tags/v1")


def fast_forward(trial: Trial) -> None:
    """A commit by the client is everybody's."""
    trial.seeded()
    copy = trial.clone(trial.url())
    made = trial.commits(copy, "deep/er/file")
    trial.pushes(copy, "refs/heads/main:refs/heads/main")

    assert trial.refs()["refs/heads/main"] == made
    seen = trial.git.clone(trial.url(), "seen")
    is_whole(seen)
    assert (seen.directory / "deep/er/file").read_bytes() == b"by the client\n"


def branches_and_tags(trial: Trial) -> None:
    """A branch, a tag, and a tag with words."""
    trial.seeded()
    copy = trial.clone(trial.url())
    copy("branch", "topic")
    copy("tag", "light")
    copy("tag", "-a", "-m", "noted", "noted")
    names = ("refs/heads/topic", "refs/tags/light", "refs/tags/noted")
    trial.pushes(copy, *(f"{name}:{name}" for name in names))

    refs = trial.refs()
    assert [refs[name] for name in names] == [copy.oid(name) for name in names]


def deletion(trial: Trial) -> None:
    """A branch goes; the other one stays."""
    work = trial.seeded()
    work("push", "-q", trial.url(), "main:old")
    copy = trial.clone(trial.url())
    trial.pushes(copy, ":refs/heads/old")

    assert set(trial.refs()) == {"HEAD", "refs/heads/main"}


def forced(trial: Trial) -> None:
    """A rewritten branch takes the place of the older one."""
    trial.seeded()
    copy = trial.clone(trial.url())
    copy("commit", "-q", "--amend", "-m", "rewritten")
    trial.pushes(copy, "+refs/heads/main:refs/heads/main")

    assert trial.refs()["refs/heads/main"] == copy.oid("refs/heads/main")


def stale(trial: Trial) -> None:
    """Nobody overwrites a commit that they have not seen."""
    work = trial.seeded()
    copy = trial.clone(trial.url())
    second = work.commit("file", "two\n", "second")
    work("push", "-q", trial.url(), "main")
    trial.commits(copy)

    trial.is_refused(
        r"(?i)fast-?forward|fetch first|diverged|not present locally",
        "push", str(copy.directory), trial.url(), "refs/heads/main:refs/heads/main",
    )  # fmt: skip
    assert trial.refs()["refs/heads/main"] == second


def nodes_words(trial: Trial) -> None:
    """What only the node knows to be wrong is said in its words."""
    trial.seeded()
    copy = trial.clone(trial.url())

    trial.is_refused(
        "read-only to clients",
        "push", str(copy.directory), trial.url(), "refs/heads/main:refs/pull/1/head",
    )  # fmt: skip
    assert set(trial.refs()) == {"HEAD", "refs/heads/main"}


def creation(trial: Trial) -> None:
    """A push to a name that is free makes the repository."""
    copy = trial.clone(trial.shared)
    trial.pushes(copy, "refs/heads/main:refs/heads/main")

    assert trial.refs() == {"HEAD": copy.oid("main"), "refs/heads/main": copy.oid("main")}


def push_options(trial: Trial) -> None:
    """`-o private` makes the repository that a push creates a private one."""
    copy = trial.clone(trial.shared)
    words = ("push", str(copy.directory), trial.url(), "refs/heads/main:refs/heads/main")
    trial.does(*words, GUTS_PUSH_OPTION="private")
    path = f"/api/v3/repos/{trial.git.user}/{trial.name}"

    assert trial.net.http(0, path, token=trial.git.token).json["private"] is True
    assert trial.net.http(0, path).status == 404


def atomic_push(trial: Trial) -> None:
    """One ref that is refused, and the other does not move either."""
    trial.seeded()
    copy = trial.clone(trial.url())
    refspecs = ("refs/heads/main:refs/heads/good", "refs/heads/main:refs/pull/1/head")

    trial.is_refused(
        "read-only to clients", "push", str(copy.directory), trial.url(), *refspecs, GUTS_PUSH_ATOMIC="yes"
    )
    assert set(trial.refs()) == {"HEAD", "refs/heads/main"}


def large_file(trial: Trial) -> None:
    """Some megabytes that do not compress, there and back."""
    trial.seeded()
    copy = trial.clone(trial.url())
    data = os.urandom(LARGE_BYTES)
    trial.commits(copy, "large", data)
    trial.pushes(copy, "refs/heads/main:refs/heads/main")
    back = trial.clone(trial.url(), "back")

    assert (back.directory / "large").read_bytes() == data


def odd_names(trial: Trial) -> None:
    """Of branches and files, there and back."""
    trial.seeded()
    copy = trial.clone(trial.url())
    made = trial.commits(copy, ODD_PATH)
    trial.pushes(copy, f"refs/heads/main:refs/heads/{ODD_BRANCH}", "refs/heads/main:refs/heads/main")
    back = trial.clone(trial.url(), "back")

    assert (back.directory / ODD_PATH).read_bytes() == b"by the client\n"
    assert back.oid(f"refs/remotes/origin/{ODD_BRANCH}") == made


def shallow(trial: Trial) -> None:
    """The newest commit alone, and a push on top of it."""
    work = trial.seeded()
    second = work.commit("file", "two\n", "second")
    work("push", "-q", trial.url(), "main")
    trial.does("clone", trial.url(), str(trial.here / "copy"), "1")
    copy = trial.git.at(trial.here / "copy")

    assert copy("rev-list", "HEAD").stdout.split() == [second]
    made = trial.commits(copy)
    trial.pushes(copy, "refs/heads/main:refs/heads/main")
    assert trial.git.clone(trial.url(), "seen")("rev-list", "HEAD").stdout.split() == [made, second, work.oid("main~1")]


def partial(trial: Trial) -> None:
    """The history without the files; what is missing is said to be promised."""
    trial.does("partial", trial.shared, str(trial.here / "copy"), "blob:none")
    copy = trial.git.at(trial.here / "copy")
    listed = copy("rev-list", "--objects", "--missing=print", "--all").stdout

    assert f"?{trial.library.oid('main:file')}" in listed
    assert copy.oid("origin/main^{tree}") == trial.library.oid("main^{tree}")


def renamed(trial: Trial) -> None:
    """Who has the old address goes on with it."""
    trial.seeded()
    copy = trial.clone(trial.url())
    name = f"{trial.name}-renamed"
    path = f"/api/v3/repos/{trial.git.user}/{trial.name}"
    assert trial.net.http(0, path, token=trial.git.token, body={"name": name}, method="PATCH").status == 200
    made = trial.commits(copy)
    trial.pushes(copy, "refs/heads/main:refs/heads/main")
    trial.does("fetch", str(copy.directory))

    assert trial.refs(name)["refs/heads/main"] == made
    assert trial.clone(trial.url(), "again").oid("HEAD") == made


def many_branches(trial: Trial) -> None:
    """All of them, by one clone."""
    copy = trial.clone(trial.url("branches"))

    found = copy("for-each-ref", "--format=%(refname)", "refs/remotes/origin/b/").stdout.split()
    assert len(found) == BRANCHES


def other_hashes(trial: Trial) -> None:
    """A repository of another object format is refused, and nothing is changed."""
    trial.seeded()
    other = trial.git.at(trial.here / "other")
    other.directory.mkdir()
    other("init", "-q", "--object-format=sha256")
    other.commit("file", "one\n")

    trial.is_refused(
        r"(?i)hash algorithm|object format|sha-?256",
        "push", str(other.directory), trial.url(), "refs/heads/main:refs/heads/other",
    )  # fmt: skip
    assert set(trial.refs()) == {"HEAD", "refs/heads/main"}


Row = Callable[[Trial], None]
ROWS: dict[str, Row] = {
    "list refs": listing,
    "clone a public repository": public_clone,
    "clone a private one with a token": private_clone,
    "a wrong token is refused": wrong_token,
    "clone an empty repository and push to it": empty_clone,
    "fetch new commits, branches, tags": increment,
    "push a commit": fast_forward,
    "push new branches and tags": branches_and_tags,
    "delete a branch": deletion,
    "force a rewritten branch": forced,
    "a stale push is refused with words": stale,
    "the node's reason is shown": nodes_words,
    "push creates the repository": creation,
    "a push option (`-o private`)": push_options,
    "an atomic push": atomic_push,
    "a file of 6 MB": large_file,
    "odd names of branches and files": odd_names,
    "the old address after a rename": renamed,
    "1,000 branches": many_branches,
    "a SHA-256 repository is refused with words": other_hashes,
    "shallow clone, and a push from it": shallow,
    "partial clone (`blob:none`)": partial,
}
