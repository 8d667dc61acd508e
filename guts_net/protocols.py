"""
What a node needs of the machine it runs on, as three small protocols (the design card's pluggable transports).

``TcpTransport``, ``LocalDisk`` and ``MachineClock`` are what a node takes unless it is given others.
``guts_net.conformance`` checks an implementation of one's own against everything that is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from guts_core.simplex.ports import Instant

if TYPE_CHECKING:  # commands write private files through these, and start in less time without it
    import trio


class Transport(Protocol):
    """
    Byte streams between nodes.

    Nothing is expected of it but order: whoever carries the bytes can delay or cut them, and is found out if
    they change one, because the handshake above proves who speaks and seals what is said
    (``docs/explanation/architecture.md``). Addresses are strings that it alone understands.
    """

    async def connect(self, address: str) -> trio.abc.Stream:
        """A stream to whoever listens there; OSError when nobody does."""

    async def listen(self, address: str) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """Listeners at an address; OSError when it cannot be had."""

    def address_of(self, listener: trio.abc.Listener[trio.abc.Stream]) -> str:
        """Where a listener of its own can be reached: another address than was asked for where a port was left open."""


class DiskFile(Protocol):
    """A file open for writing at its end."""

    path: Path

    def write(self, data: bytes) -> None:
        """Append; not durable before ``sync``."""

    def sync(self) -> None:
        """Make every byte written so far survive a power cut. An OSError is never retried."""

    def tell(self) -> int:
        """Bytes in the file."""

    def truncate(self, size: int) -> None:
        """Cut the file to its first ``size`` bytes; the next write goes there."""

    def close(self) -> None:
        """Close without syncing."""


class Disk(Protocol):
    """
    Everything durable that a node does to files, one operation after another. All methods block.

    What is named "durable" survives a power cut once the method has returned; everything else only after a
    sync. An OSError of a sync travels up and ends the process: the kernel forgets what it could not write.
    """

    def observe(self, operation: str, subject: str) -> None:
        """Hear of an operation that was done here or beside (a commit of the database, a message that leaves)."""

    make_room: Callable[[], bool]
    """
    Called when a write of an ``append`` file finds no space: whether something was given up, after which the
    write is tried once more. The node sets it.
    """

    def free_bytes(self, path: Path) -> int:
        """What may still be written to the file system of a path."""

    def total_bytes(self, path: Path) -> int:
        """What the file system of a path holds at most."""

    def allocate(self, path: Path, size: int) -> None:
        """A file of this size whose space is its own, over what stands there; what it holds is nothing."""

    def create(self, path: Path) -> DiskFile:
        """A new file; FileExistsError if it exists."""

    def append(self, path: Path) -> DiskFile:
        """An existing or new file, positioned at its end."""

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """A whole small file, atomically and durably: after a crash there is the old one or the new one."""

    def sync_file(self, path: Path) -> None:
        """Make a file that someone else wrote survive a power cut."""

    def sync_directory(self, path: Path) -> None:
        """Make names in a directory survive a power cut."""

    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        """A directory and its parents; existing ones are no error."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename within one file system, over what stands there."""

    def link(self, source: Path, target: Path) -> None:
        """Hard-link; a target that exists already is no error (same bytes, named by digest)."""

    def unlink(self, path: Path) -> None:
        """Remove a file; absent is no error."""

    def remove_tree(self, path: Path) -> None:
        """Remove a directory and all in it; absent is no error."""


class Clock(Protocol):
    """The machine's two clocks."""

    def now(self) -> Instant:
        """Both at one moment."""

    def monotonic_us(self) -> int:
        """Microseconds that never go back and ignore the wall clock being set."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 as this machine believes; may jump."""
