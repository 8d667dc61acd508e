"""Proofs about a state whose tree we hold; what they prove is told by ``proof``, which verifies them."""

from __future__ import annotations

from guts_core.errors import Conflict, NotFound
from guts_core.names import Root
from guts_core.state.nodes import EMPTY_ROOT, TREE_KEY_BITS, TREE_KEY_BYTES, bit, prefix_of
from guts_core.state.proof import AbsenceProof, CompleteProof, End, InclusionProof, Inner, Leaf, Step
from guts_core.state.stored import ROOT_PATH, Page, path_of
from guts_core.state.tree import Tree


def prove_inclusion(tree: Tree, root: Root, key: bytes) -> InclusionProof:
    """That the record at a tree key is what it is; raises NotFound when there is none."""
    steps, end = _walk(tree, root, key)
    if not isinstance(end, Leaf) or end.key != key:
        raise NotFound(f"no record has the tree key {key.hex()}")
    return InclusionProof(steps)


def prove_absence(tree: Tree, root: Root, key: bytes) -> AbsenceProof:
    """That there is no record at a tree key; raises Conflict when there is one."""
    assert len(key) == TREE_KEY_BYTES
    steps, end = _walk(tree, root, key)
    if isinstance(end, Leaf) and end.key == key:
        raise Conflict(f"a record has the tree key {key.hex()}")
    return AbsenceProof(steps, end)


def prove_complete(tree: Tree, root: Root, prefix: bytes) -> CompleteProof:
    """That the records under a prefix of the tree key, which the caller lists, are all of them."""
    steps, end = _walk(tree, root, prefix)
    is_under_prefix = end is not None and _prefix(end).startswith(prefix)
    return CompleteProof(steps, None if is_under_prefix else end)


def _prefix(end: End) -> bytes:
    return end.key if isinstance(end, Leaf) else end.prefix[: end.bits // 8]


def _walk(tree: Tree, root: Root, prefix: bytes) -> tuple[tuple[Step, ...], End | None]:
    """Down from the root along a prefix to the first node that is under it or diverges from it."""
    if root == EMPTY_ROOT:
        return (), None
    steps: list[Step] = []
    page = tree.page(ROOT_PATH, root)
    ref = page.top
    while True:
        if ref < 0:
            bits = page.bits_of(~ref)
            if bits == TREE_KEY_BITS:
                return tuple(steps), Leaf(page.key(~ref), page.hashed(~ref))
            page = tree.page(path_of(page.key(~ref), bits), page.hashed(~ref))
            ref = page.top
            continue
        bits, left, right = page.node(ref)
        if bits >= len(prefix) * 8 or prefix_of(page.key(ref), bits) != prefix_of(prefix, bits):
            return tuple(steps), _inner(page, ref)
        ref, other = (right, left) if bit(prefix, bits) else (left, right)
        steps.append(Step(bits, page.hash_of(other)))


def _inner(page: Page, ref: int) -> Inner:
    bits, left, right = page.node(ref)
    return Inner(bits, prefix_of(page.key(ref), bits), page.hash_of(left), page.hash_of(right))
