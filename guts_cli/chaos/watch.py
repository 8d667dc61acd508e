"""
Looks at every node again and again: how high the chain is, and for how long it was not going on though it could have.

"Could" is counted strictly: so many nodes as agree answered, none of them with a wrong clock or a pause, and
each hears each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import trio
from attrs import define, field

from guts_core.errors import GutsError
from guts_http.client import Status, open_trio_client

from .nodes import Nodes
from .roads import Roads

LOOK_SECONDS = 0.5
ANSWER_SECONDS = 2.0
RECOVERED_SECONDS = 60.0


async def ask(url: str) -> Status | None:
    """A node's status; None when it does not answer."""
    try:
        with trio.move_on_after(ANSWER_SECONDS):
            async with open_trio_client(url, seconds=ANSWER_SECONDS) as client:
                return await client.status()
    except GutsError:
        return None
    return None


async def ask_all(nodes: Nodes) -> list[Status | None]:
    """Every node's status, asked at the same time."""
    found: list[Status | None] = [None] * nodes.count

    async def one(index: int) -> None:
        found[index] = await ask(nodes.seat(index).url)

    async with trio.open_nursery() as nursery:
        for index in range(nodes.count):
            nursery.start_soon(one, index)
    return found


def can_agree(up: Sequence[int], quorum: int, hears: Callable[[int, int], bool]) -> bool:
    """Whether there are so many of whom each hears each."""
    return any(all(hears(source, target) for source in group for target in group) for group in combinations(up, quorum))


@define(eq=False)
class Watch:
    """What was seen of the whole network."""

    nodes: Nodes
    roads: Roads
    height: int = 0
    longest_seconds: float = 0.0  # without a new final block though a quorum was up
    recoveries: list[float] = field(factory=list)
    stuck: int = 0
    _advanced: trio.Event = field(factory=trio.Event)
    _since: float | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._note(await ask_all(self.nodes), trio.current_time())
            await trio.sleep(LOOK_SECONDS)

    def _note(self, found: Sequence[Status | None], now: float) -> None:
        highest = max((status.height for status in found if status), default=0)
        if highest > self.height:
            self.height = highest
            self._advanced.set()
            self._advanced = trio.Event()
            self._close(now)
        if not self._is_up(found):
            self._since = None
        elif self._since is None:
            self._since = now
        self._close(now, keep=True)

    def _close(self, now: float, *, keep: bool = False) -> None:
        if self._since is not None:
            self.longest_seconds = max(self.longest_seconds, now - self._since)
            self._since = self._since if keep else now

    def _is_up(self, found: Sequence[Status | None]) -> bool:
        harmed = self.nodes.paused | self.nodes.odd
        up = [index for index, status in enumerate(found) if status and status.started and index not in harmed]
        return can_agree(up, self.nodes.quorum, self.roads.hears)

    async def wait_recovered(self) -> None:
        """After everything that was done to processes is undone: until the chain goes on, and write down how long."""
        began = trio.current_time()
        with trio.move_on_after(RECOVERED_SECONDS) as scope:
            await self._advanced.wait()
        if scope.cancelled_caught:
            self.stuck += 1
        else:
            self.recoveries.append(trio.current_time() - began)
