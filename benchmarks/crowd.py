"""
Many who clone one small repository from one node at the same moment, and what becomes of finality meanwhile.

The clients throw away what they get. One is content with a whole pack, and with ``503`` that says when to
return, which it then obeys; anything else is an error.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import trio
from attrs import define, field

from tests.compat.people import a_repository, alice_of

from .changes import BRANCHES
from .figures import Figure, figure, percentile, ratios
from .raw import PACK, Source, everything
from .run import Run

CLIENTS, CLIENTS_LONG = 100, 500
# The fewest of which one stands above the p99.
CHANGES = 100
ROUNDS, ROUNDS_QUICK = 5, 3
P99_BAR = 2.0
GATEWAY, SERVING_NODE = 0, 1
NAME = "crowded"
READ_BYTES = 1 << 16
PATIENCE_SECONDS = 120.0


@define
class Crowd:
    """What became of all clones so far: whole ones with their seconds, ``503`` that name a time, and the rest."""

    seconds: list[float] = field(factory=list)
    turned_away: int = 0
    errors: Counter[str] = field(factory=Counter)

    async def clone(self, source: Source, request: bytes) -> None:
        """One client, until it has its clone or an error."""
        began = trio.current_time()
        with trio.move_on_after(PATIENCE_SECONDS) as waiting:
            while (again := await self._ask(source, request, began)) is not None:  # noqa: ASYNC110 -- as it was told
                await trio.sleep(again)
        if waiting.cancelled_caught:
            self.errors[f"none in {PATIENCE_SECONDS:g} s"] += 1

    async def _ask(self, source: Source, request: bytes, began: float) -> float | None:
        """In how many seconds to ask again; None when there is no reason to."""
        try:
            answer = await _answer(source, request)
        except OSError as error:
            self.errors[type(error).__name__] += 1
            return None
        status, again = answer.split(b" ", 2)[1:2], _retry_after(answer)
        if status == [b"200"] and PACK in answer and answer.endswith(b"0\r\n\r\n"):
            self.seconds.append(trio.current_time() - began)
        elif status == [b"503"] and again is not None:
            self.turned_away += 1
            return again
        else:
            self.errors[answer[:60].decode("ascii", "replace").strip() or "closed without an answer"] += 1
        return None


def measure(run: Run) -> list[Figure]:
    """Changes at one node, by turns alone and while crowds clone from another, one crowd after the other."""
    source, body = _repository(run)
    clients, crowd = CLIENTS_LONG if run.long else CLIENTS, Crowd()
    idle: list[float] = []
    busy: list[float] = []
    with _changing(run) as (questions, answers):

        def p99() -> float:
            print(CHANGES, file=questions, flush=True)
            return percentile(json.loads(answers.readline()), 0.99)

        p99()
        for _ in range(run.times(ROUNDS, ROUNDS_QUICK)):
            idle.append(p99())
            busy.append(_beside(p99, crowd, source.request(body), source, clients))
    note = f"of {len(crowd.seconds)} clones; {crowd.turned_away} times 503 with Retry-After"
    if crowd.errors:
        note += "; " + ", ".join(f"{words}: {times}" for words, times in crowd.errors.items())
    return [
        figure(f"{clients} clones at once, errors", "", [sum(crowd.errors.values())], bar=0, note=note),
        figure(f"{clients} clones at once, each", "s", crowd.seconds or [PATIENCE_SECONDS]),
        figure("a change's p99, idle", "ms", idle),
        figure(f"a change's p99, {clients} clones at once", "ms", busy),
        figure("a change's p99, of idle", "x", ratios(busy, idle), bar=P99_BAR),
    ]


def _beside(p99: Callable[[], float], crowd: Crowd, request: bytes, source: Source, clients: int) -> float:
    """The p99 of changes while crowd after crowd clones, the first from their beginning on."""
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(p99()))
    thread.start()
    trio.run(_all_at_once, crowd, source, request, clients)
    while thread.is_alive():
        trio.run(_all_at_once, crowd, source, request, clients)
    thread.join()
    return found[0]


async def _all_at_once(crowd: Crowd, source: Source, request: bytes, clients: int) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(clients):
            nursery.start_soon(crowd.clone, source, request)


async def _answer(source: Source, request: bytes) -> bytes:
    host, port = source.split.hostname, source.split.port
    assert host is not None
    answer = bytearray()
    try:
        async with await trio.open_tcp_stream(host, port or 80) as stream:
            await stream.send_all(request)
            while piece := await stream.receive_some(READ_BYTES):
                answer += piece
    except trio.BrokenResourceError as error:
        # Refused without being read: what it was told is there, unless nothing is.
        if not answer:
            raise ConnectionResetError from error
    return bytes(answer)


def _retry_after(answer: bytes) -> float | None:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"retry-after":
            return float(value)
    return None


def _repository(run: Run) -> tuple[Source, bytes]:
    """One commit and two branches on every node, and the request for all of it."""
    alice = alice_of(run.network, run.fresh("crowd"))
    assert alice.token is not None
    mine = a_repository(run.network, alice, NAME)
    mine("push", "-q", f"{run.network.url(GATEWAY)}/{alice.user}/{NAME}.git", f"main:{BRANCHES[1]}")
    run.network.wait_all_at(GATEWAY)
    source = Source(f"{run.network.url(SERVING_NODE)}/{alice.user}/{NAME}.git", alice.user, alice.token)
    return source, everything(source)


@contextmanager
def _changing(run: Run) -> Iterator[tuple[IO[str], IO[str]]]:
    """Who makes the changes, at a node that nobody clones from."""
    repository = f"{run.network.info['account']}/{NAME}"
    argv = [sys.executable, "-m", "benchmarks.changes", run.network.url(GATEWAY), repository]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        print(run.network.info["token"], file=process.stdin, flush=True)
        yield process.stdin, process.stdout
