"""Full clones of clean repositories: the stored pack itself, to those alone who want all of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import trio

from guts_http.site import Settings
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.http.http_world import PATIENCE_SECONDS
from tests.http.node_world import bearing, git
from tests.http.test_http_git_v2 import asking
from tests.net.packs.pack_world import pack_of
from tests.refusals.doors_world import HEAD, PACK, ZERO, Door, open_door, packets, push_body, report

FULL = ("thin-pack", "no-progress", "include-tag", "ofs-delta")
MAIN_REF, SIDE_REF = "refs/heads/main", "refs/heads/side"


def pack_in(answer: httpx.Response) -> bytes:
    """The pack of an answer, out of its side band."""
    assert answer.status_code == 200, answer.text
    return b"".join(line[1:] for line in packets(answer.content) if line[:1] == b"\x01")


def clone_of(*oids: str) -> bytes:
    """What stock git sends for a clone of these tips."""
    return asking("fetch", *FULL, *(f"want {oid}" for oid in oids), "done")


async def judged(door: Door) -> bool:
    """Whether the node has come to a verdict about the packs, and which."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            said = (await door.node.http.get("/api/guts/v1/repos/alice/door/packs", headers=bearing(door.token))).json()
            if said["reason"] != "this node has not judged its packs yet":
                return bool(said["clean"])


async def test_a_full_clone_is_the_stored_pack(tmp_path: Path) -> None:
    """Its blob stands first, where git itself would put the commit."""
    async with open_door(tmp_path, Settings(fetches_max=1), pushed=True) as door:
        assert await judged(door)
        first = await door.fetch(clone_of(HEAD.oid))
        again = await door.fetch(clone_of(HEAD.oid))
        cloned = await git(tmp_path, "clone", "-q", door.node.remote("alice/door"), "copy")
        fsck = await git(tmp_path / "copy", "fsck", "--strict")

    assert pack_in(first) == PACK
    assert first.content == again.content
    assert first.content.startswith(b"000dpackfile\n")
    assert first.content.endswith(b"0000")
    assert (cloned.code, fsck.code) == (0, 0)


async def test_stock_git_that_wants_refs_by_name_gets_the_stored_pack(tmp_path: Path) -> None:
    """As it does wherever a server knows names, in packets that are all of a band; no child has a turn meanwhile."""
    async with open_door(tmp_path, Settings(fetches_max=1, queue_seconds=0), pushed=True) as door:
        assert await judged(door)
        named = await door.fetch(
            asking("fetch", *FULL, "sideband-all", "want-ref HEAD", f"want-ref {MAIN_REF}", "done")
        )
        cloned = await git(tmp_path, "clone", "-q", "--bare", door.node.remote("alice/door"), "copy")

    lines = [line[:1] + line[1:].removesuffix(b"\n") for line in packets(named.content)]
    told = [f"{HEAD.oid} HEAD".encode(), f"{HEAD.oid} {MAIN_REF}".encode()]
    assert lines[:4] == [b"\x01wanted-refs", *(b"\x01" + one for one in told), b"\x01packfile"]
    assert named.content.endswith(PACK + b"0000")
    assert cloned.code == 0, cloned.err


async def test_a_large_pack_goes_out_in_whole_packets(tmp_path: Path) -> None:
    """Many pieces, the last one short; and 20 bytes behind a full one."""
    size = 4 * 65_515 + 20
    for length in (3 << 20, size - 200, size - 180, size - 160):
        noise = RawObject("blob", hashlib.shake_256(b"noise").digest(length))
        top = commit(tree(("100644", b"noise", noise.oid)).oid)
        packed = pack_of(noise, tree(("100644", b"noise", noise.oid)), top)
        async with open_door(tmp_path / str(length)) as door:
            assert report(await door.push(push_body([f"{ZERO} {top.oid} {MAIN_REF}"], packed)))[1] == f"ok {MAIN_REF}"
            assert await judged(door)
            answer = await door.fetch(clone_of(top.oid))

        assert pack_in(answer) == packed


