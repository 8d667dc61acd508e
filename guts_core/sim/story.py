"""What happened in a run, node by node, told by a world that watches itself: the matter of diagrams."""

from __future__ import annotations

from attrs import define, field, frozen

from guts_core.simplex.messages import Certificate, Fetch, Kind, Message, Propose, Supply, Vote

from .fates import Delays
from .forge_world import ForgeWorld
from .place import Place
from .ports import Fault, Say, Store
from .report import Report, report_of
from .scenario import Scenario
from .world import World

_VERBS = {Kind.NOTARIZE: "notarize", Kind.NULLIFY: "nullify", Kind.FINALIZE: "finalize"}
# What agreement cannot read: a client's command on its way to the others, or a message of whole nodes.
WISH = "client's wish"


@frozen
class Leg:
    """One copy of a message on its way; without delay it never arrives."""

    receiver: int
    delay: int | None


@define
class Moment:
    """Something that a node did, or that befell it."""

    time: int
    node: int
    words: str
    sort: str  # "said", "crash", "start", "final", "accuse" or "refuse"
    view: int | None = None
    legs: list[Leg] = field(factory=list)


@define
class Story:
    """All moments of a run, in order."""

    scenario: Scenario
    moments: list[Moment] = field(factory=list)
    report: Report | None = None

    def down(self) -> dict[int, list[tuple[int, int]]]:
        """When each node was down, from when to when."""
        found: dict[int, list[tuple[int, int]]] = {index: [] for index in range(self.scenario.nodes)}
        since: dict[int, int] = {}
        for moment in self.moments:
            if moment.sort == "crash":
                since[moment.node] = moment.time
            elif moment.sort == "start" and moment.node in since:
                found[moment.node].append((since.pop(moment.node), moment.time))
        for node, time in since.items():
            found[node].append((time, self.end + 1))
        return found

    @property
    def end(self) -> int:
        """When it was over."""
        return self.report.simulated_us if self.report else 0

    def view_before(self, time: int) -> int:
        """The highest view that an honest node had spoken of."""
        spoken = [m.view for m in self.moments if m.time <= time and m.view and m.node not in self.scenario.villains]
        return max(spoken, default=0)


class _Watched(World):
    """Keeps a story of itself."""

    story: Story

    def _tells(self, sort: str, node: int, words: str, view: int | None = None) -> Moment:
        moment = Moment(self.time, node, words, sort, view)
        self.story.moments.append(moment)
        return moment

    def _say(self, index: int, say: Say) -> None:
        words, view = _told(self.cast.read(say.data))
        moment = self._tells("said", index, words, view)

        def carry(time: int, sender: int, receiver: int, data: bytes, said: Message | None) -> Delays:
            delays = self.links.carry(time, sender, receiver, data, said)
            moment.legs += [Leg(receiver, delay) for delay in delays] or [Leg(receiver, None)]
            return delays

        self._carry = carry
        super()._say(index, say)

    def _boot(self, index: int) -> None:
        again = self.places[index].incarnation > 0
        self._tells("start", index, "starts again" if again else "starts")
        super()._boot(index)

    def _crash(self, index: int, place: Place) -> None:
        before = place.disk.lost
        moment = self._tells("crash", index, "crashes")
        super()._crash(index, place)
        if lost := place.disk.lost - before:
            moment.words += f": {lost} unsynced lost"

    def _stores(self, index: int, store: Store) -> None:
        self._tells("final", index, f"block {store.height} is final")
        super()._stores(index, store)

    def _refuses(self, index: int, act: Fault) -> None:
        self._tells("refuse", index, f"refuses node {act.peer}")
        super()._refuses(index, act)


class WatchedWorld(_Watched, World):
    """A world of replicas that keeps its story."""


class WatchedForge(_Watched, ForgeWorld):
    """A world of whole nodes that keeps its story."""


def story_of(scenario: Scenario) -> Story:
    """Run it, and tell everything."""
    world = scenario.world((WatchedWorld, WatchedForge))
    assert isinstance(world, _Watched)
    world.story = Story(scenario)
    world.story.report = report_of(scenario.seed, world, world.cast, demanding=False)
    return world.story


def _told(message: Message | None) -> tuple[str, int | None]:
    """A message in few words, and the view that it is about."""
    if isinstance(message, Vote):
        return f"{_VERBS[message.kind]} {message.view}", message.view
    if isinstance(message, Propose):
        view = message.vote.view
        return f"propose {view}", view
    if isinstance(message, Certificate):
        return f"proof: {_VERBS[message.kind]} {message.view}", message.view
    if isinstance(message, Fetch):
        return "asks for blocks", None
    if isinstance(message, Supply):
        return f"gives {len(message.blocks)} block{'s' if len(message.blocks) != 1 else ''}", None
    return WISH, None
