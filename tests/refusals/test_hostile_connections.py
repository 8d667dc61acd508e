"""
The hostile connections of ``dependencies.md`` 1.3 against a real node: after each one it finalizes.

Runs on every supported Python (``pytest tests/refusals -k hostile``), since Quart is another release on 3.13.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.devnet import Git
from tests.refusals.hostile_bytes import EVERY, KILLS, h2_frame
from tests.refusals.live_node import LiveNode, alice, hear, reset, running, shout

pytestmark = pytest.mark.e2e

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveNode]:
    """One node for all of them: what one leaves behind, the next one finds."""
    with running(tmp_path_factory.mktemp("hostile")) as live:
        yield live


@pytest.fixture(autouse=True)
def goes_on(node: LiveNode) -> Iterator[None]:
    """After every case: a new final block of the same process, and no bug in its log."""
    mark = node.net.mark(0)
    yield
    node.finalizes()
    assert node.complaints(mark) == []


@pytest.mark.parametrize("name", EVERY)
def test_hostile_bytes_are_refused_or_ignored(node: LiveNode, name: str) -> None:
    """Sent whole, then read to the end: a refusal or a plain answer, and the connection ends."""
    said = node.say(EVERY[name])

    assert said == b"" or said.startswith(b"HTTP/1.1 ")
    assert not said.startswith(b"HTTP/1.1 5")
    assert b"HTTP/1.1 101" not in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("name", KILLS)
def test_hostile_bytes_that_killed_and_then_more(node: LiveNode, name: str) -> None:
    """The late data that the h2 case needs, for each of them."""
    with node.dial() as sock:
        shout(sock, KILLS[name])
        shout(sock, h2_frame(0, 0, 1, b"late") * 3)
        hear(sock)


@pytest.mark.parametrize("name", EVERY)
def test_hostile_bytes_in_two_halves_then_a_reset(node: LiveNode, name: str) -> None:
    """Whatever state the connection is in, its end is sudden."""
    data = EVERY[name]
    sock = node.dial()
    shout(sock, data[: len(data) // 2])
    shout(sock, data[len(data) // 2 :])
    reset(sock)


@pytest.mark.parametrize("name", ["CL.TE", "TE.CL", "TE.TE", "two lengths"])
def test_bad_D03_hostile_framing_is_answered_once(node: LiveNode, name: str) -> None:
    """400 and closed: nothing behind it is read as a request."""
    said = node.say(EVERY[name] + GET + b"\r\n")

    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1 ") == 1


def test_bad_D05_hostile_HTTP_2_is_not_spoken(node: LiveNode) -> None:
    """Off: no preface is understood, so there is nothing to flood."""
    for name in (one for one in EVERY if one.startswith("h2 ")):
        said = node.say(EVERY[name])
        assert said == b"" or said.startswith(b"HTTP/1.1 400")


def test_bad_D06_hostile_upgrades_are_not_taken(node: LiveNode) -> None:
    """The answer is HTTP/1.1, to the request that came with the offer; there is no WebSocket to flood (D10)."""
    for name in ("h2c upgrade with good settings", "websocket frames after the offer"):
        said = node.say(EVERY[name])
        assert said.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
        assert b"\r\nupgrade:" not in said.lower()


def test_a_hostile_reset_in_the_middle_of_an_answer(node: LiveNode, tmp_path: Path) -> None:
    """A clone that ends with a reset leaves no child behind that would hold its place."""
    git, url = pushed(node, tmp_path, "reset")
    head = git.oid("HEAD")
    want = f"0032want {head}\n00000009done\n".encode()
    ask = b"POST /%s/reset.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n" % git.user.encode()
    ask += b"Content-Type: application/x-git-upload-pack-request\r\nContent-Length: %d\r\n\r\n" % len(want)
    for _ in range(50):
        sock = node.dial()
        shout(sock, ask + want)
        sock.recv(10)
        reset(sock)

    assert head in git.refs(url).values()


def test_a_hostile_push_that_ends_early_changes_nothing(node: LiveNode, tmp_path: Path) -> None:
    """Closed in the middle of the pack, with and without a reset."""
    git, url = pushed(node, tmp_path, "early")
    before = git.refs(url)
    for end in (reset, lambda sock: sock.close()):
        sock = node.dial()
        shout(sock, b"POST /%s/early.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n" % git.user.encode())
        shout(sock, b"Authorization: token %s\r\n" % node.token.encode())
        shout(sock, b"Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 100000\r\n\r\n")
        line = f"{'0' * 40} {'ab' * 20} refs/heads/x\0report-status".encode()
        shout(sock, b"%04x%s0000PACK" % (len(line) + 4, line) + bytes(5000))
        end(sock)

    assert git.refs(url) == before


def pushed(node: LiveNode, directory: Path, name: str) -> tuple[Git, str]:
    """A repository with one commit of a mebibyte, pushed by stock git."""
    git = alice(node, directory / name)
    git("init", "-q")
    git.commit("file", "".join(f"{number * number}\n" for number in range(120_000)))
    url = f"{node.net.url(0)}/{git.user}/{name}.git"
    git("push", "-q", url, "HEAD:main")
    return git, url
