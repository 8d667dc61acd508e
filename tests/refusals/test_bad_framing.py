"""Rows D01, D02, D07 to D11 of ``reliability.md`` 3: packets, lines, codings and words, at the git doors."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from guts_core.errors import LimitExceeded
from guts_core.git import fetch_request
from guts_core.git.fetch_request import FetchRequest
from guts_core.git.pkt_line import BadPacket, PacketReader, packet
from guts_core.git.receive_pack import Capabilities, ReceivePack, RefResult, fatal, progress, report_status
from guts_http.site import Settings
from tests.http.node_world import bearing
from tests.refusals.doors_world import HEAD, MAIN, PACK, ZERO, fetch_body, open_door, push_body, report

# What int(digits, 16) or a lenient reader takes for a length.
BAD_LENGTHS = (
    b"-001", b"+00a", b"00 4", b" 00a", b"0x0a", b"0_0a", b"0003", b"fff1", b"ffff", b"\xef\xbc\x90\xef", b"00a\n",
    b"zzzz", b"\0\0\0\0",
)  # fmt: skip


@pytest.mark.parametrize("length", BAD_LENGTHS)
def test_bad_D01_a_length_is_four_digits_of_an_honest_number(length: bytes) -> None:
    """Readers that loop on -1 or allocate 64 KiB for 0003 have been seen."""
    reader = PacketReader()
    reader.receive(length + b"x" * 70_000)
    with pytest.raises(BadPacket):
        reader.next_packet()


async def test_bad_D01_both_doors_refuse_bad_packets(tmp_path: Path) -> None:
    """400 with words, whatever stands before them; special packets have their places."""
    async with open_door(tmp_path, pushed=True) as door:
        state = await door.state()
        begun_push, begun_fetch = push_body([MAIN], b"")[:-4], fetch_body([HEAD.oid], 2)[:40]
        for length in BAD_LENGTHS:
            for answer in (
                await door.push(length + b"x" * 200),
                await door.push(begun_push + length + b"x" * 200),
                await door.fetch(length + b"x" * 200),
                await door.fetch(begun_fetch[:19] + length + b"x" * 200),
            ):
                assert answer.status_code == 400, length
                door.assert_says_nothing_secret(answer)
        for special in (b"0001", b"0002"):
            assert (await door.push(begun_push + special + b"0000" + PACK)).status_code == 400
        assert await door.state() == state


def test_bad_D02_a_push_that_is_cut_anywhere_is_no_push() -> None:
    """Nothing is decided before the flush, and the end is missed at every byte."""
    whole = push_body([MAIN], b"", asked="report-status push-options", options=[b"private"])
    for end in range(len(whole)):
        machine = ReceivePack()
        assert machine.receive(whole[:end]) == []
        with pytest.raises(BadPacket, match="in the middle of its commands"):
            machine.finish()


@pytest.mark.parametrize("version", [0, 2])
def test_bad_D02_a_fetch_that_is_cut_in_a_packet_is_said_to_be(version: int) -> None:
    """And whole packets decide only once the wants are over."""
    whole = fetch_body([HEAD.oid], version)
    for end in range(len(whole)):
        request, between = FetchRequest(), FetchRequest()
        request.receive(whole[:end])
        between.receive(whole[:end])
        if request.is_decided:
            assert {HEAD.oid} == {oid.hex() for oid in request.wants}
        if not between._reader.is_between_packets():
            with pytest.raises(BadPacket, match="middle of a packet"):
                request.finish()


async def test_bad_D02_cuts_over_http_are_answered_and_change_nothing(tmp_path: Path) -> None:
    """A request of HTTP that is complete and holds half of one of git's."""
    push, fetch = push_body([MAIN]), fetch_body([HEAD.oid], 2)
    async with open_door(tmp_path) as door:
        state = await door.state()
        for end in (0, 1, 3, 4, 50, len(push) - len(PACK) - 4, len(push) - len(PACK) + 5, len(push) - 1):
            answer = await door.push(push[:end])
            if answer.status_code == 200:
                assert "unpack ok" not in report(answer)
            else:
                assert answer.status_code == 400
        for end in (1, 3, 10, 30, len(fetch) - 6):
            assert (await door.fetch(fetch[:end])).status_code == 400
        assert await door.state() == state
        await door.assert_nothing_left()


@pytest.mark.parametrize(
    ("word", "most"),
    [("have", fetch_request.HAVES_MAX), ("want", fetch_request.WANTS_MAX), ("shallow", fetch_request.SHALLOWS_MAX)],
)
def test_bad_D02_lines_of_a_fetch_are_counted(word: str, most: int) -> None:
    """An endless negotiation ends at a number."""
    request, line = FetchRequest(), packet(f"{word} {HEAD.oid}\n".encode())
    request.receive(line * most)

    with pytest.raises(LimitExceeded, match=f"more than {most} {word} lines"):
        request.receive(line)


