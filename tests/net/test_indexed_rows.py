"""What ``chain.db`` files of blocks beside the state: logs of refs, and what was deleted when."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from guts_core.chain.commit import AdmittedPack, Commit
from guts_core.chain.foundation import found_state
from guts_core.chain.indexed import Deletion, RefMove
from guts_core.codec import to_bytes
from guts_core.forge.actions import Relation
from guts_core.forge.params import RESTORE_MS
from guts_core.forge.paths import pack
from guts_core.forge.records import Pack
from guts_core.names import AccountId, CredentialId, NodeId, Oid, RefName, RepoId, TxId
from guts_http.reader import Snapshot
from guts_net.disk import LocalDisk
from guts_net.store import ChainDatabase
from tests.core.chain.chain_world import a_genesis
from tests.properties.state_commits import commit_of

REPO, OTHER = RepoId(bytes((7,)) * 32), RepoId(bytes((8,)) * 32)
OWNER = AccountId(bytes((5,)) * 32)
MAIN, DEV = RefName("refs/heads/main"), RefName("refs/heads/\u00e9")
MOVE = RefMove(
    REPO, MAIN, 1, 0, 1000, TxId(bytes((9,)) * 32), OWNER, CredentialId(bytes((3,)) * 32), NodeId(bytes((4,)) * 32),
    Oid(bytes(20)), Oid(bytes((1,)) * 20), Relation.FORCED,
)  # fmt: skip
# By an account key, and a ref that is gone.
LOCAL = evolve(MOVE, credential=None, gateway=None, new=None, relation=Relation.DELETED)
CREATED = evolve(MOVE, old=None, relation=Relation.CREATED)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[ChainDatabase]:
    with closing(ChainDatabase(tmp_path / "chain.db", LocalDisk())) as opened:
        yield opened


def block(height: int, **fields: Any) -> Commit:
    return commit_of(height, time=1000 * height, **fields)


def test_every_field_of_a_move_is_read_back_the_newest_first(database: ChainDatabase, tmp_path: Path) -> None:
    """By whoever serves HTTP, over a connection of its own; each ref has its own log."""
    moves = [evolve(move, height=height) for height, move in ((1, CREATED), (2, MOVE), (3, LOCAL))]
    database.commit(block(1, ref_moves=(moves[0], evolve(moves[0], ref=DEV), evolve(moves[0], repo=OTHER))))
    database.commit(block(2, ref_moves=(moves[1],)))
    database.commit(block(3, ref_moves=(moves[2], evolve(moves[2], position=1, old=None))))

    with closing(sqlite3.connect(tmp_path / "chain.db")) as connection:
        log = Snapshot(connection, found_state(a_genesis()), 3, bytes(32), 3000).ref_log

        assert log(REPO, MAIN, 0, 9) == [evolve(moves[2], position=1, old=None), moves[2], moves[1], moves[0]]
        assert log(REPO, MAIN, 1, 2) == [moves[2], moves[1]]
        assert log(REPO, DEV, 0, 9) == [evolve(moves[0], ref=DEV)]
        assert log(REPO, RefName("refs/heads/MAIN"), 0, 9) == []


def test_a_deletion_is_filed_until_the_repository_is_restored(database: ChainDatabase) -> None:
    """And again, if it is deleted again; what decides for good is a day after the last time."""
    day = RESTORE_MS
    database.commit(block(1, deletions=(Deletion(REPO, OWNER, 1000), Deletion(OTHER, OWNER, 1000))))
    assert database.first_deleted(-1) == 1000
    assert database.deleted_for_good(-1, 999 + day) == []
    assert {repo for repo, _ in database.deleted_for_good(-1, 1000 + day)} == {REPO, OTHER}
    assert database.deleted_for_good(1000, 1000 + day) == []

    database.commit(block(2, deletions=(Deletion(REPO, OWNER, None), Deletion(OTHER, OWNER, None))))
    database.commit(block(3, deletions=(Deletion(REPO, OWNER, 3000),)))

    assert database.first_deleted(-1) == 3000
    assert database.deleted_for_good(-1, 3000 + day) == [(REPO, 3000)]
    assert database.first_deleted(3000) is None


def test_packs_of_what_is_deleted_for_good_are_not_listed(database: ChainDatabase) -> None:
    """Until then they are: a restoration has to find them."""
    mine, theirs = (Pack(0, bytes((n,)) * 32, bytes((n + 1,)) * 32, 10, 1, 1) for n in (1, 3))
    records: dict[bytes, bytes | None] = {pack(REPO, 0): to_bytes(mine), pack(OTHER, 0): to_bytes(theirs)}
    database.commit(block(1, records=records, deletions=(Deletion(REPO, OWNER, 1000),)))

    assert {one.repo for one in database.listed_packs(999 + RESTORE_MS)} == {REPO, OTHER}
    assert {one.repo for one in database.listed_packs(1000 + RESTORE_MS)} == {OTHER}


def test_what_is_filed_of_a_removed_repository_goes(database: ChainDatabase) -> None:
    """Others keep theirs; doing it twice is no error."""
    missing = [AdmittedPack(repo, bytes(32), bytes(32), 10) for repo in (REPO, OTHER)]
    database.commit(block(1, ref_moves=(CREATED, evolve(CREATED, repo=OTHER)), packs=tuple(missing)))
    for one in missing:
        database.add_missing(one)

    database.forget_repository(REPO)
    database.forget_repository(REPO)

    assert database.list_missing() == missing[1:]
    found = database._reader.execute("SELECT repo FROM ref_log").fetchall()
    assert found == [(OTHER,)]
