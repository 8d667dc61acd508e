"""Pages of the state tree: what a damaged disk gives, and that pages stay few and shallow."""

from __future__ import annotations

import pytest

from guts_core.errors import Conflict, Corrupt, NotFound
from guts_core.names import Root
from guts_core.state.keys import Kind, Scope, key, tree_key
from guts_core.state.nodes import EMPTY_ROOT, TREE_KEY_BITS, root_of, value_hash
from guts_core.state.prover import prove_absence, prove_inclusion
from guts_core.state.stored import ROOT_PATH, decode, path_of
from guts_core.state.tree import Tree

BATCH = 50
# First and last byte of keys: two in one subtree, one in the other, and one that belongs to neither.
_APART = ((0xFF, 0), (0xFF, 1), (0x00, 0), (0x80, 0))


def place(repository: int, ref: int = 0) -> bytes:
    return tree_key(key(Scope.REPOSITORY, repository.to_bytes(32, "big"), Kind.REF, b"refs/heads/%d" % ref))


class Stored:
    """A tree over a dict of pages."""

    def __init__(self) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.root = EMPTY_ROOT

    def write(self, batch: dict[bytes, bytes | None]) -> int:
        """Apply a batch with an empty cache; how many pages it wrote."""
        self.root, pages = Tree(self.pages.get).apply(self.root, batch)
        for path, page in pages.items():
            if page is None:
                self.pages.pop(path, None)
            else:
                self.pages[path] = page
        return len(pages)

    def depths(self) -> set[int]:
        """How many pages deep leaves lie."""
        found, todo = set(), [(ROOT_PATH, 1)]
        while todo:
            path, depth = todo.pop()
            for prefix, bits, _ in decode(path, self.pages[path]).items():
                if bits == TREE_KEY_BITS:
                    found.add(depth)
                else:
                    todo.append((path_of(prefix, bits), depth + 1))
        return found


@pytest.fixture(scope="module")
def grown() -> Stored:
    """Five thousand refs in five hundred repositories, which come one after the other."""
    places = [place(repository, ref) for repository in range(500) for ref in range(10)]
    stored = Stored()
    for first in range(0, len(places), BATCH):
        stored.write(dict.fromkeys(places[first : first + BATCH], b"value"))
    return stored


def test_pages_stay_shallow_when_repositories_are_scattered(grown: Stored) -> None:
    """Each level costs every write a page; left among links, new leaves made it seven."""
    assert grown.depths() <= {2, 3}


def test_one_write_changes_one_page_a_level(grown: Stored) -> None:
    """What a small block costs does not grow with the state."""
    _, pages = Tree(grown.pages.get).apply(grown.root, {place(3, 3): b"other"})

    assert len(pages) <= 3


def test_a_state_emptied_again_leaves_no_page() -> None:
    """Deleting gives the disk back."""
    stored = Stored()
    stored.write({place(n % 40, n): b"value" for n in range(400)})
    assert len(stored.pages) > 10

    stored.write({place(n % 40, n): None for n in range(400)})

    assert stored.root == EMPTY_ROOT
    assert stored.pages == {}


def test_removing_what_is_not_there_beside_a_change_leaves_the_nodes_above_it_true() -> None:
    """The absent key parts from the others above the node that both ways lead to: it does not tell its prefix."""
    one, other, beside, absent = (bytes((first,)) + bytes(63) + bytes((last,)) for first, last in _APART)
    stored = Stored()
    stored.write({one: b"1", other: b"2", beside: b"3"})

    stored.write({one: b"new", absent: None})

    assert stored.root == root_of([(beside, value_hash(b"3")), (one, value_hash(b"new")), (other, value_hash(b"2"))])


def test_a_missing_page_is_told(grown: Stored) -> None:
    """A lost write is this disk's fault and says where."""
    pages = dict(grown.pages)
    lost = max(pages)
    del pages[lost]
    below = decode(lost, grown.pages[lost]).keys[0]

    with pytest.raises(Corrupt, match=f"{lost.hex()}.*missing"):
        Tree(pages.get).apply(grown.root, {below: None})


def test_a_page_of_another_state_is_told(grown: Stored) -> None:
    """A write that went back in time is noticed where the parent names the child's hash."""
    newer, changed = Tree(grown.pages.get).apply(grown.root, {place(3, 3): b"other"})
    for path in changed:
        mixed: dict[bytes, bytes | None] = {**grown.pages, **changed, path: grown.pages[path]}
        with pytest.raises(Corrupt, match="not the one"):
            Tree(mixed.get).apply(newer, {place(3, 3): b"again"})


def test_a_page_that_does_not_read_is_told(grown: Stored) -> None:
    """Cut or overwritten bytes are never taken for a page."""
    page = grown.pages[ROOT_PATH]
    for bad in (b"", b"\x00" + page[1:], page[:-1], page + b"\0", page[:2]):
        with pytest.raises(Corrupt, match="page root"):
            Tree({ROOT_PATH: bad}.get).apply(grown.root, {place(3, 3): b"other"})


def test_keys_of_another_length_are_our_mistake() -> None:
    """Only 65-byte keys have a place."""
    with pytest.raises(ValueError, match="65 bytes"):
        Tree(lambda _path: None).apply(EMPTY_ROOT, {b"short": b"value"})


def test_what_is_not_so_cannot_be_proven(grown: Stored) -> None:
    """A prover says no before a verifier does."""
    tree, there, gone = Tree(grown.pages.get), place(3, 3), place(3, 99)
    root: Root = grown.root

    with pytest.raises(NotFound, match=gone.hex()):
        prove_inclusion(tree, root, gone)
    with pytest.raises(Conflict, match=there.hex()):
        prove_absence(tree, root, there)
