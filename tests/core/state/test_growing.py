"""A leaf put into a page gives the page that would be made anew of all its items."""

from __future__ import annotations

import random
import struct

import pytest

from guts_core.errors import Corrupt
from guts_core.state.growing import has_room, with_leaf
from guts_core.state.nodes import EMPTY_ROOT, TREE_KEY_BITS, TREE_KEY_BYTES
from guts_core.state.pages import PAGE_BYTES_MAX, build, seal, weight
from guts_core.state.stored import ROOT_PATH, Page, decode, path_of, places
from guts_core.state.tree import Tree

# So many leaves fill a root page: none of their keys is told by its path.
FULL = 28


def keys(seed: int, count: int) -> list[bytes]:
    """Half of them alike but for their last byte."""
    dice = random.Random(seed)  # noqa: S311  # the same keys in every run
    ends = dice.sample(range(256), count)
    return [(bytes(64) if at % 2 else dice.randbytes(64)) + bytes((end,)) for at, end in enumerate(ends)]


def page_of(places_of: list[bytes], path: bytes = ROOT_PATH) -> Page:
    items = [(key, TREE_KEY_BITS, bytes(32)) for key in sorted(places_of)]
    return decode(path, seal(build(items, None, places_of), path))


@pytest.mark.parametrize("seed", range(8))
def test_leaves_that_come_one_by_one_make_the_page_of_all_at_once(seed: int) -> None:
    """Be they first, last, between or beside a node at the top: to the byte, for a scrub makes pages anew."""
    came, root, pages = keys(seed, FULL), EMPTY_ROOT, dict[bytes, bytes | None]()

    for at, key in enumerate(came):
        root, written = Tree(pages.get).apply(root, {key: b"value"})
        pages.update(written)
        assert (root, pages) == Tree(lambda _: None).apply(EMPTY_ROOT, dict.fromkeys(came[: at + 1], b"value"))


@pytest.mark.parametrize("seed", range(8))
def test_leaves_that_come_together_with_changes_make_that_page_too(seed: int) -> None:
    """What was there changes, what is new comes, and what is to go and never was leaves no trace."""
    came = keys(seed, FULL)
    root, pages = Tree(lambda _: None).apply(EMPTY_ROOT, dict.fromkeys(came[:12], b"old"))
    absent = dict.fromkeys(keys(seed + 100, 5))

    after = Tree(pages.get).apply(root, {**absent, **dict.fromkeys(came[6:20], b"new")})

    now = dict.fromkeys(came[:6], b"old") | dict.fromkeys(came[6:20], b"new")
    assert after == Tree(lambda _: None).apply(EMPTY_ROOT, now)


@pytest.mark.parametrize("path", [ROOT_PATH, path_of(bytes(40), 320)])
def test_there_is_room_as_long_as_the_weight_allows(path: bytes) -> None:
    """The limit of a page is one, however its items come."""
    under = [bytes(TREE_KEY_BYTES - 1) + bytes((last,)) for last in range(9)]
    page = page_of(under[:6], path)
    needed = weight([(key, TREE_KEY_BITS, bytes(32)) for key in under], 8 * len(page.head))

    assert has_room(page, 3, needed)
    assert not has_room(page, 3, needed - 1)


def test_a_page_holds_no_more_items_than_its_children_can_tell() -> None:
    """A child is one signed byte, whatever else there is room for."""
    page = page_of([bytes(64) + bytes((last,)) for last in range(127)])

    assert has_room(page, 1, 2 * len(page.raw))
    assert not has_room(page, 2, 2 * len(page.raw))


def test_damage_is_told_instead_of_stored_on() -> None:
    """A key that begins beyond the page, as a disk may give it back."""
    page = page_of([bytes(64) + bytes((last,)) for last in range(5)])
    begin = places(page.count)[2] + 2 * 4
    bad = Page(ROOT_PATH, page.raw[:begin] + struct.pack("<H", 0xFFFF) + page.raw[begin + 2 :])
    new = bytes(64) + b"\xff"
    number = int.from_bytes(new, "big")

    with pytest.raises(Corrupt, match="no place"):
        with_leaf(bad, new, number, page.find(new, number)[2])


def test_a_full_page_is_made_anew_of_more_pages() -> None:
    """What does not fit goes the other way."""
    came = keys(3, FULL + 40)
    root, pages = Tree(lambda _: None).apply(EMPTY_ROOT, dict.fromkeys(came[:FULL], b"value"))

    _, written = Tree(pages.get).apply(root, dict.fromkeys(came[FULL:], b"value"))

    assert len(written) > 1
    assert all(page is not None and len(page) <= PAGE_BYTES_MAX for page in written.values())
