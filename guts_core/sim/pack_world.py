"""
Packs in a world of whole nodes: they travel along lossy links, are checked, synced and repaired.

What here stands for threads and sockets of a real node goes on while the node itself waits for a
sync, and ends with its process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

from attrs import define, frozen

from guts_core.chain.commit import TextName
from guts_core.errors import Malformed
from guts_core.forge import queries
from guts_core.names import Oid, RepoId
from guts_core.node.effects import CheckPack
from guts_core.node.events import Event as NodeEvent
from guts_core.node.events import PackChecked

from .depot import Depot
from .fates import Fates
from .faults import SECOND, Plan
from .forge_cast import ForgeCast
from .forge_node import ForgeNode
from .ledger import VoteLedger
from .objects import Parents, blob_of, parents_in, updates_of
from .place import Event, Kind
from .shelf import Shelf
from .world import World

_PULL_PATIENCE_US = 300_000
_REPAIR_US = SECOND // 4
_CHECK_US = 1_000


@frozen
class Tell:
    """An event for a node."""

    event: NodeEvent
    name: bytes


@define
class Pull:
    """A pack wanted by one node from one peer after another."""

    node: int
    incarnation: int
    digest: bytes
    left: list[int]
    then: Callable[[bytes | None], None]
    asked: int = 0
    text: TextName | None = None  # a text is wanted, and ``digest`` is its commitment


class PackWorld(World):
    """What a world of whole nodes does beside its nodes."""

    cast: ForgeCast

    def __init__(
        self, seed: int, plan: Plan, players: ForgeCast, size: int, ledger: VoteLedger, fates: Fates | None = None
    ) -> None:
        super().__init__(seed, plan, players, size, ledger, fates=fates)
        self.depots = [Depot() for _ in range(size)]
        self.shelves = [Shelf() for _ in range(size)]
        self.asked: Counter[str] = Counter()

    def node(self, index: int) -> ForgeNode:
        """The running node."""
        node = self.places[index].node
        assert isinstance(node, ForgeNode)
        return node

    def _tell_later(self, index: int, event: NodeEvent, name: bytes, delay: int) -> None:
        self._push(self.time + delay, Kind.TELL, index, self.places[index].incarnation, Tell(event, name))

    def _tell(self, index: int, what: object) -> None:
        assert isinstance(what, Tell)
        self._note(Kind.TELL, index, what.name)
        self._step(index, self.node(index).receive, (what.event,))

    def _beside(self, event: Event) -> None:
        _, _, kind, index, number, what = event
        if kind is Kind.ASKED:
            self._asked_for(index, cast("Pull", what), number)
        elif kind in {Kind.GIVEN, Kind.GIVE_UP}:
            pull, data = cast("tuple[Pull, bytes | None]", what)
            if pull.asked == number and pull.incarnation == self.places[pull.node].incarnation:
                self._note(kind, index, pull.digest)
                self._given(pull, data)
        elif number == self.places[index].incarnation:
            self._note(kind, index, b"")
            cast("Callable[[], None]", what)()

    # ---- packs ----

    def keep(self, index: int, data: bytes, then: Callable[[], None]) -> None:
        """Write a pack and sync it; ``then`` happens once it is durable, if the process still lives."""
        place, digest = self.places[index], blob_of(data).digest
        self.depots[index].write(digest, data)
        if place.armed and self._crashes_here(index, place):
            return

        def synced() -> None:
            self.depots[index].sync(digest)
            then()

        self._push(self.time + self.fates.sync(index), Kind.KEPT, index, place.incarnation, synced)

    def _check(self, index: int, effect: CheckPack) -> None:
        blob, place = effect.manifest.blob, self.places[index]
        incarnation = place.incarnation

        def report(problem: str | None, *, may_pass: bool = False) -> None:
            if place.incarnation == incarnation:
                self.asked["checks failed"] += problem is not None
                done = PackChecked(effect.tx_id, effect.objects_epoch, effect.removals, problem, may_pass)
                self._tell_later(index, done, b"checked", _CHECK_US)

        def compare() -> None:
            report(self._difference(index, effect))

        def take(data: bytes | None) -> None:
            if data is None:
                report("blob-missing: no peer gave the pack", may_pass=True)
            elif blob is None or blob_of(data) != blob:
                report("invalid: the pack is not what its manifest says")
            else:
                self.keep(index, data, compare)

        if blob is None or self.depots[index].holds(blob.digest):
            compare()
        elif effect.pack is not None:
            take(effect.pack)
        else:
            self.pull(index, blob.digest, effect.source, take)

    def _difference(self, index: int, effect: CheckPack) -> str | None:
        manifest = effect.manifest
        pack = None if manifest.blob is None else self.depots[index].read(manifest.blob.digest)
        try:
            known = self.objects_at(index, manifest.repo)
            found = updates_of(manifest.updates, pack, known, effect.refs)
        except Malformed as error:
            return f"invalid: {error}"
        return None if found == manifest.updates else "invalid: the facts are others than the manifest says"

    def objects_at(self, index: int, repo: RepoId) -> Parents:
        """The objects of a repository that a node has linked: of the packs listed in its database, if held."""
        found: dict[Oid, Oid | None] = {}
        for pack in queries.packs(self.node(index).store, repo):
            data = self.depots[index].read(pack.digest)
            if data is not None:
                found.update(parents_in(data))
        return found

    def pull(self, index: int, digest: bytes, first: int, then: Callable[[bytes | None], None]) -> None:
        """Ask one peer after another for a pack, ``first`` before the others."""
        others = [peer for peer in range(self.size) if peer not in {index, first}]
        peers = ([first] if 0 <= first != index else []) + others
        self._ask(Pull(index, self.places[index].incarnation, digest, peers, then))

    def _ask(self, pull: Pull) -> None:
        if not pull.left:
            pull.then(None)
            return
        peer = pull.left.pop(0)
        pull.asked += 1
        self._push(self.time + _PULL_PATIENCE_US, Kind.GIVE_UP, pull.node, pull.asked, (pull, None))
        delay = self._leg(pull.node, peer)
        if delay is not None:
            self._push(self.time + delay, Kind.ASKED, peer, pull.asked, pull)

    def _asked_for(self, holder: int, pull: Pull, number: int) -> None:
        self._note(Kind.ASKED, holder, pull.digest)
        if self.places[holder].node is None:
            return
        data = self._held(holder, pull) if self.cast.gives(holder, pull.node) else None
        delay = self._leg(holder, pull.node)
        if delay is not None:
            self._push(self.time + delay, Kind.GIVEN, pull.node, number, (pull, data))

    def _held(self, holder: int, pull: Pull) -> bytes | None:
        return self.depots[holder].read(pull.digest) if pull.text is None else self.shelves[holder].read(pull.text)

    def _given(self, pull: Pull, data: bytes | None) -> None:
        if data is None:
            self._ask(pull)
            return
        self.faults["packs pulled" if pull.text is None else "texts pulled"] += 1
        pull.asked = -1  # late answers and the alarm are for nobody
        pull.then(data)

    def _leg(self, sender: int, receiver: int) -> int | None:
        """How long bulk data takes along a link; None: it is lost."""
        if not self.links.passes(self.time, sender, receiver):
            return None
        delay = self.fates.bulk(self.time, sender, receiver)
        self.faults["bulk lost"] += delay is None
        return delay

    def _repair_later(self, index: int) -> None:
        incarnation = self.places[index].incarnation
        self._push(self.time + _REPAIR_US, Kind.REPAIR, index, incarnation, lambda: self._repair(index))

    def _repair(self, index: int) -> None:
        depot = self.depots[index]
        for row in list(depot.missing):
            if depot.holds(row[1]):
                del depot.missing[row]
                continue

            def linked(row: tuple[RepoId, bytes] = row) -> None:
                self.faults["packs repaired"] += depot.missing.pop(row, True) is None

            def take(data: bytes | None, linked: Callable[[], None] = linked) -> None:
                if data is not None:
                    self.keep(index, data, linked)

            self.pull(index, row[1], -1, take)
        for name in list(self.shelves[index].missing):
            peers = [peer for peer in range(self.size) if peer != index]
            take = partial(self._take_text, index, name)
            self._ask(Pull(index, self.places[index].incarnation, name.commitment, peers, take, text=name))
        if depot.missing or self.shelves[index].missing:
            self._repair_later(index)

    def _take_text(self, index: int, name: TextName, data: bytes | None) -> None:
        """Unlike a pack it is small, and on the disk at once."""
        if data is not None:
            self.faults["texts repaired"] += self.shelves[index].take(name, data)
