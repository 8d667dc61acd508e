"""
The authenticated state tree over stored pages (``architecture.md`` 3, Authenticated).

``Tree.apply`` turns a root and the writes of a block into the next root and the pages to write, and
touches nothing: the pages of an unfinalized block lie in a ``PageOverlay`` until it is final.

Pages split like those of a B-tree, from the top: when one outgrows its limit, its topmost nodes move
into the parent, so all leaves stay about equally many pages deep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from typing import TypeAlias

from guts_core.errors import Corrupt
from guts_core.names import Root
from guts_core.state.growing import has_room, with_leaf
from guts_core.state.nodes import EMPTY_ROOT, TREE_KEY_BITS, TREE_KEY_BYTES, value_hash
from guts_core.state.pages import PAGE_BYTES_LEAST, PAGE_BYTES_MAX, Draft, build, seal, weight
from guts_core.state.stored import ROOT_PATH, Change, Item, Made, Page, Turn, decode, path_of

GetPage: TypeAlias = Callable[[bytes], bytes | None]
PageWrites: TypeAlias = dict[bytes, bytes | None]

# A subtree of so few items is not worth a page of its own.
ITEMS_INLINE_MAX = 2


class PageOverlay:
    """The pages that an unfinalized block writes, above those of its parent."""

    def __init__(self, below: GetPage, writes: PageWrites) -> None:
        self._below, self.writes = below, writes

    def page(self, path: bytes) -> bytes | None:
        """One page as of this block, or None."""
        if path in self.writes:
            return self.writes[path]
        return self._below(path)


class Tree:
    """The tree whose pages ``get_page`` reads."""

    def __init__(self, get_page: GetPage, page_bytes_max: int = PAGE_BYTES_MAX) -> None:
        # Less, and a page of three items over long keys would not fit.
        assert page_bytes_max >= PAGE_BYTES_LEAST
        self.page_bytes_max = page_bytes_max
        self._get_page = get_page

    def over(self, writes: PageWrites) -> Tree:
        """The tree after these page writes, which stay in memory."""
        return Tree(PageOverlay(self._get_page, writes).page, self.page_bytes_max)

    def apply(self, root: Root, writes: Mapping[bytes, bytes | None]) -> tuple[Root, PageWrites]:
        """
        The root after writing these records by tree key (None: removed), and the pages that change.

        Writing what is there or removing what is not changes nothing. Raises Corrupt when the stored
        pages are not those of ``root``.
        """
        if any(len(key) != TREE_KEY_BYTES for key in writes):
            raise ValueError(f"a tree key has {TREE_KEY_BYTES} bytes")
        changes = [
            (key, int.from_bytes(key, "big"), None if value is None else value_hash(value))
            for key, value in sorted(writes.items())
        ]
        return _Update(self).run(root, changes) if changes else (root, {})

    def page(self, path: bytes, expected: bytes) -> Page:
        """The page kept under a path, if its topmost hash is the expected one; else raises Corrupt."""
        raw = self._get_page(path)
        if raw is None:
            raise Corrupt(f"page {path.hex() or 'root'} of the state tree is missing")
        page = decode(path, raw)
        if page.root() != expected:
            raise Corrupt(f"page {path.hex() or 'root'} of the state tree is not the one its parent names")
        return page


class _Update:
    """One application of changes: goes down to the pages they touch and rewrites them on the way back."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._writes: PageWrites = {}

    def run(self, root: Root, changes: list[Change]) -> tuple[Root, PageWrites]:
        if root == EMPTY_ROOT:
            page, items = None, _changed_leaves(changes)
        else:
            page = self._tree.page(ROOT_PATH, root)
            after = self._change(page, changes)
            if after is page:
                return root, self._writes
            if isinstance(after, tuple):
                self._writes[ROOT_PATH], changed = after
                return Root(changed), self._writes
            assert isinstance(after, list)
            items = after
        return self._new_root(page, items, [change[0] for change in changes]), self._writes

    def _new_root(self, old: Page | None, items: list[Item], changed: list[bytes]) -> Root:
        if not items:
            if old is not None:
                self._writes[ROOT_PATH] = None
            return EMPTY_ROOT
        draft = build(items, old, changed)
        while weight(items) > self._tree.page_bytes_max:
            items = self._parts(draft)
            draft = build(items, draft, [])
        self._writes[ROOT_PATH] = seal(draft, ROOT_PATH)
        return Root(draft.root())

    def _change(self, page: Page, changes: list[Change]) -> Page | Made | list[Item]:
        """The page itself if nothing changes, a page with other hashes, or other items to make one of."""
        if len(changes) == 1:
            return self._change_one(page, changes[0])
        found, strays, nodes = page.part(changes)
        added = _changed_leaves(strays)
        if added and has_room(page, len(added), self._tree.page_bytes_max):
            for key, number, hashed in strays:
                page = page if hashed is None else with_leaf(page, key, number, page.find(key, number)[2])
            return self._change(page, changes)
        if strays and not added:  # removed what is not there: such a key does not tell the prefix of nodes on its way
            return self._change(page, sorted(chain.from_iterable(found.values()))) if found else page
        hashes: dict[int, bytes] = {}
        replaced: dict[int, list[Item]] = {}
        for at, under in found.items():
            new = self._change_item(page, at, under)
            if isinstance(new, list):
                replaced[at] = new
            elif new != page.hashed(at):
                hashes[at] = new
        if added or replaced:
            replaced.update((at, [(page.key(at), page.bits_of(at), hashed)]) for at, hashed in hashes.items())
            return _replaced(page, replaced, added)
        return page.with_hashes(hashes.items(), nodes) if hashes else page

    def _change_one(self, page: Page, change: Change) -> Page | Made | list[Item]:
        """The same for a single change, which is what most pages see of a block: down to its leaf and up again."""
        above: list[tuple[bytes, Page, int, list[Turn]]] = []
        key, number, _ = change
        at, path, turns = page.find(key, number)
        while path and at >= 0:
            above.append((path, page, at, turns))
            page = self._tree.page(path, page.hashed(at))
            at, path, turns = page.find(key, number)
        after = self._changed_leaf(page, at, turns, change)
        while above:
            below = page
            path, page, at, turns = above.pop()
            if after is below:
                after = page
            elif isinstance(after, tuple):
                self._writes[path], hashed = after
                after = page.with_hash(at, hashed, key, number, turns)
            else:
                assert isinstance(after, list)
                new = self._in_place_of(path, below, after, [key])
                if _is_still(page, at, new):
                    after = page.with_hash(at, new[0][2], key, number, turns)
                else:
                    after = _replaced(page, {at: new}, [])
        return after

    def _changed_leaf(self, page: Page, at: int, turns: list[Turn], change: Change) -> Page | Made | list[Item]:
        """A page after the one change that ends in it: at the place of a leaf, or (-1) beside all its items."""
        key, number, hashed = change
        if hashed is None:
            return page if at < 0 else _replaced(page, {at: []}, [])
        if at >= 0:
            return page if hashed == page.hashed(at) else page.with_hash(at, hashed, key, number, turns)
        if not has_room(page, 1, self._tree.page_bytes_max):
            return _replaced(page, {}, _changed_leaves([change]))
        grown = with_leaf(page, key, number, turns)
        at, _, turns = grown.find(key, number)
        return grown.with_hash(at, hashed, key, number, turns)

    def _change_item(self, page: Page, at: int, changes: list[Change]) -> bytes | list[Item]:
        """The hash of an item after the changes to it or under it, or what stands in its place."""
        bits = page.bits_of(at)
        if bits == TREE_KEY_BITS:
            return changes[0][2] or []
        path, hashed = path_of(page.key(at), bits), page.hashed(at)
        child = self._tree.page(path, hashed)
        after = self._change(child, changes)
        if after is child:
            return hashed
        if isinstance(after, tuple):
            self._writes[path], hashed = after
            return hashed
        assert isinstance(after, list)
        new = self._in_place_of(path, child, after, [change[0] for change in changes])
        return new[0][2] if _is_still(page, at, new) else new

    def _in_place_of(self, path: bytes, old: Page, items: list[Item], changed: list[bytes]) -> list[Item]:
        """What a parent holds in place of the link to a page whose items are others now."""
        self._writes[path] = None
        if len(items) <= ITEMS_INLINE_MAX:
            return items
        return self._parts(build(items, old, changed))

    def _parts(self, page: Draft) -> list[Item]:
        """What a parent holds of a new child page: one link if it is small enough, else its parts."""
        items, whole = page.items(), (0, len(page))
        if weight(items) > self._tree.page_bytes_max and not _all_leaves(items):
            lowered = self._lower(page, items, page.top, whole)
            if lowered != items:
                items, page, whole = lowered, build(lowered, page, []), (0, len(lowered))
        return self._cut(page, items, page.top, whole)

    def _lower(self, page: Draft, items: list[Item], node: int, run: tuple[int, int]) -> list[Item]:
        """
        A run of items with subtrees of leaves alone put into pages.

        Leaves that came between links belong one level down; left here they would take part in the
        next cut, and pages of both would stand on each other ever deeper.
        """
        first, end = run
        if end - first <= ITEMS_INLINE_MAX:
            return items[first:end]
        if _all_leaves(items[first:end]):
            return self._cut(page, items, node, run)
        left = self._lower(page, items, page.lefts[node], (first, node + 1))
        return left + self._lower(page, items, page.rights[node], (node + 1, end))

    def _cut(self, page: Draft, items: list[Item], node: int, run: tuple[int, int]) -> list[Item]:
        """A run of items, all that are under a node, in pages of their own where they fit."""
        first, end = run
        if end - first <= ITEMS_INLINE_MAX:
            return items[first:end]
        if weight(items[first:end], page.shared[node]) <= self._tree.page_bytes_max:
            return [self._new_page(page if end - first == len(page) else page.part(node, first, end))]
        left = self._cut(page, items, page.lefts[node], (first, node + 1))
        return left + self._cut(page, items, page.rights[node], (node + 1, end))

    def _new_page(self, part: Draft) -> Item:
        link = part.top_item()
        path = path_of(link[0], link[1])
        self._writes[path] = seal(part, path)
        return link


def _changed_leaves(changes: list[Change]) -> list[Item]:
    return [(key, TREE_KEY_BITS, hashed) for key, _, hashed in changes if hashed is not None]


def _replaced(page: Page, replaced: Mapping[int, list[Item]], added: list[Item]) -> list[Item]:
    """The items of a page with others in some places, and more."""
    items = [item for at, item in enumerate(page.items()) if at not in replaced]
    for new in replaced.values():
        items += new
    return sorted(items + added)


def _is_still(page: Page, at: int, now: list[Item]) -> bool:
    """Whether an item stands where it stood, be it with another hash."""
    return len(now) == 1 and now[0][1] == page.bits_of(at) and now[0][0] == page.key(at)


def _all_leaves(items: list[Item]) -> bool:
    return all(item[1] == TREE_KEY_BITS for item in items)
