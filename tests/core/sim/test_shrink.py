"""A failure becomes small, is still the same failure, and can be read."""

from __future__ import annotations

from functools import cache

import pytest
from attrs import evolve

from guts_core.sim.diagram import Shown, diagram
from guts_core.sim.faults import Partition
from guts_core.sim.machine import WordList
from guts_core.sim.replay import read_replay, replay_of
from guts_core.sim.scenario import sort_of
from guts_core.sim.shrink import NothingToShrink, Shrinker, Shrunk, faults_of, removals, smallest, without, without_node
from guts_core.sim.story import story_of
from guts_core.sim.swarm import scenario_of
from guts_core.simplex.effects import Persist
from guts_core.simplex.journal import LogRecord, LogVote, write
from guts_core.simplex.state import State
from tests.mutants.forge import a_witness_one_signature_short

# A key votes twice in it within two seconds once its votes are forgotten.
FORGETFUL = scenario_of(19)
# All that goes wrong in it can go while there are seven nodes: half of them are too few without any fault.
SMALL = scenario_of(1, 7)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Votes are not written to the log, and no other is asked which of them it heard.

    A start that asks learns what its log forgot, and a key that hears of a vote it did not cast stops: either hides
    this mistake, so all of it is planted.
    """
    monkeypatch.setattr("guts_core.simplex.fence.begin", lambda _state: None)
    monkeypatch.setattr("guts_core.simplex.intake.check_own", lambda _state, _certificate: None)

    def log(self: State, entry: LogRecord, *, sync: bool = False) -> None:
        if not isinstance(entry, LogVote):
            self.emit(Persist(write(entry), sync))

    monkeypatch.setattr(State, "log", log)


@pytest.fixture
def small_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the nodes are enough."""
    monkeypatch.setattr("guts_core.simplex.committee.quorum", lambda size, _model: size // 2)


@pytest.fixture
def shrunk(forgetful: None) -> Shrunk:
    return shrunk_once()


@cache  # the same for every test that plants the mistake
def shrunk_once() -> Shrunk:
    return Shrinker(FORGETFUL).run()


def test_a_forgotten_vote_shrinks_to_one_crash(shrunk: Shrunk) -> None:
    """What is left is the reason: one process ended, and voted again in the same view."""
    run = shrunk.scenario

    assert sort_of(shrunk.report.problem) == "I1"
    assert len(run.plan.crashes) == 1
    assert not run.plan.partitions
    assert shrunk.after < shrunk.before // 2
    assert run.plan.chaos_us + run.plan.heal_us < 3_000_000


def test_nothing_that_is_left_can_be_taken_away(shrunk: Shrunk) -> None:
    """One by one: each fault, villain or odd delivery is needed."""
    assert all(needed(shrunk, number) for number in range(len(list(removals(shrunk.scenario, singly=True)))))


def needed(shrunk: Shrunk, number: int) -> bool:
    one = list(removals(shrunk.scenario, singly=True))[number]
    return sort_of(without(shrunk.scenario, [one]).play().problem) != sort_of(shrunk.report.problem)


def test_the_replay_file_of_a_shrunk_run_breaks_the_same_promise(shrunk: Shrunk) -> None:
    lines = list(replay_of(shrunk.scenario, shrunk.report).lines())

    again = read_replay(lines).scenario.play()

    assert (shrunk.report.trace, shrunk.report.problem) == (again.trace, again.problem)
    assert sum(map(len, lines)) < 8_000


def test_the_diagram_tells_the_story(shrunk: Shrunk) -> None:
    problem = shrunk.report.problem or ""
    view = problem.rsplit(" ", 1)[1]

    text = diagram(story_of(shrunk.scenario))

    assert f"what broke:      {problem}" in text
    assert text.splitlines()[-1].endswith(f"* BROKEN  {problem}")
    assert "X crashes: " in text
    assert "^ starts again" in text
    assert "moments not shown" in text
    marked = [line for line in text.splitlines() if line[10:13] == " * " and "BROKEN" not in line]
    assert marked
    assert all(f" {view} " in f"{line} " for line in marked)
    assert max(map(len, text.splitlines())) <= 132


def test_a_small_quorum_shrinks_to_two_nodes_and_no_fault(small_quorum: None) -> None:
    steps: list[str] = []

    shrunk = Shrinker(SMALL, lambda step, *_: steps.append(step)).run()

    assert shrunk.scenario.nodes == 2
    assert shrunk.after == 0
    assert len(steps) == shrunk.runs - 1
    assert list(dict.fromkeys(steps))[:4] == ["horizon", "faults", "nodes", "workload"]


def test_commands_of_a_machine_are_shrunk_too() -> None:
    """Of many commands the one is left that the machine executes by its mood."""

    class Moody(WordList):
        calls = 0

        def apply(self, state: bytes, command: bytes) -> bytes:
            """Another state each time, for one word."""
            Moody.calls += command == b"mood"
            return super().apply(state, command + b"%d" % (Moody.calls if command == b"mood" else 0))

    commands = tuple(b"mood" if number == 7 else b"word %d" % number for number in range(12))

    shrunk = Shrinker(scenario_of(2, machine=Moody(), commands=commands)).run()

    assert shrunk.scenario.commands == (b"mood",)
    assert "command mood" in (shrunk.report.problem or "")


def test_an_honest_run_has_nothing_to_shrink() -> None:
    with pytest.raises(NothingToShrink, match="seed 3 with 1 nodes breaks no promise"):
        Shrinker(scenario_of(3, 1))


def test_a_bound_on_runs_is_kept(forgetful: None) -> None:
    assert Shrinker(FORGETFUL, runs_max=5).run().runs == 5


@pytest.mark.parametrize("needles", [set(), {3}, {0, 19}, {4, 5, 6}, set(range(20))])
def test_delta_debugging_finds_exactly_what_is_needed(needles: set[int]) -> None:
    assert sorted(needles) == smallest(range(20), lambda kept: needles <= set(kept))


def test_a_partition_a_loss_and_a_villain_are_drawn_for_the_reader() -> None:
    drawn = scenario_of(5)
    cut = Partition(0, 600_000, frozenset({1}), one_way=False)
    story = story_of(evolve(drawn, villains={2: "equivocator"}, plan=evolve(drawn.plan, partitions=(cut,))))

    text = diagram(story, Shown(views=None))

    assert "who lies:        node 2: equivocator" in text
    assert "node 1 is cut off from the others from 0.000 s to 0.600 s" in text
    assert "====  1: heard again  ====" in text
    assert " x" in text
    assert "not shown" not in text
    assert "what broke:      nothing: every promise held" in text


def test_whole_nodes_are_drawn_too() -> None:
    assert " propose " in diagram(story_of(scenario_of(3, whole=True)))


def test_a_failure_of_whole_nodes_shrinks_and_replays_without_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push that too few vouch for is final: that needs no fault, no liar and no second node."""
    a_witness_one_signature_short(monkeypatch)
    scenario = scenario_of(0, whole=True)

    shrunk = Shrinker(scenario, runs_max=80).run()
    lines = list(replay_of(shrunk.scenario, shrunk.report).lines())
    monkeypatch.setattr("guts_core.sim.fates.Drawn.__init__", no_dice)
    monkeypatch.setattr("guts_core.sim.fates.dice", no_dice)
    again = read_replay(lines).scenario.play()

    assert sort_of(shrunk.report.problem) == "I10"
    assert (shrunk.report.trace, shrunk.report.problem) == (again.trace, again.problem)
    assert shrunk.scenario.whole
    assert shrunk.after < shrunk.before // 4
    assert shrunk.scenario.nodes < scenario.nodes
    assert "is final at height" in diagram(story_of(shrunk.scenario))


def no_dice(*_: object) -> None:
    raise AssertionError("a replay asks no dice")


def test_watching_changes_nothing() -> None:
    story = story_of(scenario_of(6))

    assert story.report == scenario_of(6).play()


def test_a_story_tells_what_arrived_and_what_was_lost() -> None:
    story = story_of(scenario_of(6))
    delays = [leg.delay for moment in story.moments for leg in moment.legs]

    assert story.report is not None
    faults = story.report.faults
    taken = sum(faults.get(name, 0) for name in ("lost", "cut off", "scripted away", "shown to one node only"))
    # A network that silences whom it showed a certificate takes more than it counts.
    assert 0 < taken <= delays.count(None) < len(delays) // 2


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_every_sort_of_fault_can_be_taken_away_with_its_node(seed: int) -> None:
    """What a swarm draws names nodes in many ways; afterwards nobody speaks of one who is not there."""
    run = evolve(scenario_of(seed, 5), villains={}, tape={"carry 0>4": [None], "sync 2": [7], "dice workload": [1]})

    smaller = [one for gone in range(5) if (one := without_node(run, gone)) is not None]

    assert len(smaller) == 5
    for one in smaller:
        assert (one.nodes, len(one.plan.clocks)) == (4, 4)
        for items in faults_of(one.plan).values():
            for item in items:
                named = {getattr(item, name, 0) for name in ("node", "sender", "receiver")}
                named |= getattr(item, "left", frozenset()) | getattr(item, "receivers", frozenset())
                named |= {end for link in getattr(item, "links", ()) for end in link}
                assert max(named) < 4, item
    assert not list(removals(without(run, list(removals(run)))))
