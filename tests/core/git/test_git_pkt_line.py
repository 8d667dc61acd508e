"""pkt-lines: exactly the protocol (``reliability.md`` D01, D02)."""

from __future__ import annotations

import pytest

from guts_core.git.pkt_line import (
    DATA_BYTES_MAX,
    DELIMITER,
    FLUSH,
    PACKET_BYTES_MAX,
    RESPONSE_END,
    BadPacket,
    Band,
    Mark,
    PacketReader,
    packet,
    side_band,
)


def read_all(data: bytes) -> list[bytes | Mark]:
    reader = PacketReader()
    reader.receive(data)
    found = []
    while (one := reader.next_packet()) is not None:
        found.append(one)
    assert reader.is_between_packets()
    return found


def test_packets_as_git_writes_them() -> None:
    assert packet(b"hello\n") == b"000ahello\n"
    assert packet(b"") == b"0004"
    assert (FLUSH, DELIMITER, RESPONSE_END) == (b"0000", b"0001", b"0002")


def test_a_stream_is_read_back() -> None:
    data = packet(b"a") + FLUSH + DELIMITER + packet(b"") + RESPONSE_END + b"000Ab\x00\xff\n12"

    assert read_all(data) == [b"a", Mark.FLUSH, Mark.DELIMITER, b"", Mark.RESPONSE_END, b"b\x00\xff\n12"]


def test_what_follows_is_left_alone() -> None:
    reader = PacketReader()
    reader.receive(FLUSH + b"PACK\x00\x00")

    assert reader.next_packet() is Mark.FLUSH
    assert reader.rest() == b"PACK\x00\x00"
    assert reader.is_between_packets()


def test_the_largest_packet() -> None:
    assert read_all(packet(b"x" * DATA_BYTES_MAX)) == [b"x" * DATA_BYTES_MAX]
    assert packet(b"x" * DATA_BYTES_MAX)[:4] == b"fff0"
    assert PACKET_BYTES_MAX == 0xFFF0


@pytest.mark.parametrize(
    "data",
    [b"-001", b"+001", b"00 4", b" 004", b"0x04", b"0_04", b"0003", b"fff1", b"ffff", b"00g0", b"\xd9\xa3\xd9\xa3"],
)
def test_bad_D_01_a_length_is_four_hexadecimal_digits(data: bytes) -> None:
    """int() would take several of these, and one sent a server round and round."""
    reader = PacketReader()
    reader.receive(data + b"x" * 100)

    with pytest.raises(BadPacket):
        reader.next_packet()


def test_an_unfinished_packet_waits_for_more() -> None:
    reader = PacketReader()
    for byte in b"0009abcd":
        reader.receive(bytes([byte]))
        assert reader.next_packet() is None
        assert not reader.is_between_packets()

    reader.receive(b"e")
    assert reader.next_packet() == b"abcde"


def test_a_long_answer_is_cut_into_side_band_packets() -> None:
    data = bytes(range(256)) * 600

    pieces = read_all(side_band(Band.DATA, data))

    assert all(isinstance(piece, bytes) and piece[:1] == b"\x01" for piece in pieces)
    assert b"".join(piece[1:] for piece in pieces if isinstance(piece, bytes)) == data
    assert len(pieces) == 3
    assert side_band(Band.PROGRESS, b"") == b""
