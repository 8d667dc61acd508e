"""Refused with the right words, nothing changed, nothing left over."""

from __future__ import annotations

import hashlib
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .devnet import PATIENCE_SECONDS, Answer, Devnet, Git, basic
from .people import a_repository, token_for


def raw(net: Devnet, path: str, *, authorization: str | None = None, body: bytes | None = None) -> Answer:
    """A request as a git client makes it."""
    headers = {"Content-Type": "application/x-git-receive-pack-request"}
    if authorization is not None:
        headers["Authorization"] = authorization
    request = urllib.request.Request(net.url(0) + path, body, headers)  # noqa: S310  # loopback
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310  # loopback
            return Answer(answer.status, dict(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def leftovers(net: Devnet) -> list[Path]:
    """What stands in any node's quarantine."""
    return [entry for node in net.info["nodes"] for entry in (Path(node["dir"]) / "quarantine").iterdir()]


def test_an_unknown_token_is_refused(net: Devnet, alice: Git, tmp_path: Path) -> None:
    """Git says that authentication failed; the answer does not repeat the token."""
    mine = a_repository(net, alice, "unknown-token")
    stranger = Git(mine.directory, "alice", "guts_pat_" + "0" * 49)
    mine.commit("file", "two\n")

    push = stranger("push", f"{net.url(0)}/alice/unknown-token.git", "main", check=False)
    assert push.returncode != 0
    assert "Authentication failed" in push.stderr
    answer = raw(
        net, "/alice/unknown-token.git/info/refs?service=git-receive-pack", authorization=basic("a", "guts_pat_x")
    )
    assert answer.status == 401
    assert b"guts_pat_x" not in answer.body


def test_a_read_only_token_may_fetch_and_not_push(net: Devnet, alice: Git) -> None:
    """403 with words on a push."""
    mine = a_repository(net, alice, "read-only", private=True)
    reader = Git(mine.directory, "alice", token_for(net, "alice", "read"))
    url = f"{net.url(1)}/alice/read-only.git"
    before = mine.refs(url)

    assert reader.refs(url) == before
    mine.commit("file", "two\n")
    push = reader("push", url, "main", check=False)
    assert push.returncode != 0
    assert "403" in push.stderr
    words = raw(
        net, "/alice/read-only.git/info/refs?service=git-receive-pack", authorization=basic("alice", reader.token or "")
    )
    assert words.status == 403
    assert b"read" in words.body
    assert mine.refs(url) == before


def test_a_strangers_repository(net: Devnet, alice: Git, bob: Git) -> None:
    """Private and missing look alike: anonymous 401 with one body, known but not allowed 404."""
    a_repository(net, alice, "secret", private=True)
    for service in ("git-upload-pack", "git-receive-pack"):
        hidden = raw(net, f"/alice/secret.git/info/refs?service={service}")
        missing = raw(net, f"/alice/no-such-thing.git/info/refs?service={service}")
        assert (hidden.status, hidden.body) == (missing.status, missing.body)
        assert hidden.status == 401
        assert hidden.headers["www-authenticate"] == 'Basic realm="Guts"'
        known = raw(net, f"/alice/secret.git/info/refs?service={service}", authorization=basic("bob", bob.token or ""))
        assert known.status == 404
    assert net.http(0, "/api/v3/repos/alice/secret").status == 404
    assert net.http(0, "/api/v3/repos/alice/secret", token=bob.token).status == 404
    assert net.http(0, "/api/v3/repos/alice/secret", token=alice.token).status == 200
    clone = bob("clone", f"{net.url(0)}/alice/secret.git", check=False)
    assert clone.returncode != 0
    assert "not found" in clone.stderr


def test_a_public_repository_of_someone_else_cannot_be_pushed_to(net: Devnet, alice: Git, bob: Git) -> None:
    """It can be read; the push is refused and nothing moves."""
    a_repository(net, alice, "public")
    url = f"{net.url(2)}/alice/public.git"
    theirs = bob.clone(url, "public")
    before = bob.refs(url)
    theirs.commit("file", "bob\n")

    push = theirs("push", "origin", "main", check=False)
    assert push.returncode != 0
    assert "403" in push.stderr
    assert bob.refs(url) == before


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/HEAD",
        "refs/heads/-x",
        "refs/heads/" + "a" * 40,
        "refs/heads/a..b",
        "refs/heads/a\u202eb",
        "refs/heads/x.lock",
        "refs/pull/1/head",
        "refs/guts/x",
        "refs/replace/" + "b" * 40,
        "refs/heads/" + "n" * 250,
        "refs/heads/main/below",
    ],
)
def test_bad_B02_ref_names_are_refused_by_the_node(net: Devnet, alice: Git, ref: str) -> None:
    """Sent as a client would that does not check: an ng line names the ref and says why."""
    name = "refs-" + hashlib.sha256(ref.encode()).hexdigest()[:8]
    mine = a_repository(net, alice, name)
    oid = mine.oid("HEAD")
    line = f"{'0' * 40} {oid} {ref}\0report-status side-band-64k".encode()
    body = b"%04x" % (len(line) + 4) + line + b"0000" + _empty_pack()
    path = f"/alice/{name}.git/git-receive-pack"

    answer = raw(net, path, authorization=basic("alice", alice.token or ""), body=body)

    assert answer.status in {200, 400, 422}, answer
    if answer.status == 200:
        assert b"ng " in answer.body, answer.body
    assert set(alice.refs(f"{net.url(0)}/alice/{name}.git")) == {"HEAD", "refs/heads/main"}


