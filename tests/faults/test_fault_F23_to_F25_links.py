"""F23 to F25: partitions, one-way silence, flapping and bad lines between four whole nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import trio

from guts_cli.chaos.proxy import Weather as LinkWeather
from tests.net.world import a_commit, push

from .weather_world import NODES, weathered

QUORUM = 3
# In which a side that could agree alone would have: some ten of its views.
WATCHED_SECONDS = 0.5


def splits(nodes: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every way to put them into groups."""
    if not nodes:
        yield []
        return
    first, rest = nodes[0], nodes[1:]
    for groups in splits(rest):
        yield [[first], *groups]
        for number, group in enumerate(groups):
            yield [*groups[:number], [first, *group], *groups[number + 1 :]]


async def test_fault_F23_in_every_split_of_four_only_a_quorum_goes_on_and_all_heal(tmp_path: Path) -> None:
    """Fourteen splits: three agree without the fourth; where nobody has three nothing is final, until it heals."""
    parted = [groups for groups in splits(range(NODES)) if len(groups) > 1]
    assert len(parted) == 14
    async with weathered(tmp_path) as net:
        for groups in parted:
            largest = max(groups, key=len)
            net.roads.part(groups)
            if len(largest) >= QUORUM:
                height = await net.write(through=largest[0])
                await net.wait_height(height, *largest)
                told = await net.statuses()
                assert all(told[alone].height < height for alone in range(NODES) if alone not in largest)
                net.roads.heal()
            else:
                async with trio.open_nursery() as nursery:
                    with trio.move_on_after(WATCHED_SECONDS):
                        before = max(one.height for one in await net.statuses())
                        await net.wait_height(before + 2, largest[0])  # one block may have been on its way
                        raise AssertionError(f"{groups} went on without a quorum")
                    nursery.start_soon(net.write, largest[0])
                    net.roads.heal()
            await net.assert_one_story()


async def test_fault_F24_one_way_silence_a_ring_and_flapping_end_in_agreement(tmp_path: Path) -> None:
    """Who hears but is not heard, who has but neighbours, whose links come and go: views pass, and it goes on."""
    async with weathered(tmp_path) as net:
        for mute in range(NODES):
            for other in set(range(NODES)) - {mute}:
                net.roads.cut(mute, other)
            await net.write(through=(mute + 1) % NODES)  # three agree without it, and it hears of that
            await net.wait_height(max(one.height for one in await net.statuses()), mute)
            net.roads.heal()
        for first, second in permutations(range(NODES), 2):
            if (first - second) % NODES == 2:
                net.roads.cut(first, second)
        async with trio.open_nursery() as nursery:
            for node in range(NODES):
                nursery.start_soon(net.write, node)
            await trio.sleep(1)  # five views in which everyone lacks what one other says
            net.roads.heal()
        for number in range(20):
            net.roads.part([[number % NODES], [node for node in range(NODES) if node != number % NODES]])
            await trio.sleep(0.05)
            net.roads.heal()
            await trio.sleep(0.02)

        await net.write(through=0)
        await net.assert_one_story()


async def test_fault_F25_a_bad_line_slows_a_pack_but_starves_no_vote(tmp_path: Path) -> None:
    """1 Mbit/s, 250 ms one way, 3 % loss: while a pack crawls to a voter that is needed, small things are final."""
    bad = LinkWeather(delay_seconds=0.25, stall_chance=0.03, bytes_per_second=125_000)
    packed = a_commit(tmp_path / "large", size=400_000)
    async with weathered(tmp_path) as net:
        await net.world.give_credential(net.nodes[0])
        net.roads.part([[3], [0, 1, 2]])  # with three left, each is needed
        for source, target in permutations(range(3), 2):
            if 2 in (source, target):
                net.roads.set_weather(source, target, bad)
        over = trio.Event()

        async def push_it() -> None:
            report = await push(net.nodes[0], net.world, "large", packed)
            assert report.unpack_error is None, report
            assert report.height is not None
            over.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(push_it)
            written = 0
            while not over.is_set() and written < 4:
                await net.write(through=1)
                written += 1
        # Behind the whole pack, the first would have been there after it.
        assert written >= 2
        net.roads.heal()

        await net.assert_one_story()
