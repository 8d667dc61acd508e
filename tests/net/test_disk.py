"""The files around the node: its lock, its log lines, and the one door to the disk."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from guts_core.errors import Conflict
from guts_core.identity import token_of
from guts_net.disk import LocalDisk
from guts_net.lock import hold_lock
from guts_net.logs import Log, bound, open_logs

HOLDER = """
import sys
from pathlib import Path
from guts_net.lock import hold_lock
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    """Two processes with one vote key would equivocate."""
    lock = tmp_path / "node.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(Conflict, match=f"is in use by process {holder.pid};"), hold_lock(lock):
            pass
        holder.kill()

    with hold_lock(lock):
        assert lock.read_text() == f"{os.getpid()}\n"


def test_a_lock_can_be_taken_again_in_the_same_process(tmp_path: Path) -> None:
    lock = tmp_path / "node.lock"
    with hold_lock(lock), pytest.raises(Conflict), hold_lock(lock):
        pass

    with hold_lock(lock):
        assert lock.exists()


def lines(path: Path) -> list[dict[str, object]]:
    """The log as objects; fails if any line is not one."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_line_is_one_json_object(tmp_path: Path) -> None:
    path = tmp_path / "node.jsonl"
    with open_logs(path, node="ada"), bound(request_id="r1"):
        Log("peers").info("peer-connected", height=7, peer=b"\x01\x02", wound=None)
    Log("peers").info("nobody-listens-any-more")

    (line,) = lines(path)

    assert line.pop("time")
    assert line == {
        "level": "info",
        "part": "peers",
        "event": "peer-connected",
        "node": "ada",
        "request_id": "r1",
        "height": 7,
        "peer": "0102",
        "wound": None,
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_text_starts_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch name with a line end must not forge a log line."""
    path = tmp_path / "node.jsonl"
    # Half a character can be sent to nobody, not even to who collects what tests logged.
    monkeypatch.setattr(logging.getLogger("guts"), "propagate", False)
    evil = 'x\n{"event":"all is well"}\r\x1b[2J\u2028\udcff%s'
    with open_logs(path):
        Log("http").warning(evil, ref=evil)

    (line,) = lines(path)

    assert line["ref"] == evil
    assert "\x1b" not in path.read_text()


def test_logs_that_close_in_any_order_leave_the_logger_as_it_was(tmp_path: Path) -> None:
    """Two nodes in one program: the one that started first may stop first."""
    logger = logging.getLogger("guts")
    before = logger.level, logger.propagate, list(logger.handlers)
    one, two = open_logs(tmp_path / "one"), open_logs(tmp_path / "two")
    one.__enter__()
    two.__enter__()
    one.__exit__(None, None, None)

    Log("http").info("still-here")
    two.__exit__(None, None, None)

    assert (logger.level, logger.propagate, logger.handlers) == before
    assert [line["event"] for line in lines(tmp_path / "two")] == ["still-here"]
    assert lines(tmp_path / "one") == []


def test_a_token_never_reaches_the_log(tmp_path: Path) -> None:
    """Neither in a field, nor inside a longer string, nor in a traceback."""
    path = tmp_path / "node.jsonl"
    token = token_of(bytes(range(32)))
    with open_logs(path):
        Log("http").info(f"push by {token}", url=f"http://ada:{token}@host/", token=token, seed=bytes(range(32)))
        Log("http").error("it broke", error=ValueError(token))

    text = path.read_text()

    assert token[9:] not in text
    assert bytes(range(32)).hex() not in text
    assert [line["event"] for line in lines(path)] == ["push by guts_pat_[refused]", "it broke"]
    assert lines(path)[0]["token"] == lines(path)[0]["seed"] == "[refused]"
    assert "ValueError: guts_pat_[refused]" in str(lines(path)[1]["error"])


def test_levels_below_the_chosen_one_cost_no_line(tmp_path: Path) -> None:
    path = tmp_path / "node.jsonl"
    with open_logs(path):
        Log("peers").debug("quiet")
        Log("peers").info("loud")

    assert [line["event"] for line in lines(path)] == ["loud"]


def test_a_small_file_is_replaced_in_one_step_and_in_order(tmp_path: Path) -> None:
    """Beside, sync, rename, sync of the directory: a power cut leaves the old file or the new one."""
    done: list[str] = []
    target = tmp_path / "config"
    disk = LocalDisk(lambda operation, _: done.append(operation))
    disk.write_file(target, b"one")
    done.clear()

    disk.write_file(target, b"two")

    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o600
    assert done[-2:] == ["rename", "sync-directory"]
    assert [target] == list(tmp_path.iterdir())


def test_a_small_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """What would stand there may be a text, which is erased by its own name later."""
    target = tmp_path / "in the way"
    target.mkdir()

    with pytest.raises(OSError, match="in the way"):
        LocalDisk().write_file(target, b"words")

    assert [target] == list(tmp_path.iterdir())


def test_a_link_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"pack")
    disk = LocalDisk()

    disk.link(tmp_path / "a", tmp_path / "b")
    disk.link(tmp_path / "a", tmp_path / "b")

    assert (tmp_path / "a").stat().st_nlink == 2


def test_a_log_that_grows_begins_a_new_file(tmp_path: Path) -> None:
    """A disk is not filled by words; the newest files stay, each for its owner's eyes, no line is torn."""
    path = tmp_path / "node.log"
    with open_logs(path, file_bytes=2_000, files_kept=2):
        for number in range(100):
            Log("test").info("said", number=number)

    files = [path, tmp_path / "node.log.1", tmp_path / "node.log.2"]
    assert sorted(tmp_path.iterdir()) == files
    assert all(file.stat().st_size <= 2_000 and file.stat().st_mode & 0o777 == 0o600 for file in files)
    numbers = [line["number"] for file in reversed(files) for line in lines(file)]
    assert numbers == list(range(100 - len(numbers), 100))
