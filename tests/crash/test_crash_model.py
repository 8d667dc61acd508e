"""The disk that forgets: it is a disk like any other while the power is on, and what it leaves is what POSIX allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from guts_net.conformance import check_disk
from tests.crash.fault_disk import FaultDisk
from tests.crash.model import DiskModel, Mode, Tree

LOG, OTHER = Path("log"), Path("there/log")


def files(tree: Tree) -> dict[str, bytes]:
    return {name: data for name, node in tree.names.items() if (data := tree.contents[node]) is not None}


def test_while_the_power_is_on_it_is_a_disk(tmp_path: Path) -> None:
    disk = FaultDisk(tmp_path)
    check_disk(disk, tmp_path)

    assert disk.model.crash(Mode.KEPT).digest() == DiskModel.of(tmp_path).crash(Mode.KEPT).digest()


def test_a_file_needs_its_own_sync_and_that_of_its_name() -> None:
    """Synced bytes without a name are as lost as a name without bytes."""
    model = DiskModel()
    node = model.create(LOG)
    model.write(node, 0, b"bytes")
    model.sync(node)
    assert files(model.crash(Mode.DROPPED)) == {}

    model.sync_folder(Path())
    model.write(node, 5, b" and more")

    assert files(model.crash(Mode.DROPPED)) == {"log": b"bytes"}
    assert files(model.crash(Mode.KEPT)) == {"log": b"bytes and more"}
    assert files(model.crash(Mode.TORN, 0)) == {"log": b"bytes and"}
    assert files(model.crash(Mode.TORN, 3)) == {"log": b"bytes "}
    assert files(model.crash(Mode.REORDERED, 0)) == {"log": b"bytes" + bytes(9)}


def test_a_rename_happens_at_once_or_not() -> None:
    """In every subset of changes there is the old file or the new one, and never none."""
    model = DiskModel()
    for path, content in ((LOG, b"old"), (Path("log.new"), b"new")):
        node = model.create(path)
        model.write(node, 0, content)
        model.sync(node)
    model.sync_folder(Path())
    model.rename(Path("log.new"), LOG)

    left = [files(model.crash(Mode.REORDERED, variant)) for variant in range(40)]
    assert {"log": b"new"} in left
    assert {"log": b"old", "log.new": b"new"} in left
    assert all(one in ({"log": b"new"}, {"log": b"old", "log.new": b"new"}) for one in left)


def test_a_move_between_folders_may_leave_both_names_and_never_none() -> None:
    model = DiskModel()
    model.make_folder(OTHER.parent)
    node = model.create(LOG)
    model.sync_folder(Path())
    model.rename(LOG, OTHER)

    left = [set(files(model.crash(Mode.REORDERED, variant))) for variant in range(40)]
    assert {frozenset(one) for one in left} == {
        frozenset({"log"}),
        frozenset({"there/log"}),
        frozenset({"log", "there/log"}),
    }
    model.sync_folder(Path())
    assert set(files(model.crash(Mode.DROPPED))) == {"there/log"}
    assert isinstance(model.nodes[node].durable, bytes)


@pytest.mark.parametrize("mode", Mode)
def test_what_is_synced_is_there_in_every_mode(mode: Mode) -> None:
    model = DiskModel()
    node = model.create(LOG)
    model.write(node, 0, b"a long record")
    model.cut(node, 6)
    model.write(node, 6, b" one")
    model.sync(node)
    model.link(LOG, Path("second"))
    model.sync_folder(Path())

    tree = model.crash(mode)
    assert files(tree) == {"log": b"a long one", "second": b"a long one"}
    assert tree.names["log"] == tree.names["second"]
