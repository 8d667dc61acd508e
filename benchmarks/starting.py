"""From ``guts up`` to a node that serves, and what an idle node holds in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from attrs import frozen

from .figures import Figure, figure
from .processes import cpu, memory
from .run import Run

READY_BAR_SECONDS, MEMORY_BAR_MB = 2.0, 120.0
IDLE_SECONDS, IDLE_SECONDS_QUICK = 30.0, 5.0


@frozen
class Start:
    """One start: from running the command to its answer, by which the node serves and has a token."""

    seconds: float
    cpu_seconds: float


def measure_ready(run: Run) -> list[Figure]:
    """In an empty directory, with keys, genesis and first token to make; and once more where they are."""
    starts = [start(run.fresh("up")) for _ in range(run.times(5, 3))]
    again = run.fresh("again")
    start(again)
    resumed = [start(again) for _ in range(run.times(5, 3))]
    busy = figure("", "s", [one.cpu_seconds for one in starts]).median
    note = f"{busy:.2f} s of it on the processor; importing the program alone takes {_import_seconds():.2f} s"
    return [
        figure("guts up to ready", "s", [one.seconds for one in starts], bar=READY_BAR_SECONDS, note=note),
        figure("guts up to ready, second start", "s", [one.seconds for one in resumed], bar=READY_BAR_SECONDS),
    ]


def start(directory: Path) -> Start:
    """``guts up`` as a user types it, until it answers; then it is stopped."""
    environment = {**os.environ, "GUTS_HOME": str(directory)}
    began = time.perf_counter()
    argv = [sys.executable, "-m", "guts_cli", "up", "--dir", str(directory), "--account", "alice", "--json"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as node:
        try:
            assert node.stdout is not None
            answer = b""
            while not _is_whole(answer):
                line = node.stdout.readline()
                assert line, "guts up ended before it was ready"
                answer += line
            return Start(time.perf_counter() - began, cpu([node.pid]).total)
        finally:
            node.terminate()


def _is_whole(answer: bytes) -> bool:
    try:
        json.loads(answer)
    except ValueError:
        return False
    return True


def _import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import guts_cli.commands.up, guts_http.client"], check=True)
    return time.perf_counter() - began


def measure_memory(run: Run) -> list[Figure]:
    """Each of four validators, some seconds after the last thing it was asked."""
    pids, seconds = run.pids, IDLE_SECONDS_QUICK if run.quick else IDLE_SECONDS
    run.tell(f"waiting {seconds:.0f} s beside an idle network")
    time.sleep(seconds)
    held = [memory(pid) for pid in pids]
    bare = _interpreter_mb()
    note = f"of this an interpreter that runs nothing is {bare:.0f} MB; the rest is mostly imported code"
    return [
        figure("idle node, resident (RSS)", "MB", [one.rss for one in held], bar=MEMORY_BAR_MB, note=note),
        figure("idle node, shared pages divided (PSS)", "MB", [one.pss for one in held]),
    ]


def _interpreter_mb() -> float:
    code = "import sys; print(); sys.stdin.read()"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as idle:
        assert idle.stdout is not None
        idle.stdout.readline()
        return memory(idle.pid).rss
