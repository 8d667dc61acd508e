"""The database and the store of simulations give equal answers after equal commits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain.commit import ChainStore, Commit, ReceiptRow
from guts_core.chain.memory import MemoryStore
from guts_core.names import TxId
from guts_net.disk import LocalDisk
from guts_net.store import ChainDatabase
from tests.properties.state_commits import block_hash, commit_of

HEIGHTS_MAX = 5
KEYS = [b"\x00", b"\x00\x00", b"\x00\x01", b"\x01", b"\x01\xff", b"\x02\xff\xff"]
PREFIXES = [b"", b"\x00", b"\x00\x00", b"\x01\xff", b"\x02"]
NAMES = ["state_root", "history"]

writes = st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(max_size=2))


@st.composite
def chains(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Commit]:
    """Heights in order, each with what a block may change; ids are never used twice."""
    return [_commit(draw, height) for height in range(1, draw(st.integers(1, HEIGHTS_MAX)) + 1)]


def _commit(draw: Callable[[st.SearchStrategy[Any]], Any], height: int) -> Commit:
    lifetimes = draw(st.lists(st.integers(0, 3), max_size=3))
    receipts = tuple(
        ReceiptRow(_tx_id(height, index), index, b"receipt %d" % index, height + life)
        for index, life in enumerate(lifetimes)
    )
    return commit_of(
        height,
        records=draw(writes),
        pages=draw(writes),
        certificate=draw(st.none() | st.just(b"certificate %d" % height)),
        receipts=receipts,
        meta=draw(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=2))),
    )


def _tx_id(height: int, index: int) -> TxId:
    return TxId(bytes((height, index)) * 16)


def answers(store: ChainStore) -> list[Any]:
    """Everything that can be asked, asked."""
    heights, views = range(HEIGHTS_MAX + 2), range(0, 3 * HEIGHTS_MAX + 3, 2)
    tx_ids = [_tx_id(height, index) for height in heights for index in range(3)]
    return [
        store.height(),
        [store.get(key) for key in KEYS],
        [store.page(path) for path in KEYS],
        [store.scan(prefix, after, limit) for prefix in PREFIXES for after in KEYS for limit in (0, 1, 9)],
        [store.scan(prefix) for prefix in PREFIXES],
        [store.meta(name) for name in NAMES],
        [(store.block_at(height), store.block_by_hash(block_hash(height))) for height in heights],
        [store.newest_certificate(view) for view in views],
        [(store.receipt(tx_id), store.is_replay(tx_id)) for tx_id in tx_ids],
    ]


@given(chains())
@settings(max_examples=40, deadline=None)
def test_memory_and_database_agree(chain: list[Commit]) -> None:
    """What holds in a simulation holds on a disk; doing a commit again changes nothing in either."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chain.db"
        memory, database = MemoryStore(), ChainDatabase(path, LocalDisk())
        for commit in chain:
            for _ in range(2):
                memory.commit(commit)
                database.commit(commit)

                assert answers(memory) == answers(database)
        database.close()
        reopened = ChainDatabase(path, LocalDisk())

        assert answers(memory) == answers(reopened)
        reopened.close()
