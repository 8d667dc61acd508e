"""
Whether a transport, disk or clock of one's own keeps what ``guts_net.protocols`` says.

Each check raises ``NotConforming`` with the sentence that does not hold. They use nothing but the
protocol, so what a crash does to a disk is not among them: for that a disk needs a machine to pull the
plug on (``tests/faults`` does it to ours).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import trio
import trio.testing

from guts_core.errors import GutsError

from .protocols import Clock, Disk, Transport

# More than the buffers of any kernel between two sockets: sending it needs someone who reads.
_FLOOD_BYTES = 16 << 20
_SECONDS = 20.0
_SMALL, _OTHER = b"a few bytes", b"and others"


class NotConforming(GutsError):
    """An implementation does not do what its protocol says."""

    code = "not-conforming"


def _demand(holds: object, sentence: str) -> None:
    if not holds:
        raise NotConforming(sentence)


# ---- transport ----


async def check_transport(transport: Transport, address: str, nowhere: str) -> None:
    """Everything ``Transport`` says, with listeners at ``address``; nobody listens at ``nowhere``."""
    with trio.move_on_after(_SECONDS) as patience:
        await _check_refusal(transport, nowhere)
        listeners = await transport.listen(address)
        _demand(listeners, "listening gives at least one listener")
        listener, where = listeners[0], transport.address_of(listeners[0])
        try:
            for check in (_check_order, _check_both_ways, _check_end, _check_cut, _check_back_pressure):
                await check(transport, listener, where)
            await _check_many(transport, listener, where)
        finally:
            for one in listeners:
                await one.aclose()
        await _check_refusal(transport, where)
    _demand(not patience.cancelled_caught, f"every operation ends within {_SECONDS:.0f} s on an idle machine")


async def _check_refusal(transport: Transport, address: str) -> None:
    try:
        stream = await transport.connect(address)
    except OSError:
        return
    await trio.aclose_forcefully(stream)
    raise NotConforming("connecting to where nobody listens raises OSError")


async def _pair(
    transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str
) -> tuple[trio.abc.Stream, trio.abc.Stream]:
    ends: dict[str, trio.abc.Stream] = {}

    async def accept() -> None:
        ends["accepted"] = await listener.accept()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        ends["connected"] = await transport.connect(where)
    return ends["connected"], ends["accepted"]


async def _read(stream: trio.abc.Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await stream.receive_some(size - len(data))
        _demand(piece, "a stream gives every byte that was sent before its end")
        data += piece
    return data


async def _check_order(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    one, other = await _pair(transport, listener, where)
    async with one, other:
        for number in range(100):
            await one.send_all(number.to_bytes(2, "big"))
        told = await _read(other, 200)
        _demand(told == b"".join(n.to_bytes(2, "big") for n in range(100)), "bytes come in the order they were sent")


async def _check_both_ways(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    one, other = await _pair(transport, listener, where)
    async with one, other:
        await one.send_all(_SMALL)
        await other.send_all(_OTHER)
        heard = await _read(other, len(_SMALL)), await _read(one, len(_OTHER))
        _demand(heard == (_SMALL, _OTHER), "each side hears what the other sent, and nothing else")


async def _check_end(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    one, other = await _pair(transport, listener, where)
    async with other:
        async with one:
            await one.send_all(_SMALL)
        _demand(await _read(other, len(_SMALL)) == _SMALL, "what was sent before closing still arrives")
        _demand(await other.receive_some(1) == b"", "a closed stream ends with b'' at the other side")


async def _check_cut(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    one, other = await _pair(transport, listener, where)
    async with other:
        await trio.aclose_forcefully(one)
        try:
            with suppress(trio.BrokenResourceError):
                await other.receive_some(1)
            await _send_until_broken(other)
        except trio.BrokenResourceError:
            return
    raise NotConforming("sending to a side that is gone raises trio.BrokenResourceError in the end")


async def _send_until_broken(stream: trio.abc.Stream) -> None:
    for _ in range(_FLOOD_BYTES >> 16):
        await stream.send_all(bytes(1 << 16))


async def _check_back_pressure(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    one, other = await _pair(transport, listener, where)
    sent = trio.Event()

    async def flood() -> None:
        await one.send_all(bytes(_FLOOD_BYTES))
        sent.set()

    async with one, other, trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        await trio.testing.wait_all_tasks_blocked(0.05)
        is_bounded = not sent.is_set()
        for _ in range(_FLOOD_BYTES >> 16 if is_bounded else 0):
            await _read(other, 1 << 16)
    _demand(is_bounded, f"sending {_FLOOD_BYTES >> 20} MiB waits for someone who reads")


async def _check_many(transport: Transport, listener: trio.abc.Listener[trio.abc.Stream], where: str) -> None:
    pairs = [await _pair(transport, listener, where) for _ in range(8)]
    for number, (one, _) in enumerate(pairs):
        await one.send_all(bytes([number]))
    heard = [await _read(other, 1) for _, other in pairs]
    for pair in pairs:
        for stream in pair:
            await stream.aclose()
    _demand(heard == [bytes([number]) for number in range(8)], "streams do not mix")


# ---- disk ----


def check_disk(disk: Disk, directory: Path) -> None:
    """What ``Disk`` says of files, in an empty directory of its own."""
    deep = directory / "a" / "b"
    disk.make_directory(deep)
    disk.make_directory(deep)
    _demand(deep.is_dir(), "a directory is made with its parents, twice without error")
    _check_files(disk, deep)
    _check_whole_files(disk, deep)
    _check_names(disk, deep)
    disk.remove_tree(directory / "a")
    disk.remove_tree(directory / "a")
    _demand(not (directory / "a").exists(), "a tree is removed, and its absence is no error")


def _check_files(disk: Disk, directory: Path) -> None:
    path = directory / "log"
    file = disk.create(path)
    file.write(_SMALL)
    file.sync()
    _demand(path.read_bytes() == _SMALL, "what was written and synced can be read")
    file.close()
    with suppress(FileExistsError):
        disk.create(path).close()
        raise NotConforming("creating a file that exists raises FileExistsError")
    file = disk.append(path)
    _demand(file.tell() == len(_SMALL), "a file is opened for appending at its end")
    file.write(_OTHER)
    file.truncate(len(_SMALL))
    _demand(file.tell() == len(_SMALL), "truncating leaves the file at its new end")
    file.write(_OTHER)
    file.sync()
    file.close()
    _demand(path.read_bytes() == _SMALL + _OTHER, "writing goes on where a file was cut")
    disk.sync_file(path)


def _check_whole_files(disk: Disk, directory: Path) -> None:
    path = directory / "whole"
    for content in (_SMALL, _OTHER):
        disk.write_file(path, content, 0o600)
        _demand(path.read_bytes() == content, "a whole file is replaced by the new one")
    _demand(path.stat().st_mode & 0o077 == 0, "a file of mode 600 is nobody else's to read")
    names = sorted(found.name for found in directory.iterdir())
    _demand(names == ["log", "whole"], "nothing is left beside a whole file")


def _check_names(disk: Disk, directory: Path) -> None:
    first, second, third = directory / "whole", directory / "second", directory / "third"
    disk.link(first, second)
    disk.link(first, second)
    _demand(second.samefile(first), "a link is the same file, and one that stands already is no error")
    disk.rename(directory / "log", third)
    disk.rename(third, first)
    _demand(first.read_bytes() == _SMALL + _OTHER and not third.exists(), "renaming replaces what stands there")
    file = disk.append(first)
    disk.rename(first, third)
    file.write(_SMALL)
    file.sync()
    file.close()
    _demand(third.read_bytes() == _SMALL + _OTHER + _SMALL, "a file that is open is written to by whatever name")
    disk.unlink(second)
    disk.unlink(second)
    _demand(not second.exists(), "a file is removed, and its absence is no error")
    disk.sync_directory(directory)


# ---- clock ----


def check_clock(clock: Clock) -> None:
    """What ``Clock`` says, as far as a few thousand readings can tell."""
    readings = [clock.now() for _ in range(1000)] + [clock.now()]
    monotonic = [clock.monotonic_us() for _ in range(1000)]
    _demand(all(type(n) is int for n in (*monotonic, clock.wall_ms())), "clocks count in whole units")
    _demand(sorted(monotonic) == monotonic, "the monotonic clock never goes back")
    told = [one.monotonic for one in readings]
    _demand(sorted(told) == told and told[-1] <= monotonic[0], "both ways of asking the monotonic clock agree")
    _demand(abs(readings[-1].wall - clock.wall_ms()) <= 60_000, "both ways of asking the wall clock agree")
