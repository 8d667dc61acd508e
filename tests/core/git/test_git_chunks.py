"""Digests and chunk trees of blobs (``architecture.md`` 5)."""

from __future__ import annotations

import pytest

from guts_core.codec import Tag, digest
from guts_core.git import chunks
from guts_core.git.chunks import CHUNK_BYTES, BlobDigest, chunk_count, chunk_path, chunk_root, verify_chunk


def leaf(data: bytes) -> bytes:
    return digest(Tag.CHUNK, b"\x00", data)


def inner(left: bytes, right: bytes) -> bytes:
    return digest(Tag.CHUNK, b"\x01", left, right)


def test_one_digest_and_one_leaf_a_mebibyte() -> None:
    data = bytes(CHUNK_BYTES) + b"\x01" * CHUNK_BYTES + b"end"
    taker = BlobDigest()
    taker.update(data)

    done = taker.finish()

    parts = [leaf(bytes(CHUNK_BYTES)), leaf(b"\x01" * CHUNK_BYTES), leaf(b"end")]
    assert (done.digest, done.size) == (digest(Tag.BLOB, data), len(data))
    assert done.leaves == tuple(parts)
    assert done.chunk_root == inner(inner(parts[0], parts[1]), parts[2])


def test_golden_values() -> None:
    """These stand in signed manifests: they never change."""
    taker = BlobDigest()
    taker.update(b"PACK")

    done = taker.finish()

    assert done.digest.hex() == "0e12b897778922212efb92d8724c8d7ca40db7a1791609fa708b79dc4b43b3ea"
    assert done.chunk_root.hex() == "1a6949cde2d295efb68769de94fb9a0d2bbbd26b4890338562e3f06ef0eb45e6"


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
@pytest.mark.parametrize("piece", [1000, 65536, CHUNK_BYTES, 3 * CHUNK_BYTES])
def test_how_the_bytes_come_does_not_matter(size: int, piece: int) -> None:
    data = b"\x07" * size
    taker = BlobDigest()
    for at in range(0, size, piece):
        taker.update(data[at : at + piece])

    done = taker.finish()

    assert done.digest == digest(Tag.BLOB, data)
    assert len(done.leaves) == chunk_count(size)
    assert done.leaves[-1] == leaf(data[(chunk_count(size) - 1) * CHUNK_BYTES :])


@pytest.mark.parametrize("count", range(1, 10))
def test_every_chunk_proves_itself_and_nothing_else_does(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 4)
    pieces = [bytes([n]) * 4 for n in range(count - 1)] + [b"zz"]
    leaves = [leaf(piece) for piece in pieces]
    root, size = chunk_root(leaves), 4 * (count - 1) + 2

    for index, piece in enumerate(pieces):
        path = chunk_path(leaves, index)
        assert verify_chunk(root, size, index, piece, path)
        assert not verify_chunk(root, size, index, piece[:-1] + b"!", path)
        assert not verify_chunk(root, size, index, piece[:-1], path)
        assert not verify_chunk(root, size, index, piece, (*path, bytes(32)))
        assert not verify_chunk(root, size, index, piece, path[:-1]) or not path
        assert not any(verify_chunk(root, size, other, piece, path) for other in range(-1, count + 2) if other != index)
        assert not verify_chunk(bytes(32), size, index, piece, path)


def test_an_inner_node_is_no_chunk() -> None:
    """Leaves and nodes hash differently, so a tree cannot be shown as a shorter one."""
    left, right = leaf(b"a"), leaf(b"b")

    assert not verify_chunk(inner(left, right), 64, 0, left + right, ())
