"""
``git clone guts://OWNER/NAME``: packs as they are stored, from several nodes, and no byte believed.

Refs are proven, packs and indexes have digests; who lies, cuts off or does not have it is passed over, and what
is not to be handed out comes by git's own protocol.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.desk import Desk

from .devnet import Devnet, Git
from .people import a_repository, alice_of
from .ready_user import User, a_big_one, changed, is_file, left_over, packs_of

pytestmark = pytest.mark.e2e
# An answer's head and a little more: what is cut there is cut in the middle of a file.
CUT_BYTES = 4_096


@pytest.fixture
def user(net: Devnet, tmp_path: Path) -> User:
    return User(net, tmp_path / "user", tuple(net.url(index) for index in range(4)))


def test_a_clone_is_ready_made_and_holds_what_was_pushed(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "plain")
    work("tag", "-a", "-m", "one", "v1")
    work("push", "-q", f"{net.url(0)}/alice/plain.git", "v1")
    net.wait_all_at(0)

    said = user.git("clone", "--bare", "guts://alice/plain", "copy")

    assert user.was_ready_made
    assert "2 refs proven at height" in said
    assert "signed by 3 of 4 validators" in said or "signed by 4 of 4 validators" in said
    assert left_over(user, "copy") == []
    assert len(packs_of(user, "copy")) == 2
    refs = user.refs("copy")
    assert work.oid("main") in refs
    assert work.oid("v1") in refs
    assert " HEAD" in refs


def test_a_fetch_brings_only_the_packs_that_are_not_here(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "grows")
    user.git("clone", "--bare", "guts://alice/grows", "copy")
    before = packs_of(user, "copy")
    tip = work.commit("file", "two\n")
    work("push", "-q", f"{net.url(0)}/alice/grows.git", "main")
    net.wait_all_at(0)

    user.git("-C", "copy", "fetch", "origin", "main:main")

    assert user.was_ready_made
    assert tip in user.refs("copy")
    assert set(before) < set(packs_of(user, "copy"))
    assert len(packs_of(user, "copy")) == 2
    assert left_over(user, "copy") == []


def test_after_a_repack_of_ones_own_git_fetches_by_itself(net: Devnet, alice: Git, user: User) -> None:
    """None of the packs is here under its name any more: fetching all of them again would be waste."""
    work = a_repository(net, alice, "repacked")
    user.git("clone", "--bare", "guts://alice/repacked", "copy")
    work.commit("file", "two\n")
    work("push", "-q", f"{net.url(0)}/alice/repacked.git", "main")
    net.wait_all_at(0)
    user.git("-C", "copy", "repack", "-adfq")

    user.git("-C", "copy", "fetch", "origin", "main:main")

    assert not user.was_ready_made
    assert work.oid("main") in user.refs("copy")


@pytest.mark.parametrize("kind", [b".pack", b".idx"])
def test_a_node_that_gives_a_wrong_byte_is_refused_and_another_asked(
    net: Devnet, alice: Git, user: User, kind: bytes
) -> None:
    work = a_big_one(net, alice, f"lied{len(kind)}")

    def flip(asked: bytes, answer: bytes) -> bytes:
        return answer[:-30] + bytes((answer[-30] ^ 1,)) + answer[-29:] if is_file(asked, kind) else answer

    with changed(net.url(0), flip) as liar:
        user.nodes = (liar, net.url(1))
        said = user.git("clone", "--bare", f"guts://alice/lied{len(kind)}", "copy")

    assert user.was_ready_made
    assert f"{liar} gave a pack{' index' if kind == b'.idx' else ''} with wrong bytes" in said
    assert work.oid("main") in user.refs("copy")


def test_where_every_node_lies_nothing_is_kept(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "alllied")

    def flip(asked: bytes, answer: bytes) -> bytes:
        return answer[:-1] + bytes((answer[-1] ^ 1,)) if is_file(asked, b".pack") else answer

    with changed(net.url(0), flip) as liar:
        user.nodes = (liar,)
        said = user.git("clone", "--bare", "guts://alice/alllied", "copy", check=False)

    assert said.startswith("FAILED")
    assert "no node gave pack 0 as its digest says" in said
    assert not (user.directory / "copy").exists()


def test_a_byte_that_rotted_on_a_nodes_disk_reaches_nobody(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """One node's file has another byte; the clone is whole, from the others."""
    net = own_net(4)
    work = a_big_one(net, alice_of(net, tmp_path / "alice"), "rotten")
    for pack in (net.directory / "node0" / "packs").glob("*.pack"):
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)
    user = User(net, tmp_path / "user", tuple(net.url(index) for index in range(4)))

    user.git("clone", "--bare", "guts://alice/rotten", "copy")

    assert work.oid("main") in user.refs("copy")


def test_a_clone_goes_on_where_it_was_cut_off(net: Devnet, alice: Git, user: User) -> None:
    """Each file ends early once; what came is not asked for again."""
    work = a_big_one(net, alice, "cut")
    seen: set[bytes] = set()
    ranges: list[bytes] = []

    def cut(asked: bytes, answer: bytes) -> bytes:
        first = asked.split(b"\r\n")[0]
        if not is_file(asked, b".pack"):
            return answer
        ranges.append(next(line for line in asked.split(b"\r\n") if line.lower().startswith(b"range:")))
        is_first = first not in seen
        seen.add(first)
        return answer[:CUT_BYTES] if is_first else answer

    with changed(net.url(0), cut) as cutter:
        user.nodes = (cutter,)
        said = user.git("clone", "--bare", "guts://alice/cut", "copy")

    assert user.was_ready_made, said
    assert work.oid("main") in user.refs("copy")
    assert any(not line.lower().startswith(b"range: bytes=0-") for line in ranges)


