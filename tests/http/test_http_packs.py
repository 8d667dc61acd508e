"""The door to packs: the list, ranges, caches, who may have them, and what is not handed out."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from guts_core.git.chunks import BlobDigest
from guts_core.proof import ProvenPacks, about_packs, verify
from guts_http.packs.ranges import Part, is_same, part
from tests.http.node_world import Node, a_history, bearing, git, open_world

ETAG = '"e"'


def digest(data: bytes) -> str:
    hashed = BlobDigest()
    hashed.update(data)
    return hashed.finish().digest.hex()


async def packs(node: Node, name: str, tail: str = "", token: str | None = None, **headers: str) -> httpx.Response:
    said = {**headers, **(bearing(token) if token else {})}
    return await node.http.get(f"/api/guts/v1/repos/{name}/packs{tail}", headers=said)


async def pushed(node: Node, path: Path, name: str, *, private: bool = False) -> tuple[str, Path]:
    """A repository with a history: alice's token, and her work tree."""
    token = await node.token("alice")
    await node.create(token, name.partition("/")[2], private=private)
    work = await a_history(path / "work")
    await git(work, "push", "-q", node.remote(f"{name}.git", "alice", token), "HEAD:main")
    return token, work


async def test_packs_are_listed_and_are_what_state_says_they_are(tmp_path: Path) -> None:
    """The digests of the list are those that a proof shows, and the bytes have them."""
    async with open_world(tmp_path) as node:
        await pushed(node, tmp_path, "alice/hello")
        said = await packs(node, "alice/hello")
        one = said.json()["packs"][0]
        pack = await packs(node, "alice/hello", f"/{one['digest']}.pack")
        idx = await packs(node, "alice/hello", f"/{one['digest']}.idx")
        proof = await node.http.get("/api/guts/v1/proof?repo=alice/hello&refs=all&packs=all")
        shown = verify(proof.content, node.genesis, about_packs("alice", "hello")).answer

    assert said.status_code == 200
    assert (said.json()["clean"], said.json()["reason"]) == (True, None)
    assert said.headers["cache-control"] == "private, no-store"
    assert isinstance(shown, ProvenPacks)
    listed = [(each.seq, each.digest.hex(), each.idx_digest.hex(), each.size, each.objects) for each in shown.packs]
    assert listed == [(0, one["digest"], one["idx_digest"], one["size"], one["objects"])]
    assert one["held"] is True
    assert said.json()["generation"] == shown.repository.generation
    assert (pack.status_code, idx.status_code) == (200, 200)
    assert digest(pack.content) == one["digest"]
    assert digest(idx.content) == one["idx_digest"]
    assert len(pack.content) == one["size"] == int(pack.headers["content-length"])
    assert pack.headers["etag"] == f'"{one["digest"]}"'
    assert pack.headers["cache-control"] == "no-cache"


async def test_parts_of_a_pack_make_up_the_whole(tmp_path: Path) -> None:
    """Ranges, a file that the client has, one that it has not, and no byte at all."""
    async with open_world(tmp_path) as node:
        await pushed(node, tmp_path, "alice/hello")
        (one,) = (await packs(node, "alice/hello")).json()["packs"]
        tail, size = f"/{one['digest']}.pack", one["size"]
        whole = await packs(node, "alice/hello", tail)
        begin = await packs(node, "alice/hello", tail, range="bytes=0-9")
        rest = await packs(node, "alice/hello", tail, range="bytes=10-")
        beyond = await packs(node, "alice/hello", tail, range=f"bytes={size}-")
        same = await packs(node, "alice/hello", tail, **{"if-none-match": whole.headers["etag"]})
        other = await packs(node, "alice/hello", tail, range="bytes=0-9", **{"if-range": '"other"'})
        head = await node.http.head(f"/api/guts/v1/repos/alice/hello/packs{tail}")
        posted = await node.http.post(f"/api/guts/v1/repos/alice/hello/packs{tail}")

    assert (begin.status_code, rest.status_code) == (206, 206)
    assert begin.headers["content-range"] == f"bytes 0-9/{size}"
    assert begin.content + rest.content == whole.content
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert (same.status_code, same.content) == (304, b"")
    assert (other.status_code, other.content) == (200, whole.content)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    assert posted.status_code == 400


async def test_packs_of_a_private_repository_are_for_who_may_read_it(tmp_path: Path) -> None:
    async with open_world(tmp_path) as node:
        token, _ = await pushed(node, tmp_path, "alice/secret", private=True)
        stranger = await node.token("bob")
        (one,) = (await packs(node, "alice/secret", token=token)).json()["packs"]
        tail = f"/{one['digest']}.pack"
        mine = await packs(node, "alice/secret", tail, token)
        refused = [await packs(node, "alice/secret", each, who) for each in ("", tail) for who in (None, stranger)]

    assert mine.status_code == 200
    assert mine.headers["cache-control"] == "private, no-cache"
    assert [each.status_code for each in refused] == [404] * 4


