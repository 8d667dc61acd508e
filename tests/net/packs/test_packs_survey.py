"""Entries of a pack are judged by their first bytes, however deflate cut them into blocks."""

from __future__ import annotations

import zlib
from pathlib import Path
from random import Random

import pytest

from guts_core.errors import LimitExceeded
from guts_core.git.pack_limits import PARENTS_MAX
from guts_net.packs.survey import survey
from tests.fixtures.git_history import RawObject, git
from tests.net.packs.pack_world import REF_DELTA, World, entry, entry_head, pack_of_entries

BASE = RawObject("blob", b"0123456789" * 40)
# One block that holds nothing: five bytes of input, none of output.
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"


def rewriting(text: bytes) -> bytes:
    """A delta of the base that inserts this text."""
    pieces = [text[at : at + 127] for at in range(0, len(text), 127)]
    return number(len(BASE.body)) + number(len(text)) + b"".join(bytes([len(piece)]) + piece for piece in pieces)


def number(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])


def many_symbols() -> bytes:
    """Text of all bytes, neighbours of very different frequency: a long table of codes."""
    dice = Random(1)  # noqa: S311  # a fixture, not a secret
    symbols = dice.sample(range(256), 256)
    return bytes(dice.choices(symbols, [1.02**rank for rank in range(256)], k=8000))


def slowly(body: bytes, empty_blocks: int) -> bytes:
    """The same bytes, deflated behind blocks of nothing."""
    plain = zlib.compress(body)
    return plain[:2] + EMPTY_BLOCK * empty_blocks + plain[2:]


@pytest.mark.parametrize("empty_blocks", [0, 20, 2000])
async def test_a_delta_may_be_deflated_in_any_way(tmp_path: Path, empty_blocks: int) -> None:
    """A table of codes, or blocks of nothing, may stand before its first byte."""
    delta = rewriting(many_symbols())
    deflated = slowly(delta, empty_blocks)
    assert not zlib.decompressobj().decompress(deflated[:64])
    pack = pack_of_entries([entry(BASE), entry_head(REF_DELTA, len(delta)) + bytes.fromhex(BASE.oid) + deflated])

    assert await World(tmp_path).check(pack) is not None


def test_parents_behind_empty_blocks_are_counted(tmp_path: Path) -> None:
    """Otherwise whoever deflates by hand decides how much of a commit is looked at."""
    lines = [b"tree " + b"1" * 40, *([b"parent " + b"2" * 40] * (PARENTS_MAX + 1)), b"author a <a> 0 +0000", b"", b"."]
    body = b"\n".join(lines)
    path = tmp_path / "one.pack"
    path.write_bytes(pack_of_entries([entry_head(1, len(body)) + slowly(body, 20_000)]))
    git(tmp_path, "index-pack", str(path))

    with pytest.raises(LimitExceeded, match="parents"):
        survey(path, path.with_suffix(".idx"))
