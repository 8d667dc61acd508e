"""Files of log lines: whole lines, a bounded length, old ones set aside."""

from __future__ import annotations

import json
import os
from pathlib import Path

from guts_net.logs import Log, open_logs


def lines(path: Path) -> list[int]:
    return [json.loads(line)["number"] for line in path.read_text().splitlines()]


def test_a_file_that_would_become_too_long_is_set_aside(tmp_path: Path) -> None:
    """Counted from what stood in it before, and no line is lost or cut."""
    path = tmp_path / "node.log"
    with open_logs(path, file_bytes=1_000):
        Log("one").info("said", number=0)
    with open_logs(path, file_bytes=1_000, files_kept=20):
        for number in range(1, 40):
            Log("one").info("said", number=number)

    kept = sorted(tmp_path.glob("node.log.*"), key=lambda file: -int(file.suffix[1:]))
    assert [number for file in [*kept, path] for number in lines(file)] == list(range(40))
    assert len(kept) > 1
    assert all(file.stat().st_size < 1_000 for file in [*kept, path])
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in [*kept, path])


def test_what_is_no_file_is_not_set_aside(tmp_path: Path) -> None:
    pipe = tmp_path / "node.log"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with open_logs(pipe, file_bytes=100):
        for number in range(3):
            Log("one").info("said", number=number)

    said = os.read(reading, 10_000).splitlines()
    os.close(reading)
    assert [json.loads(line)["number"] for line in said] == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [pipe]
