"""
Child processes that outlive the command that started them.

A pid file names a process by pid *and* start time: pids are used again, and ``stop`` must touch
only what was started here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from .private_files import read_record, write_record

# How often to look whether a process is gone; ending takes a node tens of milliseconds.
POLL_SECONDS = 0.02
LOG_TAIL_LINES = 5
LOG_TAIL_BYTES = 8192


@frozen
class Started:
    """A process that was started here."""

    pid: int
    began: str  # what the system says about when it started, in the system's own words


def spawn(argv: Sequence[str], log: Path, pid_file: Path, environment: Mapping[str, str] | None = None) -> Started:
    """Start a process in a session of its own, its output appended to a log; in this environment or in ours."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    # Our own child keeps its pid until we wait for it, so the start time read here is its own.
    started = Started(child.pid, _began(child.pid) or "")
    write_record(pid_file, started)
    # Followed by its pid file from here on; Popen shall neither wait for it nor warn that it lives on.
    child.returncode = 0
    return started


def record_self(pid_file: Path) -> None:
    """Name this very process, which stays the same one when it becomes another program."""
    write_record(pid_file, Started(os.getpid(), _began(os.getpid()) or ""))


def running(pid_file: Path) -> Started | None:
    """The process of a pid file, if it still runs."""
    if not pid_file.exists():
        return None
    started = read_record(pid_file, Started)
    return started if is_alive(started) else None


def is_alive(started: Started) -> bool:
    """Whether this very process still runs; one that ended and was not waited for does not."""
    _reap(started.pid)
    return started.began != "" and _began(started.pid) == started.began


def stop(all_started: Sequence[Started], seconds: float) -> None:
    """Ask all to end, wait, and kill those that did not. Ones that are gone are no error."""
    # SIGCONT first: a stopped process would hear of SIGTERM only when continued.
    for number in (signal.SIGCONT, signal.SIGTERM):
        _signal(all_started, number)
    if not wait_gone(all_started, seconds):
        _signal(all_started, signal.SIGKILL)
        wait_gone(all_started, seconds)


def wait_gone(all_started: Sequence[Started], seconds: float) -> bool:
    """Whether all end within this time."""
    deadline = time.monotonic() + seconds
    while any(is_alive(started) for started in all_started):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def log_tail(log: Path) -> str:
    """The last lines of a log, for the person who wonders why a process ended."""
    if not log.exists():
        return ""
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        return "\n".join(source.read().decode(errors="replace").splitlines()[-LOG_TAIL_LINES:])


def _signal(all_started: Sequence[Started], number: signal.Signals) -> None:
    for started in all_started:
        if is_alive(started):
            try:
                os.kill(started.pid, number)
            except ProcessLookupError:
                continue


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # not ours, or waited for already


def _began(pid: int) -> str | None:
    """When a process started: clock ticks since boot on Linux, a date elsewhere; None when it is gone."""
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name in parentheses may hold spaces; state is field 3, start time field 22.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else f"{_boot()}:{fields[19]}"
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = found.stdout.strip().partition(" ")
    return None if found.returncode or state.startswith("Z") else began.strip()


def _boot() -> str:
    """Start times count from boot: after a reboot an old pid file must match nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
