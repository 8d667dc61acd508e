"""What running nodes say of themselves and of each other: turns to lead, checks, clocks, lag."""

from __future__ import annotations

from pathlib import Path

from guts_core.node.figures import BY_KEY
from guts_core.node.port import AskFigures, Figures, Status
from guts_net.clock import MachineClock
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.net.world import a_commit, ask, found, push, status, wait_until

AHEAD_MS = 90_000


async def figures(node: RunningNode) -> dict[str, tuple[int, int | None]]:
    """What it counted, by key."""
    said = await ask(node, AskFigures())
    assert isinstance(said, Figures)
    return {figure.key: (figure.value, figure.count) for figure in said.figures}


async def test_missed_turns_of_an_absent_validator_are_counted_by_the_others(tmp_path: Path) -> None:
    """Who is absent misses every turn; who is there misses none for it."""
    world = found(tmp_path, 4)
    async with world.running(first=1) as nodes:
        await wait_until(lambda: all(len(node.connected) == 2 for node in nodes))
        await world.give_credential(nodes[0])
        for name in ("one", "two", "three", "four"):
            assert (await push(nodes[0], world, name, a_commit(tmp_path / name))).refs[0].error is None
        said, other = await status(nodes[0]), await figures(nodes[1])

    rows = {peer.name: peer for peer in said.peer_statuses}
    assert (rows["node0"].led, rows["node0"].connected, rows["node0"].clock) == (0, False, None)
    assert rows["node0"].missed > 0
    assert said.led + sum(row.led for row in rows.values()) >= said.height
    assert other["checks.done"] == (4, None)
    assert other["packs"] == (4, None)
    assert set(other) == set(BY_KEY)
    assert other["pushes.done"] == (0, None)


async def test_a_wrong_clock_is_seen_by_its_peers_and_a_node_that_was_away_knows_how_far_it_is_behind(
    tmp_path: Path,
) -> None:
    """Both follow from what peers say when they connect; nobody is asked again."""
    world = found(tmp_path, 4)
    seen: list[int] = []
    async with world.running(first=1) as nodes:
        await wait_until(lambda: all(len(node.connected) == 2 for node in nodes))
        await world.give_credential(nodes[0])
        for name in ("one", "two", "three"):
            await push(nodes[0], world, name, a_commit(tmp_path / name))
        async with open_node(world.settings(0), clock=MachineClock(AHEAD_MS)) as late:
            goal = (await status(nodes[0])).height
            while (own := await status(late)).height < goal:
                seen.append(own.behind)
            await wait_until(lambda: 0 in nodes[0].connected)
            whole, told = await status(late), await status(nodes[0])

    assert max(seen) >= 1
    assert whole.behind <= 1  # a block may be on its way
    assert whole.started
    assert _offset(told, "node0") > AHEAD_MS - 5_000
    assert _offset(whole, "node1") < 5_000 - AHEAD_MS


def _offset(said: Status, name: str) -> int:
    clock = next(peer.clock for peer in said.peer_statuses if peer.name == name)
    assert clock is not None
    return clock - said.clock
