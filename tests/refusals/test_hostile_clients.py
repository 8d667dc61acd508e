"""Slow, half-closed and greedy clients against a real node: their places are bounded, and others are served."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.compat.devnet import Git
from tests.refusals.doors_world import MAIN, push_body
from tests.refusals.live_node import (
    GROWTH_BYTES_MAX,
    IDLE_SECONDS,
    LiveNode,
    a_large_repository,
    eventually,
    hear,
    push_head,
    running,
    serves_others,
    shout,
)

pytestmark = pytest.mark.e2e

GET = b"GET /api/guts/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
# Few turns, so that a test can take them all.
PUSHES, FETCHES = 4, 4


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    """One node for all of them."""
    limits = {
        "GUTS_LIMITS_PUSHES": str(PUSHES),
        "GUTS_LIMITS_FETCHES": str(FETCHES),
    }
    with running(tmp_path_factory.mktemp("clients"), **limits) as live:
        yield live


@pytest.fixture(scope="module")
def shared(node: LiveNode, tmp_path_factory: pytest.TempPathFactory) -> Git:
    """What is cloned."""
    return a_large_repository(node, tmp_path_factory.mktemp("shared"))


@pytest.fixture(autouse=True)
def goes_on(node: LiveNode) -> Iterator[None]:
    """After every case: a new final block, no bug in the log, and the descriptors are given back."""
    mark, descriptors = node.net.mark(0), node.descriptors()
    yield
    node.finalizes()
    assert node.complaints(mark) == []
    eventually(lambda: node.descriptors() <= descriptors + 20, "the descriptors are closed")


def test_hostile_slow_heads_are_given_up(node: LiveNode) -> None:
    """Slowloris: a byte now and then extends nothing."""
    socks = [node.dial() for _ in range(50)]
    for sock in socks:
        shout(sock, b"GET / HTTP/1.1\r\nX: ")
    began = time.monotonic()
    open_socks = list(socks)
    while open_socks and time.monotonic() < began + 10 * IDLE_SECONDS:
        node.finalizes()
        open_socks = [sock for sock in open_socks if trickles(sock)]

    assert open_socks == []
    assert time.monotonic() - began < 5 * IDLE_SECONDS
    for sock in socks:
        sock.close()


def trickles(sock: socket.socket) -> bool:
    """Send one byte more; whether the other side still stands."""
    sock.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        try:
            sock.sendall(b"y")
            return sock.recv(1) != b""
        except ConnectionError:
            return False
    return True


def test_hostile_bodies_that_stop_are_given_up(node: LiveNode) -> None:
    """408 for the API and for a push; the turn of the push is free for others."""
    heads = [
        b"POST /api/v3/user/repos HTTP/1.1\r\nHost: x\r\nAuthorization: token %s\r\nContent-Length: 1000\r\n\r\n{"
    ] + [push_head(node, b"slow", b"Content-Length: 100000") + push_body([MAIN], b"PACK")] * PUSHES
    socks = [node.dial() for _ in heads]
    for sock, head in zip(socks, heads, strict=True):
        shout(sock, head.replace(b"%s", node.token.encode()))
    said = [hear(sock) for sock in socks]

    assert said[0].startswith(b"HTTP/1.1 408")
    assert all(one.startswith(b"HTTP/1.1 408") or one == b"" or b"unpack" in one for one in said)
    for sock in socks:
        sock.close()


def test_hostile_readers_that_stop_are_given_up(node: LiveNode, shared: Git) -> None:
    """Every turn of the clones taken by somebody who does not read: others get theirs, the children end."""
    head = shared.oid("HEAD")
    want = f"0032want {head}\n00000009done\n".encode()
    ask = b"POST /%s/shared.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n" % shared.user.encode()
    ask += b"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: %d\r\n\r\n" % len(want)
    socks = []
    for _ in range(FETCHES):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(node.address)
        shout(sock, ask + want)
        assert sock.recv(15) == b"HTTP/1.1 200 \r\n"[:15]
        socks.append(sock)

    node.finalizes()
    serves_others(node, shared, "after-readers")
    for sock in socks:
        sock.close()


def test_a_hostile_end_of_one_side_still_gets_its_answer(node: LiveNode) -> None:
    """A client that has said all and shuts its side down: reads, writes and pushes are answered whole."""
    read = node.say(GET, half_close=True)
    body = b'{"name": "half-closed"}'
    write = b"POST /api/v3/user/repos HTTP/1.1\r\nHost: x\r\nAuthorization: token %s\r\n" % node.token.encode()
    wrote = node.say(write + b"Content-Length: %d\r\n\r\n%s" % (len(body), body), half_close=True)
    push = push_body([MAIN])
    pushed = node.say(push_head(node, b"half-push", b"Content-Length: %d" % len(push)) + push, half_close=True)
    cut = node.say(push_head(node, b"half-cut", b"Content-Length: %d" % len(push)) + push[:-50], half_close=True)

    assert read.startswith(b"HTTP/1.1 200")
    assert read.endswith(b"}\n")
    assert wrote.startswith(b"HTTP/1.1 201")
    assert b"ok refs/heads/main" in pushed
    assert b"ok refs/heads/main" not in cut
    assert node.net.http(0, f"/api/v3/repos/{node.net.info['account']}/half-cut").status == 404


def test_hostile_bombs_cost_what_they_weigh(node: LiveNode) -> None:
    """Ratio 1,000 as a push: 64 of them, and the process hardly grows."""
    import gzip

    node.finalizes()
    before = node.resident_bytes()
    bomb = gzip.compress(push_body([MAIN], b"PACK" + bytes(16 << 20)))
    head = push_head(node, b"bomb", b"Content-Encoding: gzip", b"Connection: close", b"Content-Length: %d" % len(bomb))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(node.say, [head + bomb] * 32))

    assert len(bomb) < 20_000
    assert not any(b"ok refs/heads/main" in one for one in said)
    assert node.resident_bytes() - before < GROWTH_BYTES_MAX
