"""What a push does to each ref, as every attester finds it (``architecture.md`` 5, two facts about each update)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from guts_core.errors import Conflict, Invalid
from guts_core.forge.actions import Relation, SourceKind, Update
from guts_core.names import Oid, RefName
from guts_net.packs import MissingObjects
from tests.fixtures import git_history
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, git
from tests.net.packs.pack_world import (
    OFS_DELTA,
    OTHER_REPO,
    REPO,
    Move,
    World,
    entry,
    entry_head,
    oid,
    pack_from,
    pack_of,
    pack_of_entries,
    ref_delta,
    refs_of,
)

GONE = "ab" * 20


def at(source: Path, revision: str) -> str:
    return git(source, "rev-parse", revision).decode().strip()


async def facts(
    world: World, refs: Mapping[RefName, Oid], *moves: Move, pack: bytes | None = None
) -> tuple[tuple[Update, ...], dict[str, Exception]]:
    found = await world.store.facts(REPO, refs, [move.command() for move in moves], pack)
    return found.updates, dict(found.refused)


async def fact(
    world: World, refs: Mapping[RefName, Oid], move: Move, pack: bytes | None = None
) -> tuple[Relation, SourceKind]:
    (update,), refused = await facts(world, refs, move, pack=pack)
    assert refused == {}
    assert (update.ref, update.old, update.new) == (move.ref, move.command().old, move.command().new)
    return update.relation, update.source


async def test_a_new_branch_comes_from_the_pack(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main"))
    move = Move("refs/heads/main", None, at(source, "main"))

    assert await fact(world, {}, move, digest) == (Relation.CREATED, SourceKind.PACK)


async def test_facts_are_the_same_before_and_after_the_pack_is_kept(world: World, source: Path) -> None:
    """The gateway asks before, a validator after; one that has linked it already asks of the repository."""
    await world.push(pack_from(source, "main~1"))
    refs = refs_of(main=at(source, "main~1"))
    move = Move("refs/heads/main", at(source, "main~1"), at(source, "main")).command()
    async with world.store.incoming() as incoming:
        await incoming.write(pack_from(source, "main", "^main~1"))
        checked = await incoming.check(REPO)
        assert checked is not None

        quarantined = await world.store.facts(REPO, refs, [move], checked)
        await world.store.keep(checked)
        kept = await world.store.facts(REPO, refs, [move], checked)
        by_digest = await world.store.facts(REPO, refs, [move], checked.blob.digest)
    await world.store.link(REPO, checked.blob.digest)
    linked = await world.store.facts(REPO, refs, [move], checked.blob.digest)

    expected = Update(move.ref, move.old, move.new, Relation.FAST_FORWARD, SourceKind.PACK)
    assert quarantined.answers == kept.answers == by_digest.answers == linked.answers == (expected,)


async def test_a_fast_forward_over_several_commits(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main"))
    refs = refs_of(main=at(source, "main~2"))

    found = await fact(world, refs, Move("refs/heads/main", at(source, "main~2"), at(source, "main")), digest)

    assert found == (Relation.FAST_FORWARD, SourceKind.PACK)


@pytest.mark.parametrize("new", ["side", "main~2"], ids=["beside", "back"])
async def test_moving_a_branch_aside_or_back_is_forced(world: World, source: Path, new: str) -> None:
    digest = await world.push(pack_from(source, "main", "side"))
    refs = refs_of(main=at(source, "main"))

    found = await fact(world, refs, Move("refs/heads/main", at(source, "main"), at(source, new)), digest)

    assert found == (Relation.FORCED, SourceKind.PACK)


async def test_deleting_needs_no_object(world: World) -> None:
    move = Move("refs/heads/main", GONE, None)

    assert await fact(world, refs_of(main=GONE), move) == (Relation.DELETED, SourceKind.NONE)


async def test_what_a_visible_ref_reaches_exists_already(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main"))
    refs = refs_of(main=at(source, "main"))

    for revision in ("main", "main~1", "main~2"):
        found = await fact(world, refs, Move("refs/heads/new", None, at(source, revision)))
        assert found == (Relation.CREATED, SourceKind.EXISTING)


async def test_what_only_a_deleted_branch_reached_is_missing(world: World, source: Path) -> None:
    """C14: objects stay on disk for a while; a push must not bring them back by name."""
    await world.push(pack_from(source, "main", "side"))
    move = Move("refs/heads/back", None, at(source, "side"))

    updates, refused = await facts(world, refs_of(main=at(source, "main")), move)

    assert updates == ()
    assert isinstance(refused["refs/heads/back"], MissingObjects)
    assert f"missing necessary objects: {at(source, 'side')}" in str(refused["refs/heads/back"])


async def test_what_another_repository_has_is_missing(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main"), OTHER_REPO)

    updates, refused = await facts(world, {}, Move("refs/heads/main", None, at(source, "main")))

    assert updates == ()
    assert isinstance(refused["refs/heads/main"], MissingObjects)


async def test_an_object_that_is_nowhere_is_missing(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main"))

    _, refused = await facts(world, {}, Move("refs/heads/main", None, GONE), pack=digest)

    assert isinstance(refused["refs/heads/main"], MissingObjects)


async def test_one_bad_ref_does_not_hide_the_others(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main"))
    good = Move("refs/heads/good", None, at(source, "main"))
    bad = Move("refs/heads/bad", None, GONE)
    stale = Move("refs/heads/stale", GONE, at(source, "main"))

    updates, refused = await facts(world, {}, bad, good, stale, pack=digest)

    assert [update.ref for update in updates] == ["refs/heads/good"]
    assert set(refused) == {"refs/heads/bad", "refs/heads/stale"}


@pytest.mark.parametrize("current", [None, "main~1"], ids=["gone", "moved"])
async def test_a_stale_push_says_so(world: World, source: Path, current: str | None) -> None:
    digest = await world.push(pack_from(source, "main"))
    refs = refs_of(main=at(source, current)) if current else {}
    move = Move("refs/heads/main", at(source, "main~2"), at(source, "main"))

    _, refused = await facts(world, refs, move, pack=digest)

    assert isinstance(refused["refs/heads/main"], Conflict)
    assert str(refused["refs/heads/main"]).startswith("stale: ")


async def test_a_push_that_came_through_already_has_the_same_facts(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main"))
    move = Move("refs/heads/main", at(source, "main~1"), at(source, "main"))

    again = await fact(world, refs_of(main=at(source, "main")), move, digest)

    assert again == (Relation.FAST_FORWARD, SourceKind.PACK)


@pytest.mark.parametrize(("revision", "kind"), [("v1", "tag"), ("main^{tree}", "tree"), ("main:dir/file1", "blob")])
async def test_a_branch_points_at_commits_only(world: World, source: Path, revision: str, kind: str) -> None:
    digest = await world.push(pack_from(source, "main", "v1"))
    new = at(source, revision)

    _, refused = await facts(world, {}, Move("refs/heads/main", None, new), pack=digest)

    assert isinstance(refused["refs/heads/main"], Invalid)
    assert str(refused["refs/heads/main"]).endswith(f"is a {kind}")
    found = await fact(world, {}, Move("refs/tags/any", None, new), digest)
    assert found == (Relation.CREATED, SourceKind.PACK)


async def test_a_light_tag_moves_like_a_branch_and_an_annotated_one_is_replaced(world: World, source: Path) -> None:
    digest = await world.push(pack_from(source, "main", "v1", "v1-again"))
    light, annotated = RefName("refs/tags/light"), RefName("refs/tags/v1")
    refs = {light: oid(at(source, "main~2")), annotated: oid(at(source, "v1"))}

    updates, refused = await facts(
        world,
        refs,
        Move(light, at(source, "main~2"), at(source, "main")),
        Move(annotated, at(source, "v1"), at(source, "v1-again")),
        pack=digest,
    )

    assert refused == {}
    assert [update.relation for update in updates] == [Relation.FAST_FORWARD, Relation.FORCED]


async def test_tags_trees_and_blobs_that_refs_reach_exist_already(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main", "v1-again"))
    refs = {RefName("refs/tags/outer"): oid(at(source, "v1-again"))}

    for revision in ("v1-again", "v1", "v1^{commit}", "main~1^{tree}", "main~1:dir/file2"):
        found = await fact(world, refs, Move("refs/tags/again", None, at(source, revision)))
        assert found == (Relation.CREATED, SourceKind.EXISTING), revision
    _, refused = await facts(world, refs, Move("refs/tags/again", None, at(source, "main:dir/file3")))
    assert isinstance(refused["refs/tags/again"], MissingObjects)


async def test_a_swap_of_two_branches_without_a_pack(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main", "side"))
    main, side = at(source, "main"), at(source, "side")

    updates, refused = await facts(
        world, refs_of(main=main, side=side), Move("refs/heads/main", main, side), Move("refs/heads/side", side, main)
    )

    assert refused == {}
    assert {(u.relation, u.source) for u in updates} == {(Relation.FORCED, SourceKind.EXISTING)}


async def test_a_manifest_can_be_checked_by_its_own_updates(world: World, source: Path) -> None:
    """Attesters compute facts for what the manifest claims and compare."""
    digest = await world.push(pack_from(source, "main"))
    old, new = oid(at(source, "main~1")), oid(at(source, "main"))
    lie = Update("refs/heads/main", new, old, Relation.FAST_FORWARD, SourceKind.EXISTING)

    found = await world.store.facts(REPO, {RefName("refs/heads/main"): new}, [lie], digest)

    assert found.answers == (Update("refs/heads/main", new, old, Relation.FORCED, SourceKind.PACK),)


async def test_neither_old_nor_new_is_refused(world: World) -> None:
    _, refused = await facts(world, {}, Move("refs/heads/main", None, None))

    assert isinstance(refused["refs/heads/main"], Invalid)


async def test_asking_for_facts_leaves_nothing(world: World) -> None:
    root = commit(PLAIN.oid)
    digest = await world.push(pack_of(BLOB, PLAIN, root, RawObject("blob", b"other")))
    before = world.files()

    await facts(world, {}, Move("refs/heads/main", None, root.oid), pack=digest)

    assert world.files() == before
    assert list(world.store.layout.quarantine.iterdir()) == []


async def test_a_usual_push_is_read_in_its_pack_alone(
    world: World, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One commit on another is read in its pack alone: at four validators on one machine that is half of its time."""
    await world.push(pack_from(source, "main~2"))
    digest = await world.push(pack_from(source, "main", "^main~2"))
    refs = refs_of(main=at(source, "main~2"))
    move = Move("refs/heads/main", at(source, "main~2"), at(source, "main"))
    monkeypatch.setenv("PATH", "/nonexistent")

    found = await fact(world, refs, move, digest)

    assert found == (Relation.FAST_FORWARD, SourceKind.PACK)


