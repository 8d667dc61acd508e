"""Upgrade: a directory of another layout is refused with words at every moment, and not a byte of it changes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from guts_core.chain import schema
from guts_net.disk import LocalDisk
from guts_net.protocols import Disk
from guts_net.store import ChainDatabase, OtherBuild
from tests.crash.blocks import block_of, rows_of
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk


def _prepare(version: int) -> object:
    def prepare(directory: Path) -> None:
        with closing(ChainDatabase(directory / "chain.db", LocalDisk())) as database:
            database.commit(block_of(1))
        with closing(sqlite3.connect(directory / "chain.db")) as other:
            other.execute(f"PRAGMA user_version = {version}")

    return prepare


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


def other_layout(version: int) -> Workload:
    """A directory of this layout is opened."""
    return Workload(f"layout {version}", _prepare(version), _run, _open, _check)  # type: ignore[arg-type]  # a closure


OLDER, NEWER = other_layout(schema.SCHEMA_VERSION - 1), other_layout(schema.SCHEMA_VERSION + 1)
