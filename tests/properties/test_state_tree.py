"""The tree over pages against its definition, and proofs against every neighbour of an honest one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain.audit import audit_page
from guts_core.errors import Corrupt
from guts_core.names import Root
from guts_core.state.nodes import EMPTY_ROOT, root_of, value_hash
from guts_core.state.pages import PAGE_BYTES_LEAST, PAGE_BYTES_MAX
from guts_core.state.proof import (
    AbsenceProof,
    BadProof,
    CompleteProof,
    InclusionProof,
    Inner,
    Leaf,
    Step,
    verify_absence,
    verify_complete,
    verify_inclusion,
)
from guts_core.state.prover import prove_absence, prove_complete, prove_inclusion
from guts_core.state.stored import ROOT_PATH, decode, path_of
from guts_core.state.tree import PageOverlay, PageWrites, Tree
from tests.core.state.oracle import oracle_root

Batch = dict[bytes, bytes | None]

# Few values at the first, a middle and the last byte: most keys share long prefixes, some all but one bit.
_BYTES = st.sampled_from([0x00, 0x01, 0x02, 0x80, 0xFF])
keys = st.builds(
    lambda first, middle, last: bytes((first,)) + bytes(32) + bytes((middle,)) + bytes(30) + bytes((last,)),
    *[_BYTES] * 3,
)
values = st.sampled_from([b"", b"a", b"b"])
batches = st.lists(st.dictionaries(keys, st.none() | values, max_size=30), max_size=6)
page_sizes = st.sampled_from([PAGE_BYTES_LEAST, 1000, PAGE_BYTES_MAX])
states = st.dictionaries(keys, values, max_size=12)


class Stored:
    """A tree over a dict, which writes its pages at once."""

    def __init__(self, page_bytes_max: int = PAGE_BYTES_LEAST) -> None:
        self.pages: dict[bytes, bytes] = {}
        self.tree = Tree(self.pages.get, page_bytes_max=page_bytes_max)
        self.root = EMPTY_ROOT

    def write(self, batch: Batch) -> PageWrites:
        """Apply a batch and store its pages."""
        self.root, pages = self.tree.apply(self.root, batch)
        for path, page in pages.items():
            if page is None:
                self.pages.pop(path, None)
            else:
                self.pages[path] = page
        return pages

    def reachable(self) -> set[bytes]:
        """The paths of all pages that the root leads to."""
        found: set[bytes] = set()
        paths = [] if self.root == EMPTY_ROOT else [ROOT_PATH]
        while paths:
            path = paths.pop()
            found.add(path)
            page = decode(path, self.pages[path])
            paths += [path_of(key, bits) for key, bits, _ in page.items() if bits < 520]
        return found


def model_write(records: dict[bytes, bytes], batch: Batch) -> None:
    for key, value in batch.items():
        if value is None:
            records.pop(key, None)
        else:
            records[key] = value


@given(batches, page_sizes)
@settings(max_examples=300, deadline=None)
def test_the_root_is_the_one_of_the_definition_after_every_batch(history: list[Batch], page_size: int) -> None:
    """Whatever pages hold: the same records have the same root on every node."""
    stored, records = Stored(page_size), dict[bytes, bytes]()

    for batch in history:
        stored.write(batch)
        model_write(records, batch)

        assert oracle_root(records) == stored.root
        assert stored.reachable() == set(stored.pages)
        assert all(len(page) <= page_size for page in stored.pages.values())
        for path, page in stored.pages.items():
            audit_page(path, page, stored.pages.get)


@given(batches, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_root_does_not_depend_on_history(history: list[Batch], dice: Any) -> None:
    """A node that synced and one that executed every block agree."""
    lived, records = Stored(), dict[bytes, bytes]()
    for batch in history:
        lived.write(batch)
        model_write(records, batch)
    order = list(records.items())
    dice.shuffle(order)
    born = Stored(PAGE_BYTES_MAX)

    for key, value in order:
        born.write({key: value})

    assert lived.root == born.root
    assert root_of([(key, value_hash(records[key])) for key in sorted(records)]) == born.root


@given(batches, st.dictionaries(keys, st.none() | values), st.dictionaries(keys, st.none() | values))
@settings(deadline=None)
def test_forks_over_one_base_and_one_cache_do_not_mix(history: list[Batch], one: Batch, other: Batch) -> None:
    """Two proposals for one height execute over the same committed pages."""
    stored, records = Stored(), dict[bytes, bytes]()
    for batch in history:
        stored.write(batch)
        model_write(records, batch)

    for fork in (one, other, one):
        root, pages = stored.tree.apply(stored.root, fork)
        above = stored.tree.over(pages)
        after, more = above.apply(root, other)
        expected = dict(records)
        model_write(expected, fork)
        assert oracle_root(expected) == root
        model_write(expected, other)
        assert oracle_root(expected) == after
        _check_all(Tree(PageOverlay(PageOverlay(stored.pages.get, pages).page, more).page), after, expected)


@given(batches, batches, st.data())
@settings(max_examples=300, deadline=None)
def test_a_write_over_a_damaged_page_ends_as_writes_end(history: list[Batch], more: list[Batch], data: Any) -> None:
    """Whatever a disk gives back in place of a byte, a write ends: with an answer, or with what tells of the damage."""
    stored = Stored(PAGE_BYTES_MAX)
    for batch in history:
        stored.write(batch)
    if not stored.pages:
        return
    path = data.draw(st.sampled_from(sorted(stored.pages)))
    page = bytearray(stored.pages[path])
    page[data.draw(st.integers(0, len(page) - 1))] = data.draw(st.integers(0, 255))
    damaged = {**stored.pages, path: bytes(page)}

    for batch in more:
        with contextlib.suppress(Corrupt):
            Tree(damaged.get).apply(stored.root, batch)


@given(batches)
@settings(deadline=None)
def test_writing_what_is_there_changes_no_page(history: list[Batch]) -> None:
    """A block that writes equal records costs no disk."""
    stored, records = Stored(), dict[bytes, bytes]()
    for batch in history:
        stored.write(batch)
        model_write(records, batch)
    gone: Batch = {key: None for batch in history for key in batch if key not in records}

    pages = stored.write({**gone, **records})

    assert pages == {}


@given(states, keys, values)
@settings(max_examples=200, deadline=None)
def test_every_honest_proof_verifies_and_no_neighbour_of_it_does(
    records: dict[bytes, bytes], key: bytes, value: bytes
) -> None:
    """A proof has one form: whoever changes anything in it has no proof."""
    stored = Stored()
    stored.write(dict(records))

    _check_all(stored.tree, stored.root, records)
    _check_point(stored.tree, stored.root, records, key, value)
    for prefix in (b"", key[:1], key[:33], key[:34], key):
        _check_set(stored.tree, stored.root, records, prefix)


def _check_all(tree: Tree, root: Root, records: dict[bytes, bytes]) -> None:
    for key, value in records.items():
        verify_inclusion(root, key, value, prove_inclusion(tree, root, key))


def _check_point(tree: Tree, root: Root, records: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    if key in records:
        proof = prove_inclusion(tree, root, key)
        verify_inclusion(root, key, records[key], proof)
        refused(verify_inclusion, root, key, records[key] + b"!", proof)
        for bad in neighbours(proof):
            refused(verify_inclusion, root, key, records[key], bad)
            refused(verify_absence, root, key, AbsenceProof(bad.steps, None))
            leaf = Leaf(key, value_hash(records[key]))
            refused(verify_absence, root, key, AbsenceProof(bad.steps, leaf))
        return
    absence = prove_absence(tree, root, key)
    verify_absence(root, key, absence)
    refused(verify_inclusion, root, key, value, InclusionProof(absence.steps))
    for bad in neighbours(absence):
        refused(verify_absence, root, key, bad)
    for present in records:
        refused(verify_absence, root, present, absence)


def _check_set(tree: Tree, root: Root, records: dict[bytes, bytes], prefix: bytes) -> None:
    pairs = sorted(pair for pair in records.items() if pair[0].startswith(prefix))
    proof = prove_complete(tree, root, prefix)
    verify_complete(root, prefix, pairs, proof)
    for bad in neighbours(proof):
        refused(verify_complete, root, prefix, pairs, bad)
    for wrong in other_lists(pairs):
        refused(verify_complete, root, prefix, wrong, proof)
    for at in range(len(pairs)):
        shorter = prove_complete(tree, root, pairs[at][0])
        if len(pairs) > 1:
            refused(verify_complete, root, prefix, [pairs[at]], shorter)


def refused(verify: Callable[..., None], *statement_and_proof: object) -> None:
    with pytest.raises(BadProof):
        verify(*statement_and_proof)


def other_lists(pairs: Sequence[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    for at, (key, value) in enumerate(pairs):
        rest = [*pairs[:at], *pairs[at + 1 :]]
        yield rest
        yield [*rest, (key, value)] if at + 1 < len(pairs) else [(key, value + b"!")]
        yield [*pairs[: at + 1], *pairs[at:]]
        yield [*pairs[:at], (key, value + b"!"), *pairs[at + 1 :]]
        yield [*pairs[:at], (key[:-1], value), *pairs[at + 1 :]]
        yield [*pairs[:at], (key[:-1] + bytes((key[-1] ^ 1,)), value), *pairs[at + 1 :]]


def neighbours(proof: Any) -> Iterator[Any]:
    """Proofs that differ from this one in one place."""
    for steps in _other_steps(proof.steps):
        yield attrs.evolve(proof, steps=steps)
    if isinstance(proof, AbsenceProof | CompleteProof):
        for end in _other_ends(proof.end):
            yield attrs.evolve(proof, end=end)


def _other_steps(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    yield (*steps, Step(519, bytes(32)))
    yield (Step(0, bytes(32)), *steps)
    for at, step in enumerate(steps):
        before, after = steps[:at], steps[at + 1 :]
        yield before + after
        yield (*before, step, step, *after)
        yield (*before, attrs.evolve(step, other=bytes(32)), *after)
        yield (*before, attrs.evolve(step, bits=(step.bits + 1) % 520), *after)
        yield (*before, attrs.evolve(step, bits=(step.bits - 1) % 520), *after)


def _other_ends(end: Leaf | Inner | None) -> Iterator[Leaf | Inner | None]:
    if end is None:
        yield Leaf(bytes(65), bytes(32))
        yield Inner(0, b"", bytes(32), bytes(32))
        return
    yield None
    if isinstance(end, Leaf):
        yield attrs.evolve(end, key=end.key[:-1] + bytes((end.key[-1] ^ 1,)))
        yield attrs.evolve(end, value_hash=bytes(32))
        return
    yield attrs.evolve(end, left=end.right, right=end.left)
    yield attrs.evolve(end, prefix=end.prefix + b"\0")
    yield attrs.evolve(end, bits=(end.bits + 1) % 520)
    yield attrs.evolve(end, bits=(end.bits - 1) % 520)
    if end.bits % 8:
        yield attrs.evolve(end, prefix=end.prefix[:-1] + bytes((end.prefix[-1] | 1,)))
    elif end.prefix:
        yield attrs.evolve(end, prefix=end.prefix[:-1] + bytes((end.prefix[-1] ^ 1,)))
