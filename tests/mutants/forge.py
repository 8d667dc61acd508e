"""Mistakes on the path of a push, in execution, and with texts; and in the state that a node joins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from guts_core.chain.admission import Candidate
from guts_core.chain.branches import Branches, Executed
from guts_core.chain.commit import Commit
from guts_core.chain.continuity import commit_of
from guts_core.chain.judge import Run
from guts_core.chain.memory import MemoryStore
from guts_core.chain.texts import without_texts
from guts_core.forge.refs import Move
from guts_core.names import RefName, Root
from guts_core.node.effects import CompactLog, Effect
from guts_core.node.node import Node
from guts_core.node.pushes import Pushes
from guts_core.sim.pack_world import PackWorld
from guts_core.simplex.ports import Instant
from guts_core.simplex.quorum import quorum
from guts_core.sync.machine import StateSync
from guts_core.sync.orders import Order

Patch = pytest.MonkeyPatch


# ---- pushes ----


def a_pack_attested_before_it_is_synced(patch: Patch) -> None:
    """A power cut takes what was promised to be held."""
    right = PackWorld.keep

    def hasty(self: PackWorld, index: int, data: bytes, then: Callable[[], None]) -> None:
        right(self, index, data, lambda: None)
        if self.places[index].node is not None:
            then()

    patch.setattr(PackWorld, "keep", hasty)


def promises_forgotten_by_a_restart(patch: Patch) -> None:
    """What a node attested and state does not list yet looks like garbage to the sweep at its start."""
    patch.setattr("guts_core.node.node.live_attestations", lambda _records, _time: [])


def promises_that_end_by_the_wall_clock(patch: Patch) -> None:
    """A clock that is fast lets go of what a block may still call in."""
    right = Node._start

    def start(self: Node, records: tuple[bytes, ...], now: Instant) -> list[object]:
        self._applied_time = now.wall
        return list(right(self, records, now))

    patch.setattr(Node, "_start", start)


def a_witness_one_signature_short(patch: Patch) -> None:
    """Of a quorum."""
    patch.setattr("guts_core.chain.admission.quorum", lambda n, model: quorum(n, model) - 1)


def a_check_that_failed_once_and_for_all(patch: Patch) -> None:
    """Once real: a validator a block behind judged a push, and with another one silent no quorum ever came."""
    patch.setattr(Pushes, "_may_check", lambda _self, known, _now: known.problem is None)


# ---- execution ----


def records_overwritten_by_an_earlier_blocks(patch: Patch) -> None:
    """Once real: genesis was written again with each block that was final before block 1 was on disk."""
    founded: dict[int, Executed] = {}

    def again(block: Executed, below: Iterable[Executed], *rest: object) -> Commit:
        parts, node = list(below), id(block.network.verifier)  # each node has one of its own
        if parts:
            founded[node] = parts[0]
        first = founded.get(node)
        return commit_of(block, parts or [first] if first else [], *rest)  # type: ignore[arg-type]  # as given

    patch.setattr("guts_core.chain.ledger.commit_of", again)


def refs_that_move_whatever_they_were(patch: Patch) -> None:
    """Nobody compares the old value."""

    def blind(updates: Iterable[Move], _repository: object, _state: object) -> tuple[Move, ...]:
        return tuple(Move(RefName(u.ref), u.old, u.new, u.relation, u.source) for u in updates)

    patch.setattr("guts_core.forge.refs._moves", blind)


def transactions_that_stand_in_the_chain_twice(patch: Patch) -> None:
    """Leaders propose again what is not final yet, and clients bring again what their gateway died with."""
    patch.setattr(Branches, "has_seen", lambda _self, _block_hash, _tx_id: False)


def execution_that_reads_a_text(patch: Patch) -> None:
    """What a block does depends on whether the words it commits to are here."""
    right = Run.execute

    def execute(self: Run, candidate: Candidate) -> None:
        if not candidate.lacks_texts:
            right(self, candidate)

    patch.setattr(Run, "execute", execute)


# ---- texts ----


def a_log_that_is_not_rewritten_after_an_erasure(patch: Patch) -> None:
    """The words stay in an old record, where nobody thinks of them."""
    right = Node._committed

    def committed(self: Node, height: int) -> list[Effect]:
        return [effect for effect in right(self, height) if not isinstance(effect, CompactLog)]

    patch.setattr(Node, "_committed", committed)


def blocks_that_are_stored_with_their_texts(patch: Patch) -> None:
    """Pages of a database that were freed still hold what was written there."""

    def careless(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        return body, without_texts(body)[1]

    patch.setattr("guts_core.chain.continuity.without_texts", careless)


# ---- what is proposed ----


def a_turn_that_does_not_end(patch: Patch) -> None:
    """Whoever has anything waiting goes on until nothing of it is left."""
    patch.setattr("guts_core.chain.turns.QUANTUM_BYTES", 1 << 40)


# ---- joining ----


def a_snapshot_whose_root_is_not_compared(patch: Patch) -> None:
    """Its pieces fit their manifest, so it will be right."""
    right = StateSync.built

    def built(self: StateSync, root: Root | None, now: int) -> list[Order]:
        assert self.download is not None
        return right(self, root and Root(self.download.boundary.state_root), now)

    patch.setattr(StateSync, "built", built)


def a_replay_window_off_by_one(patch: Patch) -> None:
    """Ids are forgotten a millisecond before their transactions expire."""
    right = MemoryStore.commit

    def commit(self: MemoryStore, block: Commit) -> None:
        right(self, block)
        self._replay = {tx_id: expires for tx_id, expires in self._replay.items() if expires > block.time + 1}

    patch.setattr(MemoryStore, "commit", commit)
