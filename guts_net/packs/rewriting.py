"""
Making the pack that is to replace others: which packs it concerns, and what goes into it.

Garbage goes pack by pack: only packs with objects that no ref reaches are written anew, however large the rest is.
Without garbage small packs are merged, so that each that stays is as large as all smaller ones together: an object is
written anew as often as its repository doubles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import frozen

from guts_core.errors import Unavailable
from guts_core.forge.records import Pack
from guts_core.git.pack_limits import OBJECTS_MAX
from guts_core.names import Oid

from .git_child import GitChildren
from .index_file import names_in_order
from .layout import Layout
from .store import PackStore

# Fewer are no burden: every reader opens each index.
MERGED_LEAST = 8
# A line for each object that refs reach; a repository with more is left as it is.
REACHED_BYTES_MAX = 41 * OBJECTS_MAX
# Written from what is compressed already; what has to be compressed anew is bounded like a push.
WRITE_SECONDS = 1800.0


@frozen
class Plan:
    """Which packs go, and the objects of the new one; none: what they held is held elsewhere, or needed no more."""

    replaced: tuple[Pack, ...]
    drops: bool
    objects: frozenset[Oid]


def to_merge(packs: Sequence[Pack]) -> tuple[Pack, ...]:
    """The smallest packs, if enough of them are smaller than a geometric row would have them; else none."""
    rising = sorted(packs, key=lambda pack: (pack.objects, pack.seq))
    merged, held = 0, 0
    for count, pack in enumerate(rising):
        if pack.objects < held:
            merged = count + 1
        held += pack.objects
    return tuple(sorted(rising[:merged], key=lambda pack: pack.seq)) if merged >= MERGED_LEAST else ()


async def plan(git: GitChildren, git_dir: Path, layout: Layout, packs: Sequence[Pack]) -> Plan | None:
    """What to do about these packs of a repository, whose refs git_dir shows; None: nothing."""
    reached = await _reached(git, git_dir)
    without_garbage = await trio.to_thread.run_sync(_without_garbage, layout, packs, reached)
    if without_garbage is not None:
        return without_garbage
    merged = to_merge(packs)
    if not merged:
        return None
    return Plan(merged, drops=False, objects=await trio.to_thread.run_sync(_names, layout, merged))


@asynccontextmanager
async def written(packs: PackStore, git_dir: Path, objects: frozenset[Oid]) -> AsyncIterator[Path]:
    """A pack of these objects, which git_dir sees, in quarantine; removed when the block ends."""
    async with packs.scratch() as place:
        answer = await packs.git.run(
            "pack-objects", "--delta-base-offset", "--threads=1", "-q", str(place / "new"),
            git_dir=git_dir, stdin=b"".join(oid.hex().encode() + b"\n" for oid in sorted(objects)),
            seconds=WRITE_SECONDS, is_large=True,
        )  # fmt: skip
        if answer.code != 0:
            raise Unavailable(f"git could not write the new pack: {answer.words.strip()[-200:]}")
        yield next(place.glob("new-*.pack"))


async def _reached(git: GitChildren, git_dir: Path) -> frozenset[Oid]:
    answer = await git.run(
        "rev-list", "--objects", "--no-object-names", "--all",
        git_dir=git_dir, seconds=WRITE_SECONDS, output_bytes_max=REACHED_BYTES_MAX, is_large=True,
    )  # fmt: skip
    if answer.code != 0:
        raise Unavailable("the history of this repository is not complete on this node yet")
    return await trio.to_thread.run_sync(_oids, answer.output)


def _oids(lines: bytes) -> frozenset[Oid]:
    return frozenset(Oid(bytes.fromhex(line.decode("ascii"))) for line in lines.split())


def _without_garbage(layout: Layout, packs: Sequence[Pack], reached: frozenset[Oid]) -> Plan | None:
    held = {pack: _names(layout, (pack,)) for pack in packs}
    replaced = tuple(pack for pack in packs if not held[pack] <= reached)
    if not replaced:
        return None
    kept: set[Oid] = set().union(*(held[pack] for pack in packs if pack not in replaced))
    needed = frozenset[Oid]().union(*(held[pack] for pack in replaced)) & reached
    return Plan(replaced, drops=True, objects=needed - kept)


def _names(layout: Layout, packs: Sequence[Pack]) -> frozenset[Oid]:
    return frozenset(names_in_order([layout.idx(pack.digest) for pack in packs]))
