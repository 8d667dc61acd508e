"""``guts chaos``: a short run loses nothing, one seed does one thing, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

from guts_cli.chaos.clients import is_refusal
from guts_cli.chaos.plan import KILLS, link_blows, process_blows
from guts_cli.chaos.record import Record
from guts_cli.chaos.watch import can_agree
from guts_cli.outcomes import EXIT_INTERRUPTED
from tests.cli.desk import PATIENCE_SECONDS, Desk
from tests.cli.reference import differences, example
from tests.compat.pages import exchanged, steps

MINUTES = "0.15"


def test_a_short_run_loses_nothing_and_is_written_down(tmp_path: Path) -> None:
    """Pushes were acknowledged while processes and links were hit, every node tells the same, no process is left."""
    desk = Desk(tmp_path, tmp_path / "home")
    words = {"--minutes 30": f"--minutes {MINUTES}", "docs/quality/ledger.jsonl": "ledger.jsonl"}
    (released,) = (step.commands for step in steps("chaos.md") if "--ledger" in step.commands)
    said = desk.json(*shlex.split(exchanged(released, words))[1:], "--dir", "run")

    assert (said["ok"], said["lost"], said["problems"]) == (True, 0, [])
    assert differences(example("guts chaos"), said) == []
    assert said["pushes"]["acknowledged"] > 0
    assert sum(said["faults"].values()) > 0
    assert said["connections"] > 0
    assert said["repeat"] == f"guts chaos --nodes 4 --minutes {MINUTES} --seed 4"
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    assert json.loads(line).items() >= said.items()
    assert (tmp_path / "run" / "history.jsonl").stat().st_size > 0
    assert [_is_running(pid) for pid in _pids(tmp_path / "run")] == [False] * 4
    desk.run("chaos", "--dir", "run", code=5)


def test_an_interrupt_stops_every_process_and_removes_what_was_temporary(tmp_path: Path) -> None:
    """Whoever has seen enough has nothing to clean up."""
    desk = Desk(tmp_path, tmp_path / "home")
    (begun,) = (step.commands for step in steps("chaos.md") if "stay" in step.notes)
    argv = [sys.executable, "-m", "guts_cli", *shlex.split(begun)[1:], "--dir", "run"]
    with subprocess.Popen(argv, cwd=tmp_path, env=desk.environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()
        assert "left" in process.stderr.readline()  # it has begun
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == EXIT_INTERRUPTED
    assert [_is_running(pid) for pid in _pids(tmp_path / "run")] == [False] * 4


def test_what_did_not_happen_is_told_as_zero(tmp_path: Path) -> None:
    """On a slow machine no push may end unknown; the report has the same names."""
    record = Record(tmp_path / "history.jsonl")
    assert dict(record.pushes) == dict(record.writes) == {"tried": 0, "acknowledged": 0, "refused": 0, "unknown": 0}
    assert dict(record.reads) == {"acknowledged": 0, "refused": 0}


def test_a_seed_is_a_plan() -> None:
    """The same number does the same, another something else, and 300 blows kill more than a hundred processes."""
    first, again, other = (list(islice(process_blows(seed, 4, 1), 300)) for seed in (1, 1, 2))

    assert first == again != other
    assert sum(len(blow.nodes) for blow in first if blow.harm in KILLS) > 100
    assert list(islice(link_blows(1, 7), 50)) == list(islice(link_blows(1, 7), 50))


def test_a_quorum_is_nodes_of_whom_each_hears_each() -> None:
    """A ring of four has nobody of three who all hear each other."""
    assert can_agree([0, 1, 2], 3, lambda _source, _target: True)
    assert not can_agree([0, 1], 3, lambda _source, _target: True)
    assert not can_agree([0, 1, 2, 3], 3, lambda source, target: abs(source - target) != 2)


def test_only_what_certainly_did_not_happen_is_a_refusal() -> None:
    """What may still happen stays open in the history."""
    assert is_refusal(" ! [rejected]        x -> main (fetch first)")
    assert is_refusal(" ! [remote rejected] x -> main (stale: the ref is at 12 now; fetch first)")
    assert not is_refusal(" ! [remote rejected] x -> main (not final in time (busy); it may still happen: fetch)")
    assert not is_refusal("fatal: unable to access 'http://127.0.0.1:8080/': Empty reply from server")


def _pids(run: Path) -> list[int]:
    return [json.loads(path.read_text())["pid"] for path in sorted(run.glob("net/node*/node.pid"))]


def _is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
