"""A real node process for hostile clients, the plain sockets they use, and the proof that it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define

from tests.compat.devnet import Devnet, Git, wait_until

# What a hostile client waits for an answer or a close; the node's own limits below are shorter.
PATIENCE_SECONDS = 90.0
# Short limits, so that tests of slowness are quick. All of them are keys of the configuration.
IDLE_SECONDS = 1
LIMITS = {
    "GUTS_LIMITS_IDLE_SECONDS": str(IDLE_SECONDS),
    "GUTS_LIMITS_BODY_IDLE_SECONDS": "1",
    "GUTS_LIMITS_ANSWER_SECONDS": "2",
}
# The loopback has many addresses, and each has limits of its own.
ELSEWHERE, BYSTANDER = "127.0.0.2", "127.0.0.3"
# What one client may make the process grow; measured: 8 MiB for 500 held connections, 5 for 60 MiB of garbage.
GROWTH_BYTES_MAX = 64 << 20
_RESET = struct.pack("ii", 1, 0)


@define
class LiveNode:
    """One validator in a process of its own: all there is of its network."""

    net: Devnet
    token: str
    height: int = 0

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

    def finalizes(self) -> None:
        """A transaction of somebody at another address becomes final, above every height before: the node goes on."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        connection = HTTPConnection(*self.address, timeout=PATIENCE_SECONDS, source_address=(BYSTANDER, 0))
        with contextlib.closing(connection):
            connection.request("POST", "/api/v3/user/repos", json.dumps({"name": f"still-{self.height}"}), headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            height = int(answer.headers["guts-height"])
        assert height > self.height
        self.height = height

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


@contextmanager
def relayed(node: LiveNode, source: str) -> Iterator[str]:
    """The node's URL for programs that cannot choose their address: what they send comes from ``source``."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(32) as pool:
        pool.submit(_relay, listener, node, source, pool)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _relay(listener: socket.socket, node: LiveNode, source: str, pool: ThreadPoolExecutor) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            pool.submit(_join, near, node, source, pool)


def _join(near: socket.socket, node: LiveNode, source: str, pool: ThreadPoolExecutor) -> None:
    with near, node.dial(source) as far:
        back = pool.submit(_pipe, far, near)
        _pipe(near, far)
        back.result()


def _pipe(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65_536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def eventually(true: Callable[[], bool], what: str) -> None:
    """Poll until it is so."""
    wait_until(true, what, PATIENCE_SECONDS)


def a_large_repository(node: LiveNode, directory: Path) -> Git:
    """``shared``: eight mebibytes that do not compress, more than sockets buffer."""
    git = alice(node, directory)
    git("init", "-q")
    (git.directory / "noise").write_bytes(os.urandom(8 << 20))
    git.commit("file", "one\n")
    git("push", "-q", f"{node.net.url(0)}/{git.user}/shared.git", "HEAD:main")
    return git


def serves_others(node: LiveNode, shared: Git, name: str) -> None:
    """A clone and a push of somebody at another address."""
    with relayed(node, ELSEWHERE) as url:
        copy = shared.at(shared.directory.parent).clone(f"{url}/{shared.user}/shared.git", name, "--depth=1")
        copy.commit("file", f"{name}\n")
        copy("push", "-q", f"{url}/{shared.user}/{name}.git", "HEAD:main")


def push_head(node: LiveNode, name: bytes, *lines: bytes) -> bytes:
    """The head of a push request by alice."""
    fixed = (
        b"POST /%s/%s.git/git-receive-pack HTTP/1.1" % (node.net.info["account"].encode(), name),
        b"Host: x",
        b"Authorization: token " + node.token.encode(),
        b"Content-Type: application/x-git-receive-pack-request",
    )
    return b"\r\n".join([*fixed, *lines]) + b"\r\n\r\n"
