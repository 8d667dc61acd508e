"""
What must be true of a forge beside agreement: refs move by compare-and-swap, what is final is held,
and the database is what the blocks say (I9, I10, and I8 once more from the records themselves).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import cast

from guts_core.chain.block import Block
from guts_core.chain.commit import Commit
from guts_core.chain.continuity import STATE_ROOT
from guts_core.chain.memory import MemoryStore
from guts_core.chain.receipt import Receipt
from guts_core.chain.transaction import Avail, Item, transaction_id
from guts_core.codec import from_bytes
from guts_core.forge import queries
from guts_core.forge.actions import Manifest, RefUpdate, Relation
from guts_core.forge.activities import (
    Activity,
    KeyRemoved,
    PackAdmitted,
    RefUpdated,
    RepositoryCreated,
    RepositoryDeleted,
    RepositoryRenamed,
    RepositoryRestored,
    TextErased,
)
from guts_core.forge.manifests import needs_availability
from guts_core.names import AccountId, Oid, RefName, RepoId, TxId
from guts_core.state.keys import tree_key
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.tree import Tree

from .depot import Depot
from .ledger import Broken
from .objects import is_ancestor, is_closed, parents_in
from .ports import Store


class ForgeChecks:
    """A model of the forge in dictionaries, fed with every block the first time it is final."""

    def __init__(self, size: int, quorum: int, villains: frozenset[int], depots: list[Depot]) -> None:
        self._villains, self._depots = villains, depots
        self._seats: dict[int, tuple[tuple[int, ...], int]] = {0: (tuple(range(size)), quorum)}  # by epoch, with quorum
        self.packs: dict[bytes, bytes] = {}  # every pack that anybody ever sent, by digest
        self.receipts: dict[TxId, Receipt] = {}
        self._refs: dict[RepoId, dict[RefName, Oid]] = {}
        self._objects: dict[RepoId, dict[Oid, Oid | None]] = {}
        self._names: dict[tuple[AccountId, str], RepoId] = {}  # of the repositories that stand
        self._deleted: set[RepoId] = set()
        self._removed_keys: set[bytes] = set()
        self.admitted: list[tuple[int, bytes]] = []  # height and digest
        self.happened: Counter[str] = Counter()

    def excuse(self, nodes: Iterable[int]) -> None:
        """These are not expected to keep their promises."""
        self._villains |= frozenset(nodes)

    def turn(self, epoch: int, numbers: tuple[int, ...], quorum: int) -> None:
        """These nodes vouch for packs in an epoch, by seat."""
        self._seats[epoch] = numbers, quorum

    def final(self, store: Store) -> tuple[Activity, ...]:
        """A block is final for the first time: what happened in it."""
        commit = cast("Commit", store.item)
        happened: list[Activity] = []
        for item, row in zip(from_bytes(Block, commit.body).items, commit.receipts, strict=True):
            receipt = from_bytes(Receipt, row.receipt)
            self.receipts[TxId(receipt.tx_id)] = receipt
            self.happened[f"final: {receipt.error or 'ok'}"] += 1
            self._check_witness(item, store.height)
            self._check_keys(item, store.height)
            for activity in receipt.activities:
                self._apply(activity, store.height)
            happened += receipt.activities
        return tuple(happened)

    def _check_witness(self, item: Item, height: int) -> None:
        manifest = manifest_in(item)
        if manifest is None or not needs_availability(manifest):
            return
        name = transaction_id(item.signed.body).hex()[:8]
        if item.witness is None:
            raise Broken(f"I10: push {name} is final at height {height} without a witness")
        bits = int.from_bytes(item.witness.signers, "little")
        seats, quorum = self._seats[item.witness.avail.epoch]
        signers = [number for seat, number in enumerate(seats) if bits >> seat & 1]
        if len(signers) < quorum:
            raise Broken(f"I10: push {name} is final at height {height} on the word of {len(signers)}")
        for index in signers:
            self.check_promise(index, item.witness.avail, manifest)

    def _check_keys(self, item: Item, height: int) -> None:
        if any(said.public_key in self._removed_keys for said in item.signed.signatures):
            raise Broken(f"I10: height {height} holds what a removed key signed")

    def check_promise(self, index: int, avail: Avail, manifest: Manifest | None) -> None:
        """An honest node that says it holds a pack would still hold it after a crash now."""
        if index in self._villains or manifest is None or manifest.blob is None:
            return
        if not self._depots[index].holds(manifest.blob.digest):
            raise Broken(f"I10: node {index} attested push {avail.tx_id.hex()[:8]} and does not hold its pack")

    def _apply(self, activity: Activity, height: int) -> None:
        if isinstance(activity, PackAdmitted):
            self.admitted.append((height, activity.digest))
            self._objects.setdefault(RepoId(activity.repo), {}).update(parents_in(self.packs[activity.digest]))
        elif isinstance(activity, RefUpdated):
            self._move(activity, height)
            self.happened[f"ref {activity.relation.name.lower()}"] += 1
        elif isinstance(activity, KeyRemoved):
            self._removed_keys.add(activity.key)
            self.happened["key removed"] += 1
        elif isinstance(activity, TextErased):
            self.happened["text erased"] += 1
        else:
            self._name(activity, height)

    def _name(self, activity: Activity, height: int) -> None:
        """A repository has a name of its own from its creation to its deletion."""
        match activity:
            case RepositoryCreated():
                self._call(activity.owner, activity.name, activity.repo, height)
            case RepositoryRenamed():
                del self._names[activity.owner, activity.old.lower()]
                self._call(activity.owner, activity.new, activity.repo, height)
                self.happened["repository renamed"] += 1
            case RepositoryDeleted():
                del self._names[activity.owner, activity.name.lower()]
                self._deleted.add(activity.repo)
                self.happened["repository deleted"] += 1
            case RepositoryRestored():
                self._deleted.remove(activity.repo)
                self._call(activity.owner, activity.name, activity.repo, height)
                self.happened["repository restored"] += 1
            case _:
                pass

    def _call(self, owner: AccountId, name: str, repo: RepoId, height: int) -> None:
        if (owner, name.lower()) in self._names:
            raise Broken(f"I10: two repositories of one owner are called {name} at height {height}")
        self._names[owner, name.lower()] = repo

    def _move(self, moved: RefUpdated, height: int) -> None:
        refs = self._refs.setdefault(RepoId(moved.repo), {})
        objects = self._objects.setdefault(RepoId(moved.repo), {})
        where = f"{moved.ref} at height {height}"
        if refs.get(RefName(moved.ref)) != moved.old:
            raise Broken(f"I10: {where} was updated from a value that it did not have")
        if moved.new is None:
            del refs[RefName(moved.ref)]
            return
        if not is_closed(objects, Oid(moved.new)):
            raise Broken(f"I10: {where} leads to objects in no admitted pack")
        claims_more = moved.old is not None and moved.relation is not Relation.FORCED
        if claims_more and not is_ancestor(objects, Oid(moved.old or b""), Oid(moved.new)):
            raise Broken(f"I10: {where} is no fast-forward, and said to be one")
        refs[RefName(moved.ref)] = Oid(moved.new)

    # ---- a node's disk ----

    def check_database(self, index: int, store: MemoryStore) -> None:
        """I8 from the records: the root over what the database holds is the one that its last block says."""
        if not store.height():
            return
        records = {tree_key(key): value for key, value in store.scan(b"", limit=1 << 30)}
        root, _ = Tree(lambda _path: None).apply(EMPTY_ROOT, records)
        if root != store.meta(STATE_ROOT):
            raise Broken(f"I8: the database of node {index} at height {store.height()} is not what its root says")

    def check_packs(self, index: int, store: MemoryStore, *, whole_at: int | None = None) -> None:
        """Every pack that the state lists is held or known to be missing; at the end (a height) all are held."""
        depot = self._depots[index]
        missing = {digest for _, digest in depot.missing}
        for height, digest in self.admitted:
            if height > store.height() or depot.holds(digest):
                continue
            if digest not in missing:
                raise Broken(f"I10: node {index} lacks the pack {digest.hex()[:8]} of height {height} unknowingly")
            if whole_at is not None and height <= whole_at:
                raise Broken(f"L1: node {index} still misses pack {digest.hex()[:8]} of height {height}")

    def check_refs(self, index: int, store: MemoryStore) -> None:
        """A node that has applied everything shows exactly the names and refs of the model."""
        for (owner, name), repo in self._names.items():
            found = queries.repository_of(store, owner, name)
            if found is None or found.id != repo:
                raise Broken(f"I10: node {index} shows another repository as {name}, or none")
        for repo in self._deleted:
            if queries.repository(store, repo) is not None:
                raise Broken(f"I10: node {index} shows {repo.hex()[:8]}, which was deleted")
        for repo, refs in self._refs.items():
            shown = {ref.name: ref.oid for ref in queries.refs(store, repo)}
            if shown != refs:
                raise Broken(f"I10: node {index} shows other refs of {repo.hex()[:8]} than were ordered")


def manifest_in(item: Item) -> Manifest | None:
    """The manifest in a transaction, if it moves refs."""
    return next((a.manifest for a in item.signed.body.actions if isinstance(a, RefUpdate)), None)
