"""Nodes that look after packs: they write what no ref reaches out of them, and merge small ones."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from attrs import frozen

from guts_core.chain import compose
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import Tag, digest
from guts_core.forge import queries
from guts_core.forge.actions import Repack
from guts_core.forge.records import ObjectFormat, Pack, ValidatorEntry
from guts_core.names import AccountId, Oid, RepoId

from .crypto import KeyRing
from .objects import SimCommit, blob_of, commits_in, pack_of, parents_in, reached
from .people import Desk, Wish

_WISHES = 8


@frozen
class _Held:
    """The packs of a repository that a node holds, and what its refs reach."""

    packs: tuple[Pack, ...]
    commits: dict[bytes, dict[Oid, SimCommit]]  # by digest
    needed: frozenset[Oid]


class Maintenance:
    """Draws repacks that some node would propose."""

    def __init__(self, roll: Random, genesis: Genesis, ring: KeyRing) -> None:
        self._roll, self._ring, self._genesis = roll, ring, genesis
        self._chain_id = chain_id(genesis)
        self._salts = 0

    def is_due(self) -> bool:
        """Whether a node looks at packs now: beside so many wishes of people."""
        return self._roll.random() * _WISHES < 1

    def wish(self, desk: Desk, repos: list[RepoId], read: Callable[[bytes], bytes | None]) -> Wish | None:
        """What the node at this desk would do about one of these repositories; None: nothing, or it is not able to."""
        if not repos:
            return None
        repo = repos[int(self._roll.random() * len(repos))]
        if queries.repository(desk.view, repo) is None:
            return None
        key = self._genesis.validators[desk.gateway].node_key
        seat = next((seat for seat in queries.epoch(desk.view).seats if seat.node_key == key), None)
        if seat is None:
            return None
        held = self._held(desk, repo, read)
        return None if held is None else self._proposal(desk, repo, held, seat)

    def _held(self, desk: Desk, repo: RepoId, read: Callable[[bytes], bytes | None]) -> _Held | None:
        packs = tuple(queries.packs(desk.view, repo))
        commits: dict[bytes, dict[Oid, SimCommit]] = {}
        parents: dict[Oid, Oid | None] = {}
        for pack in packs:
            data = read(pack.digest)
            if data is None:
                return None
            commits[pack.digest] = commits_in(data)
            parents.update(parents_in(data))
        tips = [Oid(ref.oid) for ref in queries.refs(desk.view, repo)]
        return _Held(packs, commits, frozenset(reached(parents, tips)))

    def _proposal(self, desk: Desk, repo: RepoId, held: _Held, seat: ValidatorEntry) -> Wish | None:
        unclean = [pack for pack in held.packs if not held.commits[pack.digest].keys() <= held.needed]
        if unclean:
            return self._repack(desk, repo, held, seat, unclean)
        if len(held.packs) < 2:
            return None
        some = [pack for pack in held.packs if self._roll.random() < 0.7]
        return self._repack(desk, repo, held, seat, some) if some else None

    def _repack(self, desk: Desk, repo: RepoId, held: _Held, seat: ValidatorEntry, replaced: list[Pack]) -> Wish | None:
        repository = queries.repository(desk.view, repo)
        if repository is None:
            return None
        drops = any(not held.commits[pack.digest].keys() <= held.needed for pack in replaced)
        new = self._new_pack(held, replaced, drops=drops)
        if new is not None and queries.pack_of_digest(desk.view, repo, blob_of(new).digest) is not None:
            return None
        blob = None if new is None else blob_of(new)
        generation = repository.generation if drops else 0
        seqs = tuple(pack.seq for pack in replaced)
        action = Repack(repo, ObjectFormat.SHA1, blob, seqs, drops, generation)
        signer = self._ring.signer(len(self._genesis.validators) + desk.gateway)
        operator, salt = AccountId(seat.operator), self._salt()
        signed = compose.repack(self._chain_id, operator, signer, action, desk.expires, salt)
        label = "repack: drop" if drops else "repack: merge"
        return Wish(Item(signed, None, ()), transaction_id(signed.body), label, operator, new, None, repo)

    def _new_pack(self, held: _Held, replaced: list[Pack], *, drops: bool) -> bytes | None:
        """In order of ids, so that two nodes make the same one; None where nothing is left to be held."""
        stay = {oid for pack in held.packs if pack not in replaced for oid in held.commits[pack.digest]}
        commits = {oid: one for pack in replaced for oid, one in held.commits[pack.digest].items()}
        if drops:
            commits = {oid: one for oid, one in commits.items() if oid in held.needed and oid not in stay}
        return pack_of(commits[oid] for oid in sorted(commits)) if commits else None

    def _salt(self) -> bytes:
        self._salts += 1
        return digest(Tag.TRACE, b"maintenance", self._salts.to_bytes(8, "big"))
