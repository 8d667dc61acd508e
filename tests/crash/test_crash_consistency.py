"""The power is cut before every operation of everything durable, in four modes, and again during recovery."""

from __future__ import annotations

import pytest

from tests.crash.all_workloads import AGAIN_EVERY, BY_NAME
from tests.crash.exploring import Broken, Workload, explore
from tests.crash.model import Mode

# What was covered when this was written, less a tenth: a workload that shrinks unseen covers nothing.
OPERATIONS_LEAST = {
    "vote log": 38,
    "voter": 29,
    "block commit": 540,
    "pack admission": 190,
    "snapshot": 480,
    "import": 115,
    "founding": 44,
    "first key": 7,
    "key rotation": 28,
    "older layout": 5,
    "newer layout": 5,
}


@pytest.mark.parametrize("name", BY_NAME)
def test_what_was_promised_survives_a_power_cut_at_every_operation(name: str) -> None:
    """F01 to F06, F08: no vote forgotten, no acknowledged block lost, no half of one, every promised pack held."""
    workload = BY_NAME[name]

    covered = explore(workload, again_every=AGAIN_EVERY[workload])

    print(covered.line(name))  # noqa: T201  # the counts are what the run is read for
    assert covered.operations >= OPERATIONS_LEAST[name]
    assert {mode.value: covered.operations + 1 for mode in Mode} == dict(covered.points)
    assert covered.again > 0


@pytest.mark.parametrize(
    ("name", "forgotten"),
    [
        ("vote log", "sync votes.log"),
        ("vote log", "sync votes.log.new"),
        ("vote log", "sync-directory *"),
        ("voter", "sync votes.log"),
        ("block commit", "sync chain.db-wal"),
        ("block commit", "sync *.new"),  # of texts
        ("pack admission", "sync *.idx"),
        ("pack admission", "sync *.pack"),
        ("pack admission", "sync-directory packs"),
        ("snapshot", "sync-directory snapshots"),
        ("snapshot", "sync piece-*"),
        ("import", "sync chain.db.sync"),
        ("import", "sync-directory *"),
        ("first key", "sync-directory home"),
        ("key rotation", "sync *.json.new"),
        ("founding", "sync-directory node1"),
    ],
)
def test_a_sync_that_is_forgotten_is_found(name: str, forgotten: str) -> None:
    """The layer is worth what it finds: each of these is a mistake that somebody could make."""
    with pytest.raises(Broken):
        explore(BY_NAME[name], again_every=1 << 30, forgets=forgotten, every_variant=True)


def test_workloads_have_names_of_their_own() -> None:
    assert len(AGAIN_EVERY) == len(BY_NAME)
    assert all(isinstance(workload, Workload) for workload in AGAIN_EVERY)
