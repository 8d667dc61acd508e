"""Blocking work is done in place while it is quick, and by a thread where it was not."""

from __future__ import annotations

import threading

import pytest

from guts_net.offload import IN_PLACE_SECONDS, Offload


class Work:
    """Takes the time that it is told to, by a clock of its own, and notes where it was done."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0
        self.loop = threading.get_ident()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def do(self) -> bool:
        """Whether it runs on the loop's own thread."""
        self.now += self.seconds
        return threading.get_ident() == self.loop

    def fail(self) -> None:
        """Never well."""
        self.now += self.seconds
        raise OSError(5, "this disk is broken")


async def trusted() -> tuple[Work, Offload, int]:
    """Work that was quick until it was done in place; and how many calls that took."""
    work = Work()
    offload = Offload(work.clock)
    calls = 1
    while not await offload.run(work.do):
        calls += 1
        assert calls < 100
    return work, offload, calls


async def test_nothing_is_done_in_place_before_it_was_quick_a_while() -> None:
    _, _, calls = await trusted()

    assert calls > 10


async def test_quick_work_stays_in_place() -> None:
    work, offload, _ = await trusted()
    work.seconds = IN_PLACE_SECONDS / 2

    assert all([await offload.run(work.do) for _ in range(100)])


@pytest.mark.parametrize("seconds", [0.05, 1.5, 60.0])
async def test_work_that_turns_slow_holds_the_loop_up_once(seconds: float) -> None:
    work, offload, _ = await trusted()
    work.seconds = seconds

    assert [await offload.run(work.do) for _ in range(5)] == [True, False, False, False, False]


async def test_the_slower_it_was_the_longer_it_is_not_trusted() -> None:
    waits = []
    for seconds in (0.05, 1.5):
        work, offload, _ = await trusted()
        work.seconds = seconds
        await offload.run(work.do)
        work.seconds = 0.0
        waits.append(0)
        while not await offload.run(work.do):
            waits[-1] += 1

    assert 0 < waits[0] < waits[1] < 1_000


@pytest.mark.parametrize(("period", "seconds_in_place"), [(37, 0.5), (150, 7.0), (401, 2.5)])
async def test_what_is_slow_now_and_then_costs_the_loop_no_more_than_it_may(
    period: int, seconds_in_place: float
) -> None:
    """However the slow ones lie among the quick, time in place is bounded by the number of calls, but for the last."""
    work, offload, _ = await trusted()
    in_place = 0.0
    for call in range(2_000):
        work.seconds = 0.0 if call % period else 0.5
        in_place += work.seconds if await offload.run(work.do) else 0.0

    assert in_place == seconds_in_place <= 2_000 * IN_PLACE_SECONDS + 0.5


async def test_work_that_waits_for_another_thread_is_in_a_thread() -> None:
    """However quick its kind is."""
    work, offload, _ = await trusted()

    assert [await offload.run(work.do, waits=waits) for waits in (True, False)] == [False, True]


async def test_errors_travel_from_either_place() -> None:
    """And what failed slowly is not trusted either."""
    work, offload, _ = await trusted()
    work.seconds = 1.5
    with pytest.raises(OSError, match="broken"):
        await offload.run(work.fail)
    assert not await offload.run(work.do)
    with pytest.raises(OSError, match="broken"):
        await offload.run(work.fail)
