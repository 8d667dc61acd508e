"""F22: an event loop that does not get on is noticed, told with its stack, and lets others lead."""

from __future__ import annotations

import json
import time
from pathlib import Path

import trio

from guts_net.clock import MachineClock
from guts_net.logs import Log, open_logs
from guts_net.tally import Tally
from guts_net.watchdog import Patience, Watchdog

from .weather_world import Weather, weathered

QUICK = Patience(beat_seconds=0.02, stall_seconds=0.2, gray_seconds=0.5, aside_seconds=60.0)


def busy(seconds: float) -> None:
    """What nobody should do in an event loop."""
    time.sleep(seconds)


async def test_fault_F22_a_stall_is_told_with_its_stack_and_a_long_one_takes_the_lead_away(tmp_path: Path) -> None:
    """The line that holds everything up stands in the log; then others lead, and agreement goes on."""
    async with weathered(tmp_path) as net:
        ledger = net.nodes[0]._node.ledger
        tally, path = Tally(), tmp_path / "watchdog.log"
        with open_logs(path):
            async with trio.open_nursery() as nursery:
                watchdog = Watchdog(Log("node"), tally, net.nodes[0]._node, MachineClock(), QUICK)
                nursery.start_soon(watchdog.run)
                await trio.sleep(0.1)
                busy(0.4)
                await trio.sleep(0.1)
                aside_after_a_short_one = ledger.stands_aside_until
                busy(0.9)
                await trio.sleep(0.1)
                nursery.cancel_scope.cancel()

        lines = [json.loads(line) for line in path.read_text().splitlines()]
        told = [line for line in lines if line["event"] == "loop_stalls"]
        assert tally["loop_stalls"] == len(told) == 2
        assert all("busy(0." in line["stack"] for line in told)
        assert aside_after_a_short_one == 0 < ledger.stands_aside_until
        before = net.nodes[0]._node.engine.slots.led[0]
        await _write_on(net)
        assert net.nodes[0]._node.engine.slots.led[0] == before
        await net.assert_one_story()


async def _write_on(net: Weather) -> None:
    for number in range(6):
        await net.write(through=number % 4)
