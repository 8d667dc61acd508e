"""Nodes that find each other in one process: the core's discovery on both sides of links that a test owns."""

from __future__ import annotations

from random import Random

from attrs import define, field

from guts_core.discovery import At, Discovery, Members, Refuse, Tell
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import ChainId, NodeId

CHAIN = ChainId(b"d" * 32)
START_MS = 1_700_000_000_000
INTERVAL_MS = 50_000
STEP_MS = 1_000
VERIFIER = Ed25519Verifier()


def key(number: int) -> KeyPair:
    """The node key of a number."""
    return KeyPair(number.to_bytes(4, "big") * 8)


def node_id(number: int) -> NodeId:
    """The same, public."""
    return NodeId(key(number).public_key)


def members(validators: int, followers: int = 0) -> Members:
    """The first numbers are validators, the next ones followers."""
    ids = {number: node_id(number) for number in range(validators + followers)}
    chosen = {number: node for number, node in ids.items() if number < validators}
    return Members(chosen, {number: node for number, node in ids.items() if number >= validators})


def at(ms: int) -> At:
    """So long after the beginning, with a right clock."""
    return At(ms, START_MS + ms)


@define(eq=False)
class Place:
    """A node and where it listens now."""

    number: int
    address: str
    discovery: Discovery
    linked: set[int] = field(factory=set)


class Country:
    """
    A network without sockets: each step nodes dial, and everything said arrives.

    A dial succeeds when the wanted node listens there and no wall stands between; what is said is
    delivered in an order that the seed chooses.
    """

    def __init__(self, members: Members, seed: int, started: list[int] | None = None) -> None:
        self.members, self.random = members, Random(seed)  # noqa: S311  # a simulation, to be run again
        self.now = 0
        self.places: dict[int, Place] = {}
        self.walls: set[frozenset[int]] = set()
        self.refused: list[tuple[int, int]] = []  # who refused whom
        self.dials = 0
        for number in started if started is not None else sorted(members.numbers.values()):
            self.start(number)

    def start(self, number: int, bootstrap: tuple[int, ...] | None = None) -> Place:
        """A node with one hint (the number below its own, or above for the first)."""
        known = bootstrap if bootstrap is not None else ((number - 1) % len(self.members.validators),)
        hints = {node_id(other): (f"first.{other}.test:1",) for other in known}
        address = f"first.{number}.test:1"
        entropy = self.random.randbytes(32)
        discovery = Discovery(
            key(number), CHAIN, VERIFIER, self.members, hints, entropy=entropy, interval_ms=INTERVAL_MS
        )
        self.places[number] = Place(number, address, discovery)
        discovery.set_addresses((address,), at(self.now))
        return self.places[number]

    def move(self, number: int, address: str) -> None:
        """It restarts elsewhere, with what its file kept."""
        place = self.places[number]
        for other in sorted(place.linked):
            self.cut(number, other)
        kept = place.discovery.kept()
        place.discovery = Discovery(
            key(number),
            CHAIN,
            VERIFIER,
            self.members,
            {},
            entropy=self.random.randbytes(32),
            interval_ms=INTERVAL_MS,
            kept=kept,
        )
        place.address = address
        place.discovery.set_addresses((address,), at(self.now))

    def cut(self, a: int, b: int) -> None:
        """The link between two ends."""
        for one, other in ((a, b), (b, a)):
            self.places[one].linked.discard(other)
            self.places[one].discovery.unlinked(other)

    def split(self, left: set[int], right: set[int]) -> None:
        """Nothing goes between these any more."""
        for a in left:
            for b in right:
                self.walls.add(frozenset((a, b)))
                self.cut(a, b)

    def step(self) -> None:
        """A second."""
        self.now += STEP_MS
        for place in self._shuffled():
            self._tell(place.number, place.discovery.tick(at(self.now)))
        for place in self._shuffled():
            for number, addresses in place.discovery.targets().items():
                if number not in place.linked:
                    self._dial(place, number, addresses)

    def run(self, seconds: int) -> None:
        """So many of them."""
        for _ in range(seconds):
            self.step()

    def _shuffled(self) -> list[Place]:
        places = list(self.places.values())
        self.random.shuffle(places)
        return places

    def _dial(self, place: Place, number: int, addresses: tuple[str, ...]) -> None:
        wanted = self.places.get(number)
        for address in addresses:
            self.dials += 1
            open_way = frozenset((place.number, number)) not in self.walls
            found = wanted is not None and wanted.address == address and open_way
            place.discovery.dialled(number, address, found=found)
            if found and wanted is not None:
                place.linked.add(number)
                wanted.linked.add(place.number)
                self._tell(place.number, place.discovery.linked(number, at(self.now)))
                self._tell(number, wanted.discovery.linked(place.number, at(self.now)))
                return

    def _tell(self, teller: int, effects: list[Tell | Refuse]) -> None:
        """Deliver, and what follows from it, until nobody has anything to say."""
        waiting = [(teller, effect) for effect in effects]
        while waiting:
            speaker, effect = waiting.pop(self.random.randrange(len(waiting)))
            if isinstance(effect, Refuse):
                self.refused.append((speaker, effect.peer))
                if effect.peer in self.places:
                    self.cut(speaker, effect.peer)
            elif effect.peer in self.places and effect.peer in self.places[speaker].linked:
                heard = self.places[effect.peer].discovery.hear(speaker, effect.data, at(self.now))
                waiting += [(effect.peer, answer) for answer in heard]

    def say(self, speaker: int, hearer: int, data: bytes) -> None:
        """What a villain makes up."""
        self._tell(hearer, self.places[hearer].discovery.hear(speaker, data, at(self.now)))

    def is_meshed(self, numbers: list[int]) -> bool:
        """Whether each of these is connected to each other one."""
        return all(set(numbers) - {number} <= self.places[number].linked for number in numbers)

    def knows(self, number: int, about: int) -> tuple[str, ...]:
        """What a node was told of another's addresses."""
        info = self.places[number].discovery.book.info(node_id(about))
        return () if info is None else info.addresses
