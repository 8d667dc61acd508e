"""
Ports for tests: of this worker alone, and none that systems give to outgoing connections.

A port that was free a moment ago may be anybody's by the time a node listens there. So each worker of a parallel run
has a share of its own, and within it a run begins somewhere by its process, should two run on one machine.
"""

from __future__ import annotations

import os
import re
from itertools import count

from guts_cli.ports import is_free

# Above where `guts` itself looks for ports (7080, 8080, 17080), below the outgoing ones of Linux (32768 up).
FIRST, END = 20_000, 32_000
SHARES = 8
_SHARE = (END - FIRST) // SHARES
_PRIME = 7919
_worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0)
_steps = count(os.getpid() * _PRIME)


def free_ports(wanted: int) -> list[int]:
    """Ports in a row on which nothing listens, and which this run did not have for a thousand ports."""
    found: list[int] = []
    for step in _steps:
        port = FIRST + _worker % SHARES * _SHARE + step % _SHARE
        is_next = not found or port == found[-1] + 1
        found = [*(found if is_next else []), port] if is_free(port) else []
        if len(found) == wanted:
            return found
    raise AssertionError("counting does not end")
