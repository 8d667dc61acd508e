"""Properties of the git room over anything a client may send."""

from __future__ import annotations

from dulwich.refs import check_ref_format
from hypothesis import example, given
from hypothesis import strategies as st

from guts_core.errors import Refused
from guts_core.git.chunks import BlobDigest, chunk_path, chunk_root, verify_chunk
from guts_core.git.pkt_line import BadPacket, Mark, PacketReader, packet
from guts_core.git.receive_pack import CommandsReceived, Event, PackBytes, ReceivePack, progress
from guts_core.git.refs import ref_name

PIECES = st.lists(st.integers(1, 40), max_size=30)
TEXTS = st.text(st.sampled_from("aA0./-@{}~^:?*[\\ \x00\x7flock\u202eéHEDrfs"), max_size=24)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, the rest as one."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


@given(TEXTS, st.sampled_from(["", "refs/", "refs/heads/", "refs/tags/", "refs/x/"]))
@example("lock", "refs/heads/a.")
def test_every_accepted_ref_name_is_one_for_git(text: str, prefix: str) -> None:
    """Ours is the stricter grammar, so git never meets a name that it refuses (dulwich checks as git does)."""
    try:
        name = ref_name(prefix + text)
    except Refused:
        return
    assert check_ref_format(name.encode())  # type: ignore[arg-type]  # a NewType of bytes there


@given(st.lists(st.binary(max_size=50) | st.none(), max_size=10), PIECES)
def test_packets_survive_any_cutting(packets: list[bytes | None], sizes: list[int]) -> None:
    data = b"".join(b"0000" if one is None else packet(one) for one in packets)
    reader, found = PacketReader(), []
    for piece in cut(data, sizes):
        reader.receive(piece)
        while (one := reader.next_packet()) is not None:
            found.append(None if one is Mark.FLUSH else one)

    assert found == packets


@given(st.binary(max_size=200), PIECES)
def test_any_bytes_are_packets_or_refused(data: bytes, sizes: list[int]) -> None:
    reader = PacketReader()
    for piece in cut(data, sizes):
        reader.receive(piece)
        try:
            while reader.next_packet() is not None:
                pass
        except BadPacket:
            return


LINES = st.sampled_from(
    [
        b"0000",
        packet(b"1" * 40 + b" " + b"2" * 40 + b" refs/heads/a\x00report-status push-options"),
        packet(b"0" * 40 + b" " + b"2" * 40 + b" refs/heads/b"),
        packet(b"1" * 40 + b" " + b"0" * 40 + b" refs/heads/c\n"),
        packet(b"shallow " + b"3" * 40),
        packet(b"option"),
        b"PACK",
        b"0001",
        b"000",
    ]
)


@given(st.lists(LINES, max_size=8), PIECES)
def test_a_push_means_the_same_however_it_is_cut(lines: list[bytes], sizes: list[int]) -> None:
    """And whatever it is, it ends in events or in a refusal with words."""
    data = b"".join(lines)

    assert outcome([data]) == outcome(cut(data, sizes))


def outcome(pieces: list[bytes]) -> object:
    machine, events, pack = ReceivePack(), list[Event](), b""
    try:
        for piece in pieces:
            for event in machine.receive(piece):
                pack += event.data if isinstance(event, PackBytes) else b""
                events += [event] if isinstance(event, CommandsReceived) else []
        machine.finish()
    except Refused as refusal:
        return type(refusal), str(refusal)
    return events, pack


@given(st.text(max_size=100))
def test_progress_is_printable_whatever_it_says(text: str) -> None:
    reader = PacketReader()
    reader.receive(progress(text))
    while isinstance(one := reader.next_packet(), bytes):
        assert one[:1] == b"\x02"
        assert one[-1:] == b"\n"
        assert one[1:-1].decode().isprintable()


@given(st.binary(max_size=300), PIECES)
def test_a_digest_does_not_depend_on_pieces(data: bytes, sizes: list[int]) -> None:
    whole, cut_up = BlobDigest(), BlobDigest()
    whole.update(data)
    for piece in cut(data, sizes):
        cut_up.update(piece)

    assert whole.finish() == cut_up.finish()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=20), st.data())
def test_a_path_has_one_sibling_a_level(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))

    path = chunk_path(leaves, index)

    assert len(path) <= (len(leaves) - 1).bit_length()
    assert not verify_chunk(chunk_root(leaves), len(leaves), index, b"", path)
