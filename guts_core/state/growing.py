"""
A leaf that comes into a page with room for it: its bytes are put between those that are there.

So most new records come, at a fraction of the price of making the page anew from its items. The new leaf and
the node beside it are without their hashes: the change that brings the leaf sets them, and those above.
"""

from __future__ import annotations

import struct

from guts_core.errors import Corrupt
from guts_core.state.nodes import EMPTY_ROOT, SIDES, TREE_KEY_BITS, TREE_KEY_BYTES
from guts_core.state.pages import ITEM_BYTES, NODE_BYTES
from guts_core.state.stored import ITEMS_MAX, LAYOUT, Page, Turn, path_of, places

# Where a leaf comes: its item; its node; that node's bits; is the leaf its right child; and the turns above the node.
_Seat = tuple[int, int, int, bool, list[Turn]]

# Of every byte itself.
_SAME = bytes(range(256))
_NO_HASH = EMPTY_ROOT
_HASH = len(_NO_HASH)
_LEAF_BITS = TREE_KEY_BITS.to_bytes(2, "little")


def has_room(page: Page, leaves: int, page_bytes_max: int) -> bool:
    """Whether ``pages.weight`` would say that the page with so many leaves more is small enough."""
    each = ITEM_BYTES + TREE_KEY_BYTES - len(page.head)
    return len(page.raw) + NODE_BYTES + leaves * each <= page_bytes_max and page.count + leaves <= ITEMS_MAX


def with_leaf(page: Page, key: bytes, number: int, turns: list[Turn]) -> Page:
    """The page with one leaf more, of a key that ``find`` led by these turns to no item of it. Raises Corrupt."""
    try:
        raw = _grown(page, key[len(page.head) :], _seat(page, number, turns))
        return Page(path_of(page.head, 8 * len(page.head)), raw)
    except (ValueError, IndexError, OverflowError, struct.error) as error:
        raise Corrupt("a page of the state tree has no place for a leaf") from error


def _seat(page: Page, number: int, turns: list[Turn]) -> _Seat:
    # With the item to which its way leads a key shares more than with any other: those are the bits of the node.
    nearest = page.key(_run(page, turns)[0]).ljust(TREE_KEY_BYTES, b"\0")
    fork = TREE_KEY_BITS - (number ^ int.from_bytes(nearest, "big")).bit_length()
    above = [turn for turn in turns if turn[1] < fork]
    first, last = _run(page, above)
    return (last + 1, last, fork, True, above) if number & SIDES[fork] else (first, first, fork, False, above)


def _run(page: Page, turns: list[Turn]) -> tuple[int, int]:
    """The first and the last item below these turns: a node stands between the item of its number and the next."""
    first, last = 0, page.count - 1
    for turn, _, _ in turns:
        if turn >= 0:
            last = turn
        else:
            first = -turn
    return first, last


def _grown(page: Page, rest: bytes, seat: _Seat) -> bytes:
    item, node, fork, _, _ = seat
    raw, (shared, bits, starts, lefts, _, keys) = page.raw, places(page.count)
    items = len(raw) - _HASH * page.count
    nodes = items - _HASH * (page.count - 1)
    top, left, right = _links(page, seat)
    begins = struct.unpack(f"<{page.count + 1}H", raw[starts:lefts])
    parts = (
        bytes((LAYOUT, page.count + 1, top)),
        _with(raw[shared:bits], 2 * node, fork.to_bytes(2, "little")),
        _with(raw[bits:starts], 2 * item, _LEAF_BITS),
        _begins(begins, item, len(rest)),
        left,
        right,
        _with(raw[keys:nodes], begins[item] - keys, rest),
        _with(raw[nodes:items], _HASH * node, _NO_HASH),
        _with(raw[items:], _HASH * item, _NO_HASH),
    )
    return b"".join(parts)


def _links(page: Page, seat: _Seat) -> tuple[int, bytearray, bytearray]:
    """The topmost node and both children of each, once the new one stands under the last of those above it."""
    item, node, _, is_right, above = seat
    raw, (_, _, _, lefts, rights, keys) = page.raw, places(page.count)
    moved, under, top = _moved(item, node), page.top & 0xFF, node
    left, right = bytearray(raw[lefts:rights].translate(moved)), bytearray(raw[rights:keys].translate(moved))
    if above:
        top, parent = moved[under], above[-1][0]
        if parent >= 0:
            under, left[parent] = raw[lefts + parent], node
        else:
            under, right[~parent] = raw[rights + ~parent], node
    leaf, other = 255 - item, moved[under]
    left.insert(node, other if is_right else leaf)
    right.insert(node, leaf if is_right else other)
    return top, left, right


def _moved(item: int, node: int) -> bytes:
    """For every child as stored what is stored for it once an item and a node have come in at these places."""
    return _SAME[:node] + _SAME[node + 1 : ITEMS_MAX + 1] + _SAME[ITEMS_MAX - 1 : 255 - item] + _SAME[256 - item :]


def _begins(begins: tuple[int, ...], item: int, more: int) -> bytes:
    """Where the keys begin with one more: all lie further on by what is stored of an item before them."""
    ahead = places(len(begins))[-1] - places(len(begins) - 1)[-1]
    after = ahead + more
    shifted = [begin + ahead for begin in begins[: item + 1]] + [begin + after for begin in begins[item:]]
    return struct.pack(f"<{len(shifted)}H", *shifted)


def _with(part: bytes, at: int, more: bytes) -> bytes:
    return part[:at] + more + part[at:]