def test_nodes_that_are_away_are_passed_over(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "away")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
    user.nodes = (gone, net.url(2))

    said = user.git("clone", "--bare", "guts://alice/away", "copy")

    assert user.was_ready_made
    assert f"{gone}: no answer" in said
    assert work.oid("main") in user.refs("copy")


def test_an_unclean_repository_is_cloned_by_gits_own_protocol(net: Devnet, alice: Git, user: User) -> None:
    """What was overwritten is in the packs of the nodes, and comes to nobody."""
    work = a_repository(net, alice, "forced")
    secret = work.commit("file", "a secret\n")
    work("push", "-q", f"{net.url(0)}/alice/forced.git", "main")
    work("reset", "-q", "--hard", "HEAD~1")
    work("push", "-qf", f"{net.url(0)}/alice/forced.git", "main")
    net.wait_all_at(0)

    user.git("clone", "--bare", "guts://alice/forced", "copy")

    assert not user.was_ready_made
    assert work.oid("main") in user.refs("copy")
    assert Git(user.directory / "copy")("cat-file", "-e", secret, check=False).returncode != 0


def test_a_private_repository_is_for_who_has_a_token(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "hidden", private=True)

    refused = user.git("clone", "--bare", "guts://alice/hidden", "copy", check=False)
    user.token = alice.token
    user.git("clone", "--bare", "guts://alice/hidden", "copy")

    assert refused.startswith("FAILED")
    assert "its word, not a proof" in refused
    assert user.was_ready_made
    assert work.oid("main") in user.refs("copy")


def test_who_wants_to_see_for_oneself_has_every_pack_indexed(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "seen")
    user.settings = ("guts.verifyObjects=true",)

    user.git("clone", "--bare", "guts://alice/seen", "copy")

    assert "index-pack" in user.trace.read_text()
    assert "remote-http" not in user.trace.read_text()
    assert work.oid("main") in user.refs("copy")
    assert left_over(user, "copy") == []


def test_a_part_of_a_history_comes_by_gits_own_protocol(net: Devnet, alice: Git, user: User) -> None:
    work = a_repository(net, alice, "deep")
    work.commit("file", "two\n")
    work("push", "-q", f"{net.url(0)}/alice/deep.git", "main")
    net.wait_all_at(0)

    user.git("clone", "--depth", "1", "guts://alice/deep", "copy")

    assert not user.was_ready_made
    assert Git(user.directory / "copy")("rev-list", "--count", "HEAD").stdout.strip() == "1"


def test_a_push_creates_and_a_refused_one_says_so(net: Devnet, alice: Git, user: User) -> None:
    user.token = alice.token
    work = Git(user.directory / "work")
    work.directory.mkdir()
    work("init", "-q", "-b", "main")
    work.commit("file", "one\n")
    user.git("-C", "work", "push", "guts://alice/pushed", "main", "HEAD:refs/heads/side")
    net.wait_all_at(0)
    user.git("clone", "guts://alice/pushed", "copy")
    work("commit", "-q", "--amend", "-m", "another")
    refused = user.git("-C", "work", "push", "guts://alice/pushed", "main", check=False)

    assert user.refs("copy").count("refs/remotes/origin/") == 3
    assert refused.startswith("FAILED")
    assert "[rejected]" in refused


def test_an_empty_repository_can_be_cloned(net: Devnet, alice: Git, user: User) -> None:
    answer = net.http(0, "/api/v3/user/repos", token=alice.token, body={"name": "nothing"})
    assert answer.status == 201
    net.wait_all_at(0)

    assert "empty repository" in user.git("clone", "guts://alice/nothing", "copy")


def test_a_network_that_nobody_pinned_is_not_believed(net: Devnet, alice: Git, user: User) -> None:
    a_repository(net, alice, "unpinned")
    shutil.rmtree(user.home / "networks")

    said = user.git("clone", "guts://alice/unpinned", "copy", check=False)

    assert said.startswith("FAILED")
    assert "is not pinned" in said
    assert "next: guts network trust FILE" in said


def test_guts_clone_takes_it_ready_made_and_leaves_an_origin_for_plain_git(
    net: Devnet, alice: Git, tmp_path: Path
) -> None:
    work = a_repository(net, alice, "easy")
    desk, trace = Desk(tmp_path, net.home), tmp_path / "trace"
    path = User(net, tmp_path / "user", ()).directory / "bin"

    there = f"{path}{os.pathsep}{desk.environment()['PATH']}"
    said = desk.run("clone", "alice/easy", "copy", PATH=there, GIT_TRACE=str(trace))

    assert "1 refs proven" in said.stderr
    assert "index-pack" not in trace.read_text()
    copy = desk.at("copy")
    assert copy.run("git", "rev-parse", "HEAD").stdout.strip() == work.oid("main")
    assert copy.run("git", "config", "remote.origin.url").stdout.strip() == f"{net.url(0)}/alice/easy.git"
    copy.run("git", "fetch", "-q")