@pytest.mark.parametrize("kind", ["pack", "idx"])
async def test_what_a_cache_keeps_is_asked_for_each_time(tmp_path: Path, kind: str) -> None:
    """It is told that nothing changed while that is so; and nothing of the kind once the repository is private."""
    async with open_world(tmp_path) as node:
        token, _ = await pushed(node, tmp_path, "alice/hello")
        (one,) = (await packs(node, "alice/hello")).json()["packs"]
        tail = f"/{one['digest']}.{kind}"
        first = await packs(node, "alice/hello", tail)
        part_of_it = await packs(node, "alice/hello", tail, range="bytes=0-9")
        kept = {"if-none-match": first.headers["etag"]}
        same = await packs(node, "alice/hello", tail, **kept)
        packed = await packs(node, "alice/hello", tail, **{"if-none-match": f"W/{first.headers['etag']}"})
        await node.http.patch("/api/v3/repos/alice/hello", json={"private": True}, headers=bearing(token))
        hidden = await packs(node, "alice/hello", tail, **kept)
        mine = await packs(node, "alice/hello", tail, token, **kept)

    named = one["digest"] if kind == "pack" else one["idx_digest"]
    assert first.headers["etag"] == f'"{named}"'
    for answer in (first, part_of_it, same, packed):
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["etag"] == first.headers["etag"]
    assert [(each.status_code, each.content) for each in (same, packed)] == [(304, b"")] * 2
    assert hidden.status_code == 404
    assert (mine.status_code, mine.headers["cache-control"]) == (304, "private, no-cache")


async def test_a_pack_of_another_repository_is_not_listed_here(tmp_path: Path) -> None:
    """A digest alone opens nothing: what is asked for must be on this repository's list."""
    async with open_world(tmp_path) as node:
        token, _ = await pushed(node, tmp_path, "alice/secret", private=True)
        await node.create(token, "public")
        (one,) = (await packs(node, "alice/secret", token=token)).json()["packs"]
        taken = await packs(node, "alice/public", f"/{one['digest']}.pack", token)
        empty = await packs(node, "alice/public")
        nowhere = await packs(node, "alice/nothing")

    assert (taken.status_code, taken.json()["message"]) == (404, "this repository lists no such pack")
    assert (empty.json()["clean"], empty.json()["packs"]) == (True, [])
    assert nowhere.status_code == 404


async def test_what_was_overwritten_is_not_handed_out(tmp_path: Path) -> None:
    """After a force push the pack still holds the secret: neither list nor digest gives it away."""
    async with open_world(tmp_path) as node:
        token, work = await pushed(node, tmp_path, "alice/hello")
        (one,) = (await packs(node, "alice/hello")).json()["packs"]
        await git(work, "commit", "-q", "--amend", "-m", "without the secret")
        forced = await git(work, "push", "-qf", node.remote("alice/hello.git", "alice", token), "HEAD:main")
        said = (await packs(node, "alice/hello")).json()
        kept = [await packs(node, "alice/hello", f"/{one['digest']}.{kind}") for kind in ("pack", "idx")]
        cached = await packs(node, "alice/hello", f"/{one['digest']}.pack", **{"if-none-match": f'"{one["digest"]}"'})

    assert forced.code == 0, forced.err
    assert (said["clean"], said["reason"]) == (False, "its packs hold objects that no ref reaches")
    assert [each.status_code for each in (*kept, cached)] == [409, 409, 409]
    assert kept[0].json()["message"] == "its packs hold objects that no ref reaches: clone by git's own protocol"


async def test_a_pack_that_is_not_here_is_to_be_had_elsewhere(tmp_path: Path) -> None:
    """A file that is gone or cut short is 503, never other bytes."""
    async with open_world(tmp_path) as node:
        await pushed(node, tmp_path, "alice/hello")
        (one,) = (await packs(node, "alice/hello")).json()["packs"]
        file = node.database.parent / "packs" / f"{one['digest']}.pack"
        data = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(data[:-1])
        cut = await packs(node, "alice/hello", f"/{one['digest']}.pack")
        file.unlink()
        gone = await packs(node, "alice/hello", f"/{one['digest']}.pack")

    assert (cut.status_code, cut.headers["retry-after"]) == (503, "5")
    assert (gone.status_code, gone.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, Part(0, 10, 10)),
        ("bytes=0-", Part(0, 10, 10)),
        ("bytes=3-5", Part(3, 6, 10)),
        ("bytes=3-99", Part(3, 10, 10)),
        ("bytes=-4", Part(6, 10, 10)),
        ("bytes=-99", Part(0, 10, 10)),
        ("bytes=10-", None),
        ("bytes=-0", None),
        ("bytes=-", Part(0, 10, 10)),
        ("bytes=5-3", Part(0, 10, 10)),
        ("bytes=0-1,4-5", Part(0, 10, 10)),
        ("lines=0-1", Part(0, 10, 10)),
        ("bytes=٣-5", Part(0, 10, 10)),
    ],
)
def test_one_range_of_bytes_is_understood(asked: str | None, found: Part | None) -> None:
    assert part(10, asked, None, ETAG) == found


def test_an_empty_file_has_no_range() -> None:
    assert part(0, None, None, ETAG) == Part(0, 0, 0)
    assert part(0, "bytes=0-", None, ETAG) is None


def test_etags_are_compared_as_they_stand() -> None:
    assert is_same('"a", "e"', ETAG)
    assert is_same("*", ETAG)
    assert not is_same('"a"', ETAG)
    assert not is_same(None, ETAG)
    assert part(10, "bytes=0-1", ETAG, ETAG) == Part(0, 2, 10)
