"""
Mistakes that implementations really make, planted one at a time: a checker that sees none of them
checks nothing (``consensus.md`` 7.6). Each must be caught by the seeds that the campaigns run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from guts_core.chain.branches import Branches, Executed
from guts_core.chain.commit import Commit
from guts_core.chain.continuity import commit_of
from guts_core.chain.texts import without_texts
from guts_core.forge.refs import Move
from guts_core.names import RefName
from guts_core.node.node import _OnItsWay
from guts_core.node.pushes import Pushes
from guts_core.sim.forge_cast import KINDS
from guts_core.sim.pack_world import PackWorld
from guts_core.sim.run import Report, run_seed, simulate_forge
from guts_core.sim.villains.silent import Silent
from guts_core.simplex.effects import Persist
from guts_core.simplex.journal import LogRecord, LogVote, write
from guts_core.simplex.messages import Kind
from guts_core.simplex.quorum import quorum
from guts_core.simplex.round import Round
from guts_core.simplex.state import State

SEEDS = range(110)  # those of the campaigns


def is_caught(run: Callable[[int], Report], *invariants: str, seeds: range = SEEDS) -> bool:
    """Whether some seed's problem names one of these invariants."""
    reports = (run(seed) for seed in seeds)
    return any(report.problem is not None and report.problem.startswith(invariants) for report in reports)


# ---- agreement ----


def test_a_quorum_of_two_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_core.simplex.committee.quorum", lambda _n, _model: 2)

    assert is_caught(run_seed, "I3", "I4", "I5", "I6", "I7")
    assert is_caught(simulate_forge, "I3", "I4", "I5", "I6", "I7")


def test_votes_that_are_not_persisted(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: State, entry: LogRecord, *, sync: bool = False) -> None:
        if not isinstance(entry, LogVote):
            self.emit(Persist(write(entry), sync))

    monkeypatch.setattr(State, "log", forgetful)

    assert is_caught(run_seed, "I1", "I2")
    assert is_caught(simulate_forge, "I1", "I2")


def test_finalizing_after_a_nullify(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Round.may_cast

    def careless(self: Round, kind: Kind) -> bool:
        return kind not in self.mine if kind is Kind.FINALIZE else right(self, kind)

    monkeypatch.setattr(Round, "may_cast", careless)

    assert is_caught(run_seed, "I2")
    assert is_caught(simulate_forge, "I2")


def test_followers_that_ignore_skipped_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the skipping leader shows it: no honest leader would propose so."""
    monkeypatch.setattr("guts_core.simplex.progress.is_justified", lambda _state, _proposal: True)

    assert is_caught(run_seed, "I4", "I7")


def test_certificates_taken_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_core.simplex.intake.check", lambda _committee, _certificate, _known: None)

    assert is_caught(run_seed, "I1", "I2", "I3", "I4", "I5", "I6", "I7")


def test_no_help_for_laggards(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network that loses nothing after the heal it would not be seen."""

    def silent(s: State) -> None:
        s.retry_at = s.now.monotonic + s.config.retry_us

    monkeypatch.setattr("guts_core.simplex.intake.help_peer", lambda _state, _peer, _view: None)
    monkeypatch.setattr("guts_core.simplex.catchup.retry", silent)

    assert is_caught(run_seed, "L1", "L2")


# ---- the path of a push ----


def test_a_pack_attested_before_it_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PackWorld.keep

    def hasty(self: PackWorld, index: int, data: bytes, then: Callable[[], None]) -> None:
        right(self, index, data, lambda: None)
        if self.places[index].node is not None:
            then()

    monkeypatch.setattr(PackWorld, "keep", hasty)

    assert is_caught(simulate_forge, "I10")


def test_promises_forgotten_by_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node attested and state does not list yet looks like garbage to the sweep at its start."""
    monkeypatch.setattr("guts_core.node.node.live_attestations", lambda _records, _time: [])

    assert is_caught(simulate_forge, "I10")


def test_a_witness_one_signature_short_of_a_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_core.chain.admission.quorum", lambda n, model: quorum(n, model) - 1)

    assert is_caught(simulate_forge, "I10")


def test_records_overwritten_by_those_of_an_earlier_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once real: genesis was written again with each block that was final before block 1 was on disk."""
    founded: dict[int, Executed] = {}

    def again(block: Executed, below: Iterable[Executed], *rest: object) -> Commit:
        parts, node = list(below), id(block.network.verifier)  # each node has one of its own
        if parts:
            founded[node] = parts[0]
        first = founded.get(node)
        return commit_of(block, parts or [first] if first else [], *rest)  # type: ignore[arg-type]  # as given

    monkeypatch.setattr("guts_core.chain.ledger.commit_of", again)

    assert is_caught(simulate_forge, "I8", "node")


def test_refs_that_move_whatever_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(updates: Iterable[Move], _repository: object, _state: object) -> tuple[Move, ...]:
        return tuple(Move(RefName(u.ref), u.old, u.new, u.relation, u.source) for u in updates)

    monkeypatch.setattr("guts_core.forge.refs._moves", blind)

    assert is_caught(simulate_forge, "I10")


def test_transactions_that_may_stand_in_the_chain_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaders propose again what is not final yet, and clients bring again what their gateway died with."""
    monkeypatch.setattr(Branches, "has_seen", lambda _self, _block_hash, _tx_id: False)

    assert is_caught(simulate_forge, "I9")


def test_a_check_that_failed_once_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once real: a validator a block behind judged a push, and with another one silent no quorum ever came."""
    monkeypatch.setattr(Pushes, "_may_check", lambda _self, known, _now: known.problem is None)

    silent = KINDS.index(Silent)
    assert is_caught(simulate_forge, "L2", seeds=SEEDS[silent :: len(KINDS)])


# ---- texts ----


def test_a_log_that_is_not_rewritten_after_an_erasure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words stay in an old record, where nobody thinks of them."""
    monkeypatch.setattr(
        "guts_core.node.node._OnItsWay", lambda view, time, _erases: _OnItsWay(view, time, erases=False)
    )

    assert is_caught(simulate_forge, "I13")


def test_blocks_that_are_stored_with_their_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of a database that were freed still hold what was written there."""

    def careless(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
        return body, without_texts(body)[1]

    monkeypatch.setattr("guts_core.chain.continuity.without_texts", careless)

    assert is_caught(simulate_forge, "I13")
