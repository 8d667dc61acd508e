"""Ports on loopback: which are free, and keeping two starting networks from choosing the same."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from guts_core.errors import Unavailable

from .config import HTTP_PORT_DEFAULT, PORT_MAX
from .outcomes import Misconfigured

LOOPBACK = "127.0.0.1"
# Below the ports that systems give to outgoing connections (32768 up on Linux): a node that was
# killed finds its port free when it comes back.
P2P_PORT_FIRST = 17080


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now. Connections that linger after a close do not count."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_ports(count: int, first: int) -> list[int]:
    """The lowest free ports from ``first`` up."""
    found = list(islice((port for port in range(first, PORT_MAX + 1) if is_free(port)), count))
    if len(found) < count:
        raise Unavailable(f"fewer than {count} free ports from {first} up")
    return found


def require_free(ports: list[int], host: str = LOOPBACK, option: str = "--http-port P") -> None:
    """Misconfigured names the first port that is taken."""
    for port in ports:
        if not 0 < port <= PORT_MAX:
            raise Misconfigured(f"port {port} is outside 1 to {PORT_MAX}")
        if not is_free(port, host):
            raise Misconfigured(f"port {port} on {host} is taken by another program", f"the same command with {option}")


def http_ports(count: int, first: int | None) -> list[int]:
    """``first`` and those after it, all of which must be free, or free ones from 8080 up."""
    if first is None:
        return free_ports(count, HTTP_PORT_DEFAULT)
    ports = list(range(first, first + count))
    require_free(ports)
    return ports


@contextmanager
def choosing_ports() -> Iterator[None]:
    """Held from choosing ports until the nodes listen, so that networks started at once choose in turn."""
    path = Path(tempfile.gettempdir()) / f"guts-ports-{os.getuid()}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
