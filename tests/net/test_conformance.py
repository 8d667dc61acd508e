"""The conformance kit: ours pass, and each way of being wrong is told in the kit's own words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import memory_stream_pair

from guts_core.simplex.ports import Instant
from guts_net.clock import MachineClock
from guts_net.conformance import NotConforming, check_clock, check_disk, check_transport
from guts_net.disk import LocalDisk, LocalFile
from guts_net.tcp import TcpTransport

NOWHERE = "127.0.0.1:1"  # a port that needs a privileged listener, of which a test machine has none


async def test_tcp_conforms() -> None:
    await check_transport(TcpTransport(), "127.0.0.1:0", NOWHERE)


def test_the_disk_conforms(tmp_path: Path) -> None:
    check_disk(LocalDisk(), tmp_path)


def test_the_clock_conforms() -> None:
    check_clock(MachineClock())
    check_clock(MachineClock(offset_ms=-3_600_000))


class Letterbox(TcpTransport):
    """Says it connects to where nobody listens."""

    async def connect(self, address: str) -> trio.abc.Stream:
        """A stream that leads nowhere instead of an error."""
        try:
            return await super().connect(address)
        except OSError:
            return memory_stream_pair()[0]


class Bottomless(TcpTransport):
    """Takes any amount at once."""

    async def connect(self, address: str) -> trio.abc.Stream:
        """A connection to memory that nobody bounds."""
        await super().connect(address)
        ours, self.theirs = memory_stream_pair()
        return ours

    async def listen(self, address: str) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """Gives out the other end."""
        (inner,) = await super().listen(address)
        return [_Memory(self, inner)]

    def address_of(self, listener: trio.abc.Listener[trio.abc.Stream]) -> str:
        """As TCP."""
        assert isinstance(listener, _Memory)
        return super().address_of(listener.inner)


class _Memory(trio.abc.Listener[trio.abc.Stream]):
    def __init__(self, transport: Bottomless, inner: trio.abc.Listener[trio.abc.Stream]) -> None:
        self.transport, self.inner = transport, inner

    async def accept(self) -> trio.abc.Stream:
        stream = await self.inner.accept()
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        return self.transport.theirs

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize(
    ("transport", "sentence"),
    [(Letterbox(), "where nobody listens raises OSError"), (Bottomless(), "waits for someone who reads")],
    ids=["letterbox", "bottomless"],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what a wrong transport leaves open
async def test_a_transport_that_breaks_its_word_is_found_out(transport: TcpTransport, sentence: str) -> None:
    with pytest.raises(NotConforming, match=sentence):
        await check_transport(transport, "127.0.0.1:0", NOWHERE)


class Careless(LocalDisk):
    """Overwrites what it should create."""

    def create(self, path: Path) -> LocalFile:
        """An empty file, whatever was there."""
        path.unlink(missing_ok=True)
        return super().create(path)


class Open(LocalDisk):
    """Lets everybody read."""

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """With a mode of its own."""
        super().write_file(path, data, mode | 0o044)


class Pedantic(LocalDisk):
    """Minds what is absent."""

    def unlink(self, path: Path) -> None:
        """An error where there is nothing."""
        os.unlink(path)  # noqa: PTH108 -- raises where Path's own may be told not to


@pytest.mark.parametrize(
    ("disk", "error"),
    [(Careless(), "raises FileExistsError"), (Open(), "nobody else's to read"), (Pedantic(), "No such file")],
    ids=["careless", "open", "pedantic"],
)
def test_a_disk_that_breaks_its_word_is_found_out(disk: LocalDisk, error: str, tmp_path: Path) -> None:
    with pytest.raises((NotConforming, FileNotFoundError), match=error):
        check_disk(disk, tmp_path)


class Backwards(MachineClock):
    """Counts down."""

    def monotonic_us(self) -> int:
        """The wrong way round."""
        return -super().monotonic_us()


class Torn(MachineClock):
    """Two clocks that are not the same."""

    def now(self) -> Instant:
        """Another machine's time."""
        return Instant(super().monotonic_us() + 10**12, super().wall_ms())


@pytest.mark.parametrize(
    ("clock", "sentence"), [(Backwards(), "never goes back"), (Torn(), "monotonic clock agree")], ids=["back", "torn"]
)
def test_a_clock_that_breaks_its_word_is_found_out(clock: MachineClock, sentence: str) -> None:
    with pytest.raises(NotConforming, match=sentence):
        check_clock(clock)
