"""pkt-lines: the same packets however the bytes come, and dulwich reads the same ones."""

from __future__ import annotations

from io import BytesIO

from dulwich.protocol import Protocol

from guts_core.git.pkt_line import BadPacket, Mark, PacketReader


def _read(*pieces: bytes) -> tuple[list[bytes | Mark], bytes, str | None]:
    reader, found = PacketReader(), []
    try:
        for piece in pieces:
            reader.receive(piece)
            while (read := reader.next_packet()) is not None:
                found.append(read)
    except BadPacket as refusal:
        return found, b"", str(refusal)
    return found, reader.rest(), None


def fuzz(data: bytes) -> None:
    """Cut in two or byte by byte, the packets are the same; where we read some, dulwich reads them too."""
    whole = _read(data)
    cut = len(data) // 3
    assert _read(data[:cut], data[cut:]) == whole
    if len(data) < 300:
        assert _read(*(data[at : at + 1] for at in range(len(data)))) == whole
    theirs = Protocol(BytesIO(data).read, lambda _: None)
    for packet in whole[0]:
        if packet is Mark.RESPONSE_END:
            return  # dulwich knows no packet 0002
        assert theirs.read_pkt_line() == (None if isinstance(packet, Mark) else packet)
