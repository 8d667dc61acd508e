"""
``git clone guts://`` in bad days: a full disk, Ctrl-C, an old answer, settings as git means them.

Whatever happens ends in one sentence, leaves nothing half-written under a name that git knows, and says why packs came
otherwise.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.cli.desk import Desk

from .devnet import PATIENCE_SECONDS, Devnet, Git, wait_until
from .people import a_repository
from .ready_user import BIG_BYTES, User, assert_one_sentence, changed, is_file, left_over, packs_of, push, replayed

pytestmark = pytest.mark.e2e
# Far less than a node's silence is borne for, and more than a busy machine takes to end a process.
PROMPT_SECONDS = 15.0
# The size of a file that a full disk leaves room for, in the shell's blocks of 1,024 bytes at most.
ROOM_BLOCKS = 64


@pytest.fixture
def user(net: Devnet, tmp_path: Path) -> User:
    return User(net, tmp_path / "user", tuple(net.url(index) for index in range(4)))


# ---- what git says ----


def test_all_push_options_arrive(net: Devnet, alice: Git, user: User) -> None:
    """The one that makes it private, and another after it."""
    user.token = alice.token
    work = Git(user.directory / "work")
    work.directory.mkdir()
    work("init", "-q", "-b", "main")
    work.commit("file", "one\n")

    said = user.git("-C", "work", "push", "-o", "private", "-o", "later", "guts://alice/both", "main")

    net.wait_all_at(0)
    assert "push option 'later' is not known" in said
    assert net.http(0, "/api/v3/repos/alice/both", token=alice.token).json["private"]
    assert net.http(0, "/api/v3/repos/alice/both").status == 404


def test_every_lease_of_a_forced_push_is_held(net: Devnet, alice: Git, user: User) -> None:
    """Somebody else has pushed since the refs were proven: of two leases the first does not hold any more."""
    work = a_repository(net, alice, "leases")
    first = work.oid("main")
    work("push", "-q", f"{net.url(0)}/alice/leases.git", "main:side")
    net.wait_all_at(0)
    user.token = alice.token
    user.git("clone", "-q", "guts://alice/leases", "other")
    mine = Git(user.directory / "other", "alice").commit("file", "mine\n")
    mine = Git(user.directory / "other", "alice")("commit-tree", "-m", "a root", f"{mine}^{{tree}}").stdout.strip()
    leases = [f"--force-with-lease={name}:{first}" for name in ("main", "side")]

    with changed(net.url(0), replayed([])) as node:
        user.nodes = (node,)
        user.git("ls-remote", "guts://alice/leases")
        theirs = push(net, work, "leases")
        pushed = [f"{mine}:refs/heads/{name}" for name in ("main", "side")]
        said = user.git("-C", "other", "push", *leases, "guts://alice/leases", *pushed, check=False)

    assert said.startswith("FAILED")
    assert "stale info" in said
    assert work.refs(f"{net.url(0)}/alice/leases.git")["refs/heads/main"] == theirs


def test_a_local_name_may_be_no_text(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "bytes")
    user.token = alice.token
    odd = os.fsdecode(b"refs/heads/caf\xe9")
    work("update-ref", odd, "main")

    user.git("-C", str(work.directory), "push", "-q", "guts://alice/bytes", f"{odd}:refs/heads/plain")

    net.wait_all_at(0)
    assert work.refs(f"{net.url(0)}/alice/bytes.git")["refs/heads/plain"] == work.oid("main")


@pytest.mark.parametrize("value", ["guts.verifyObjects", "guts.verifyObjects=yes", "guts.verifyObjects=2"])
def test_a_setting_is_true_as_git_means_it(net: Devnet, alice: Git, user: User, value: str) -> None:
    name = f"true{len(value)}"
    a_repository(net, alice, name)
    user.settings = (value,)

    user.git("clone", "--bare", f"guts://alice/{name}", "copy")

    assert "index-pack" in user.trace.read_text()
    assert "remote-http" not in user.trace.read_text()


def test_a_setting_that_means_nothing_is_told(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "perhaps")
    user.settings = ("guts.verifyObjects=perhaps",)

    said = user.git("clone", "--bare", "guts://alice/perhaps", "copy", check=False)

    assert_one_sentence(said)
    assert "guts.verifyobjects" in said.lower()


def test_refs_are_listed_where_no_repository_is(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "listed")

    user.git("ls-remote", "guts://alice/listed")

    assert sorted(path.name for path in user.directory.iterdir()) == ["bin", "home", "trace"]
    assert work.oid("main")


# ---- this machine's faults ----


def test_a_full_disk_is_one_sentence_and_leaves_nothing(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "full")
    user.git("clone", "--bare", "guts://alice/full", "copy")
    work.commit("noise", os.urandom(BIG_BYTES // 2).hex())
    work("push", "-q", f"{net.url(0)}/alice/full.git", "main")
    net.wait_all_at(0)
    before = packs_of(user, "copy")
    # git itself runs with the room that there is: a shell's limit goes over to all that it starts.
    program = user.directory / "bin" / "git-remote-guts"
    program.rename(program.with_name("real"))
    program.write_text(f'#!/bin/sh\nulimit -f {ROOM_BLOCKS}\nexec {shlex.quote(str(program.with_name("real")))} "$@"\n')
    program.chmod(0o700)

    said = user.git("-C", "copy", "fetch", "origin", "main:main", check=False)

    assert_one_sentence(said)
    assert "File too large" in said
    assert "wrong bytes" not in said
    assert packs_of(user, "copy") == before
    assert left_over(user, "copy") == []


def test_what_cannot_be_read_at_home_is_one_sentence(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "unread")
    (user.home / "contexts.json").mkdir()

    said = user.git("clone", "--bare", "guts://alice/unread", "copy", check=False)

    assert_one_sentence(said)
    assert "contexts.json: Is a directory" in said


def test_an_index_that_cannot_be_made_here_is_one_sentence(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "unmade")
    user.settings = ("guts.verifyObjects=true", "pack.threads=many")

    said = user.git("clone", "--bare", "guts://alice/unmade", "copy", check=False)

    assert_one_sentence(said)
    assert "pack.threads" in said


def test_nothing_stands_beside_packs_where_git_writes_reverse_indexes(net: Devnet, alice: Git, user: User) -> None:
    """As git does by itself from 2.41 on."""
    work = a_repository(net, alice, "reversed")
    user.settings = ("guts.verifyObjects=true", "pack.writeReverseIndex=true")

    user.git("clone", "--bare", "guts://alice/reversed", "copy")

    assert left_over(user, "copy") == []
    assert work.oid("main") in user.refs("copy")


# ---- Ctrl-C ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_fetch_ends_and_goes_on_later(
    net: Devnet, alice: Git, user: User, number: signal.Signals
) -> None:
    """One pack comes, another hangs; the next run asks for the other alone."""
    name = f"stopped{number}"
    work = a_repository(net, alice, name)
    user.git("clone", "--bare", f"guts://alice/{name}", "copy")
    push(net, work, name)
    tip = push(net, work, name)
    asked: list[bytes] = []
    hangs, over = threading.Event(), threading.Event()

    def hold(request: bytes, answer: bytes) -> bytes | None:
        line = request.split(b"\r\n")[0]
        if is_file(request, b".pack"):
            asked.append(line)
        if is_file(request, b".pack") and line == asked[0] and not over.is_set():
            hangs.set()
            over.wait(PATIENCE_SECONDS)
            return None
        return answer

    with changed(net.url(0), hold) as node:
        user.nodes = (node,)
        with user.start("-C", "copy", "fetch", "origin", "main:main") as git:
            assert hangs.wait(PATIENCE_SECONDS)
            came = (user.directory / "copy/objects/pack").glob
            wait_until(lambda: any(path.stat().st_size for path in came("tmp_guts_*.pack")), "the other one came")
            began = time.monotonic()
            os.killpg(git.pid, number)
            said = git.communicate(timeout=PATIENCE_SECONDS)[1]
            took = time.monotonic() - began
        first, before = asked[0], len(asked)
        kept = left_over(user, "copy")
        over.set()
        user.git("-C", "copy", "fetch", "origin", "main:main")

    assert took < PROMPT_SECONDS
    assert "Traceback" not in said
    assert "goes on" in said
    assert kept
    assert user.was_ready_made
    assert {*asked[before:]} == {first}
    assert tip in user.refs("copy")
    assert left_over(user, "copy") == []


def test_an_interrupted_clone_leaves_nothing_and_says_how_to_go_on(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "broken-off")
    hangs, over = threading.Event(), threading.Event()

    def hold(request: bytes, answer: bytes) -> bytes | None:
        if is_file(request, b".pack"):
            hangs.set()
            over.wait(PATIENCE_SECONDS)
        return answer

    with changed(net.url(0), hold) as node:
        user.nodes = (node,)
        with user.start("clone", "guts://alice/broken-off", "copy") as git:
            assert hangs.wait(PATIENCE_SECONDS)
            os.killpg(git.pid, signal.SIGINT)
            said = git.communicate(timeout=PATIENCE_SECONDS)[1]
        over.set()

    assert "Traceback" not in said
    assert "git remote add origin guts://alice/broken-off && git fetch" in said
    assert not (user.directory / "copy").exists()


# ---- why packs did not come ready-made ----


def test_it_is_said_why_gits_own_protocol_is_used(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "why")
    work.commit("file", "two\n")
    work("push", "-q", f"{net.url(0)}/alice/why.git", "main")
    work("reset", "-q", "--hard", "HEAD~1")
    work("push", "-qf", f"{net.url(0)}/alice/why.git", "main")
    net.wait_all_at(0)

    unclean = user.git("clone", "--bare", "guts://alice/why", "copy")
    quiet = user.git("clone", "-q", "--bare", "guts://alice/why", "quiet")
    shallow = user.git("clone", "--bare", "--depth=1", "guts://alice/why", "shallow")

    assert re.search(r"guts: fetching by git's own protocol: .*(no ref reaches|has not judged)", unclean), unclean
    assert quiet == ""
    assert "a part of the history" in shallow


def test_a_node_that_knows_no_packs_is_told(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "older")

    def old(request: bytes, answer: bytes) -> bytes:
        if b"/packs" in request.split(b"\r\n")[0]:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return answer

    with changed(net.url(0), old) as node:
        user.nodes = (node,)
        said = user.git("clone", "--bare", "guts://alice/older", "copy")

    assert not user.was_ready_made
    assert f"{node} lists no packs" in said


def test_a_ready_made_clone_can_be_quiet(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "silent")

    assert user.git("clone", "-q", "--bare", "guts://alice/silent", "copy") == ""
    assert user.was_ready_made


def test_guts_clone_says_why_it_does_not_use_the_helper(net: Devnet, alice: Git, tmp_path: Path) -> None:
    a_repository(net, alice, "unpinned")
    desk = Desk(tmp_path, tmp_path / "home")

    told = desk.run("clone", f"{net.url(0)}/alice/unpinned", "copy")
    quiet = desk.run("clone", f"{net.url(0)}/alice/unpinned", "quiet", "--", "-q")

    assert "guts: cloning by git's own protocol: " in told.stderr
    assert "is not pinned" in told.stderr
    assert "own protocol" not in quiet.stderr


@pytest.mark.parametrize("given", [(), ("--node", "localhost")])
def test_guts_clone_of_a_private_repository_is_ready_made(
    net: Devnet, alice: Git, tmp_path: Path, given: tuple[str, ...]
) -> None:
    """Also under another of this machine's names for itself, which no context lists."""
    name = f"own{len(given)}"
    work = a_repository(net, alice, name, private=True)
    trace = tmp_path / "trace"
    path = User(net, tmp_path / "user", ()).directory / "bin"
    desk = Desk(tmp_path, net.home)
    there = f"{path}{os.pathsep}{desk.environment()['PATH']}"
    more = [net.url(0).replace("127.0.0.1", word) if word == "localhost" else word for word in given]

    said = desk.run("clone", f"alice/{name}", "copy", *more, PATH=there, GIT_TRACE=str(trace))

    assert "1 refs proven" in said.stderr
    assert "remote-http" not in trace.read_text()
    assert desk.at("copy").run("git", "rev-parse", "HEAD").stdout.strip() == work.oid("main")
