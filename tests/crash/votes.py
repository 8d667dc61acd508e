"""The vote log: what was synced is there after a cut, in order, and nothing is there that was never written."""

from __future__ import annotations

from pathlib import Path

from guts_net.journal import Journal
from guts_net.protocols import Disk
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk

LOG = "votes.log"


def _entropy() -> object:
    numbers = iter(range(1, 100))
    return lambda size: bytes((next(numbers),)) * size


def _record(number: int) -> bytes:
    """Of uneven sizes, some longer than a sector."""
    return b"%d:" % number + bytes((number,)) * (number * 137 % 1500)


def _run(directory: Path, disk: FaultDisk) -> None:
    """Batches of records, each synced as a batch; then the log is replaced, and goes on."""
    entropy = _entropy()
    journal, _ = Journal.open(directory / LOG, disk, entropy)  # type: ignore[arg-type]  # a lambda of that shape
    number = 0
    for round_ in range(3):
        for batch in (1, 3, 2):
            journal.append([_record(number + at) for at in range(batch)])
            number += batch
            journal.append([_record(number)])
            number += 1
            disk.promise(("begun", number))
            journal.sync()
            disk.promise(("synced", number))
        if round_ < 2:
            # What the engine still needs: the newest few.
            disk.promise(("rewriting", number - 2))
            journal.rewrite([_record(at) for at in range(number - 2, number)])
            disk.promise(("rewritten", number - 2))
    journal.close()


def _recover(directory: Path, disk: Disk) -> tuple[bytes, ...]:
    journal, records = Journal.open(directory / LOG, disk, lambda size: b"\xee" * size)
    journal.append([b"later"])
    journal.sync()
    journal.close()
    again, found = Journal.open(directory / LOG, disk)
    again.close()
    assert found == (*records, b"later")
    return tuple(record for record in records if record != b"later")


def _check(_: Path, found: tuple[bytes, ...], promises: list[tuple[str, int]]) -> None:
    said = dict(promises)
    synced = said.get("synced", 0)
    numbers = [int(record.partition(b":")[0]) for record in found]
    first = {said.get("rewritten", 0), said.get("rewriting", 0)}
    assert [_record(number) for number in numbers] == list(found), "a record is not what was written"
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True, "records are missing"
    if synced:
        assert numbers, f"{synced} records were promised, and none is here"
        assert numbers[0] in first, f"the log begins with {numbers[0]}"
        assert numbers[-1] >= synced - 1, f"record {synced - 1} was promised; the last is {numbers[-1]}"


VOTES = Workload("vote log", lambda _: None, _run, _recover, _check)
