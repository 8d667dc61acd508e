"""All ways between the nodes of one network, and the shapes that faults of links have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations
from random import Random

import trio
from attrs import evolve

from .proxy import FAIR, Proxy, Way, Weather

LOOPBACK = "127.0.0.1"


class Roads:
    """
    A proxy for each pair of who dials and who is dialled; ``address(i, j)`` is where i finds j.

    Both nodes of a pair dial, so what goes from i to j travels through two proxies: a way is what they share.
    """

    def __init__(self, targets: Sequence[str], seed: int) -> None:
        """``targets``: where each node really listens."""
        self._targets = [_parted(target) for target in targets]
        self._pairs = list(permutations(range(len(targets)), 2))
        self._ways = {pair: Way(Random(f"{seed} way {pair}")) for pair in self._pairs}  # noqa: S311 -- dice that repeat
        self._proxies = {(i, j): self._proxy(i, j) for i, j in self._pairs}
        self._addresses: dict[tuple[int, int], str] = {}

    def _proxy(self, i: int, j: int) -> Proxy:
        return Proxy(lambda: self._targets[j], self._ways[i, j], self._ways[j, i])

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started when every address is known."""
        async with trio.open_nursery() as nursery:
            for pair, proxy in self._proxies.items():
                (listener,) = await trio.open_tcp_listeners(0, host=LOOPBACK)
                self._addresses[pair] = f"{LOOPBACK}:{listener.socket.getsockname()[1]}"
                await nursery.start(proxy.run, listener)
            task_status.started()

    def address(self, dialling: int, dialled: int) -> str:
        """Where one node finds another."""
        return self._addresses[dialling, dialled]

    def way(self, source: int, target: int) -> Way:
        """One direction."""
        return self._ways[source, target]

    def connections(self, first: int, second: int) -> int:
        """How many stand between two nodes."""
        return self._proxies[first, second].connections + self._proxies[second, first].connections

    def counters(self) -> Counter[str]:
        """Of all ways and doors together."""
        total: Counter[str] = Counter()
        for counted in [*(way.counters for way in self._ways.values()), *(p.counters for p in self._proxies.values())]:
            total += counted
        return total

    # ---- faults ----

    def cut(self, source: int, target: int) -> None:
        """Nothing comes through in this direction; what was sent waits."""
        way = self._ways[source, target]
        way.weather = evolve(way.weather, is_cut=True)

    def part(self, groups: Sequence[Sequence[int]]) -> None:
        """Only nodes of one group hear each other; everything else is as before."""
        group_of = {node: number for number, group in enumerate(groups) for node in group}
        for (source, target), way in self._ways.items():
            way.weather = evolve(way.weather, is_cut=group_of[source] != group_of[target])

    def set_weather(self, source: int, target: int, weather: Weather) -> None:
        """From now on in this direction."""
        self._ways[source, target].weather = weather

    def heal(self) -> None:
        """Every way is as good as loopback."""
        for way in self._ways.values():
            way.weather = FAIR

    def reset(self, first: int, second: int) -> None:
        """Every connection of two nodes is reset."""
        for proxy in self._between(first, second):
            proxy.reset()

    def half_open(self, first: int, second: int) -> None:
        """Of every connection of two nodes, one end goes without the other hearing of it."""
        for proxy in self._between(first, second):
            proxy.half_open()

    def _between(self, first: int, second: int) -> Iterator[Proxy]:
        yield self._proxies[first, second]
        yield self._proxies[second, first]

    def hears(self, source: int, target: int) -> bool:
        """Whether anything comes through in this direction."""
        return source == target or not self._ways[source, target].weather.is_cut


def _parted(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
