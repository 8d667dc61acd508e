"""Agreement under everything that goes wrong: seeds, planted mistakes, and the same trace for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from guts_core.sim.run import Report, run_seed, run_whole
from guts_core.sim.villains.cast import KINDS
from guts_core.simplex.effects import Persist
from guts_core.simplex.engine import Rule
from guts_core.simplex.journal import LogRecord, LogVote, write
from guts_core.simplex.messages import Kind
from guts_core.simplex.quorum import FaultModel
from guts_core.simplex.round import Round
from guts_core.simplex.state import State

SEEDS = range(112)  # every villain sixteen times
MUTANT_SEEDS = range(30)


@pytest.fixture(scope="module")
def campaign() -> list[Report]:
    return [run_seed(seed) for seed in SEEDS]


def test_four_nodes_with_a_villain_agree_in_every_seed(campaign: list[Report]) -> None:
    """Each seed has a crash that loses unsynced writes, a partition, loss, and at least 20 blocks per honest node."""
    assert [(report.seed, report.problem) for report in campaign if report.problem] == []
    assert all(report.faults["crashed"] and report.faults["unsynced lost"] for report in campaign)
    assert all(report.faults["cut off"] and report.faults["lost"] for report in campaign)


def test_the_campaign_reaches_every_rule(campaign: list[Report]) -> None:
    fired: Counter[str] = Counter()
    for report in campaign:
        fired.update(report.fired)
    assert {rule.name for rule in Rule} == {name for name, count in fired.items() if count}


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_every_villain_got_through_to_honest_code(campaign: list[Report], name: str) -> None:
    """An attack that is silently a no-op tests nothing: what each achieved is counted."""
    played = [villain for report in campaign for villain in report.villains if villain.name == name]
    assert len(played) == len(SEEDS) // len(KINDS)
    assert all(villain.attempts for villain in played)
    assert sum(villain.achieved > 0 for villain in played) >= len(played) * 3 // 4


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("nodes", "fault_model"),
    [(1, FaultModel.BYZANTINE), (3, FaultModel.BYZANTINE), (3, FaultModel.CRASH), (7, FaultModel.BYZANTINE)],
)
def test_other_sizes_agree(nodes: int, fault_model: FaultModel, seed: int) -> None:
    assert run_seed(1000 + seed, nodes, fault_model).problem is None


@pytest.mark.parametrize("seed", range(8))
def test_whole_nodes_agree(seed: int) -> None:
    """The forge's own rules, real state roots, transactions instead of words."""
    report = run_whole(2000 + seed)
    assert report.problem is None


@pytest.mark.parametrize("nodes", [1, 3])
def test_whole_nodes_of_other_sizes_agree(nodes: int) -> None:
    assert run_whole(2100, nodes).problem is None


@pytest.mark.parametrize("seed", range(5))
def test_four_honest_nodes_agree(seed: int) -> None:
    assert run_seed(seed, villains=False).problem is None


def caught(invariants: tuple[str, ...]) -> list[int]:
    """Seeds whose problem names one of these invariants."""
    reports = [run_seed(seed) for seed in MUTANT_SEEDS]
    return [report.seed for report in reports if report.problem and report.problem.startswith(invariants)]


def test_a_quorum_of_two_of_four_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_core.simplex.committee.quorum", lambda _n, _model: 2)
    assert caught(("I3", "I4", "I5", "I6", "I7"))


def test_votes_that_are_not_persisted_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: State, entry: LogRecord, *, sync: bool = False) -> None:
        if not isinstance(entry, LogVote):
            self.emit(Persist(write(entry), sync))

    monkeypatch.setattr(State, "log", forgetful)
    assert caught(("I1", "I2"))


def test_finalizing_after_a_nullify_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Round.may_cast

    def careless(self: Round, kind: Kind) -> bool:
        return kind not in self.mine if kind is Kind.FINALIZE else right(self, kind)

    monkeypatch.setattr(Round, "may_cast", careless)
    assert caught(("I2",))


def test_followers_that_ignore_skipped_views_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the skipping leader shows it: no honest leader would propose so."""
    monkeypatch.setattr("guts_core.simplex.progress.is_justified", lambda _state, _proposal: True)
    assert caught(("I4", "I7"))


def test_certificates_taken_unchecked_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_core.simplex.intake.check", lambda _committee, _certificate, _known: None)
    assert caught(("I1", "I2", "I3", "I4", "I5", "I6", "I7"))


def test_no_help_for_laggards_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network that loses nothing after the heal it would not be."""

    def silent(s: State) -> None:
        s.retry_at = s.now.monotonic + s.config.retry_us

    monkeypatch.setattr("guts_core.simplex.intake.help_peer", lambda _state, _peer, _view: None)
    monkeypatch.setattr("guts_core.simplex.catchup.retry", silent)
    assert caught(("L1", "L2"))


def test_decoding_every_delivery_anew_changes_nothing() -> None:
    """Nodes exchange bytes: sharing decoded messages must be a mere saving."""
    for seed in (3, 4):
        assert run_seed(seed).trace == run_seed(seed, remember=False).trace


def test_the_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    program = "from guts_core.sim.run import run_seed; print(run_seed(5)); print(run_seed(6, 7).trace)"
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout)

    assert len(outputs) == 1
    assert run_seed(5).trace.encode() in outputs.pop()
    assert run_seed(5).trace != run_seed(6).trace
