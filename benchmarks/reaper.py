"""
``python -m benchmarks.reaper COMMAND...``: run a server so that the processor time of all that it starts can be told.

fcgiwrap ignores the end of its children, and Linux then forgets what they used. Children that are left behind by
whoever started them come to this process instead (prctl(2), PR_SET_CHILD_SUBREAPER), which waits for them: so what they
and their own children used shows in its times. It ends when it is killed.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def run(command: list[str]) -> None:
    """Start the command and wait for whatever ends, until nothing is left."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers; Linux 3.4 does")
    # Not waited for by name: below it is one of the children that end.
    subprocess.Popen(command)
    with suppress(ChildProcessError):
        while True:
            os.wait()


if __name__ == "__main__":
    run(sys.argv[1:])
