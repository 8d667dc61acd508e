"""F22: an event loop that does not get on is noticed, told with its stack, and lets others lead."""

from __future__ import annotations

import json
import time
from pathlib import Path

import trio

from guts_core.node.node import Node
from guts_net.clock import MachineClock
from guts_net.logs import Log, open_logs
from guts_net.tally import Tally
from guts_net.watchdog import Patience, Watchdog

from .weather_world import Weather, weathered

STALL = {"beat_seconds": 0.02, "stall_seconds": 0.5}
SHORT = Patience(**STALL, gray_seconds=600.0)
LONG = Patience(**STALL, gray_seconds=0.5, aside_seconds=600.0)
TOLD_WITHIN_SECONDS = 60.0


async def stalled(patience: Patience, node: Node, log: Path) -> None:
    """A watchdog whose loop holds everything up until that is told, and then counted."""
    tally = Tally()
    async with trio.open_nursery() as nursery:
        watchdog = Watchdog(Log("node"), tally, node, MachineClock(), patience)
        await nursery.start(watchdog.run)
        keep_busy(len(stalls(log)), log)
        while not tally["loop_stalls"]:  # noqa: ASYNC110  # until the loop itself has seen how late it is
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


def keep_busy(before: int, log: Path) -> None:
    """What nobody should do in an event loop."""
    deadline = time.monotonic() + TOLD_WITHIN_SECONDS
    while len(stalls(log)) == before:
        assert time.monotonic() < deadline, "nobody noticed"
        time.sleep(0.01)


def stalls(log: Path) -> list[dict[str, str]]:
    """Lines that tell of them."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == "loop_stalls"]


async def test_fault_F22_a_stall_is_told_with_its_stack_and_a_long_one_takes_the_lead_away(tmp_path: Path) -> None:
    """The line that holds everything up stands in the log; then others lead, and agreement goes on."""
    async with weathered(tmp_path) as net:
        node, log = net.nodes[0]._node, tmp_path / "watchdog.log"
        with open_logs(log):
            await stalled(SHORT, node, log)
            assert node.ledger.stands_aside_until == 0
            await stalled(LONG, node, log)
            assert node.ledger.stands_aside_until > 0

        told = [line["stack"] for line in stalls(log)]  # the nodes' own watchdogs may have noticed as well
        assert len(told) >= 2
        assert all("keep_busy(" in stack for stack in told)
        before = net.nodes[0]._node.engine.slots.led[0]
        await _write_on(net)
        assert net.nodes[0]._node.engine.slots.led[0] == before
        await net.assert_one_story()


async def _write_on(net: Weather) -> None:
    for number in range(6):
        await net.write(through=number % 4)
