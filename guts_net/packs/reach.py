"""
Whether packs hold exactly what refs reach, asked of git over a projected directory.

Closure holds already: every object that refs reach is in a listed pack (attesters saw to it). So the packs
hold nothing else exactly when there are as many different objects in them as refs reach. After a push onto
what was exact before, only what the push brought is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import trio
from attrs import frozen

from guts_core.errors import LimitExceeded, Unavailable
from guts_core.names import Oid

from .git_child import GitChildren
from .index_file import count_of, names_in_order

# Counting a history of ten million objects takes git a minute or two of a core that others use as well.
COUNT_SECONDS = 900.0
# A line for each object of a push: what brings more than some 400,000 is counted with everything else.
NEWS_BYTES_MAX = 16 << 20


@frozen
class Exact:
    """Refs and packs that were found to be exact: the packs hold what these tips reach, and nothing else."""

    tips: frozenset[Oid]
    packs: frozenset[Path]  # indexes


async def holds_only_reachable(
    git: GitChildren, git_dir: Path, tips: frozenset[Oid], indexes: Sequence[Path], before: Exact | None
) -> bool:
    """Whether every object in the packs with these indexes is reached from the tips, which are all refs of git_dir."""
    if before is not None and before.packs <= frozenset(indexes):
        try:
            grown = await _has_only_grown(git, git_dir, tips, indexes, before)
        except LimitExceeded:
            grown = None
        if grown is not None:
            return grown
    return await _counts_agree(git, git_dir, indexes)


async def _has_only_grown(
    git: GitChildren, git_dir: Path, tips: frozenset[Oid], indexes: Sequence[Path], before: Exact
) -> bool | None:
    """The answer by what is new alone; None where something old may be out of reach now."""
    gone = before.tips - tips
    if gone and await _listed(git, git_dir, gone, tips):
        return None
    new_packs = [index for index in indexes if index not in before.packs]
    reached = await _listed(git, git_dir, tips - before.tips, before.tips) if new_packs else b""
    return await trio.to_thread.run_sync(_are_among, new_packs, reached, tuple(before.packs))


def _are_among(new_packs: Iterable[Path], reached: bytes, old_packs: Sequence[Path]) -> bool:
    """Whether each object of the new packs is among those listed or stands in an old pack (blocks)."""
    listed = {bytes.fromhex(line.decode("ascii")) for line in reached.split()}
    left = {name for index in new_packs for name in names_in_order([index]) if name not in listed}
    if not left:
        return True
    for index in old_packs:
        left.difference_update(names_in_order([index]))
    return not left


async def _counts_agree(git: GitChildren, git_dir: Path, indexes: Sequence[Path]) -> bool:
    answer = await git.run(
        "rev-list", "--objects", "--all", "--count", git_dir=git_dir, seconds=COUNT_SECONDS, is_large=True
    )
    if answer.code != 0:
        raise Unavailable("the history of this repository is not complete on this node yet")
    return await trio.to_thread.run_sync(_are_so_many, indexes, int(answer.output))


def _are_so_many(indexes: Sequence[Path], reached: int) -> bool:
    """Packs seldom share objects, and then the sum says it all (blocks)."""
    if sum(map(count_of, indexes)) == reached:
        return True
    return sum(1 for _ in names_in_order(indexes)) == reached


async def _listed(git: GitChildren, git_dir: Path, tips: frozenset[Oid], known: frozenset[Oid]) -> bytes:
    """A line for each object that the tips reach and the known ones do not, and for some that both do."""
    if not tips:
        return b""
    answer = await git.run(
        "rev-list",
        "--objects",
        "--no-object-names",
        "--stdin",
        git_dir=git_dir,
        stdin=_lines(tips) + _lines(known, b"^"),
        seconds=COUNT_SECONDS,
        output_bytes_max=NEWS_BYTES_MAX,
        is_large=True,
    )
    if answer.code != 0:
        raise Unavailable("the history of this repository is not complete on this node yet")
    return answer.output


def _lines(oids: frozenset[Oid], sign: bytes = b"") -> bytes:
    return b"".join(sign + oid.hex().encode() + b"\n" for oid in sorted(oids))
