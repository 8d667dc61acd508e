"""
A world of whole nodes: links open and close, people come to gateways and push, and every wish is
followed to its answer.
"""

from __future__ import annotations

from collections import Counter
from typing import cast

from attrs import define

from guts_core.chain.commit import Commit
from guts_core.chain.inadmissible import (
    ExpiresTooLate,
    TransactionExpired,
    UnknownAccount,
    UnknownCredential,
    WrongSignatures,
)
from guts_core.forge import queries
from guts_core.names import RepoId, TxId
from guts_core.node.events import PeerConnected, PeerDisconnected, TransactionSubmitted
from guts_core.node.messages import AvailSaid

from .depot import Depot
from .fates import Fates
from .faults import Plan, Restore
from .forge_cast import ForgeCast
from .forge_checks import ForgeChecks, manifest_in
from .forge_node import ForgeNode
from .ledger import Broken, VoteLedger
from .objects import blob_of
from .pack_world import PackWorld
from .people import Desk, People, Wish
from .place import Event, Kind, Place
from .ports import Act, Check, Compact, Refusal, Say, SimNode, Store
from .shelf import Shelf, TextChecks

# A dead peer's socket is seen closed, and a new one is open, within this.
_LINK_US = 20_000
# What a gateway says by its own clock and by a state that may be a block old: its answer to what is new to it, and
# none about what another one passed on.
_SAID_OF_ITSELF = frozenset(
    refusal.code for refusal in (ExpiresTooLate, TransactionExpired, UnknownAccount, UnknownCredential, WrongSignatures)
)
# One wish in so many is a contest of several people for one branch.
_CONTEST = 5


@define
class Case:
    """What became of one wish."""

    wish: Wish
    gateway: int
    due: bool
    again: bool = False  # brought to a second gateway
    refused: str | None = None
    may_happen: bool = False  # what was refused, should the world change back


