"""Two unmodified nodes with one key, each of which talks with a part of the others: another part in each view."""

from __future__ import annotations

from collections.abc import Callable

from guts_core.codec import Tag, digest, encode
from guts_core.sim.links import view_in
from guts_core.sim.ports import Act, Say, SimNode, Store, Write
from guts_core.sim.replica_node import ReplicaNode
from guts_core.simplex.ports import Instant

from .villain import Deeds, Effects, Make, Villain

_MARKS = (b"\x00", b"\x01")
# In so many views of four both twins hear and reach everybody.
_TOGETHER = 1


class Twins(Villain):
    """A cloned machine: nobody lies, and yet one key says two things."""

    name = "twins"

    @classmethod
    def achieved(cls, deeds: Deeds, world: Effects) -> int:
        """Convictions by honest nodes, and by the ledger."""
        return world.accused[deeds.index] + (deeds.index in world.ledger.guilty)

    @classmethod
    def dress(cls, make: Make, records: list[bytes], stored: list[Store], deeds: Deeds) -> SimNode:
        """Both twins, on logs of their own and one database."""
        logs = [[record[1:] for record in records if record[:1] == mark] for mark in _MARKS]
        return _Pair([make(log, stored) for log in logs], deeds)

    def twist(self, acts: list[Act]) -> list[Act]:
        """Neither twin lies."""
        return acts


class _Pair:
    """One place in the network, two nodes."""

    def __init__(self, twins: list[ReplicaNode], deeds: Deeds) -> None:
        self._twins, self._deeds = twins, deeds
        self._sides: dict[int, bytes] = {}

    def start(self, now: Instant) -> list[Act]:
        """Both begin."""
        return self._both(lambda twin: twin.start(now))

    def hear(self, peer: int, data: bytes, now: Instant) -> list[Act]:
        """Whoever is on the peer's side in that view hears it."""
        view = view_in(self._twins[0].read(data))
        acts: list[Act] = []
        for number, twin in enumerate(self._twins):
            if self._reaches(number, view or twin.engine.view, peer):
                acts += self._marked(number, twin.hear(peer, data, now))
        return acts

    def tick(self, now: Instant) -> list[Act]:
        """Both look at the clock."""
        return self._both(lambda twin: twin.tick(now))

    def submit(self, work: bytes, now: Instant) -> list[Act]:
        """Clients know of one node only."""
        return self._both(lambda twin: twin.submit(work, now))

    def written(self, store: Store, /) -> None:
        """Replicas keep their own logs."""

    def stored(self, store: Store, now: Instant, /) -> list[Act]:
        """The database is both's."""
        return self._both(lambda twin: twin.stored(store, now))

    def snapshot(self) -> list[bytes]:
        """Both logs in one."""
        return [mark + record for mark, twin in zip(_MARKS, self._twins, strict=True) for record in twin.snapshot()]

    def next_deadline(self) -> int | None:
        """The sooner one."""
        deadlines = [at for at in (twin.next_deadline() for twin in self._twins) if at is not None]
        return min(deadlines, default=None)

    @property
    def height(self) -> int:
        """Of the one that is ahead."""
        return max(twin.height for twin in self._twins)

    @property
    def held(self) -> dict[str, int]:
        """Of the first."""
        return self._twins[0].held

    @property
    def fired(self) -> list[int]:
        """Not counted."""
        return []

    def _both(self, call: Callable[[ReplicaNode], list[Act]]) -> list[Act]:
        return [act for number, twin in enumerate(self._twins) for act in self._marked(number, call(twin))]

    def _marked(self, number: int, acts: list[Act]) -> list[Act]:
        """Records under the twin's mark; words to its side only."""
        out: list[Act] = []
        for act in acts:
            if isinstance(act, Write):
                out.append(Write(_MARKS[number] + act.record, act.sync))
            elif isinstance(act, Say):
                out += self._aimed(number, act)
            else:
                out.append(act)
        return out

    def _aimed(self, number: int, say: Say) -> list[Act]:
        twin = self._twins[number]
        view = view_in(twin.read(say.data)) or twin.engine.view
        peers = [say.to] if say.to is not None else [peer for peer in range(twin.size) if peer != twin.index]
        reached = [peer for peer in peers if self._reaches(number, view, peer)]
        self._deeds.attempts += len(reached)
        return [Say(peer, say.data) for peer in reached]

    def _reaches(self, number: int, view: int, peer: int) -> bool:
        side = self._sides.get(view)
        if side is None:
            side = self._sides[view] = digest(Tag.TRACE, self._twins[0].signer.public_key, encode(view))
        return side[-1] % 4 < _TOGETHER or side[peer % 31] & 1 == number
