"""A real node process for hostile clients, the plain sockets they use, and the proof that it goes on."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define, field

from tests.compat.devnet import Devnet, Git, wait_until

# What a hostile client waits for an answer or a close; the node's own limits below are shorter.
PATIENCE_SECONDS = 20.0
# Short limits, so that tests of slowness are quick. All of them are keys of the configuration.
IDLE_SECONDS = 2
LIMITS = {
    "GUTS_LIMITS_IDLE_SECONDS": str(IDLE_SECONDS),
    "GUTS_LIMITS_BODY_IDLE_SECONDS": "2",
    "GUTS_LIMITS_ANSWER_SECONDS": "2",
}
_RESET = struct.pack("ii", 1, 0)


@define
class LiveNode:
    """One validator in a process of its own: all there is of its network."""

    net: Devnet
    token: str
    _numbers: Iterator[int] = field(factory=count)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.net.url(0))
        return str(parts.hostname), int(parts.port or 80)

    def dial(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from this address of the loopback."""
        sock = socket.create_connection(self.address, PATIENCE_SECONDS, (source, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def say(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes on a connection of their own; what comes back until it is closed, or has been silent."""
        with self.dial() as sock:
            shout(sock, data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            return hear(sock)

    def finalizes(self) -> int:
        """Make a transaction final; the height it stands at."""
        name = f"still-{next(self._numbers)}"
        answer = self.net.http(0, "/api/v3/user/repos", token=self.token, body={"name": name})
        assert answer.status == 201, answer.body
        return int({key.lower(): value for key, value in answer.headers.items()}["guts-height"])

    def resident_bytes(self) -> int:
        """The memory of the process."""
        lines = Path(f"/proc/{self.net.pid(0)}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024

    def descriptors(self) -> int:
        """The open files of the process."""
        return len(list(Path(f"/proc/{self.net.pid(0)}/fd").iterdir()))

    def complaints(self, since: int) -> list[str]:
        """What the log has that an honest node never writes."""
        with self.net.log_path(0).open("rb") as raw:
            raw.seek(since)
            text = raw.read().decode()
        return [line for line in text.splitlines() if "Traceback" in line or '"error"' in line or "met a bug" in line]


def shout(sock: socket.socket, data: bytes) -> None:
    """Send what the other side takes."""
    with contextlib.suppress(OSError):
        sock.sendall(data)


def hear(sock: socket.socket) -> bytes:
    """Everything until the other side closes or resets."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(65_536):
            received += data
    return bytes(received)


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


@contextmanager
def running(directory: Path, **limits: str) -> Iterator[LiveNode]:
    """The node, stopped whatever happens; ``limits`` are environment variables of its configuration."""
    net = Devnet(directory / "net", directory / "net", validators=1)
    with environment(LIMITS | limits):
        info = net.start()
    try:
        yield LiveNode(net, str(info["token"]))
    finally:
        net.stop()


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """These variables for what is started inside the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def alice(node: LiveNode, directory: Path) -> Git:
    """Stock git for the account that the network was started with."""
    directory.mkdir(parents=True, exist_ok=True)
    return Git(directory, node.net.info["account"], node.token)


def eventually(true: Callable[[], bool], what: str) -> None:
    """Poll until it is so."""
    wait_until(true, what, PATIENCE_SECONDS)


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began
