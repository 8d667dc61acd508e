"""
When no more connections can be taken in for want of files to open (F14).

trio waits a tenth of a second and tries again, so links that stand are not touched; but it logs a
traceback each time, which on a full machine fills what is left. Here it becomes one line a minute.
"""

from __future__ import annotations

import logging
import time

from typing_extensions import override

from .logs import Log

TOLD_SECONDS = 60.0
_TRIOS = "trio.serve_listeners"


class AcceptFailures(logging.Filter):
    """Says how often accepting failed, in a line of the node's own log, and lets nothing of trio's through."""

    def __init__(self) -> None:
        super().__init__()
        self._log, self._told_at, self._since = Log("node"), -TOLD_SECONDS, 0

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        self._since += 1
        now = time.monotonic()
        if now - self._told_at >= TOLD_SECONDS:
            error = record.exc_info[1] if record.exc_info else None
            self._log.warning("connections_not_accepted", times=self._since, reason=str(error or record.getMessage()))
            self._told_at, self._since = now, 0
        return False


def tell_of_failures() -> None:
    """From now on in this process; once is enough."""
    logger = logging.getLogger(_TRIOS)
    if not any(isinstance(one, AcceptFailures) for one in logger.filters):
        logger.addFilter(AcceptFailures())