async def test_a_header_that_only_looks_like_a_parent_proves_nothing(world: World) -> None:
    """Git reads parents right after the tree; a claim of descent further down must not pass for one."""
    old = commit(PLAIN.oid, message="old\n")
    liar = commit(PLAIN.oid, extra=f"parent {old.oid}\n")
    digest = await world.push(pack_of(BLOB, PLAIN, old, liar))

    found = await fact(world, refs_of(main=old.oid), Move("refs/heads/main", old.oid, liar.oid), digest)

    assert found == (Relation.FORCED, SourceKind.PACK)


async def test_deltas_and_long_histories_give_the_same_facts(world: World, tmp_path: Path) -> None:
    """What the glance cannot tell, git does."""
    git_history.generate(tmp_path / "big", objects=2_000)
    digest = await world.push(pack_from(tmp_path / "big", "main", "side"))
    tip = at(tmp_path / "big", "main")

    for old, relation in (("main~1", Relation.FAST_FORWARD), ("main~300", Relation.FAST_FORWARD), ("side", None)):
        oid_of_old = at(tmp_path / "big", old)
        is_ancestor = git(tmp_path / "big", "merge-base", oid_of_old, tip).decode().strip() == oid_of_old
        found = await fact(world, refs_of(main=oid_of_old), Move("refs/heads/main", oid_of_old, tip), digest)
        expected = relation or (Relation.FAST_FORWARD if is_ancestor else Relation.FORCED)
        assert found == (expected, SourceKind.PACK), old


