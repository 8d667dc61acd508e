"""
A page of the state tree as stored: a run of neighbouring subtrees and the branching nodes over them.

A page holds items in key order. An item is a leaf (its key and value hash) or a link to the page of
a whole subtree (its prefix and hash); between every two neighbours stands one branching node, whose
prefix is what the two share, so the shape of the tree above the items follows from their keys. The
shape and the nodes' hashes are kept beside them: an update hashes only the nodes above it.

A child page is found under ``bits || prefix`` of its topmost node, the root page under nothing. This
is no format between nodes: the root does not depend on how the tree is cut into pages.

A ``Page`` is little more than its bytes: a change of some hashes, by far the most frequent one, reads
and writes just the hashes on the way. A ``Draft`` is a page whose items came or went.
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
    EMPTY_ROOT,
    NODE_STATE,
    TREE_KEY_BITS,
    TREE_KEY_BYTES,
    common_bits,
    inner_hash,
    inner_head,
    leaf_hash,
    prefix_of,
)

# A row of a SQLite table fits one 4096-byte database page up to 4061 bytes with its key: one write
# per changed page, and no overflow page.
PAGE_BYTES_MAX = 3900
PAGE_BYTES_LEAST = 600
# The children of a node are told in one signed byte.
ITEMS_MAX = 128
ROOT_PATH = b""
_LAYOUT = 2
# Layout, items, topmost node.
_HEAD = struct.Struct("<BBb")
_HASH = 32
# Numbers are stored with the least byte first, as nearly all machines hold them.
_FOREIGN = sys.byteorder == "big"

# (prefix, whole bytes, zero padded; its bits, TREE_KEY_BITS for a leaf; value hash or node hash)
Item = tuple[bytes, int, bytes]


def path_of(prefix: bytes, bits: int) -> bytes:
    """Under which path the page is kept whose topmost node has this prefix."""
    return bits.to_bytes(2, "big") + prefix


class Page:
    """
    A stored page, never changed once made: ``raw`` is what the database holds.

    Raises Corrupt from any method when the bytes turn out not to be those of a page.
    """

    __slots__ = ("_items", "_nodes", "bits", "head", "heads", "lefts", "raw", "rights", "shared", "starts", "top")

    raw: bytes
    head: bytes  # what all keys begin with: whole bytes that the path tells
    bits: Sequence[int]  # of the items
    starts: Sequence[int]  # where the rest of each item's key begins in ``raw``, and where the last one ends
    shared: Sequence[int]  # node i stands between items i and i + 1: bits of its prefix
    lefts: Sequence[int]  # child of node i: a node, or ~item
    rights: Sequence[int]
    heads: list[bytes | None]  # what a node's hash covers before its children, once needed
    top: int  # the topmost node, ~0 when there is one item
    _nodes: int  # where the nodes' hashes begin in ``raw``
    _items: int  # and those of the items

    def __len__(self) -> int:
        return len(self.bits)

    def key(self, at: int) -> bytes:
        """The key, or prefix, of an item."""
        return self.head + self.raw[self.starts[at] : self.starts[at + 1]]

    def hashed(self, at: int) -> bytes:
        """The value hash or node hash of an item."""
        start = self._items + _HASH * at
        return self.raw[start : start + _HASH]

    @property
    def keys(self) -> list[bytes]:
        """Of all items, ascending."""
        return [self.key(at) for at in range(len(self.bits))]

    @property
    def node_hashes(self) -> list[bytes]:
        """Of all nodes."""
        return [self.raw[at : at + _HASH] for at in range(self._nodes, self._items, _HASH)]

    def items(self) -> list[Item]:
        """All items in key order."""
        return [(self.key(at), self.bits[at], self.hashed(at)) for at in range(len(self.bits))]

    def find(self, key: bytes) -> tuple[int, list[int]]:
        """The only item that this key can be or be under, or -1; and the nodes on the way, topmost first."""
        node, trail = self.top, []
        shared, lefts, rights = self.shared, self.lefts, self.rights
        while node >= 0:
            trail.append(node)
            bits = shared[node]
            node = rights[node] if key[bits >> 3] >> (7 - (bits & 7)) & 1 else lefts[node]
            if len(trail) > len(shared):
                raise Corrupt("a page of the state tree leads in a circle")
        return (~node if prefix_of(key, self.bits[~node]) == self.key(~node) else -1), trail

    def hash_of(self, ref: int) -> bytes:
        """The hash of a node of this page, or of an item (~index)."""
        if ref >= 0:
            start = self._nodes + _HASH * ref
            return self.raw[start : start + _HASH]
        if self.bits[~ref] == TREE_KEY_BITS:
            return leaf_hash(self.key(~ref), self.hashed(~ref))
        return self.hashed(~ref)

    def root(self) -> bytes:
        """The hash of the topmost node."""
        return self.hash_of(self.top)

    def top_item(self) -> Item:
        """The link by which a parent finds this page; it has two items or more."""
        bits = self.shared[self.top]
        return prefix_of(self.key(self.top), bits), bits, self.hash_of(self.top)

    def with_hash(self, at: int, hashed: bytes, trail: Sequence[int]) -> Page:
        """The page after one item changed its hash; ``trail`` as ``find`` told it."""
        buffer = bytearray(self.raw)
        start = self._items + _HASH * at
        buffer[start : start + _HASH] = hashed
        self._climb(buffer, trail, ~at, self._item_hash(buffer, ~at))
        return self._with(buffer)

    def with_hashes(self, changes: Iterable[tuple[int, bytes]], nodes: Iterable[int]) -> Page:
        """The page after some items changed their hashes; ``nodes`` are all those above them."""
        buffer = bytearray(self.raw)
        for at, hashed in changes:
            start = self._items + _HASH * at
            buffer[start : start + _HASH] = hashed
        for node in sorted(nodes, key=self.shared.__getitem__, reverse=True):
            left = self.lefts[node]
            self._climb(buffer, (node,), left, self._hash_in(buffer, left))
        return self._with(buffer)

    def _with(self, buffer: bytearray) -> Page:
        page = Page()
        page.raw, page.head, page.bits, page.starts = bytes(buffer), self.head, self.bits, self.starts
        page.shared, page.lefts, page.rights, page.heads = self.shared, self.lefts, self.rights, self.heads
        page.top, page._nodes, page._items = self.top, self._nodes, self._items
        return page

    def _climb(self, buffer: bytearray, trail: Sequence[int], ref: int, hashed: bytes | bytearray) -> None:
        """Hash the nodes of a trail anew, the lowest first, of which ``ref`` is a child with this hash."""
        heads, base, lefts, rights = self.heads, self._nodes, self.lefts, self.rights
        for node in reversed(trail):
            head = heads[node]
            if head is None:
                head = heads[node] = inner_head(self.shared[node], self.key(node))
            is_left = lefts[node] == ref
            other = rights[node] if is_left else lefts[node]
            start = base + _HASH * other
            beside = buffer[start : start + _HASH] if other >= 0 else self._item_hash(buffer, other)
            state = NODE_STATE.copy()
            state.update(head + hashed + beside if is_left else head + beside + hashed)
            hashed = state.digest()
            start = base + _HASH * node
            buffer[start : start + _HASH] = hashed
            ref = node

    def _hash_in(self, buffer: bytearray, ref: int) -> bytes | bytearray:
        if ref < 0:
            return self._item_hash(buffer, ref)
        start = self._nodes + _HASH * ref
        return buffer[start : start + _HASH]

    def _item_hash(self, buffer: bytearray, ref: int) -> bytes | bytearray:
        start = self._items + _HASH * ~ref
        hashed = buffer[start : start + _HASH]
        return leaf_hash(self.key(~ref), hashed) if self.bits[~ref] == TREE_KEY_BITS else hashed


class Draft:
    """A page that is being made of items; ``seal`` makes it one that can be stored."""

    __slots__ = ("bits", "hashes", "heads", "keys", "lefts", "node_hashes", "rights", "shared", "top")

    keys: list[bytes]
    bits: list[int]
    hashes: list[bytes]
    shared: list[int]
    lefts: list[int]
    rights: list[int]
    node_hashes: list[bytes]
    heads: list[bytes | None]
    top: int

    def __len__(self) -> int:
        return len(self.keys)

    def items(self) -> list[Item]:
        """All items in key order."""
        return list(zip(self.keys, self.bits, self.hashes, strict=True))

    def hash_of(self, ref: int) -> bytes:
        """As Page.hash_of."""
        if ref >= 0:
            return self.node_hashes[ref]
        if self.bits[~ref] == TREE_KEY_BITS:
            return leaf_hash(self.keys[~ref], self.hashes[~ref])
        return self.hashes[~ref]

    def root(self) -> bytes:
        """The hash of the topmost node."""
        return self.hash_of(self.top)

    def top_item(self) -> Item:
        """As Page.top_item."""
        bits = self.shared[self.top]
        return prefix_of(self.keys[self.top], bits), bits, self.node_hashes[self.top]

    def rehash(self, changed: Iterable[bytes], nodes: set[int]) -> None:
        """Hash these nodes and those above these places, children before parents."""
        shared, lefts, rights = self.shared, self.lefts, self.rights
        for key in changed:
            node = self.top
            while node >= 0:
                nodes.add(node)
                at = shared[node]
                node = rights[node] if key[at >> 3] >> (7 - (at & 7)) & 1 else lefts[node]
        for node in sorted(nodes, key=shared.__getitem__, reverse=True):
            left, right = self.hash_of(lefts[node]), self.hash_of(rights[node])
            self.node_hashes[node] = inner_hash(shared[node], self.keys[node], left, right)


def build(items: Sequence[Item], old: Page | Draft | None, changed: Iterable[bytes]) -> Draft:
    """
    The page of these items, ascending. Nodes between items that were neighbours keep their hashes,
    except above the ``changed`` keys: every key whose leaf came, went or changed since.
    """
    page = Draft()
    page.keys = [item[0] for item in items]
    page.bits = [item[1] for item in items]
    page.hashes = [item[2] for item in items]
    page.shared, page.node_hashes, page.heads = [], [], []
    places, following = _neighbours(old)
    kept = [] if old is None else old.node_hashes
    for one, other in pairwise(page.keys):
        at = places.get(one)
        if old is not None and at is not None and following[at] == other:
            page.shared.append(old.shared[at])
            page.node_hashes.append(kept[at])
            page.heads.append(old.heads[at])
        else:
            page.shared.append(_common(one, other))
            page.node_hashes.append(EMPTY_ROOT)
            page.heads.append(None)
    page.lefts, page.rights, page.top = _arrange(page.shared)
    page.rehash(changed, {node for node, hashed in enumerate(page.node_hashes) if hashed is EMPTY_ROOT})
    return page


def _neighbours(old: Page | Draft | None) -> tuple[dict[bytes, int], list[bytes]]:
    """Where each key stood that had a neighbour, and those neighbours."""
    if old is None:
        return {}, []
    keys = old.keys
    following = keys[1:]
    return dict(zip(keys, range(len(following)), strict=False)), following


def _common(one: bytes, other: bytes) -> int:
    return common_bits(one.ljust(TREE_KEY_BYTES, b"\0"), other.ljust(TREE_KEY_BYTES, b"\0"))


def _arrange(shared: Sequence[int]) -> tuple[list[int], list[int], int]:
    """The children of each node and the topmost node: fewer shared bits stand higher."""
    lefts = list(range(-1, -len(shared) - 1, -1))  # ~item on both sides of each node, until a node takes its place
    rights = list(range(-2, -len(shared) - 2, -1))
    spine: list[int] = []
    for node, bits in enumerate(shared):
        below = ~node
        while spine and shared[spine[-1]] > bits:
            below = spine.pop()
        lefts[node] = below
        if spine:
            rights[spine[-1]] = node
        spine.append(node)
    return lefts, rights, spine[0] if spine else ~0


@lru_cache(maxsize=ITEMS_MAX)
def _places(count: int) -> tuple[int, int, int, int, int, int]:
    """Where a page of so many items holds shared bits, item bits, key starts, lefts, rights, keys."""
    inner = count - 1
    shared = _HEAD.size
    bits = shared + 2 * inner
    starts = bits + 2 * count
    lefts = starts + 2 * (count + 1)
    return shared, bits, starts, lefts, lefts + inner, lefts + 2 * inner


def seal(draft: Draft, path: bytes) -> Page:
    """The draft as it is stored under its path."""
    skip, count = _skipped(path), len(draft.keys)
    assert count <= ITEMS_MAX
    at = _places(count)[-1]
    rests = [key[skip:] for key in draft.keys]
    starts = []
    for rest in rests:
        starts.append(at)
        at += len(rest)
    starts.append(at)
    numbers = struct.pack(f"<{3 * count}H", *draft.shared, *draft.bits, *starts)
    children = struct.pack(f"{2 * (count - 1)}b", *draft.lefts, *draft.rights)
    head = _HEAD.pack(_LAYOUT, count, draft.top)
    raw = b"".join((head, numbers, children, *rests, *draft.node_hashes, *draft.hashes))
    page = decode(path, raw)
    page.heads = draft.heads
    return page


def decode(path: bytes, raw: bytes) -> Page:
    """A page from its stored bytes; raises Corrupt."""
    try:
        return _decode(path, raw)
    except (struct.error, ValueError, IndexError) as error:
        raise Corrupt(f"page {path.hex() or 'root'} of the state tree does not read") from error


def _decode(path: bytes, raw: bytes) -> Page:
    layout, count, top = _HEAD.unpack_from(raw)
    if layout != _LAYOUT or not 0 < count <= ITEMS_MAX:
        raise ValueError(f"layout {layout} with {count} items")
    page, inner = Page(), count - 1
    shared, bits, starts, lefts, rights, keys = _places(count)
    page.shared, page.bits, page.starts = (
        _shorts(raw[shared:bits]),
        _shorts(raw[bits:starts]),
        _shorts(raw[starts:lefts]),
    )
    page.lefts, page.rights = array("b", raw[lefts:rights]), array("b", raw[rights:keys])
    page.raw, page.top, page.head = raw, top, path[2 : 2 + _skipped(path)]
    page._nodes = page.starts[count]  # noqa: SLF001 -- made here
    page._items = page._nodes + _HASH * inner  # noqa: SLF001
    if page.starts[0] != keys or len(raw) != page._items + _HASH * count:  # noqa: SLF001
        raise ValueError(f"{len(raw)} bytes of {count} items")
    if not -count <= top < inner or len(page.rights) != inner:
        raise ValueError(f"node {top} of {inner} is the topmost one")
    page.heads = [None] * inner
    return page


def _shorts(data: bytes) -> array[int]:
    found = array("H", data)
    if _FOREIGN:
        found.byteswap()
    return found


def _skipped(path: bytes) -> int:
    """Whole bytes that all keys of the page begin with, for the path tells them."""
    return int.from_bytes(path[:2], "big") // 8


def weight(items: Sequence[Item], shared: int = 0) -> int:
    """How many bytes a page of these items takes when its path tells that many bits of their keys."""
    # Key, where it begins, bits and hash of the item; bits, children and hash of the node beside it.
    each = 2 + 2 + 32 + 2 + 2 + 32 - shared // 8
    return _HEAD.size + 2 + each * len(items) + sum(len(item[0]) for item in items)