async def test_who_wants_less_or_speaks_otherwise_gets_a_pack_of_their_own(tmp_path: Path) -> None:
    """One tip of two, a depth, a filter, something they have, a reader without offset deltas."""
    side = commit(PLAIN.oid, [HEAD.oid])
    packed = pack_of(BLOB, PLAIN, HEAD, side)
    async with open_door(tmp_path) as door:
        both = [f"{ZERO} {HEAD.oid} {MAIN_REF}", f"{ZERO} {side.oid} {SIDE_REF}"]
        assert report(await door.push(push_body(both, packed)))[0] == "unpack ok"
        assert await judged(door)
        wants = (f"want {HEAD.oid}", f"want {side.oid}")
        assert pack_in(await door.fetch(asking("fetch", *FULL, *wants, "done"))) == packed
        for lines in (
            (*FULL, wants[0], "done"),
            (*FULL, *wants, "deepen 1", "done"),
            (*FULL, *wants, "filter blob:none", "done"),
            (*FULL, *wants, f"have {HEAD.oid}", "done"),
            (*FULL[:3], *wants, "done"),
            (*FULL, *wants, "wait-for-done", "done"),
        ):
            answer = await door.fetch(asking("fetch", *lines))

            assert answer.status_code == 200
            assert packed not in pack_in(answer), lines


async def test_bad_C14_a_pack_with_more_than_refs_reach_is_not_streamed(tmp_path: Path) -> None:
    """One pack brought a secret that a force push took back: from then on clones are packed anew."""
    secret = RawObject("blob", b"a secret\n")
    hidden_tree = tree(("100644", b"secret", secret.oid))
    hidden = commit(hidden_tree.oid, [HEAD.oid])
    packed = pack_of(BLOB, PLAIN, HEAD, secret, hidden_tree, hidden)
    async with open_door(tmp_path) as door:
        assert report(await door.push(push_body([f"{ZERO} {hidden.oid} {MAIN_REF}"], packed)))[1] == f"ok {MAIN_REF}"
        assert await judged(door)
        assert pack_in(await door.fetch(clone_of(hidden.oid))) == packed
        back = await door.push(push_body([f"{hidden.oid} {HEAD.oid} {MAIN_REF}"], pack_of()))
        assert report(back)[1] == f"ok {MAIN_REF}"
        at_once = await door.fetch(clone_of(HEAD.oid))
        assert not await judged(door)
        later = await door.fetch(clone_of(HEAD.oid))
        asked = await door.fetch(clone_of(hidden.oid))

    for answer in (at_once, later):
        got = pack_in(answer)
        assert int.from_bytes(got[8:12], "big") == 3
        assert packed[-20:] not in got
    assert packets(asked.content) == [f"ERR upload-pack: not our ref {hidden.oid}\n".encode()]


async def test_fault_F09_a_whole_pack_that_rotted_is_never_given_whole(tmp_path: Path) -> None:
    """The sum at its end is looked at before the end is sent: the client is cut off, and the node looks at its disk."""
    async with open_door(tmp_path, pushed=True) as door:
        assert await judged(door)
        (stored,) = (door.node.database.parent / "packs").glob("*.pack")
        stored.chmod(0o600)
        with stored.open("r+b") as file:  # in place, as a disk does it
            file.seek(20)
            file.write(bytes((PACK[20] ^ 8,)))
        answer = await door.fetch(clone_of(HEAD.oid))
        with trio.fail_after(PATIENCE_SECONDS):
            while not (await door.node.http.get("/api/guts/v1/status")).json().get("damage"):  # noqa: ASYNC110 -- the node reads its disk
                await trio.sleep(0.05)

    assert answer.status_code == 503
    assert "this node's copy of the pack is damaged" in answer.text
    assert b"PACK" not in answer.content


async def test_clones_of_whole_packs_are_bounded_too(tmp_path: Path) -> None:
    """Those who do not read hold their places; the next one is told when to come back."""
    noise = RawObject("blob", hashlib.shake_256(b"noise").digest(24 << 20))
    top = commit(tree(("100644", b"noise", noise.oid)).oid)
    packed = pack_of(noise, tree(("100644", b"noise", noise.oid)), top)
    settings = Settings(fetches_max=1, queue_seconds=0.2, turns_percent_per_address=100)
    async with open_door(tmp_path, settings) as door:
        assert report(await door.push(push_body([f"{ZERO} {top.oid} {MAIN_REF}"], packed)))[1] == f"ok {MAIN_REF}"
        assert await judged(door)
        body = clone_of(top.oid)
        ask = b"POST /alice/door.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\n"
        ask += b"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: %d\r\n\r\n" % len(body)
        host, _, port = door.node.url.removeprefix("http://").rpartition(":")
        with trio.fail_after(180):
            streams = [await trio.open_tcp_stream(host, int(port)) for _ in range(8)]
            for stream in streams:
                await stream.send_all(ask + body)
                assert b"200" in await stream.receive_some(1000)
            refused = await door.fetch(body)
            for stream in streams:
                await trio.aclose_forcefully(stream)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "clones of whole packs at once" in refused.text
