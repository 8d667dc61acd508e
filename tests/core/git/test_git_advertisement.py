"""What a pushing client sees first, byte for byte."""

from __future__ import annotations

from guts_core import VERSION
from guts_core.git.advertisement import (
    RECEIVE_PACK_CAPABILITIES,
    receive_pack_advertisement,
    receive_pack_info_refs,
    service_header,
)
from guts_core.git.pkt_line import Mark, PacketReader
from guts_core.names import Oid, RefName

ONE, TWO = Oid(b"\x11" * 20), Oid(b"\x22" * 20)


def test_the_header_names_the_service() -> None:
    assert service_header("git-receive-pack") == b"001f# service=git-receive-pack\n0000"


def test_refs_come_in_gits_order_with_capabilities_on_the_first_line() -> None:
    refs = {RefName("refs/tags/v1"): TWO, RefName("refs/heads/ö"): ONE, RefName("refs/heads/z"): TWO}

    assert receive_pack_advertisement(refs, ("one", "two=2")) == (
        b"0044" + b"22" * 20 + b" refs/heads/z\x00one two=2\n"
        b"003b" + b"11" * 20 + b" refs/heads/\xc3\xb6\n"
        b"003a" + b"22" * 20 + b" refs/tags/v1\n"
        b"0000"
    )


def test_an_empty_repository_still_says_what_it_can() -> None:
    assert receive_pack_advertisement({}, ("one",)) == b"0041" + b"0" * 40 + b" capabilities^{}\x00one\n0000"


def test_the_capabilities_are_those_the_machine_understands() -> None:
    assert (
        "report-status",
        "side-band-64k",
        "atomic",
        "delete-refs",
        "ofs-delta",
        "no-thin",
        "push-options",
        "quiet",
        "object-format=sha1",
        f"agent=guts/{VERSION}",
    ) == RECEIVE_PACK_CAPABILITIES


def test_the_whole_answer_parses() -> None:
    reader = PacketReader()
    reader.receive(receive_pack_info_refs({RefName("refs/heads/main"): ONE}))

    found = [reader.next_packet() for _ in range(4)]

    assert found[0] == b"# service=git-receive-pack\n"
    assert found[1] is found[3] is Mark.FLUSH
    assert reader.is_between_packets()