class ForgeWorld(PackWorld):
    """One run of whole nodes."""

    def __init__(
        self, seed: int, plan: Plan, players: ForgeCast, size: int, ledger: VoteLedger, fates: Fates | None = None
    ) -> None:
        super().__init__(seed, plan, players, size, ledger, fates)
        self.checks = ForgeChecks(size, ledger.quorum, players.villains, self.depots)
        # Whose log is put back forgets what it promised: it is one of those that agreement bears.
        self.checks.excuse(restore.node for restore in plan.restores if restore.what != "database")
        self.texts = TextChecks()
        self.people = People(self.fates.dice("people"), players.genesis, players.ring)
        self.cases: dict[TxId, Case] = {}
        self._epochs: dict[int, tuple[int, ...]] = {0: tuple(range(size))}  # numbers of the nodes, by seat
        self.achieved_before: list[Counter[int]] = []  # by epoch that ended: what each liar had achieved by then
        self._rows: dict[int, tuple[Shelf, dict[tuple[RepoId, bytes], None]]] = {}  # of databases that were copied
        self._watched = 0  # blocks that the checks have seen
        self._rewritten: dict[int, int] = {}  # nodes whose log is to be without what was erased up to a height

    # ---- the life of nodes ----

    def _boot(self, index: int) -> None:
        super()._boot(index)
        if self.places[index].node is None:
            return
        node, depot = self.node(index), self.depots[index]
        self.checks.check_database(index, node.store)
        self._sweep(node, depot)
        self.checks.check_packs(index, node.store)
        for peer in range(self.size):
            if peer != index and self.places[peer].node is not None:
                self._tell_later(index, PeerConnected(peer), b"up %d" % peer, _LINK_US)
                self._tell_later(peer, PeerConnected(index), b"up %d" % index, _LINK_US)
        self._check_texts(index)
        self._rewritten[index] = node.store.height()
        if depot.missing or self.shelves[index].missing:
            self._repair_later(index)

    def _check_texts(self, index: int, whole_at: int | None = None) -> None:
        self.texts.check(index, self.shelves[index], self.node(index).store, whole_at=whole_at)

    def _sweep(self, node: ForgeNode, depot: Depot) -> None:
        """What neither state lists nor an own promise covers is garbage at the start of a process."""
        listed = {digest for height, digest in self.checks.admitted if height <= node.store.height()}
        promised = {attested.digest for attested in node.node.attested() if attested.digest is not None}
        self.faults["packs swept"] += depot.sweep(listed | promised)

    def _crash(self, index: int, place: Place) -> None:
        """Unsynced packs go too; peers see the link close, clients go elsewhere."""
        super()._crash(index, place)
        depot = self.depots[index]
        before = depot.lost
        depot.crash()
        self.faults["unsynced packs lost"] += depot.lost - before
        self.faults["unsynced lost"] += depot.lost - before
        for peer in range(self.size):
            if peer != index and self.places[peer].node is not None:
                self._tell_later(peer, PeerDisconnected(index), b"down %d" % index, _LINK_US // 2)
        self._try_elsewhere(index)

    def _strike(self, index: int, number: int, what: object) -> None:
        """A copy of a database has the rows beside the state, too."""
        super()._strike(index, number, what)
        if isinstance(what, Restore) and not number:
            self._rows[index] = self.shelves[index].copy(), dict(self.depots[index].missing)

    def _puts_back(self, index: int, place: Place, restore: Restore) -> None:
        is_done = not place.is_gone and bool(place.disk.stored)
        super()._puts_back(index, place, restore)
        if is_done and restore.what != "log":
            self.shelves[index], self.depots[index].missing = self._rows[index]

    # ---- events ----

    def _handle(self, index: int, node: SimNode, event: Event) -> None:
        """Between two decisions a log is as the node wants it: the last one's acts are done."""
        height = self._rewritten.pop(index, None)
        if height is not None and index not in self.cast.villains:
            self.texts.check_log(index, height, self.places[index].disk.records())
        super()._handle(index, node, event)
        _, _, kind, _, incarnation, what = event
        if kind is Kind.STORED and incarnation == self.places[index].incarnation:
            commit = cast("Commit", cast("Store", what).item)
            if commit.erased:
                self._rewritten[index] = commit.height

    def _other(self, index: int, act: Act) -> None:
        if isinstance(act, Check):
            self._check(index, act.effect)
        elif isinstance(act, Compact):
            self.places[index].disk.replace(self.node(index).snapshot())
        elif isinstance(act, Refusal) and index not in self.cast.villains and act.tx_id in self.cases:
            self.cases[act.tx_id].refused, self.cases[act.tx_id].may_happen = act.code, act.may_happen
            self.asked[f"refused: {act.code}"] += 1

    def _say(self, index: int, say: Say) -> None:
        self._follow_epoch(self.node(index))
        if index not in self.cast.villains:
            message = self.cast.reader.read(say.data)
            if isinstance(message, AvailSaid) and self._epochs[message.avail.epoch][message.signer] == index:
                case = self.cases[TxId(message.avail.tx_id)]
                self.checks.check_promise(index, message.avail, manifest_in(case.wish.item))
        super()._say(index, say)

    def _follow_epoch(self, node: ForgeNode) -> None:
        """Before anybody speaks in a new epoch, those who judge learn who votes in it."""
        network = node.node.ledger.network
        if network.epoch in self._epochs or node.index in self.cast.villains:
            return
        numbers = tuple(seat.number for seat in network.seats)
        self._epochs[network.epoch] = numbers
        self.ledger.turn(network.epoch, numbers, network.fault_model)
        self.cast.turn(network.epoch, network.vote_keys)
        self.checks.turn(network.epoch, numbers, network.quorum)
        self.faults["epochs begun"] += 1
        self.achieved_before.append(self.achieved())

    def achieved(self) -> Counter[int]:
        """What each liar achieved so far."""
        deeds = self.cast.deeds
        return Counter({index: kind.achieved(deeds[index], self) for index, kind in self.cast.kinds.items()})

    # ---- blocks ----

    def _stores(self, index: int, store: Store) -> None:
        super()._stores(index, store)
        self._follow_epoch(self.node(index))  # a sole validator speaks to nobody
        if index not in self.cast.villains and store.height > self._watched:
            self._watched = store.height
            self.texts.final(cast("Commit", store.item))
            self.people.learn(self.checks.final(store))

    def _written(self, index: int, place: Place, store: Store) -> None:
        depot = self.depots[index]
        commit = cast("Commit", store.item)
        self.faults["committed without a text"] += self.shelves[index].follow(commit)
        for pack in commit.packs:
            if not depot.holds(pack.digest):
                self.faults["committed without a pack"] += 1
                depot.missing[pack.repo, pack.digest] = None
        super()._written(index, place, store)
        if depot.missing or self.shelves[index].missing:
            self._repair_later(index)

    # ---- people ----

    def _wish(self) -> None:
        roll = self._clients.random
        self._push(self.time + 1 + int(roll() * 2 * self.plan.work_us), Kind.WORK, 0, 0, None)
        if roll() * _CONTEST < 1:
            desks = [self._desk(gateway) for gateway in self._clients.sample(range(self.size), min(3, self.size))]
            for at, push in self.people.contest([desk for desk in desks if desk is not None]):
                self._bring(push, at.gateway)
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
            self.texts.submitted |= {text.commitment: text for text in wish.item.texts}
            self.asked[wish.label] += 1
        else:
            known.gateway, known.due, known.again = gateway, known.due or due, True
            self.asked["brought again"] += 1
        if due:
            self._wishes.append(wish.tx_id)
        self._note(Kind.WORK, gateway, wish.tx_id)
        inline = wish.pack if self._clients.random() < 0.5 else None

        judged = self._counters(gateway, wish.repo)

        def submit() -> None:
            self._tell_later(gateway, TransactionSubmitted(wish.item, inline, judged), b"submit", 0)

        if wish.pack is None:
            submit()
        else:
            self.checks.packs[blob_of(wish.pack).digest] = wish.pack
            self.keep(gateway, wish.pack, submit)

    def _counters(self, gateway: int, repo: RepoId | None) -> tuple[int, int]:
        """What a gateway's database says of a repository when it judges a push to it."""
        found = None if repo is None else queries.repository(self.node(gateway).store, repo)
        return (0, 0) if found is None else (found.objects_epoch, found.removals)

    def _try_elsewhere(self, dead: int) -> None:
        """Clients of a gateway that died: half of them come again through another one; the others gave up."""
        for case in list(self.cases.values()):
            if case.gateway != dead or case.wish.tx_id in self.checks.receipts or case.refused is not None:
                continue
            self._excuse(case)
            desk = self._desk(self._clients.randrange(self.size))
            if desk is None or self._clients.random() < 0.5:
                continue
            wish = self.people.again(case.wish, desk)
            if wish is not None:
                self._bring(wish, desk.gateway)

    def _excuse(self, case: Case) -> None:
        """A wish that its gateway may have taken into its grave is owed nothing, unless it is brought again."""
        case.due = False
        for owed in (self._wishes, self._due):
            if case.wish.tx_id in owed:
                owed.remove(case.wish.tx_id)

    # ---- the end ----

    def _judge(self) -> None:
        self._due = [tx_id for tx_id in self._due if self.cases[TxId(tx_id)].refused is None]
        super()._judge()
        for index in self._steady:
            store = self.node(index).store
            self.checks.check_database(index, store)
            self.checks.check_packs(index, store, whole_at=self._sample)
            self._check_texts(index, self._sample)
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
        doubtful = case.may_happen or (case.again and case.refused in _SAID_OF_ITSELF)
        is_answer = case.refused is not None and not doubtful
        if is_answer and receipt is not None and receipt.error is None:
            raise Broken(f"I12: {name} was refused ({case.refused}) and took effect")
        if receipt is not None or case.refused is not None or case.due or case.gateway in self.cast.villains:
            return
        for index in self._steady:
            node = self.node(index).node
            if node.ledger.head.time <= case.wish.item.signed.body.expires and not self._calm:
                raise Broken(f"L2: {name} has neither a receipt nor expired at node {index}")
            if node.knows(tx_id) and node.ledger.head.time > case.wish.item.signed.body.expires:
                raise Broken(f"L2: node {index} still keeps {name}, which expired")