async def test_kinds_are_found_through_deltas(world: World, source: Path) -> None:
    base = RawObject("blob", bytes(range(256)) * 20)
    changed = RawObject("blob", base.body + b"more")
    init = pack_of_entries([entry(base), ref_delta(base.oid, _append(base.body, b"more"))])
    offset = entry(base)
    by_offset = pack_of_entries([offset, _ofs_delta(len(offset), _append(base.body, b"more"))])

    for pack in (init, by_offset):
        digest = await world.push(pack)
        _, refused = await facts(world, {}, Move("refs/heads/main", None, changed.oid), pack=digest)
        assert str(refused["refs/heads/main"]).endswith("is a blob")


def _append(base: bytes, more: bytes) -> bytes:
    """A delta: copy all of the base (at most 64 KiB), then insert."""
    return (
        _size(len(base))
        + _size(len(base) + len(more))
        + b"\xb0"
        + len(base).to_bytes(2, "little")
        + bytes([len(more)])
        + more
    )


def _size(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _ofs_delta(back: int, delta: bytes) -> bytes:
    """An entry whose base starts ``back`` bytes before it (gitformat-pack's odd varint)."""
    digits = [back & 0x7F]
    while back := back >> 7:
        back -= 1
        digits.insert(0, back & 0x7F | 0x80)
    return entry_head(OFS_DELTA, len(delta)) + bytes(digits) + zlib.compress(delta)