def _empty_pack() -> bytes:

    head = b"PACK\0\0\0\2\0\0\0\0"
    return head + hashlib.sha1(head, usedforsecurity=False).digest()


def packed(mine: Git, revisions: str, *options: str) -> bytes:
    """A pack of what these revisions reach."""
    command = ["git", "-C", str(mine.directory), "pack-objects", "-q", "--stdout", "--revs", *options]
    return subprocess.run(command, input=revisions.encode() + b"\n", capture_output=True, check=True).stdout


def send(net: Devnet, alice: Git, name: str, old: str, new: str, pack: bytes) -> Answer:
    """A push whose pack we made."""
    line = f"{old} {new} refs/heads/main\0report-status".encode()
    body = b"%04x" % (len(line) + 4) + line + b"0000" + pack
    return raw(net, f"/alice/{name}.git/git-receive-pack", authorization=basic("alice", alice.token or ""), body=body)


@pytest.mark.parametrize("fault", ["missing object", "corrupt", "truncated", "trailing bytes", "wrong trailer"])
def test_bad_C09_packs_are_refused_and_leave_nothing(net: Devnet, alice: Git, fault: str) -> None:
    """The report says what is wrong; no ref moves, no quarantine remains on any node."""
    name = "bad-" + fault.replace(" ", "-")
    mine = a_repository(net, alice, name)
    old = mine.oid("HEAD")
    (mine.directory / "data").write_bytes(os.urandom(20_000))
    new = mine.commit("file", "two\n")
    pack = packed(mine, f"{new}\n^{old}")
    if fault == "missing object":
        newer = mine.commit("file", "three\n")
        pack, new = packed(mine, f"{newer}\n^{new}"), newer
    elif fault == "corrupt":
        pack = pack[:200] + bytes((pack[200] ^ 0xFF,)) + pack[201:]
    elif fault == "truncated":
        pack = pack[: len(pack) // 2]
    elif fault == "trailing bytes":
        pack += b"more"
    else:
        pack = pack[:-20] + bytes(20)

    answer = send(net, alice, name, old, new, pack)

    assert answer.status == 200
    assert b"unpack ok" not in answer.body
    assert b"ng refs/heads/main" in answer.body
    assert alice.refs(f"{net.url(0)}/alice/{name}.git")["refs/heads/main"] == old
    assert leftovers(net) == []


def test_a_stale_old_oid_is_refused(net: Devnet, alice: Git) -> None:
    """Nobody overwrites a commit that they have not seen."""
    mine = a_repository(net, alice, "stale")
    first = mine.oid("HEAD")
    second = mine.commit("file", "two\n")
    mine("push", "-q", f"{net.url(0)}/alice/stale.git", "main")
    third = mine.commit("file", "three\n")

    answer = send(net, alice, "stale", first, third, packed(mine, f"{third}\n^{second}"))

    assert b"ng refs/heads/main stale" in answer.body
    assert b"fetch first" in answer.body
    assert alice.refs(f"{net.url(0)}/alice/stale.git")["refs/heads/main"] == second


def test_an_object_of_another_repository_does_not_count(net: Devnet, alice: Git) -> None:
    """Having it elsewhere is not having it here (C10)."""
    theirs = a_repository(net, alice, "has-it")
    mine = a_repository(net, alice, "has-it-not")
    old, foreign = mine.oid("HEAD"), theirs.commit("file", "foreign\n")
    theirs("push", "-q", f"{net.url(0)}/alice/has-it.git", "main")

    answer = send(net, alice, "has-it-not", old, foreign, _empty_pack())

    assert b"ng refs/heads/main" in answer.body
    assert alice.refs(f"{net.url(0)}/alice/has-it-not.git")["refs/heads/main"] == old
