"""Floods from one address against a real node: so much is held as one may hold, and others are served meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.compat.devnet import Git
from tests.refusals.doors_world import MAIN, push_body
from tests.refusals.live_node import (
    GROWTH_BYTES_MAX,
    LiveNode,
    a_large_repository,
    eventually,
    push_head,
    running,
    serves_others,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GET = b"GET /api/guts/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HELD = 2_000
CONNECTIONS_PER_LOOPBACK = 500
REQUESTS_PER_SECOND = 5  # ten times as much for loopback, and ten seconds' worth at once: 500


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    """One node for all of them, which lets idle connections stand for as long as a test takes."""
    limits = {
        "GUTS_LIMITS_IDLE_SECONDS": "120",
        "GUTS_LIMITS_CONNECTIONS_PER_LOOPBACK": str(CONNECTIONS_PER_LOOPBACK),
        "GUTS_LIMITS_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND),
    }
    with running(tmp_path_factory.mktemp("floods"), **limits) as live:
        yield live


@pytest.fixture(scope="module")
def shared(node: LiveNode, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """What others clone."""
    return a_large_repository(node, tmp_path_factory.mktemp("shared"))


@pytest.fixture(autouse=True)
def goes_on(node: LiveNode) -> Iterator[None]:
    """After every case: a new final block, and no bug in the log."""
    mark = node.net.mark(0)
    yield
    node.finalizes()
    assert node.complaints(mark) == []


def test_a_hostile_flood_of_connections_leaves_room_for_others(node: LiveNode, shared: Git) -> None:
    """2,000 from one address: so many are held as one may hold, the rest are told; a clone and a push go on."""
    with descriptors_for(HELD):
        fds, memory = node.descriptors(), node.resident_bytes()
        socks = [node.dial() for _ in range(HELD)]
        held_back = set(socks)
        eventually(lambda: turned_away(held_back) <= CONNECTIONS_PER_LOOPBACK + 50, "all others are told")
        held, grown = node.descriptors() - fds, node.resident_bytes() - memory
        serves_others(node, shared, "beside-connections")
        for sock in socks:
            sock.close()

    assert held <= CONNECTIONS_PER_LOOPBACK + 50
    assert len(held_back) >= CONNECTIONS_PER_LOOPBACK - 50
    assert grown < GROWTH_BYTES_MAX


def turned_away(socks: set[socket.socket]) -> int:
    """Take out those that were told 503; how many are left, held."""
    for sock in list(socks):
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert sock.recv(12) == b"HTTP/1.1 503"
            socks.remove(sock)
    return len(socks)


@contextlib.contextmanager
def descriptors_for(sockets: int) -> Iterator[None]:
    """Room for so many sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, sockets + 500)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_hostile_flood_of_requests_is_told_to_wait(node: LiveNode, shared: Git) -> None:
    """429 with the seconds, to the one address that floods; another one reads and writes meanwhile."""
    piped = GET.replace(b"Connection: close\r\n", b"") * 250
    with ThreadPoolExecutor(12) as pool:
        flood = [pool.submit(node.say, piped + GET) for _ in range(12)]
        serves_others(node, shared, "beside-requests")
        said = b"".join(one.result() for one in flood)

    assert b"HTTP/1.1 429" in said
    assert b"retry-after" in said.lower()
    assert not any(b"HTTP/1.1 5%d" % kind in said for kind in range(100))


def test_a_hostile_flood_of_transactions_and_garbage_pushes(node: LiveNode, shared: Git) -> None:
    """Bytes that are no transaction, packs that are none: each is refused, nothing is left, others are served."""
    memory = node.resident_bytes()
    junk = os.urandom(50_000)
    no_transaction = (
        b"POST /api/guts/v1/transactions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/cbor\r\nContent-Length: %d\r\n\r\n%s" % (len(junk), junk)
    )
    push = push_body([MAIN], b"PACK" + os.urandom(1 << 20))
    no_pack = push_head(node, b"junk", b"Connection: close", b"Content-Length: %d" % len(push)) + push
    with ThreadPoolExecutor(8) as pool:
        flood = [pool.submit(node.say, one) for _ in range(60) for one in (no_transaction, no_pack)]
        serves_others(node, shared, "beside-garbage")
        said = [one.result() for one in flood]

    assert not any(b"HTTP/1.1 500" in one or b"ok refs/heads/main" in one for one in said)
    assert any(one.startswith((b"HTTP/1.1 400", b"HTTP/1.1 422")) for one in said)
    assert node.resident_bytes() - memory < GROWTH_BYTES_MAX
    quarantine = Path(node.net.info["nodes"][0]["dir"]) / "quarantine"
    eventually(lambda: list(quarantine.iterdir()) == [], "the quarantine is empty")
