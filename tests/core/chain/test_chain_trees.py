"""The trees over transactions, receipts and headers."""

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.chain import history as ranges
from guts_core.chain import merkle
from guts_core.chain.block import leaf
from guts_core.chain.history import EMPTY, History, history_of
from guts_core.chain.transaction import Signature
from guts_core.errors import Corrupt
from guts_core.names import BlockHash, TxId

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=70)


def hashed(tag: bytes, data: bytes) -> bytes:
    """H(tag, data), written out."""
    return blake2b(data, digest_size=32, person=tag.ljust(16, b"\0")).digest()


def node(data: bytes) -> bytes:
    """A node or root of the transaction tree."""
    return hashed(b"guts/tx-node", data)


def rfc6962(leaves: list[bytes]) -> bytes:
    """The shape of RFC 6962, 2.1: split at the largest power of two below the length."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node(rfc6962(leaves[:half]) + rfc6962(leaves[half:]))


@given(HASHES)
def test_the_shape_is_that_of_rfc_6962_with_the_count_on_top(leaves: list[bytes]) -> None:
    """An independent definition gives the same root."""
    top = rfc6962(leaves) if leaves else bytes(32)

    assert merkle.root(leaves) == node(len(leaves).to_bytes(8, "big") + top)


@given(HASHES.filter(bool), st.data())
def test_every_leaf_has_a_path_that_proves_it_and_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    """Another leaf, place, length or path fails."""
    at = data.draw(st.integers(0, len(leaves) - 1))
    root, beside = merkle.root(leaves), merkle.path(leaves, at)

    assert merkle.verify(root, len(leaves), at, leaves[at], beside)
    assert not merkle.verify(root, len(leaves), at, bytes(31) + b"\x07", beside)
    assert not merkle.verify(root, len(leaves) + 1, at, leaves[at], beside)
    assert not merkle.verify(root, len(leaves), len(leaves), leaves[at], beside)
    assert not merkle.verify(root, len(leaves), -1, leaves[at], beside)
    assert not merkle.verify(root, len(leaves), at, leaves[at], (*beside, bytes(32)))
    assert not beside or not merkle.verify(root, len(leaves), at, leaves[at], beside[:-1])


@given(HASHES.filter(bool))
def test_bad_J_06_repeating_the_last_leaf_gives_another_root(leaves: list[bytes]) -> None:
    """CVE-2012-2459: two lists of transactions must not share a block hash."""
    assert merkle.root([*leaves, leaves[-1]]) != merkle.root(leaves)
    assert merkle.root(leaves) != merkle.root([merkle.root(leaves)])
    assert merkle.root([*leaves, bytes(32)]) != merkle.root(leaves)


def test_an_inner_node_is_no_leaf_and_no_root() -> None:
    """A list of two is not the list of their one parent."""
    one, two = b"\x01" * 32, b"\x02" * 32
    inner = node(one + two)

    assert merkle.root([one, two]) != merkle.root([inner])
    assert merkle.root([]) == node(bytes(40))
    assert merkle.root([]) != bytes(32)


def test_a_leaf_covers_signatures_and_witness() -> None:
    """Neither can be swapped under a block's hash."""
    tx_id, signature = TxId(b"t" * 32), Signature(b"k" * 32, b"s" * 64)
    signed = hashed(b"guts/tx-part", b"\x81\x84\x05\x00\x58\x20" + b"k" * 32 + b"\x58\x40" + b"s" * 64)
    unseen = hashed(b"guts/tx-part", b"\xf6")

    assert leaf(tx_id, (signature,), None) == hashed(b"guts/tx-leaf", tx_id + signed + unseen)


def mountains(hashes: list[bytes]) -> list[bytes]:
    """The peaks by definition: full trees over runs of powers of two, largest first."""
    peaks = []
    while hashes:
        run = 1 << len(hashes).bit_length() - 1
        level, hashes = hashes[:run], hashes[run:]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [hashed(b"guts/history", left + right) for left, right in pairs]
        peaks += level
    return peaks


@given(HASHES)
def test_the_history_is_a_mountain_range_with_its_count(hashes: list[bytes]) -> None:
    """Appending one by one gives what the definition gives for the whole, and it survives the disk."""
    history = history_of(BlockHash(found) for found in hashes)

    assert history.peaks == tuple(mountains(hashes))
    assert history.root == hashed(b"guts/history", len(hashes).to_bytes(8, "big") + b"".join(history.peaks))
    assert History.from_bytes(history.to_bytes()) == history
    assert len(history.peaks) == len(hashes).bit_count()


@given(HASHES.filter(bool), st.data())
def test_every_header_has_a_way_to_the_root_of_the_history_and_no_other_has(
    hashes: list[bytes], data: st.DataObject
) -> None:
    """Another header, place, count or way fails; so does one that is longer or shorter."""

    def node(level: int, index: int) -> bytes:
        (peak,) = mountains(hashes[index << level : (index + 1) << level])
        return peak

    count = len(hashes)
    at = data.draw(st.integers(0, count - 1))
    header, root = BlockHash(hashes[at]), history_of(BlockHash(found) for found in hashes).root
    way = ranges.path(node, count, at)

    assert ranges.verify(root, count, at, header, way)
    assert len(way) <= 2 * count.bit_length()
    assert not ranges.verify(root, count, at, BlockHash(bytes(31) + b"\x07"), way)
    assert not ranges.verify(root, count + 1, at, header, way)
    assert not ranges.verify(root, count, count, header, way)
    assert not ranges.verify(root, count, -1, header, way)
    assert not ranges.verify(root, count, at, header, (*way, bytes(32)))
    assert not way or not ranges.verify(root, count, at, header, way[:-1])
    assert all(not ranges.verify(root, count, other, header, way) for other in range(count) if hashes[other] != header)


def test_the_history_binds_its_count() -> None:
    """A range of one mountain over two headers is not one header that hashes like it."""
    two = history_of([BlockHash(b"\x01" * 32), BlockHash(b"\x02" * 32)])
    one = history_of([BlockHash(two.peaks[0])])

    assert two.peaks == one.peaks
    assert two.root != one.root
    assert EMPTY.root != bytes(32)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x82\x01\x80", b"\x82\x00\x81\x58\x20" + bytes(32), b"\x82\x01\x81\x41a", b"\x82\x01\x81\x01"],
)
def test_a_history_that_is_none_is_the_disks_fault(data: bytes) -> None:
    """What we wrote ourselves and cannot read is corrupt, and said so."""
    with pytest.raises(Corrupt):
        History.from_bytes(data)
