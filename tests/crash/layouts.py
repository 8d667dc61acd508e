"""Upgrade: a directory of another layout is refused with words at every moment, and nothing in it is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from guts_core.chain import schema
from guts_net.chain_file import OtherBuild
from guts_net.protocols import Disk
from guts_net.store import ChainDatabase
from tests.crash.blocks import block_of, leave_log_beside, rows_of
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk


def _prepare(version: int) -> Callable[[Path], None]:
    """Left by a power cut: the last block and the layout stand in the log beside the database alone."""

    def write(database: ChainDatabase) -> None:
        database.commit(block_of(1))
        database._writer.execute(f"PRAGMA user_version = {version}")

    return lambda directory: leave_log_beside(directory / "chain.db", write)


def _open(directory: Path, disk: Disk) -> str:
    try:
        ChainDatabase(directory / "chain.db", disk).close()
    except OtherBuild as error:
        return str(error)
    return "opened"


def _run(directory: Path, disk: FaultDisk) -> None:
    assert "use the build that made it" in _open(directory, disk)


def _check(directory: Path, found: str, _: list[str]) -> None:
    assert "use the build that made it" in found
    assert rows_of(directory / "chain.db")["meta"] == [("state_root", (1).to_bytes(4, "big"))]


def other_layout(name: str, version: int) -> Workload:
    """A directory of this layout is opened."""
    return Workload(name, _prepare(version), _run, _open, _check)


OLDER = other_layout("older layout", schema.SCHEMA_VERSION - 1)
NEWER = other_layout("newer layout", schema.SCHEMA_VERSION + 1)
