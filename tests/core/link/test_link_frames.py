"""Frames: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.errors import Malformed, PeerFault
from guts_core.link.frames import (
    COUNTER_MAX,
    FRAME_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    Lane,
    Opener,
    Piece,
    Sealer,
    SessionSpent,
    join_pieces,
    split_pieces,
)

# Poly1305's, RFC 8439.
TAG_BYTES = 16
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def frames_of(*plains: bytes) -> list[bytes]:
    """These plain bytes, sealed in order."""
    sealer = Sealer(KEY)
    return [sealer.seal(plain) for plain in plains]


def test_the_bytes_of_frames() -> None:
    """Golden: length, then ciphertext and tag; the same plain bytes never give the same frame twice."""
    sealer = Sealer(bytes(range(32)))

    assert sealer.seal(b"vote").hex() == "0000146ed7365499bb22bcb07163f427f382804a5978fc"
    assert sealer.seal(b"vote").hex() == "000014e2500f8b103026c9c4283f645ab643356457759f"


def test_the_bytes_of_pieces() -> None:
    pieces = [Piece(Lane.SAID, b"vote"), Piece(Lane.PING, b"8 bytes!"), Piece(Lane.SAID, b"")]

    assert join_pieces(pieces).hex() == "00000004766f746501000008382062797465732100000000"
    assert split_pieces(join_pieces(pieces)) == pieces


@given(plains=st.lists(st.binary(min_size=1, max_size=300), max_size=6), step=st.integers(1, 400))
def test_frames_come_out_as_they_went_in_however_they_are_cut(plains: list[bytes], step: int) -> None:
    stream = b"".join(frames_of(*plains))
    opener = Opener(KEY)

    out = [plain for at in range(0, len(stream), step) for plain in opener.feed(stream[at : at + step])]

    assert out == plains
    assert opener.buffered == 0


@given(
    pieces=st.lists(st.tuples(st.sampled_from(Lane), st.binary(max_size=50)).map(lambda pair: Piece(*pair)), max_size=8)
)
def test_pieces_come_out_as_they_went_in(pieces: list[Piece]) -> None:
    assert split_pieces(join_pieces(pieces)) == pieces


def test_pieces_that_do_not_fill_their_frame_are_refused() -> None:
    plain = join_pieces([Piece(Lane.SAID, b"first"), Piece(Lane.SAID, b"second")])
    whole = {0, 9, len(plain)}

    for cut in set(range(len(plain))) - whole:
        with pytest.raises(Malformed, match="beyond its frame"):
            split_pieces(plain[:cut])
    with pytest.raises(Malformed, match="no lane 3"):
        split_pieces(b"\x03" + plain[1:])


def test_every_flipped_bit_closes_the_session() -> None:
    """Length, ciphertext and tag are all authenticated."""
    (frame,) = frames_of(b"a vote")
    for at in range(len(frame)):
        bad = bytearray(frame)
        bad[at] ^= 1
        opener = Opener(KEY)
        # A length that grew waits for bytes that are not there: give it some.
        with pytest.raises(Malformed):
            opener.feed(bytes(bad) + bytes(1 << 17))
        with pytest.raises(SessionSpent):
            opener.feed(frame)


@pytest.mark.parametrize("order", [(0, 0), (1, 0), (0, 2)], ids=["repeated", "reordered", "left out"])
def test_only_the_next_frame_opens(order: tuple[int, int]) -> None:
    frames = frames_of(b"zero", b"one", b"two")
    opener = Opener(KEY)

    with pytest.raises(Malformed, match="does not open"):
        opener.feed(b"".join(frames[at] for at in order))


def test_a_reflected_frame_does_not_open() -> None:
    """Each direction has its own key."""
    with pytest.raises(Malformed, match="does not open"):
        Opener(OTHER_KEY).feed(frames_of(b"vote")[0])


@pytest.mark.parametrize("size", [0, TAG_BYTES, FRAME_BYTES_MAX + TAG_BYTES + 1, (1 << 24) - 1])
def test_a_length_that_no_frame_has_is_refused_at_once(size: int) -> None:
    """Before a byte of it is waited for or kept."""
    opener = Opener(KEY)

    with pytest.raises(Malformed, match=f"a frame of {size} bytes"):
        opener.feed(size.to_bytes(3, "big"))
    assert opener.buffered == 0


def test_the_buffer_never_holds_more_than_a_frame() -> None:
    stream = b"".join(frames_of(*[bytes([n]) * (FRAME_BYTES_MAX // 3) for n in range(9)]))
    opener, most = Opener(KEY), 0
    for at in range(0, len(stream), 1 << 16):
        opener.feed(stream[at : at + (1 << 16)])
        most = max(most, opener.buffered)

    assert most <= FRAME_BYTES_MAX // 3 + TAG_BYTES + 3


def test_the_largest_message_travels() -> None:
    plain = join_pieces([Piece(Lane.SAID, bytes(MESSAGE_BYTES_MAX))])

    assert len(plain) == FRAME_BYTES_MAX
    assert Opener(KEY).feed(Sealer(KEY).seal(plain)) == [plain]


def test_a_frame_too_large_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        Sealer(KEY).seal(bytes(FRAME_BYTES_MAX + 1))
    with pytest.raises(AssertionError):
        Sealer(KEY).seal(b"")


def test_the_counter_ends_and_never_wraps() -> None:
    """A nonce used twice gives both plain texts away."""
    sealer, opener = Sealer(KEY, COUNTER_MAX - 1), Opener(KEY, COUNTER_MAX - 1)
    last = sealer.seal(b"last")

    assert opener.feed(last) == [b"last"]
    with pytest.raises(SessionSpent, match="counter"):
        sealer.seal(b"one more")
    with pytest.raises(SessionSpent, match="counter"):
        opener.feed(last)


@given(garbage=st.binary(min_size=1, max_size=200))
def test_garbage_never_opens(garbage: bytes) -> None:
    opener = Opener(KEY)
    try:
        out = opener.feed(garbage)
    except PeerFault:
        out = []

    assert out == []
    assert opener.buffered <= len(garbage)
