"""Reading JSON: the status of a node over one connection that is kept open."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

from .figures import Figure, figure, percentile
from .run import Run

WARM_UP = 50
PATH = "/api/guts/v1/status"


def measure(run: Run) -> list[Figure]:
    """One request after another."""
    connection = HTTPConnection(urlsplit(run.network.url(0)).netloc)
    times = [_one(connection) for _ in range(WARM_UP + run.times(500, 200))][WARM_UP:]
    connection.close()
    note = f"p99 {percentile(times, 0.99):.2f} ms; one request at a time over one connection"
    return [figure("JSON read of status, p50", "ms", times, note=note)]


def _one(connection: HTTPConnection) -> float:
    began = time.perf_counter()
    connection.request("GET", PATH)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    return (time.perf_counter() - began) * 1000
