"""
A page of the state tree as stored: a run of neighbouring subtrees and the branching nodes over them.

A page holds items in key order. An item is a leaf (its key and value hash) or a link to the page of
a whole subtree (its prefix and hash); between every two neighbours stands one branching node, whose
prefix is what the two share, so the shape of the tree above the items follows from their keys. The
shape and the nodes' hashes are kept beside them: an update hashes only the nodes above it.

A child page is found under ``bits || prefix`` of its topmost node, the root page under nothing. This
is no format between nodes: the root does not depend on how the tree is cut into pages.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from guts_core.errors import Corrupt
from guts_core.state.nodes import (
    EMPTY_ROOT,
    NODE_STATE,
    TREE_KEY_BITS,
    TREE_KEY_BYTES,
    common_bits,
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
_LAYOUT = 1
_HEAD = struct.Struct(">BH")

# (prefix, whole bytes, zero padded; its bits, TREE_KEY_BITS for a leaf; value hash or node hash)
Item = tuple[bytes, int, bytes]


def path_of(prefix: bytes, bits: int) -> bytes:
    """Under which path the page is kept whose topmost node has this prefix."""
    return bits.to_bytes(2, "big") + prefix


class Page:
    """A decoded page, never changed once made: changed copies share what stays."""

    __slots__ = ("bits", "hashes", "heads", "keys", "lefts", "node_hashes", "rights", "shape", "shared", "top")

    keys: list[bytes]  # of the items, ascending
    bits: Sequence[int]  # of the items
    hashes: list[bytes]  # of the items
    shared: Sequence[int]  # node i stands between items i and i + 1: bits of its prefix
    lefts: Sequence[int]  # child of node i: a node, or ~item
    rights: Sequence[int]
    node_hashes: list[bytes]
    heads: list[bytes | None]  # what a node's hash covers before its children, once needed
    shape: bytes  # everything but hashes, encoded
    top: int  # the topmost node, ~0 when there is one item

    def items(self) -> list[Item]:
        """All items in key order."""
        return list(zip(self.keys, self.bits, self.hashes, strict=True))

    def find(self, key: bytes) -> int:
        """The only item that this key can be or be under, or -1."""
        at = bisect_right(self.keys, key) - 1
        if at < 0 or prefix_of(key, self.bits[at]) != self.keys[at]:
            return -1
        return at

    def hash_of(self, ref: int) -> bytes:
        """The hash of a node of this page, or of an item (~index)."""
        if ref >= 0:
            return self.node_hashes[ref]
        if self.bits[~ref] == TREE_KEY_BITS:
            return leaf_hash(self.keys[~ref], self.hashes[~ref])
        return self.hashes[~ref]

    def root(self) -> bytes:
        """The hash of the topmost node."""
        return self.hash_of(self.top)

    def top_item(self) -> Item:
        """The link by which a parent finds this page; it has two items or more."""
        bits = self.shared[self.top]
        return prefix_of(self.keys[self.top], bits), bits, self.node_hashes[self.top]

    def with_hashes(self, changes: Sequence[tuple[int, bytes]]) -> Page:
        """The page after some items changed their hashes."""
        page = Page()
        page.keys, page.bits, page.shared = self.keys, self.bits, self.shared
        page.lefts, page.rights, page.heads = self.lefts, self.rights, self.heads
        page.shape, page.top = self.shape, self.top
        page.hashes, page.node_hashes = self.hashes.copy(), self.node_hashes.copy()
        for at, hashed in changes:
            page.hashes[at] = hashed
        page.rehash([self.keys[at] for at, _ in changes], set())
        return page

    def rehash(self, changed: Iterable[bytes], nodes: set[int]) -> None:
        """Hash these nodes and those above these places, children before parents (while being made)."""
        shared, lefts, rights = self.shared, self.lefts, self.rights
        for key in changed:
            node = self.top
            while node >= 0:
                nodes.add(node)
                at = shared[node]
                node = rights[node] if key[at >> 3] >> (7 - (at & 7)) & 1 else lefts[node]
        self._hash_nodes(sorted(nodes, key=shared.__getitem__, reverse=True))

    def _hash_nodes(self, nodes: Iterable[int]) -> None:
        hashes, hash_of, heads = self.node_hashes, self.hash_of, self.heads
        for node in nodes:
            left, right = self.lefts[node], self.rights[node]
            head = heads[node]
            if head is None:
                head = heads[node] = inner_head(self.shared[node], self.keys[node])
            state = NODE_STATE.copy()
            state.update(
                head
                + (hashes[left] if left >= 0 else hash_of(left))
                + (hashes[right] if right >= 0 else hash_of(right))
            )
            hashes[node] = state.digest()

    def encode(self) -> bytes:
        """The stored bytes."""
        return b"".join((self.shape, *self.node_hashes, *self.hashes))


def build(items: Sequence[Item], old: Page | None, changed: Iterable[bytes]) -> Page:
    """
    The page of these items, ascending. Nodes between items that were neighbours keep their hashes,
    except above the ``changed`` keys: every key whose leaf came, went or changed since.
    """
    page = Page()
    page.keys = [item[0] for item in items]
    page.bits = [item[1] for item in items]
    page.hashes = [item[2] for item in items]
    shared: list[int] = []
    page.node_hashes, page.heads = [], []
    places, following = _neighbours(old)
    for one, other in pairwise(page.keys):
        at = places.get(one)
        if old is not None and at is not None and following[at] == other:
            shared.append(old.shared[at])
            page.node_hashes.append(old.node_hashes[at])
            page.heads.append(old.heads[at])
        else:
            shared.append(_common(one, other))
            page.node_hashes.append(EMPTY_ROOT)
            page.heads.append(None)
    page.shared = shared
    page.lefts, page.rights, page.top = _arrange(shared)
    page.shape = b""
    page.rehash(changed, {node for node, hashed in enumerate(page.node_hashes) if hashed is EMPTY_ROOT})
    return page


def _neighbours(old: Page | None) -> tuple[dict[bytes, int], list[bytes]]:
    """Where each key stood that had a neighbour, and those neighbours."""
    if old is None:
        return {}, []
    following = old.keys[1:]
    return dict(zip(old.keys, range(len(following)), strict=False)), following


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


def seal(page: Page, path: bytes) -> Page:
    """The same page ready to be encoded under its path."""
    skip = _skipped(path)
    count = len(page.keys)
    assert count <= ITEMS_MAX
    page.shape = b"".join(
        (
            _HEAD.pack(_LAYOUT, count),
            struct.pack(f">{2 * count - 1}H", *page.bits, *page.shared),
            struct.pack(f"{2 * (count - 1)}b", *page.lefts, *page.rights),
            *(key[skip:] for key in page.keys),
        )
    )
    return page


def decode(path: bytes, raw: bytes) -> Page:
    """A page from its stored bytes; raises Corrupt."""
    try:
        return _decode(path, raw)
    except (struct.error, ValueError, IndexError) as error:
        raise Corrupt(f"page {path.hex() or 'root'} of the state tree does not read") from error


def _decode(path: bytes, raw: bytes) -> Page:
    layout, count = _HEAD.unpack_from(raw)
    if layout != _LAYOUT or not count:
        raise ValueError(f"layout {layout} with {count} items")
    page = Page()
    inner = count - 1
    at = _HEAD.size
    numbers = struct.unpack_from(f">{count + inner}H", raw, at)
    page.bits, page.shared = numbers[:count], numbers[count:]
    at += 2 * (count + inner)
    children = struct.unpack_from(f"{2 * inner}b", raw, at)
    page.lefts, page.rights = children[:inner], children[inner:]
    at += 2 * inner
    skip = _skipped(path)
    head = path[2 : 2 + skip]
    page.keys = []
    for bits in page.bits:
        end = at + (bits + 7) // 8 - skip
        page.keys.append(head + raw[at:end])
        at = end
    page.shape = raw[:at]
    page.node_hashes = [raw[n : n + 32] for n in range(at, at + 32 * inner, 32)]
    at += 32 * inner
    page.hashes = [raw[n : n + 32] for n in range(at, at + 32 * count, 32)]
    if len(raw) != at + 32 * count:
        raise ValueError(f"{len(raw)} bytes, not {at + 32 * count}")
    page.heads = [None] * inner
    page.top = page.shared.index(min(page.shared)) if inner else ~0
    return page


def _skipped(path: bytes) -> int:
    """Whole bytes that all keys of the page begin with, for the path tells them."""
    return int.from_bytes(path[:2], "big") // 8


def weight(items: Sequence[Item], shared: int = 0) -> int:
    """How many bytes a page of these items takes when its path tells that many bits of their keys."""
    # Key, bits and hash of the item; bits, children and hash of the node beside it.
    each = 2 + 32 + 2 + 2 + 32 - shared // 8
    return _HEAD.size + each * len(items) + sum(len(item[0]) for item in items)
