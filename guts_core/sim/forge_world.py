"""
A world of whole nodes: packs travel and are stored, links open and close, people push.

What here stands for threads and sockets of a real node (checks, pulls, repairs) goes on while the
node itself waits for a sync, and ends with its process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

from attrs import define, frozen

from guts_core.chain.commit import Commit
from guts_core.errors import Malformed
from guts_core.forge import queries
from guts_core.names import Oid, RepoId, TxId
from guts_core.node.effects import CheckPack
from guts_core.node.events import Event as NodeEvent
from guts_core.node.events import PackChecked, PeerConnected, PeerDisconnected, TransactionSubmitted
from guts_core.node.messages import AvailSaid

from .depot import Depot
from .faults import HEAL_LOSS_PER_MILLE, SECOND, Plan
from .forge_cast import ForgeCast
from .forge_checks import ForgeChecks, manifest_in
from .forge_node import ForgeNode
from .ledger import Broken, VoteLedger
from .objects import Parents, blob_of, parents_in, updates_of
from .people import Desk, People, Wish
from .ports import Act, Check, Refusal, Say, Store
from .world import Event, Kind, Place, World, dice

_PULL_PATIENCE_US = 300_000
_REPAIR_US = SECOND // 4
# A dead peer's socket is seen closed, and a new one is open, within this.
_LINK_US = 20_000
_CHECK_US = 1_000
# One wish in so many is a contest of several people for one branch.
_CONTEST = 5


@frozen
class Tell:
    """An event for a node."""

    event: NodeEvent
    name: bytes


@define
class Case:
    """What became of one wish."""

    wish: Wish
    gateway: int
    due: bool
    refused: str | None = None


@define
class Pull:
    """A pack wanted by one node from one peer after another."""

    node: int
    incarnation: int
    digest: bytes
    left: list[int]
    then: Callable[[bytes | None], None]
    asked: int = 0


class ForgeWorld(World):
    """One run of whole nodes."""

    cast: ForgeCast

    def __init__(self, seed: int, plan: Plan, players: ForgeCast, size: int, ledger: VoteLedger) -> None:
        super().__init__(seed, plan, players, size, ledger)
        self.depots = [Depot() for _ in range(size)]
        self.checks = ForgeChecks(size, ledger.quorum, players.villains, self.depots)
        self.people = People(dice(seed, "people"), players.genesis, players.ring)
        self.cases: dict[TxId, Case] = {}
        self.asked: Counter[str] = Counter()
        self._bulk = dice(seed, "bulk")
        self._watched = 0  # blocks that the checks have seen

    # ---- the life of nodes ----

    def node(self, index: int) -> ForgeNode:
        """The running node."""
        node = self.places[index].node
        assert isinstance(node, ForgeNode)
        return node

    def _boot(self, index: int) -> None:
        super()._boot(index)
        if self.places[index].node is None:
            return
        node, depot = self.node(index), self.depots[index]
        self.checks.check_database(index, node.store)
        self._sweep(index, node, depot)
        self.checks.check_packs(index, node.store)
        for peer in range(self.size):
            if peer != index and self.places[peer].node is not None:
                self._tell_later(index, PeerConnected(peer), b"up %d" % peer, _LINK_US)
                self._tell_later(peer, PeerConnected(index), b"up %d" % index, _LINK_US)
        if depot.missing:
            self._repair_later(index)

    def _sweep(self, index: int, node: ForgeNode, depot: Depot) -> None:
        """What neither state lists nor an own promise covers is garbage at the start of a process."""
        listed = {digest for height, digest in self.checks.admitted if height <= node.store.height()}
        promised = {attested.digest for attested in node.node.attested() if attested.digest is not None}
        self.faults["packs swept"] += depot.sweep(listed | promised)

    def _crash(self, index: int, place: Place) -> None:
        super()._crash(index, place)
        depot = self.depots[index]
        before = depot.lost
        depot.crash()
        self.faults["unsynced packs lost"] += depot.lost - before
        for peer in range(self.size):
            if peer != index and self.places[peer].node is not None:
                self._tell_later(peer, PeerDisconnected(index), b"down %d" % index, _LINK_US // 2)
        self._try_elsewhere(index)

    # ---- events ----

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

    def _other(self, index: int, act: Act) -> None:
        if isinstance(act, Check):
            self._check(index, act.effect)
        elif isinstance(act, Refusal) and index not in self.cast.villains:
            case = self.cases[act.tx_id]
            case.refused = act.code
            self.asked[f"refused: {act.code}"] += 1

    def _say(self, index: int, say: Say) -> None:
        if index not in self.cast.villains:
            message = self.cast.reader.read(say.data)
            if isinstance(message, AvailSaid) and message.signer == index:
                case = self.cases[TxId(message.avail.tx_id)]
                self.checks.check_promise(index, message.avail, manifest_in(case.wish.item))
        super()._say(index, say)

    # ---- blocks ----

    def _stores(self, index: int, store: Store) -> None:
        super()._stores(index, store)
        if index not in self.cast.villains and store.height > self._watched:
            self._watched = store.height
            self.people.learn(self.checks.final(store))

    def _written(self, index: int, place: Place, store: Store) -> None:
        depot = self.depots[index]
        for pack in cast("Commit", store.item).packs:
            if not depot.holds(pack.digest):
                self.faults["committed without a pack"] += 1
                depot.missing[pack.repo, pack.digest] = None
        super()._written(index, place, store)
        if depot.missing:
            self._repair_later(index)

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

        low, high = self.plan.sync_us
        delay = low + int(self._disks.random() * (high - low))
        self._push(self.time + delay, Kind.KEPT, index, place.incarnation, synced)

    def _check(self, index: int, effect: CheckPack) -> None:
        blob, place = effect.manifest.blob, self.places[index]
        incarnation = place.incarnation

        def report(problem: str | None) -> None:
            if place.incarnation == incarnation:
                self.asked["checks failed"] += problem is not None
                done = PackChecked(effect.tx_id, effect.objects_epoch, effect.removals, problem)
                self._tell_later(index, done, b"checked", _CHECK_US)

        def compare() -> None:
            report(self._difference(index, effect))

        def take(data: bytes | None) -> None:
            if data is None:
                report("blob-missing: no peer gave the pack")
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
        data = self.depots[holder].read(pull.digest) if self.cast.gives(holder, pull.node) else None
        delay = self._leg(holder, pull.node)
        if delay is not None:
            self._push(self.time + delay, Kind.GIVEN, pull.node, number, (pull, data))

    def _given(self, pull: Pull, data: bytes | None) -> None:
        if data is None:
            self._ask(pull)
            return
        self.faults["packs pulled"] += 1
        pull.asked = -1  # late answers and the alarm are for nobody
        pull.then(data)

    def _leg(self, sender: int, receiver: int) -> int | None:
        """How long bulk data takes along a link; None: it is lost."""
        plan, roll = self.plan, self._bulk.random
        chaos = self.time < plan.chaos_us
        if chaos and any(partition.cuts(self.time, sender, receiver) for partition in plan.partitions):
            return None
        if roll() * 1000 < (plan.loss_per_mille if chaos else min(plan.loss_per_mille, HEAL_LOSS_PER_MILLE)):
            self.faults["bulk lost"] += 1
            return None
        low, high = plan.delay_us
        return low + int(roll() * (high - low))

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
        if depot.missing:
            self._repair_later(index)

    # ---- people ----

    def _wish(self) -> None:
        roll = self._workload.random
        self._push(self.time + 1 + int(roll() * 2 * self.plan.work_us), Kind.WORK, 0, 0, None)
        if roll() * _CONTEST < 1:
            desks = [self._desk(gateway) for gateway in self._workload.sample(range(self.size), min(3, self.size))]
            for desk, wish in self.people.contest([desk for desk in desks if desk is not None]):
                self._bring(wish, desk.gateway)
            return
        desk = self._desk(int(roll() * self.size))
        wish = None if desk is None else self.people.wish(desk)
        if desk is not None and wish is not None:
            self._bring(wish, desk.gateway)

    @property
    def _calm(self) -> bool:
        return self.time >= self.plan.chaos_us

    def _desk(self, gateway: int) -> Desk | None:
        """What a client sees at a node; None when nobody answers."""
        if self.places[gateway].node is None:
            return None
        node = self.node(gateway)
        time = node.node.ledger.next_time(self._now(gateway).wall)
        expires = self.people.expiry(time, calm=self._calm)
        return Desk(gateway, node.store, lambda repo: self.objects_at(gateway, repo), expires)

    def _bring(self, wish: Wish, gateway: int) -> None:
        """Somebody brings a wish to a gateway; one brought again is the same case."""
        due = self._calm and gateway not in self.cast.villains
        known = self.cases.get(wish.tx_id)
        if known is None:
            self.cases[wish.tx_id] = Case(wish, gateway, due)
            self.asked[wish.label] += 1
        else:
            known.gateway, known.due = gateway, known.due or due
            self.asked["brought again"] += 1
        if due:
            self._wishes.append(wish.tx_id)
        self._note(Kind.WORK, gateway, wish.tx_id)
        inline = wish.pack if self._workload.random() < 0.5 else None

        def submit() -> None:
            self._tell_later(gateway, TransactionSubmitted(wish.item, inline), b"submit", 0)

        if wish.pack is None:
            submit()
        else:
            self.checks.packs[blob_of(wish.pack).digest] = wish.pack
            self.keep(gateway, wish.pack, submit)

    def _try_elsewhere(self, dead: int) -> None:
        """Clients of a gateway that died: half of them come again through another one."""
        for case in list(self.cases.values()):
            if case.gateway != dead or case.wish.tx_id in self.checks.receipts or case.refused is not None:
                continue
            desk = self._desk(self._workload.randrange(self.size))
            if desk is None or self._workload.random() < 0.5:
                continue
            wish = self.people.again(case.wish, desk)
            if wish is not None:
                self._bring(wish, desk.gateway)

    # ---- the end ----

    def _judge(self) -> None:
        self._due = [tx_id for tx_id in self._due if self.cases[TxId(tx_id)].refused is None]
        super()._judge()
        for index in self.honest:
            store = self.node(index).store
            self.checks.check_database(index, store)
            self.checks.check_packs(index, store, whole_at=self._sample)
            if store.height() == self._watched:
                self.checks.check_refs(index, store)
        for case in self.cases.values():
            self._judge_case(case)

    def _named(self, wish: bytes) -> str:
        case = self.cases[TxId(wish)]
        return f"{case.wish.label} {wish.hex()[:8]} at node {case.gateway}"

    def _judge_case(self, case: Case) -> None:
        """Every wish has its answer, and nobody was told "no" about what happened."""
        tx_id, name = case.wish.tx_id, f"{case.wish.label} {case.wish.tx_id.hex()[:8]}"
        receipt = self.checks.receipts.get(tx_id)
        if case.refused is not None and receipt is not None and receipt.error is None:
            raise Broken(f"I12: {name} was refused ({case.refused}) and took effect")
        if receipt is not None or case.refused is not None or case.due or case.gateway in self.cast.villains:
            return
        for index in self.honest:
            node = self.node(index).node
            if node.ledger.head.time <= case.wish.item.signed.body.expires and not self._calm:
                raise Broken(f"L2: {name} has neither a receipt nor expired at node {index}")
            if node.knows(tx_id) and node.ledger.head.time > case.wish.item.signed.body.expires:
                raise Broken(f"L2: node {index} still keeps {name}, which expired")