async def test_bad_D02_a_million_shallow_lines_end_at_the_limit(tmp_path: Path) -> None:
    """Few bytes on the wire: they compress well."""
    head = packet(b"command=fetch") + b"0001"
    bomb = gzip.compress(head + packet(f"shallow {HEAD.oid}\n".encode()) * 300_000)
    async with open_door(tmp_path, pushed=True) as door:
        answer = await door.fetch(bomb, coding="gzip")

        assert len(bomb) < 100_000
        assert answer.status_code == 400
        assert "shallow lines" in answer.text


async def test_bad_D07_a_gzip_bomb_ends_at_the_routes_limit(tmp_path: Path) -> None:
    """Ratio 1,000, in both doors: bounded pieces, and the first byte over is the last."""
    settings = Settings(pack_bytes_max=1 << 20, fetch_request_bytes_max=1 << 20)
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = zeros.compress(push_body([MAIN], b"PACK" + bytes(200 << 20))) + zeros.flush()
    async with open_door(tmp_path, settings) as door:
        state = await door.state()
        pushed = await door.push(bomb, coding="gzip")
        fetched = await door.fetch(gzip.compress(packet(b"x" * 60_000) * 3_000), coding="gzip")

        assert len(bomb) < 300_000
        assert "larger than 1048576 bytes" in pushed.text
        assert not any(line.startswith("ok ") for line in report(pushed))
        assert fetched.status_code == 400
        assert await door.state() == state
        await door.assert_nothing_left()


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "compress", "GZIP GZIP"])
async def test_bad_D07_one_layer_of_gzip_and_nothing_else(tmp_path: Path, coding: str) -> None:
    """What is not undone is refused, never passed on as it is."""
    async with open_door(tmp_path) as door:
        twice = gzip.compress(gzip.compress(push_body([MAIN])))
        for answer in (
            await door.push(twice, coding=coding),
            await door.fetch(twice, coding=coding),
        ):
            assert answer.status_code == 400
            assert "gzip" in answer.text
        assert (await door.push(twice, coding="gzip")).status_code == 400
        assert await door.refs() == {}


async def test_bad_D08_a_multipart_body_is_not_read(tmp_path: Path) -> None:
    """No route takes one: 10^5 parts, endless headers and CR runs are bytes that are not JSON."""
    parts = b"".join(b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' for _ in range(15_000))
    async with open_door(tmp_path) as door:
        for body in (parts, b"--x\r\n" + b"\r" * 500_000, b"--x\r\na: " + b"b" * 500_000):
            headers = {**bearing(door.token), "content-type": "multipart/form-data; boundary=x"}
            answer = await door.node.http.post("/api/v3/user/repos", content=body, headers=headers)

            assert answer.status_code in (400, 415, 422)


async def test_bad_D09_ranges_are_not_honoured(tmp_path: Path) -> None:
    """10^4 of them, overlapping or negative: the whole answer, once."""
    async with open_door(tmp_path) as door:
        plain = await door.node.http.get("/")
        for ranges in ("bytes=0-0", "bytes=-1", "bytes=" + ",".join(["0-"] * 4_000), "bytes=5-1"):
            answer = await door.node.http.get("/", headers={"range": ranges})

            assert answer.status_code == 200
            assert len(answer.content) == len(plain.content)


MOVES_A_TERMINAL = ("\x1b]0;owned\x07", "\x1b[2J", "\x9b31m", "\r", "\x08", "\x7f", "\u202e", "\u200b", "\x85")


@pytest.mark.parametrize("evil", MOVES_A_TERMINAL)
def test_bad_D11_nothing_that_we_say_to_git_moves_a_terminal(evil: str) -> None:
    """Progress, last words, reasons, and what is said of the pack."""
    told = Capabilities(report_status=True, side_band=True)
    reason = report_status(f"bad{evil}pack", [RefResult("refs/heads/x", f"no{evil}\nok refs/heads/y")], told)
    for said in (progress(f"a{evil}b"), fatal(f"a{evil}b"), reason):
        text = said.decode()
        assert not any(char in text for char in evil if not char.isprintable())
    assert b"\nok " not in reason
    named = report_status(None, [RefResult(f"refs/heads/{evil}", None)], told).decode()
    assert not any(char in named for char in evil if char < " " or "\x7f" <= char <= "\x9f")


async def test_bad_D11_hostile_names_come_back_escaped(tmp_path: Path) -> None:
    """A ref is named as the client named it, without what a terminal obeys; the reason escapes it."""
    async with open_door(tmp_path) as door:
        for evil in MOVES_A_TERMINAL:
            answer = await door.push(push_body([f"{ZERO} {HEAD.oid} refs/heads/a{evil}b".encode()]))

            for control in "\x1b\x9b\x07\x08\x7f\x85":
                assert control.encode() not in answer.content
        for agent in ("git/\x1b[2J", "x" * 60_000):
            await door.push(push_body([MAIN], asked=f"report-status agent={agent}"))
        made = await door.node.create(door.token, "esc", description="a\x1b[2Jb")
        assert b"\x1b" not in made.content
    assert "\x1b" not in (tmp_path / "net" / "node0.log").read_text()
