"""What ``make bench`` says about figures, and that what it compares with is a git server."""

from __future__ import annotations

import cProfile
import json
import os
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from attrs import evolve
from rich.console import Console

from benchmarks import __main__ as bench
from benchmarks import finality, git_traffic, unit_costs
from benchmarks.figures import Figure, figure, machine, percentile, ratios
from benchmarks.peer import Peer, open_peer
from benchmarks.processes import Cpu, cpu, memory
from benchmarks.profiling import part_of, parts
from benchmarks.report import EXIT_MISSED, EXIT_OK, Report, bar, number, show, to_json, verdict, write_json
from guts_net.disk import LocalDisk
from tests.compat.devnet import Git
from tests.optional_programs import program

FAST = figure("fast thing", "ms", [3.0, 1.0, 2.0], bar=10.0)
SLOW = figure("slow thing", "ms", [11.0, 30.0, 12.0], bar=10.0, note="dominated by the disk")
RATE = figure("rate", "events/s", [39_000.0], bar=40_000.0, at_least=True)
FREE = figure("no bar", "us", [5.0])


def a_report(*figures: Figure) -> Report:
    return Report(machine(), (0.25, 1.5), True, datetime(2024, 5, 1, 12, tzinfo=UTC), 61.23, figures)


def shown(report: Report) -> str:
    console = Console(width=110, file=StringIO(), soft_wrap=True)
    show(report, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


# ---- arithmetic ----


def test_a_figure_is_the_median_with_its_spread() -> None:
    few = figure("few", "ms", [5.0, 1.0, 3.0, 100.0])
    many = figure("many", "ms", [float(value) for value in range(1, 101)])

    assert (few.median, few.low, few.high, few.runs) == (4.0, 1.0, 100.0, 4)
    assert (many.median, many.low, many.high, many.runs) == (50.5, 10.0, 90.0, 100)


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, 1.0), (0.5, 5.0), (0.9, 9.0), (0.99, 10.0), (1.0, 10.0)])
def test_percentiles_are_values_that_were_measured(fraction: float, expected: float) -> None:
    assert expected == percentile([float(value) for value in range(10, 0, -1)], fraction)


def test_ratios_pair_each_run_with_the_one_beside_it() -> None:
    """The ratio of medians would mix a slow minute of one side with a quick one of the other."""
    assert ratios([4.0, 10.0], [2.0, 20.0]) == [2.0, 0.5]
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("median", "at_least", "missed"),
    [
        (9.9, False, False),
        (10.0, False, False),
        (10.1, False, True),
        (9.9, True, True),
        (10.0, True, False),
        (10.1, True, False),
    ],
)
def test_a_bar_is_a_ceiling_or_a_floor(median: float, at_least: bool, missed: bool) -> None:
    """Exactly at the bar is met, from both sides."""
    assert missed is figure("f", "ms", [median], bar=10.0, at_least=at_least).is_missed


def test_a_figure_without_a_bar_is_never_missed() -> None:
    assert not FREE.is_missed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0404, "0.040"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (41_234.5, "41,234")],
)
def test_numbers_show_digits_that_count(value: float, text: str) -> None:
    assert text == number(value)


# ---- the report ----


def test_exit_code_one_and_a_line_for_each_missed_bar() -> None:
    report = a_report(FAST, SLOW, RATE, FREE)

    assert report.missed == (SLOW, RATE)
    assert report.exit_code == EXIT_MISSED
    assert verdict(report) == [
        "MISSED slow thing: 12.0 ms, bar <= 10.0",
        "MISSED rate: 39,000 events/s, bar >= 40,000",
        "2 of 3 bars missed",
    ]


def test_exit_code_zero_when_every_bar_is_met() -> None:
    report = a_report(FAST, FREE, evolve(RATE, median=40_000.0))

    assert report.exit_code == EXIT_OK
    assert verdict(report) == ["all 2 bars met"]
    assert verdict(a_report(FREE)) == ["none of these has a bar"]


def test_the_table_has_a_row_for_each_figure() -> None:
    lines = shown(a_report(FAST, SLOW, RATE, FREE)).splitlines()
    rows = {
        name: next(line for line in lines if line.startswith(name)).split() for name in ("fast", "slow", "rate", "no")
    }

    assert rows["fast"] == ["fast", "thing", "2.00", "1.00", "-", "3.00", "ms", "<=", "10.0", "ok", "3"]
    assert rows["slow"] == ["slow", "thing", "12.0", "11.0", "-", "30.0", "ms", "<=", "10.0", "missed", "3"]
    assert rows["rate"] == ["rate", "39,000", "events/s", ">=", "40,000", "missed", "1"]
    assert rows["no"] == ["no", "bar", "5.00", "us", "1"]


def test_the_report_names_the_machine_its_load_and_what_dominates() -> None:
    """A figure without its machine is a rumour."""
    text = shown(a_report(SLOW))

    assert f"Python {machine()['python']}" in text
    assert "load 0.25 before, 1.50 after; 61 s, quick" in text
    assert "slow thing: dominated by the disk" in text
    assert "other work was going on" in shown(evolve(a_report(SLOW), load=(2.0, 2.0)))


def test_json_has_every_figure_and_names_what_was_missed(tmp_path: Path) -> None:
    report = a_report(FAST, SLOW)
    write_json(report, tmp_path / "new" / "latest.json")

    written = json.loads((tmp_path / "new" / "latest.json").read_text())
    assert to_json(report) == written
    assert {"format", "began", "seconds", "quick", "machine", "load", "figures", "missed"} == written.keys()
    assert (written["began"], written["missed"]) == ("2024-05-01T12:00:00+00:00", ["slow thing"])
    assert written["figures"][1] == {
        "name": "slow thing", "unit": "ms", "median": 12.0, "low": 11.0, "high": 30.0, "runs": 3, "bar": 10.0,
        "at_least": False, "note": "dominated by the disk", "missed": True,
    }  # fmt: skip
    assert {"cpu", "cores", "memory_gib", "kernel", "python", "git"} == written["machine"].keys()


