"""
``python -m benchmarks.changes URL REPOSITORY``: small transactions one by one.

The first line of standard input is the token, each further one a number of them: the default branch is moved there and
back through the API, which answers when that is final. A line of JSON answers, with the milliseconds of each. In a
process of its own, so that what is going on in the other one delays no question and no answer.
"""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

BRANCHES = ("main", "other")


def change(connection: HTTPConnection, path: str, token: str, branch: str) -> float:
    """Milliseconds until the default branch is this one."""
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("PATCH", path, json.dumps({"default_branch": branch}), headers)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said
    return (time.perf_counter() - began) * 1000


def run(url: str, repository: str) -> None:
    """Until standard input ends."""
    token = sys.stdin.readline().strip()
    connection = HTTPConnection(urlsplit(url).netloc)
    for line in sys.stdin:
        path, count = f"/api/v3/repos/{repository}", int(line)
        # Each one differs from the one before it, across lines too.
        times = [change(connection, path, token, BRANCHES[number % 2]) for number in range(1, count + 1)]
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
