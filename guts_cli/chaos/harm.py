"""Does what the plan says, and undoes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import trio
from attrs import define, field

from .nodes import DISK_FULL, Nodes
from .plan import KILLS, Blow, Harm
from .proxy import FAIR
from .roads import Roads
from .watch import Watch, ask

STARTED_SECONDS = 45.0
POLL_SECONDS = 0.2
# These take the quorum away: what is measured afterwards is how long it takes to come back.
QUORUM_LOST = frozenset({Harm.KILL_TOO_MANY, Harm.KILL_ALL})


@define(eq=False)
class Harmer:
    """What was done so far, and what is being done."""

    nodes: Nodes
    roads: Roads
    watch: Watch
    done: Counter[str] = field(factory=Counter)
    kills: int = 0
    now: dict[str, str] = field(factory=dict)

    async def on_processes(self, blows: Iterator[Blow]) -> None:
        """One blow after another until cancelled."""
        for blow in blows:
            await trio.sleep(blow.rest_seconds)
            self.nodes.start_dead()
            self._begin("processes", blow)
            await self._strike(blow)
            del self.now["processes"]

    async def on_links(self, blows: Iterator[Blow]) -> None:
        """The same for links."""
        for blow in blows:
            await trio.sleep(blow.rest_seconds)
            self._begin("links", blow)
            await self._spoil(blow)
            del self.now["links"]

    def _begin(self, lane: str, blow: Blow) -> None:
        self.now[lane] = blow.words
        self.done[blow.harm.value] += 1

    # ---- processes ----

    async def _strike(self, blow: Blow) -> None:
        if blow.harm in KILLS:
            await self._kill(blow)
        elif blow.harm is Harm.PAUSE:
            self.nodes.pause(blow.nodes[0])
            await trio.sleep(blow.seconds)
            self.nodes.go_on(blow.nodes[0])
        elif blow.harm is Harm.RESTART:
            await self._restart(blow.nodes[0])
        else:
            wrong = DISK_FULL if blow.harm is Harm.DISK_FULL else {"GUTS_CLOCK_OFFSET_MS": str(blow.offset_ms)}
            await self._restart(blow.nodes[0], wrong)
            await trio.sleep(blow.seconds)
            await self._restart(blow.nodes[0])

    async def _kill(self, blow: Blow) -> None:
        self.kills += len(blow.nodes)
        await self.nodes.kill(blow.nodes)
        await trio.sleep(blow.seconds)
        for index in blow.nodes:
            self.nodes.start(index)
        if blow.harm in QUORUM_LOST:
            await self.watch.wait_recovered()
        await self._wait_started(*blow.nodes)

    async def _restart(self, index: int, settings: Mapping[str, str] | None = None) -> None:
        await self.nodes.stop([index])
        self.nodes.start(index, settings)
        await self._wait_started(index)

    async def _wait_started(self, *indexes: int) -> None:
        """A node that does not start is found at the end."""
        with trio.move_on_after(STARTED_SECONDS):
            for index in indexes:
                while not ((status := await ask(self.nodes.seat(index).url)) and status.started):  # noqa: ASYNC110 -- another process
                    await trio.sleep(POLL_SECONDS)

    # ---- links ----

    async def _spoil(self, blow: Blow) -> None:
        source, target = blow.nodes
        roads = self.roads
        match blow.harm:
            case Harm.RESET:
                roads.reset(source, target)
            case Harm.HALF_OPEN:
                roads.half_open(source, target)
            case Harm.CORRUPT:
                roads.way(source, target).corrupt_next()
            case Harm.REPEAT:
                roads.way(source, target).repeat_next()
            case _:
                if blow.groups:
                    roads.part(blow.groups)
                else:
                    roads.set_weather(source, target, blow.weather)
                await trio.sleep(blow.seconds)
                roads.heal() if blow.groups else roads.set_weather(source, target, FAIR)

    # ---- the end ----

    async def undo(self) -> None:
        """Whatever was being done when time was up: everything is well from here on."""
        self.roads.heal()
        for index in list(self.nodes.paused):
            self.nodes.go_on(index)
        odd = list(self.nodes.odd)
        await self.nodes.stop(odd)
        for index in range(self.nodes.count):
            self.nodes.start(index)
        await self._wait_started(*range(self.nodes.count))
