"""F52: a directory of another build is refused with words, whichever is older, and nothing in it changes."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from guts_cli.outcomes import EXIT_CODES
from guts_core.chain.schema import SCHEMA_VERSION
from guts_core.version import VERSION
from guts_net.chain_file import OtherBuild
from guts_net.runtime import open_node
from guts_net.settings import NodeSettings
from tests.net.world import found

# Made by the release before epochs: one validator, the keys of which are known to everybody, one repository.
LAYOUT_2 = Path(__file__).parents[1] / "fixtures" / "layout-2.tar.gz"
# Written by every process that opens a directory, and it says nothing about a network.
LOCK = "node.lock"


def unpacked(path: Path) -> NodeSettings:
    """That directory, as its operator would start it with this build."""
    with tarfile.open(LAYOUT_2) as archive:
        archive.extractall(path, filter="data")
    return NodeSettings(path / "node0", path / "genesis.json", log_path=path / "node0.log")


def layout_of(database: Path) -> int:
    """What the file says of itself (SQLite's user_version), read without opening it as a database."""
    return int.from_bytes(database.read_bytes()[60:64], "big")


def contents(directory: Path) -> dict[str, bytes | None]:
    """Every name below, with its bytes; None for a directory."""
    found = {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.name != LOCK}
    return {name: path.read_bytes() if path.is_file() else None for name, path in found.items()}


async def refusal(settings: NodeSettings) -> str:
    """What the operator is told, after a look that nothing was touched."""
    before = contents(settings.directory)
    with pytest.raises(OtherBuild) as raised:
        async with open_node(settings):
            pass
    assert contents(settings.directory) == before
    assert EXIT_CODES[raised.value.code] == 78  # a service manager does not try again
    return str(raised.value)


async def test_fault_F52_a_directory_of_the_release_before_is_refused_with_words_and_left_alone(
    tmp_path: Path,
) -> None:
    """Its genesis has another form too; what is said is which layout that is, which this build reads, what to do."""
    settings = unpacked(tmp_path)
    database = settings.directory / "chain.db"
    assert layout_of(database) == 2

    words = await refusal(settings)

    assert f"{database} has layout 2, of an older build" in words
    assert f"this build, Guts {VERSION}, reads layout {SCHEMA_VERSION}" in words
    assert "use the build that made it, or start the node in an empty directory" in words


async def test_fault_F52_an_older_build_refuses_the_directory_of_a_newer_one(tmp_path: Path) -> None:
    """Whoever goes back to the binary of yesterday is told so, and does not guess."""
    settings = found(tmp_path, 1).settings(0)
    async with open_node(settings):
        pass
    database = settings.directory / "chain.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    words = await refusal(settings)

    assert f"{database} has layout {SCHEMA_VERSION + 1}, of a newer build" in words
    assert f"this build, Guts {VERSION}, reads layout {SCHEMA_VERSION}" in words
