"""
Whether what a pack holds can be read with bounded work by everybody who will (``reliability.md`` C03-C07).

git itself takes chains of 100,000 deltas, trees 5,000 deep and commits with 100,000 parents. What one push
brings is judged; trees that lead on into what the repository already has are walked too, as far as the limit.
"""

from __future__ import annotations

from pathlib import Path

import trio

from guts_core.errors import LimitExceeded
from guts_core.git.pack_limits import OF_VALIDATORS, TREE_BYTES_MAX, PackLimits
from guts_core.names import Oid

from .git_child import GitChildren
from .limits import CHECK_CPU_SECONDS_LEAST, check_seconds
from .refusals import BadPack
from .survey import check_parents, survey

# Of a mebibyte each at most, so that their sum stays below what a child may answer.
_COMMITS_AT_ONCE = 60
_HEAD_BYTES = 80
_OID_BYTES = 20
# Of a large import, some 200,000 changes: who brings more, or a bomb, is walked a second later.
_PATHS_BYTES_MAX = 8 << 20


async def check_readable(git: GitChildren, git_dir: Path, pack: Path, limits: PackLimits = OF_VALIDATORS) -> None:
    """Raise LimitExceeded with the object and the limit; ``pack`` stands indexed in this git directory."""
    found = await trio.to_thread.run_sync(survey, pack, pack.with_suffix(".idx"), limits)
    for at in range(0, len(found.long_commits), _COMMITS_AT_ONCE):
        for oid, commit in await _objects(git, git_dir, found.long_commits[at : at + _COMMITS_AT_ONCE]):
            check_parents(oid, commit, limits.parents)
    for tree in found.large_trees:
        await _check_entries(git, git_dir, tree, limits.tree_entries)
    if found.commits and not await _changes_are_shallow(git, git_dir, found.commits, limits.tree_depth):
        size = (await trio.Path(pack).stat()).st_size
        await _check_depth(git, git_dir, found.commits, limits.tree_depth, check_seconds(size))


async def _objects(git: GitChildren, git_dir: Path, oids: tuple[Oid, ...]) -> list[tuple[Oid, bytes]]:
    answer = await git.run("cat-file", "--batch", git_dir=git_dir, stdin=_lines(oids))
    objects, at = [], 0
    for oid in oids:
        head, _, _ = answer.output[at : at + _HEAD_BYTES].partition(b"\n")
        start, size = at + len(head) + 1, int(head.split(b" ")[2])
        objects.append((oid, answer.output[start : start + size]))
        at = start + size + 1
    return objects


async def _check_entries(git: GitChildren, git_dir: Path, tree: Oid, most: int) -> None:
    answer = await git.run(
        "cat-file", "tree", tree.hex(), git_dir=git_dir, output_bytes_max=TREE_BYTES_MAX, is_large=True
    )
    entries = await trio.to_thread.run_sync(_entries_of, answer.output)
    if entries > most:
        raise LimitExceeded(f"tree {tree.hex()} has {entries} entries; at most {most} are taken")


def _entries_of(tree: bytes) -> int:
    """How many entries git's parser, which has seen this tree, finds."""
    entries, at = 0, 0
    while at < len(tree):
        at = tree.index(b"\0", at) + 1 + _OID_BYTES
        entries += 1
    return entries


async def _changes_are_shallow(git: GitChildren, git_dir: Path, commits: tuple[Oid, ...], most: int) -> bool:
    """
    Whether what each commit changed shows that nothing can stand too deep: less than half the work of a walk.

    Says yes only for the first pack of a repository: there every commit's parents are in it, so that each path was
    somewhere new. What is much, or stumbled over, is walked. Raises LimitExceeded for a path that is too deep.
    """
    if (git_dir / "objects" / "info" / "alternates").exists():
        return False
    try:
        answer = await git.run(
            "diff-tree",
            "--stdin",
            "--root",
            "--diff-merges=first-parent",  # what is not new against one parent is that parent's
            "-r",
            "-t",
            "--no-renames",
            "--name-only",
            "--no-commit-id",
            "-z",
            git_dir=git_dir,
            stdin=_lines(commits),
            cpu_seconds=CHECK_CPU_SECONDS_LEAST,
            output_bytes_max=_PATHS_BYTES_MAX,
            is_large=True,
        )
    except LimitExceeded:
        return False
    paths = answer.output.split(b"\0")
    # A name and a slash for each directory: what is shorter need not be counted.
    if max(map(len, paths)) >= 2 * most and any(path.count(b"/") >= most for path in paths):
        raise LimitExceeded(f"a path in the pack is more than {most} directories deep")
    return answer.code == 0


async def _check_depth(git: GitChildren, git_dir: Path, commits: tuple[Oid, ...], most: int, seconds: float) -> None:
    """What git's own filter by depth leaves out stands too deep; it goes no deeper itself."""
    answer = await git.run(
        "rev-list",
        "--objects",
        "--no-object-names",
        "--no-walk",
        "--quiet",
        f"--filter=tree:{most + 1}",
        "--filter-print-omitted",
        "--stdin",
        git_dir=git_dir,
        stdin=_lines(commits),
        seconds=seconds,
        is_large=True,
    )
    if answer.code != 0:
        raise BadPack("the trees of the pack cannot be walked")
    if answer.output:
        deep = answer.output[1:41].decode("ascii")
        raise LimitExceeded(f"object {deep} stands more than {most} directories deep")


def _lines(oids: tuple[Oid, ...]) -> bytes:
    return b"".join(oid.hex().encode() + b"\n" for oid in oids)
