"""Packs that are put in the place of others: who opens a repository anew reads what lies there now."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from pygit2 import Odb

from guts_core.errors import Corrupt
from guts_core.git.reading.odb import OdbObjects
from guts_core.names import Oid

TRAILER_BYTES = 20


def test_an_error_that_is_still_held_keeps_no_damaged_pack_open(tmp_path: Path) -> None:
    """As a task holds one that it is about to answer with: the pack was repaired meanwhile."""
    oid, pack = a_pack(tmp_path)
    good = pack.read_bytes()
    at = len(good) - TRAILER_BYTES - 10
    replace(pack, good[:at] + bytes((good[at] ^ 8,)) + good[at + 1 :])
    first = OdbObjects(Odb(str(tmp_path / "objects")))
    with pytest.raises(Corrupt) as held:
        first.read(oid)
    first.close()

    replace(pack, good)
    second = OdbObjects(Odb(str(tmp_path / "objects")))

    assert second.read(oid) == b"a line\n" * 1000
    assert held.value is not None
    second.close()


def a_pack(git_dir: Path) -> tuple[Oid, Path]:
    """A bare repository with one blob in one pack."""

    def git(*arguments: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(
            ["git", "-C", str(git_dir), *arguments], input=stdin, stdout=subprocess.PIPE, check=True
        ).stdout.strip()

    git("init", "-q", "--bare")
    oid = git("hash-object", "-w", "--stdin", stdin=b"a line\n" * 1000)
    git("pack-objects", "-q", "objects/pack/pack", stdin=oid + b"\n")
    (git_dir / "objects" / oid[:2].decode() / oid[2:].decode()).unlink()
    (pack,) = (git_dir / "objects" / "pack").glob("*.pack")
    return Oid(bytes.fromhex(oid.decode())), pack


def replace(path: Path, data: bytes) -> None:
    """Another file of this name, as a repair puts it there."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.rename(path)
