"""
How pages of the state tree are made: a ``Draft`` is a page whose items came or went.

A draft takes the hashes of the nodes whose neighbours stayed from the page before, and hashes the others.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

from guts_core.errors import Corrupt
from guts_core.state.nodes import (
    EMPTY_ROOT,
    TREE_KEY_BITS,
    TREE_KEY_BYTES,
    common_bits,
    inner_hash,
    leaf_hash,
    prefix_of,
)
from guts_core.state.stored import HEAD, ITEMS_MAX, LAYOUT, Item, Page, places, skipped

# A row of a SQLite table fits one 4096-byte database page up to 4061 bytes with its key: one write
# per changed page, and no overflow page.
PAGE_BYTES_MAX = 3900
PAGE_BYTES_LEAST = 600

# What a node takes: its bits, children and hash. And what an item takes beside its key, with the node next to it:
# where the key begins, bits and hash.
NODE_BYTES = 2 + 2 + 32
ITEM_BYTES = 2 + 2 + 32 + NODE_BYTES


class Draft:
    """A page that is being made of items; ``seal`` makes it one that can be stored."""

    __slots__ = ("bits", "hashes", "keys", "lefts", "node_hashes", "rights", "shared", "top")

    keys: list[bytes]
    bits: list[int]
    hashes: list[bytes]
    shared: list[int]
    lefts: list[int]
    rights: list[int]
    node_hashes: list[bytes]
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

    def part(self, node: int, first: int, end: int) -> Draft:
        """The page of a run of items, all that are under a node."""
        page, inner = Draft(), slice(first, end - 1)
        page.keys, page.bits, page.hashes = self.keys[first:end], self.bits[first:end], self.hashes[first:end]
        page.shared, page.node_hashes = self.shared[inner], self.node_hashes[inner]
        page.lefts, page.rights = (
            [ref - first if ref >= 0 else ref + first for ref in side[inner]] for side in (self.lefts, self.rights)
        )
        page.top = node - first
        return page

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
    except above the ``changed`` keys: every key whose leaf came, went or changed since. Raises Corrupt.
    """
    page = Draft()
    page.keys = [item[0] for item in items]
    page.bits = [item[1] for item in items]
    page.hashes = [item[2] for item in items]
    page.shared, page.node_hashes = [], []
    places, following = _neighbours(old)
    kept, bits = ([], []) if old is None else (old.node_hashes, old.shared)
    for one, other in pairwise(page.keys):
        at = places.get(one)
        if at is not None and following[at] == other:
            page.shared.append(bits[at])
            page.node_hashes.append(kept[at])
        else:
            page.shared.append(_common(one, other))
            page.node_hashes.append(EMPTY_ROOT)
    page.lefts, page.rights, page.top = _arrange(page.shared)
    try:
        page.rehash(changed, {node for node, hashed in enumerate(page.node_hashes) if hashed is EMPTY_ROOT})
    except IndexError as error:
        raise Corrupt("a node of the state tree has more bits than the keys beside it") from error
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


def seal(draft: Draft, path: bytes) -> bytes:
    """The draft as it is stored under its path."""
    skip, count = skipped(path), len(draft.keys)
    assert count <= ITEMS_MAX
    at = places(count)[-1]
    rests = [key[skip:] for key in draft.keys]
    starts = []
    for rest in rests:
        starts.append(at)
        at += len(rest)
    starts.append(at)
    numbers = struct.pack(f"<{3 * count}H", *draft.shared, *draft.bits, *starts)
    children = struct.pack(f"{2 * (count - 1)}b", *draft.lefts, *draft.rights)
    head = HEAD.pack(LAYOUT, count, draft.top)
    return b"".join((head, numbers, children, *rests, *draft.node_hashes, *draft.hashes))


def weight(items: Sequence[Item], shared: int = 0) -> int:
    """How many bytes a page of these items takes when its path tells that many bits of their keys."""
    each = ITEM_BYTES - shared // 8
    return HEAD.size + 2 + each * len(items) + sum(len(item[0]) for item in items)
