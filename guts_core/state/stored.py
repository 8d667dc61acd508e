"""
A page of the state tree as stored: a run of neighbouring subtrees and the branching nodes over them.

A page holds items in key order. An item is a leaf (its key and value hash) or a link to the page of
a whole subtree (its prefix and hash); between every two neighbours stands one branching node, whose
prefix is what the two share, so the shape of the tree above the items follows from their keys. The
shape and the nodes' hashes are kept beside them: an update hashes only the nodes above it.

A child page is found under ``bits || prefix`` of its topmost node, the root page under nothing. This
is no format between nodes: the root does not depend on how the tree is cut into pages.

A change of some hashes is by far the most frequent one: it reads and writes just the hashes on the way.
``pages`` makes the pages whose items came or went.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from guts_core.errors import Corrupt
from guts_core.state.nodes import (
    HEAD_BYTES,
    LEADS,
    NODE_STATE,
    PREFIXES,
    SIDES,
    TREE_KEY_BITS,
    leaf_hash,
    prefix_of,
)

# The children of a node are told in one signed byte: a node, or ~item.
ITEMS_MAX = 128
ROOT_PATH = b""
LAYOUT = 2
# Layout, items, topmost node.
HEAD = struct.Struct("<BBb")
_COUNT_AT, _TOP_AT = 1, 2
_NODES_MAX = ITEMS_MAX - 1  # a child that reads as more is an item
_HASH = 32
# Numbers are stored with the least byte first, as nearly all machines hold them.
_FOREIGN = sys.byteorder == "big"

# (tree key, the same as a number, value hash or None: gone)
Change = tuple[bytes, int, bytes | None]
# A node on the way of one key: itself, or ~node where the right side was taken; its bits; its other child, as stored.
Turn = tuple[int, int, int]
# A node on the way of some keys: itself, its bits, and one of the keys as a number.
Passed = tuple[int, int, int]
# (prefix, whole bytes, zero padded; its bits, TREE_KEY_BITS for a leaf; value hash or node hash)
Item = tuple[bytes, int, bytes]
# A page with other hashes, as stored, and the hash of its topmost node
Made = tuple[bytes, bytes]


def path_of(prefix: bytes, bits: int) -> bytes:
    """Under which path the page is kept whose topmost node has this prefix."""
    return bits.to_bytes(2, "big") + prefix


@lru_cache(maxsize=ITEMS_MAX)
def places(count: int) -> tuple[int, int, int, int, int, int]:
    """Where a page of so many items holds shared bits, item bits, key starts, lefts, rights, keys."""
    inner = count - 1
    shared = HEAD.size
    bits = shared + 2 * inner
    starts = bits + 2 * count
    lefts = starts + 2 * (count + 1)
    return shared, bits, starts, lefts, lefts + inner, lefts + 2 * inner


def skipped(path: bytes) -> int:
    """Whole bytes that all keys of the page begin with, for the path tells them."""
    return int.from_bytes(path[:2], "big") // 8


class Page:
    """
    A stored page, never changed once made: ``raw`` is what the database holds, and all that is kept of it.

    Most pages are read for one key and written once, so nothing is unpacked ahead. Within ``raw`` a child
    is one byte: a node, or above 127 the item 255 - byte. Raises Corrupt from any method when the bytes
    turn out not to be those of a page.
    """

    __slots__ = ("_items", "_nodes", "_places", "count", "head", "raw")

    raw: bytes
    head: bytes  # what all keys begin with: whole bytes that the path tells
    count: int  # of the items; there is one node less
    _places: tuple[int, int, int, int, int, int]
    _nodes: int  # where the nodes' hashes begin in ``raw``
    _items: int  # and those of the items

    def __init__(self, path: bytes, raw: bytes) -> None:
        # Decoding is most of what a page costs that one key goes through, so these are the checks and no more.
        count, top = raw[_COUNT_AT], raw[_TOP_AT]
        if raw[0] != LAYOUT or not 0 < count <= ITEMS_MAX:
            raise ValueError(f"layout {raw[0]} with {count} items")
        if not (top + 1 < count if top <= _NODES_MAX else 255 - top < count):
            raise ValueError(f"node {top} of {count - 1} is the topmost one")
        self._places = _, _, starts, lefts, _, keys = places(count)
        nodes = raw[lefts - 2] | raw[lefts - 1] << 8
        if raw[starts] | raw[starts + 1] << 8 != keys or len(raw) != nodes + _HASH * (count + count - 1):
            raise ValueError(f"{len(raw)} bytes of {count} items")
        self.raw, self.count, self.head = raw, count, path[2 : 2 + ((path[0] << 8 | path[1]) >> 3)] if path else b""
        self._nodes, self._items = nodes, nodes + _HASH * (count - 1)

    def __len__(self) -> int:
        return self.count

    @property
    def top(self) -> int:
        """The topmost node, ~0 when there is one item."""
        return _child(self.raw[_TOP_AT])

    def key(self, at: int) -> bytes:
        """The key, or prefix, of an item."""
        raw, start = self.raw, self._places[2] + 2 * at
        return self.head + raw[raw[start] | raw[start + 1] << 8 : raw[start + 2] | raw[start + 3] << 8]

    def bits_of(self, at: int) -> int:
        """The bits of an item's prefix, TREE_KEY_BITS for a leaf."""
        raw, start = self.raw, self._places[1] + 2 * at
        return raw[start] | raw[start + 1] << 8

    def hashed(self, at: int) -> bytes:
        """The value hash or node hash of an item."""
        start = self._items + _HASH * at
        return self.raw[start : start + _HASH]

    def node(self, node: int) -> tuple[int, int, int]:
        """The bits of a node's prefix, any item next to it has that prefix; and its children, each a node or ~item."""
        raw, (shared, _, _, lefts, rights, _) = self.raw, self._places
        start = shared + 2 * node
        return raw[start] | raw[start + 1] << 8, _child(raw[lefts + node]), _child(raw[rights + node])

    @property
    def bits(self) -> Sequence[int]:
        """Of all items."""
        return _shorts(self.raw[self._places[1] : self._places[2]])

    @property
    def shared(self) -> Sequence[int]:
        """Of all nodes: the bits of their prefixes."""
        return _shorts(self.raw[self._places[0] : self._places[1]])

    @property
    def keys(self) -> list[bytes]:
        """Of all items, ascending."""
        raw, head = self.raw, self.head
        starts = _shorts(raw[self._places[2] : self._places[3]])
        return [head + raw[start:end] for start, end in pairwise(starts)]

    @property
    def node_hashes(self) -> list[bytes]:
        """Of all nodes."""
        return [self.raw[at : at + _HASH] for at in range(self._nodes, self._items, _HASH)]

    def items(self) -> list[Item]:
        """All items in key order."""
        hashes = [self.raw[at : at + _HASH] for at in range(self._items, len(self.raw), _HASH)]
        items = list(zip(self.keys, self.bits, hashes, strict=True))
        if any(len(key) != bits + 7 >> 3 or bits > TREE_KEY_BITS for key, bits, _ in items):
            raise Corrupt("an item of a page of the state tree is longer or shorter than its bits")
        return items

    def find(self, key: bytes, number: int) -> tuple[int, bytes, list[Turn]]:
        """
        The item that this key, also given as a number, is or is under, or -1; and the turns on the way, topmost first.

        Between them the path of the page that an item links to, empty for a leaf.
        """
        raw, child, turns, inner = self.raw, self.raw[_TOP_AT], [], self.count - 1
        shared, items, starts, lefts, rights, _ = self._places
        try:
            for _ in range(inner):
                if child >= inner:
                    break
                start = shared + child + child
                bits = raw[start] | raw[start + 1] << 8
                if number & SIDES[bits]:
                    turns.append((~child, bits, raw[lefts + child]))
                    child = raw[rights + child]
                else:
                    turns.append((child, bits, raw[rights + child]))
                    child = raw[lefts + child]
        except IndexError as error:
            raise Corrupt("a page of the state tree leads nowhere") from error
        at = 255 - child
        if not at < self.count:
            raise Corrupt("a page of the state tree leads in a circle, or nowhere")
        start = starts + at + at
        place = self.head + raw[raw[start] | raw[start + 1] << 8 : raw[start + 2] | raw[start + 3] << 8]
        start = items + at + at
        bits = raw[start] | raw[start + 1] << 8
        if bits >= TREE_KEY_BITS:
            return (at if place == key else -1), ROOT_PATH, turns
        return (at if prefix_of(key, bits) == place else -1), bits.to_bytes(2, "big") + place, turns

    def part(self, changes: list[Change]) -> tuple[dict[int, list[Change]], list[Change], list[Passed]]:
        """Changes by the item that they are to or under; those to none; and every node on the way, parents first."""
        raw, inner, (shared, _, _, lefts, rights, _) = self.raw, self.count - 1, self._places
        found: dict[int, list[Change]] = {}
        strays: list[Change] = []
        nodes: list[Passed] = []
        todo = [(raw[_TOP_AT], changes)]
        while todo:
            child, under = todo.pop()
            number = under[0][1]
            apart = number ^ under[-1][1]
            while child < inner:
                if len(nodes) == inner:
                    raise Corrupt("a page of the state tree leads in a circle")
                start = shared + child + child
                bits = raw[start] | raw[start + 1] << 8
                nodes.append((child, bits, number))
                if bits >= TREE_KEY_BITS:
                    raise Corrupt("a node of the state tree stands below all keys")
                side = SIDES[bits]
                if apart < side:  # first and last agree as far as here, and so do those between them
                    child = raw[(rights if number & side else lefts) + child]
                    continue
                if right := [change for change in under if change[1] & side]:
                    todo.append((raw[rights + child], right))
                if len(right) < len(under):
                    todo.append((raw[lefts + child], [change for change in under if not change[1] & side]))
                break
            else:
                self._sort_out(255 - child, under, found, strays)
        return found, strays, nodes

    def _sort_out(self, at: int, changes: list[Change], found: dict[int, list[Change]], strays: list[Change]) -> None:
        if not at < self.count:
            raise Corrupt("a page of the state tree leads nowhere")
        bits, place = self.bits_of(at), self.key(at)
        for change in changes:
            if (prefix_of(change[0], bits) if bits < TREE_KEY_BITS else change[0]) == place:
                found.setdefault(at, []).append(change)
            else:
                strays.append(change)

    def hash_of(self, ref: int) -> bytes:
        """The hash of a node of this page, or of an item (~index)."""
        if ref < 0:
            return self._item_hash(~ref)
        start = self._nodes + _HASH * ref
        return self.raw[start : start + _HASH]

    def root(self) -> bytes:
        """The hash of the topmost node."""
        top = self.raw[_TOP_AT]
        if top > _NODES_MAX:
            return self.hash_of(~0)
        start = self._nodes + _HASH * top
        return self.raw[start : start + _HASH]

    def top_item(self) -> Item:
        """The link by which a parent finds this page; it has two items or more."""
        top = self.top
        bits = self.node(top)[0]
        return prefix_of(self.key(top), bits), bits, self.hash_of(top)

    def with_hash(self, at: int, hashed: bytes, key: bytes, number: int, turns: list[Turn]) -> Made:
        """The page after an item changed its hash, which is or is above ``key``; ``turns`` as ``find`` told them."""
        raw, nodes, buffer, copy = self.raw, self._nodes, bytearray(self.raw), NODE_STATE.copy
        view = memoryview(buffer)  # a bytearray copies what is put into a part of it once more
        start = self._items + _HASH * at
        view[start : start + _HASH] = hashed
        if self.bits_of(at) == TREE_KEY_BITS:
            hashed = leaf_hash(key, hashed)
        for turn, bits, beside in reversed(turns):
            if beside > _NODES_MAX:
                other = self._item_hash(255 - beside)
            else:
                start = nodes + _HASH * beside
                other = raw[start : start + _HASH]
            head = (number & PREFIXES[bits] | LEADS[bits]).to_bytes(HEAD_BYTES, "big")
            state = copy()
            if turn >= 0:
                state.update(head + hashed + other)
                start = nodes + _HASH * turn
            else:
                state.update(head + other + hashed)
                start = nodes + _HASH * ~turn
            view[start : start + _HASH] = hashed = state.digest()
        return bytes(buffer), hashed

    def with_hashes(self, changes: Iterable[tuple[int, bytes]], nodes: Sequence[Passed]) -> Made:
        """The page after some items changed their hashes; ``nodes`` are those above them, as ``part`` told them."""
        raw, base, buffer, copy = self.raw, self._nodes, bytearray(self.raw), NODE_STATE.copy
        _, _, _, lefts, rights, _ = self._places
        view, hashed = memoryview(buffer), b""
        fresh: dict[int, bytes] = {}  # by the child as stored: of the items that changed, and the nodes above them
        for at, hashed in changes:
            start = self._items + _HASH * at
            view[start : start + _HASH] = hashed
            fresh[255 - at] = leaf_hash(self.key(at), hashed) if self.bits_of(at) == TREE_KEY_BITS else hashed
        for node, bits, number in reversed(nodes):
            left, right = raw[lefts + node], raw[rights + node]
            head = (number & PREFIXES[bits] | LEADS[bits]).to_bytes(HEAD_BYTES, "big")
            head += fresh.get(left) or self._child_hash(left)
            state = copy()
            state.update(head + (fresh.get(right) or self._child_hash(right)))
            start = base + _HASH * node
            view[start : start + _HASH] = fresh[node] = hashed = state.digest()
        return bytes(buffer), hashed

    def _child_hash(self, child: int) -> bytes:
        """The hash of a child, as stored."""
        if child > _NODES_MAX:
            return self._item_hash(255 - child)
        start = self._nodes + _HASH * child
        return self.raw[start : start + _HASH]

    def _item_hash(self, at: int) -> bytes:
        """The hash of a leaf, or of the node that an item links to."""
        # Written out: every other key that changes asks for that of a leaf or two.
        if not at < self.count:
            raise Corrupt("a page of the state tree leads nowhere")
        raw, (_, items, starts, _, _, _) = self.raw, self._places
        start = self._items + _HASH * at
        hashed = raw[start : start + _HASH]
        start = items + at + at
        if raw[start] | raw[start + 1] << 8 != TREE_KEY_BITS:
            return hashed
        start = starts + at + at
        key = raw[raw[start] | raw[start + 1] << 8 : raw[start + 2] | raw[start + 3] << 8]
        state = NODE_STATE.copy()
        state.update(b"\0" + self.head + key + hashed)
        return state.digest()


def decode(path: bytes, raw: bytes) -> Page:
    """A page from its stored bytes; raises Corrupt."""
    try:
        return Page(path, raw)
    except (ValueError, IndexError) as error:
        raise Corrupt(f"page {path.hex() or 'root'} of the state tree does not read") from error


def _child(stored: int) -> int:
    return stored if stored <= _NODES_MAX else stored - 256


def _shorts(data: bytes) -> array[int]:
    found = array("H", data)
    if _FOREIGN:
        found.byteswap()
    return found
