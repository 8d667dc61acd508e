"""F17, F18: wall clocks that jump, are wrong or drift; heights order, so nobody is stopped."""

from __future__ import annotations

from pathlib import Path

from .weather_world import weathered

HOUR_MS = 3_600_000
TEN_YEARS_MS = 10 * 365 * 24 * HOUR_MS
BEFORE_1970_MS = -100 * 365 * 24 * HOUR_MS


async def test_fault_F17_a_wall_clock_that_jumps_stops_nobody_and_changes_no_state(tmp_path: Path) -> None:
    """An hour, ten years, to before 1970 and back: what the node is given is final, on every node alike."""
    async with weathered(tmp_path) as net:
        for offset_ms in (HOUR_MS, -HOUR_MS, TEN_YEARS_MS, BEFORE_1970_MS, 0):
            net.clocks[1].jump(offset_ms)
            await net.write(through=1)
            await net.write(through=2)

        await net.assert_one_story()
        genesis, times = net.world.genesis.time, [one.time for one in await net.statuses()]
        # Nobody took the block time of a clock that is ten years ahead.
        assert all(genesis <= time < genesis + HOUR_MS for index, time in enumerate(times) if index != 1)


async def test_fault_F18_skewed_and_drifting_clocks_agree_on_a_time_that_only_grows(tmp_path: Path) -> None:
    """Seconds apart and a tenth fast or slow: every turn to lead still makes blocks, later than their parents."""
    async with weathered(tmp_path, drifts=(0.1, -0.1, 0.0, 0.02)) as net:
        for clock, offset_ms in zip(net.clocks, (-4_000, 4_000, 0, 2_000), strict=True):
            clock.jump(offset_ms)
        for number in range(8):
            await net.write(through=number % 4)

        await net.assert_one_story()
        heights = range(1, min(one.height for one in await net.statuses()) + 1)
        times = [net.time_of(height) for height in heights]
        assert times == sorted(set(times))
        assert all(one.led for one in await net.statuses())
