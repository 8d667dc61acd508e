"""``guts sim`` as somebody types it: run, shrink, replay, show, soak."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from guts_cli.main import run
from guts_core.sim.run import run_seed
from guts_core.sim.scripted_twins import case_of, play
from guts_core.sim.swarm import swarm
from tests.cli.reference import differences, example
from tests.compat.pages import HOW_TO, steps

PAGE = HOW_TO / "simulate.md"

MACHINE = '''
"""Somebody's own machine."""

import hashlib


class Words:
    def initial(self):
        return ()

    def apply(self, state, command):
        return (*state, command.decode())

    def root(self, state):
        return hashlib.sha256(repr(state).encode()).digest()


class Moody(Words):
    calls = 0

    def apply(self, state, command):
        Moody.calls += 1
        return super().apply(state, command + (b"%d" % Moody.calls if command == b"mood" else b""))
'''


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def small_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the nodes are enough."""
    monkeypatch.setattr("guts_core.simplex.committee.quorum", lambda size, _model: max(size // 2, 1))


def typed(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> str:
    assert run(line.split()) == code, capsys.readouterr()
    shown = capsys.readouterr()
    return shown.out + shown.err


def told(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(typed(capsys, f"{line} --json", code))
    return found


def the_page() -> list[tuple[str, int]]:
    """What the how-to page types, and how it ends."""
    return [
        (line.removeprefix("guts "), int(step.fails))
        for step in steps("simulate.md")
        for line in step.commands.splitlines()
    ]


def test_a_seed_is_run_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = typed(capsys, "sim run --seed 5")

    assert "seed 5: every promise held" in text
    assert run_seed(5).trace in text
    assert "next: guts sim run --seed 6 --nodes 4" in text


def test_a_run_as_json_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    data = told(capsys, "sim run --seed 5 --nodes 3 --fault-model crash")

    assert (data["seed"], data["nodes"], data["problem"]) == (5, 3, None)
    assert data["faults"]["crashed"] > 0
    assert data["events_per_second"] > 0


def test_a_calm_run_shows_interval_and_finality_beside_their_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    text = typed(capsys, "sim run --seed 1 --nodes 31 --calm")
    pace = told(capsys, "sim run --seed 1 --calm")["pace"]

    assert "delays (bound 2), final after" in " ".join(text.split())
    assert pace["blocks"] > 20
    assert 1.8 < pace["interval_delays"] < 2.6
    assert 2.5 < pace["finality_delays"] < 3.6


def test_many_seeds_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    data = told(capsys, "sim run --seeds 4 --jobs 2")
    alone = told(capsys, "sim run --seeds 4 --jobs 1")

    assert data["seeds"] == 4
    assert data["events"] == alone["events"]
    assert (data["faults"], data["villains"], data["coverage"]) == (
        alone["faults"],
        alone["villains"],
        alone["coverage"],
    )
    assert data["rules"]["FINALIZE"] > 0
    assert any(key.startswith("NOTARIZE / propose / ") for key in data["coverage"])


def test_a_swarm_draws_what_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    alone = told(capsys, "sim run --seed 3 --swarm --nodes 4")

    assert alone["trace"] == swarm(3, 4).play().trace
    assert told(capsys, "sim run --seeds 2 --swarm --jobs 1")["seeds"] == 2


def test_clients_are_told_what_one_forge_would_tell(capsys: pytest.CaptureFixture[str]) -> None:
    data = told(capsys, "sim run --seed 2 --clients")

    assert data["work"]["final: ok"] > 10
    assert data["work"]["final: stale"] > 0
    assert told(capsys, "sim run --seeds 2 --jobs 1 --clients")["work"]["final: ok"] > 20


def test_a_soak_ends_in_time_and_says_what_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line, _ in the_page() if line.startswith("sim soak"))
    text = typed(capsys, line.replace("--minutes 30", "--minutes 0.01 --jobs 1 --first 100"))

    for word in ("events", "times real time", "faults", "rules", "liars", "met", "never"):
        assert word in text
    data = told(capsys, "sim soak --minutes 0.001 --jobs 1")
    assert data["seeds"] >= 1
    assert differences(example("guts sim soak"), data) == []


def test_scripts_of_twins_are_played_and_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    text = typed(capsys, "sim twins --cases 60 --first 100 --jobs 2")
    data = told(capsys, "sim twins --cases 60 --first 100 --jobs 1")

    assert "60 scripts: no two honest nodes parted in any" in text
    assert text.splitlines()[-1] == "next: guts sim twins --first 160 --cases 60"
    assert differences(example("guts sim twins"), data) == []
    assert 0 < data["convicted"] <= data["torn"] <= data["cases"] == 60


def test_one_script_of_twins_is_told_view_by_view(capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line, _ in the_page() if line.startswith("sim twins --case "))
    text, data = typed(capsys, line), told(capsys, line)
    case = case_of(7)

    assert f"node {case.twin} runs twice" in text
    assert f"{case.twin}'" in text
    assert [view["leader"] for view in data["views"]] == list(case.leaders)
    everybody = sorted(["0", "1", "2", "3", f"{case.twin}'"])
    assert all(sorted(name for group in view["groups"] for name in group) == everybody for view in data["views"])
    assert data["trace"] == play(case).trace


@pytest.mark.usefixtures("small_quorum")
def test_twins_that_part_nodes_are_told_with_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    text = typed(capsys, "sim twins --cases 5 --jobs 1", code=1)

    (number,) = re.findall(r"next: guts sim twins --case (\d+)", text)
    assert f"BROKEN    script {number}: I" in text
    assert f"script {number}: I" in typed(capsys, f"sim twins --case {number}", code=1)


@pytest.mark.usefixtures("small_quorum")
def test_a_violation_is_shrunk_replayed_and_shown(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    """From the failing seed to the diagram, by typing what each command says comes next."""
    ran, shrank, showed, replayed, *_ = the_page()
    broken = typed(capsys, *ran)
    assert broken.splitlines()[-1] == f"next: guts {shrank[0]}"

    shrunk = typed(capsys, *shrank)
    assert shrunk.splitlines()[-1] == f"next: guts {showed[0]}"
    drawn = typed(capsys, *showed)
    again = typed(capsys, *replayed)

    problem = shrunk.splitlines()[0]
    assert problem.startswith("I")
    assert f"BROKEN  {problem}" in drawn
    assert drawn == (desk / "seed-3.replay.txt").read_text()
    assert problem in again
    shown = told(capsys, "sim show seed-3.replay --all")
    assert shown["problem"] == problem
    assert differences(example("guts sim show"), shown) == []
    assert differences(example("guts sim replay"), told(capsys, "sim replay seed-3.replay", code=1)) == []


@pytest.mark.usefixtures("small_quorum")
def test_a_campaign_with_a_violation_prints_the_line_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = typed(capsys, "sim run --seeds 3 --jobs 1", code=1)

    assert "BROKEN    seed 0 with 4 nodes: I" in text
    assert text.splitlines()[-1] == "next: guts sim run --seed 0 --nodes 4"
    assert typed(capsys, "sim soak --minutes 0.001 --jobs 1 --nodes 4", code=1).splitlines()[-1] == (
        "next: guts sim run --seed 0 --nodes 4"
    )


@pytest.mark.usefixtures("small_quorum")
def test_a_shrunk_file_can_be_shrunk_again(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    data = told(capsys, "sim shrink --seed 0 --runs 3 -o first")
    assert differences(example("guts sim shrink"), data) == []

    typed(capsys, "sim shrink --from first -o second")

    assert (desk / "second").stat().st_size < (desk / "first").stat().st_size


def test_code_that_was_mended_tells_another_story(
    capsys: pytest.CaptureFixture[str], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as planted:
        planted.setattr("guts_core.simplex.committee.quorum", lambda size, _model: max(size // 2, 1))
        typed(capsys, "sim shrink --seed 0 -o broken.replay")

    words = typed(capsys, "sim replay broken.replay", code=1)

    assert "gives another run than it says" in words


def test_a_machine_of_ones_own_is_run_and_shrunk(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    (desk / "own_sim_machine.py").write_text(MACHINE)
    (desk / "commands").write_text("".join(f"word {number}\n" for number in range(6)) + "mood\n")
    own = "--commands commands --machine own_sim_machine"

    typed(capsys, f"sim run --seed 1 {own}:Words")
    typed(capsys, f"sim run --seed 1 {own}:Moody", code=1)
    typed(capsys, f"sim shrink --seed 1 {own}:Moody -o own.replay")

    head = json.loads((desk / "own.replay").read_text().splitlines()[0])
    assert (head["machine"], head["commands"]) == ("own_sim_machine:Moody", [b"mood".hex()])
    assert "command mood" in typed(capsys, "sim show own.replay")


def test_the_machine_of_the_page_keeps_its_promises(capsys: pytest.CaptureFixture[str], desk: Path) -> None:
    """As it is printed there, with the commands that are printed after it."""
    (machine,) = re.findall(r"```python\n(import hashlib\n.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (desk / "till.py").write_text(machine)
    (desk / "payments.txt").write_text("+5\n-3\n-9\n+1\n")
    ran, shrank = (line for line in the_page() if "--machine till:Till" in line[0])

    assert "seed 17: every promise held" in typed(capsys, *ran)
    assert "breaks no promise" in typed(capsys, *shrank)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("sim run", 2, "say which run"),
        ("sim run --seed 1 --seeds 2", 2, "say which run"),
        ("sim run --seeds 2 --calm", 2, "take --seed"),
        ("sim run --seed 1 --machine os:path", 2, "belong together"),
        ("sim run --seed 1 --machine nowhere:Thing --commands none", 2, "does not exist"),
        ("sim run --seed 1 --machine nowhere:Thing --commands here", 2, "there is no state machine nowhere:Thing"),
        ("sim run --seed 1 --machine json --commands here", 2, "say MODULE:NAME"),
        ("sim run --seed 1 --machine json:dumps --commands here", 2, "makes no state machine"),
        ("sim run --seed 1 --machine json:JSONDecoder --commands here", 2, "it needs initial()"),
        ("sim soak --minutes 1 --whole --clients", 2, "--whole and --clients exclude each other"),
        ("sim twins --case 1 --cases 2", 2, "--case plays one script"),
        ("sim shrink -o x", 2, "say what to shrink"),
        ("sim shrink --seed 1 --nodes 1 -o x", 1, "breaks no promise"),
        ("sim replay nothing", 2, "No such file"),
        ("sim replay here", 1, "line 1 is no JSON"),
        ("sim show old", 1, "replay it with the build that wrote it"),
    ],
)
def test_what_cannot_be_done_is_refused_with_words(
    capsys: pytest.CaptureFixture[str], desk: Path, line: str, code: int, words: str
) -> None:
    (desk / "here").write_text("one\n")
    (desk / "old").write_text('{"file": "guts simulation", "format": 0, "build": "0.0.1"}\n')

    assert words in typed(capsys, line, code)
