"""What ends the helper for ready-made clones, and what whoever started it had it ignore."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from guts_cli.outcomes import EXIT_INTERRUPTED
from tests.cli.desk import Desk

PATIENCE_SECONDS = 60.0
# As nohup does, and a shell for what it starts in the background.
STARTED = """
import signal, sys
for name in sys.argv[1].split():
    signal.signal(signal.Signals[name], signal.SIG_IGN)
sys.argv[1:] = ["origin", "guts://alice/hello"]
from guts_cli.ready.conversation import main
main()
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
@pytest.mark.parametrize("is_ignored", [True, False])
def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, name: str, is_ignored: bool) -> None:
    """A clone under nohup outlives its terminal."""
    argv = [sys.executable, "-c", STARTED, name if is_ignored else ""]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=Desk(tmp_path, tmp_path / "home").environment(), cwd=tmp_path,
    ) as helper:  # fmt: skip
        assert helper.stdin is not None
        assert helper.stdout is not None
        helper.stdin.write("capabilities\n")
        helper.stdin.flush()
        assert helper.stdout.readline() == "fetch\n"
        helper.send_signal(signal.Signals[name])
        rest, _ = helper.communicate("capabilities\n" if is_ignored else None, PATIENCE_SECONDS)

    assert helper.returncode == (0 if is_ignored else EXIT_INTERRUPTED)
    assert rest.count("fetch\n") == (1 if is_ignored else 0)