def test_the_command_exits_one_and_names_the_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line to its exit code, with figures made up in place of slow ones."""
    monkeypatch.setitem(bench.MEASUREMENTS, "unit-costs", lambda _run: [SLOW])
    monkeypatch.setitem(bench.MEASUREMENTS, "finality", lambda _run: [FAST])

    def run(*names: str) -> int:
        only = [part for name in names for part in ("--only", name)]
        with pytest.raises(SystemExit) as ended:
            bench.main([*only, "--quick", "--json", str(tmp_path / "figures.json")])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    assert run("finality", "unit-costs") == EXIT_MISSED
    said = capsys.readouterr()
    assert "MISSED slow thing: 12.0 ms, bar <= 10.0" in said.out
    assert "unit-costs ..." in said.err
    assert json.loads((tmp_path / "figures.json").read_text())["missed"] == ["slow thing"]
    assert run("finality") == EXIT_OK
    assert "MISSED" not in capsys.readouterr().out


# ---- what dominates ----


def test_finality_says_what_dominates_it() -> None:
    """10 ms of two cores' work cannot take less than 5; where most of the time is neither, it was waited."""
    busy, bound = finality.Sample([8.0, 9.0, 30.0], 10.0, "trio 50%"), 2.0

    p50, p99, ratio = finality.figures(busy, bound, 2)
    idle, _, _ = finality.figures(evolve(busy, cpu_ms=4.0), bound, 2)

    assert (p50.median, p99.median, ratio.median) == (9.0, 30.0, 4.5)
    assert "dominated by the nodes' processor time" in p50.note
    assert "dominated by waiting" in idle.note


def test_a_push_says_who_used_the_processor() -> None:
    peer = Peer("http://peer", Path(), (1,))
    ours = [git_traffic.Cost(3.0, 0.1, Cpu(0.5, 2.0)), git_traffic.Cost(3.0, 0.1, Cpu(0.5, 2.0))]
    theirs = [git_traffic.Cost(1.0, 0.1, Cpu(0.0, 0.4)), git_traffic.Cost(2.0, 0.1, Cpu(0.0, 0.6))]

    _, _, ratio = git_traffic.figures(git_traffic.Pair("push", ours, theirs), peer, 2.0)

    assert (ratio.median, ratio.is_missed) == (2.25, True)
    assert "client 100, nodes 500, their git 2000" in ratio.note
    assert "Dominated by git of the nodes" in ratio.note


def test_profiles_are_summed_up_by_part() -> None:
    from guts_core.codec import encode

    profile = cProfile.Profile()
    profile.runcall(encode, tuple(range(10_000)))

    assert parts(profile).most_common(1)[0][0] == "codec"
    assert [
        part_of(path) for path in ("/x/site-packages/trio/_core.py", "/x/guts_net/disk.py", "/usr/lib/json/decoder.py")
    ] == ["trio", "guts_net", "Python"]


def test_a_profile_tells_syncing_from_what_called_it(tmp_path: Path) -> None:
    """A disk that is slow is no slow code."""
    file = LocalDisk().append(tmp_path / "log")
    profile = cProfile.Profile()
    profile.runcall(file.sync)
    file.close()

    assert parts(profile)["fsync"] > 0


def test_processes_show_what_they_use() -> None:
    before = cpu([os.getpid()])
    while (cpu([os.getpid()]) - before).own < 0.03:
        sum(range(10_000))
    held = memory(os.getpid())

    assert 5 < held.pss <= held.rss < 2_000
    assert 1 < held.own < held.rss


# ---- for real ----


def test_unit_costs_are_measured(tmp_path: Path) -> None:
    """The bound is the sum of what it names."""
    sync, sign, verify, bound = unit_costs.measure(tmp_path)

    assert 0 < sign.median < verify.median
    assert sync.low > 0
    assert bound.median == pytest.approx(3 * sync.median + 5 * verify.median + 3 * sign.median)


def test_the_peer_takes_stock_pushes_and_asks_who_comes(tmp_path: Path) -> None:
    """Plain, chunked and gzip-coded bodies, as git sends them; without the token nothing."""
    token = "not-a-secret"
    program("nginx", "nginx-light"), program("fcgiwrap", "fcgiwrap")
    work, stranger = (Git(tmp_path / "work", "alice", secret) for secret in (token, "wrong"))
    work.directory.mkdir()
    work("init", "-q")
    work.commit("small", "one line\n")

    with open_peer(tmp_path / "peer", "alice", token) as peer:
        url = peer.create("repository")
        work("push", "-q", url, "main")
        # Beyond http.postBuffer, a mebibyte, git sends chunks.
        tip = work.commit("large", os.urandom(2 << 20).hex())
        work("push", "-q", url, "main")
        cloned = work.at(tmp_path).clone(url, "cloned")
        refused = stranger("push", url, "main", check=False)

        assert tip == cloned.oid("HEAD")
        assert (refused.returncode, "Authentication failed" in refused.stderr) == (128, True)
        assert "nginx and fcgiwrap" in peer.words


def test_bars_read_as_they_are_meant() -> None:
    assert [bar(FAST), bar(RATE), bar(FREE)] == ["<= 10.0", ">= 40,000", ""]
