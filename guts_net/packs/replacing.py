"""
Whether a pack may replace others, as every attester finds out by itself (``architecture.md`` 5, Repack).

Nothing dropped: the new pack holds every object of those it replaces, by their indexes alone. With drops: the new
pack and those that stay hold what the refs reach, and nothing else; git walks them with no other pack in sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import trio
from attrs import frozen

from guts_core.errors import Refused
from guts_core.names import Oid

from .git_child import GitChildren
from .index_file import names_in_order
from .layout import Layout
from .reach import COUNT_SECONDS, lines_of


class NotReplaceable(Refused):
    """The new pack does not hold what it has to, or holds more than it may."""

    code = "not-replaceable"


@frozen
class Replacing:
    """The packs concerned by digest, and what refs point at where something is dropped (None: nothing is)."""

    layout: Layout
    new: bytes | None
    replaced: tuple[bytes, ...]
    kept: tuple[bytes, ...]
    tips: frozenset[Oid] | None

    @property
    def remaining(self) -> tuple[bytes, ...]:
        """What the list is made of afterwards."""
        return self.kept if self.new is None else (*self.kept, self.new)

    def names(self, digests: Iterable[bytes]) -> Iterator[Oid]:
        """The objects of these packs, ascending, each once (blocks)."""
        return names_in_order([self.layout.idx(digest) for digest in digests])


async def check_replacing(
    git: GitChildren,
    asked: Replacing,
    open_view: Callable[[Sequence[bytes]], AbstractAsyncContextManager[Path]],
) -> None:
    """
    Raise NotReplaceable with the reason it may not be.

    ``open_view`` gives a git directory that sees the packs with these digests and no other.
    """
    if asked.tips is None:
        await trio.to_thread.run_sync(_check_holds_all, asked)
        return
    async with open_view(asked.remaining) as git_dir:
        reached = await _count_reached(git, git_dir, asked.tips)
    held = await trio.to_thread.run_sync(_count_held, asked)
    if held != reached:
        raise NotReplaceable(f"the packs would hold {held} objects, and refs reach {reached} of them")


def _check_holds_all(asked: Replacing) -> None:
    assert asked.new is not None, "what drops nothing has a new pack"
    present = asked.names([asked.new])
    lowest = next(present, None)
    for name in asked.names(asked.replaced):
        while lowest is not None and lowest < name:
            lowest = next(present, None)
        if lowest != name:
            raise NotReplaceable(f"object {name.hex()} of a replaced pack is not in the new one")


async def _count_reached(git: GitChildren, git_dir: Path, tips: frozenset[Oid]) -> int:
    if not tips:
        return 0
    answer = await git.run(
        "rev-list", "--objects", "--count", "--stdin",
        git_dir=git_dir, stdin=lines_of(tips), seconds=COUNT_SECONDS, is_large=True,
    )  # fmt: skip
    if answer.code != 0:
        raise NotReplaceable("the packs that would be left do not hold everything that refs reach")
    return int(answer.output)


def _count_held(asked: Replacing) -> int:
    """Different objects, as one may stand in several packs."""
    return sum(1 for _ in asked.names(asked.remaining))
