"""What ``make bench`` measures of git: the repository it makes, the clients that throw away, and what it counts."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from benchmarks import __main__ as bench
from benchmarks import kept, peer, project, ready_made, serving
from benchmarks.crowd import Crowd
from benchmarks.figures import Figure
from benchmarks.growth import watched
from benchmarks.peer import MissingProgram, Peer, open_peer
from benchmarks.processes import cpu
from benchmarks.raw import Source, drain, drain_together, everything
from benchmarks.run import Run, open_run
from benchmarks.serving import Turns
from benchmarks.stages import Stages
from tests.compat.devnet import Devnet, Git
from tests.optional_programs import program
from tests.ports import free_ports

TOKEN = "not-a-secret"
# Enough for tags, a release and some merges.
COMMITS = 2_600
# A clone takes git some milliseconds, and processor time is told in hundredths of a second.
CLONES_MOST = 100


# ---- the repository ----


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Git:
    path = tmp_path_factory.mktemp("made") / "project.git"
    project.write(path, COMMITS)
    return Git(path)


def test_a_made_project_is_like_a_real_one(made: Git) -> None:
    """Merges, tags, releases, and a pack whose objects are deltas for the most part."""
    assert made("fsck", "--strict", "--no-dangling").stderr.strip() == ""
    assert int(made("rev-list", "--merges", "--count", "main").stdout) > 20
    kinds = Counter(made("for-each-ref", "--format=%(objecttype)").stdout.split())
    assert (kinds["tag"] >= 8, kinds["commit"] >= 2) == (True, True)
    objects = int(made("rev-list", "--all", "--objects", "--count").stdout)
    (pack,) = (made.directory / "objects/pack").glob("*.idx")
    listed = made("verify-pack", "-v", str(pack)).stdout.splitlines()
    deltas = [line for line in listed if len(line.split()) == 7]
    assert objects > 5 * COMMITS
    assert len(deltas) > objects / 2


def test_it_is_the_same_every_time(made: Git, tmp_path: Path) -> None:
    project.write(tmp_path / "again.git", COMMITS)

    assert made("for-each-ref").stdout == Git(tmp_path / "again.git")("for-each-ref").stdout


def test_what_was_made_is_kept_until_it_is_forgotten(tmp_path: Path) -> None:
    """What an older generator made goes when the new one is asked."""
    home = tmp_path / "kept"
    before = home / "test_git_benchmarks-_small-0123456789ab.git"
    before.mkdir(parents=True)
    first = kept.kept(_small, home)
    (first / "mark").touch()

    assert not before.exists()

    assert kept.kept(_small, home) == first
    assert (first / "mark").exists()
    kept.forget(home)
    assert not home.exists()
    assert not (kept.kept(_small, home) / "mark").exists()


def test_what_was_broken_off_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken off"):
        kept.kept(_broken, tmp_path)

    assert list(tmp_path.iterdir()) == []


def _small(path: Path) -> None:
    path.mkdir()


def _broken(path: Path) -> None:
    path.mkdir()
    raise RuntimeError("broken off")


# ---- the peer, and clients that throw away ----


@pytest.fixture
def at_peer(made: Git, tmp_path: Path) -> Iterator[Peer]:
    program("nginx", "nginx-light"), program("fcgiwrap", "fcgiwrap")
    with open_peer(tmp_path / "peer", "alice", TOKEN) as running:
        url = running.create("project")
        made.at(made.directory)("config", "uploadpack.allowFilter", "true")
        Git(made.directory, "alice", TOKEN)("push", "-q", "--mirror", url)
        running.tidy("project")
        yield running


def test_a_raw_fetch_gets_all_of_a_repository(at_peer: Peer) -> None:
    source = Source(f"{at_peer.url}/project", "alice", TOKEN)
    (pack,) = (at_peer.root / "project/objects/pack").glob("*.pack")

    drained = drain(source, everything(source))

    # Framed, and with objects in another order.
    assert drained.bytes > 0.9 * pack.stat().st_size
    assert 0 < drained.first_pack_seconds <= drained.seconds
    assert drain_together(source, everything(source), 3) > 0


def test_processor_time_of_git_shows_where_it_is_counted(at_peer: Peer) -> None:
    """Behind fcgiwrap alone Linux would forget it."""
    source = Source(f"{at_peer.counted_url}/project", "alice", TOKEN)
    body, before = everything(source), cpu(at_peer.pids)

    for _ in range(CLONES_MOST):
        drain(source, body)
        if (cpu(at_peer.pids) - before).children > 0:
            return
    pytest.fail(f"{CLONES_MOST} fetches took no processor time")


def test_without_its_programs_the_bench_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_SERVER_PATH", str(tmp_path))

    with pytest.raises(MissingProgram, match="sudo apt install nginx-light fcgiwrap"), open_peer(tmp_path, "a", "b"):
        pass


def test_the_command_says_it_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_run: Run) -> list[Figure]:
        raise MissingProgram("nginx is needed: install it")

    monkeypatch.setitem(bench.MEASUREMENTS, "raw", missing)
    done = CliRunner().invoke(bench.main, ["--only", "raw", "--json", str(tmp_path / "figures.json")])

    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "Error: nginx is needed: install it"


def test_what_takes_long_is_measured_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def note(name: str, _run: Run) -> list[Figure]:
        ran.append(name)
        return []

    for name in bench.MEASUREMENTS:
        monkeypatch.setitem(bench.MEASUREMENTS, name, partial(note, name))

    def names(*options: str) -> set[str]:
        ran.clear()
        done = CliRunner().invoke(bench.main, [*options, "--json", str(tmp_path / "figures.json")])
        assert done.exit_code == 0, done.output
        return set(ran)

    assert names() == bench.MEASUREMENTS.keys() - bench.LONG
    assert names("--long") == bench.MEASUREMENTS.keys()
    assert names("--only", "growth") == {"growth"}


def test_a_path_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(bench.main, ["--repository", str(tmp_path)])

    assert done.exit_code == 2
    assert "is no git repository with a branch" in done.output


def test_sides_begin_in_turn() -> None:
    """Who comes second may find a warmer machine."""
    turns = Turns()
    order: list[str] = []

    def side(name: str, value: float) -> float:
        order.append(name)
        return value

    for number in range(4):
        turns.take(number, partial(side, "ours", 3.0), partial(side, "theirs", 2.0))

    assert order == ["theirs", "ours", "ours", "theirs"] * 2
    ours, theirs, ratio = turns.figures("row", "ms", 1.0)
    assert (ours.median, theirs.median, ratio.median, ratio.is_missed) == (3.0, 2.0, 1.5, True)


# ---- a crowd ----

WHOLE = b"HTTP/1.1 200 OK\r\n\r\nPACK\0\0\0\x02...\r\n0\r\n\r\n"
LATER = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "whole", "turned_away", "errors"),
    [
        ([WHOLE], 1, 0, []),
        ([LATER, LATER, WHOLE], 1, 2, []),
        ([b"HTTP/1.1 503 Service Unavailable\r\n\r\n"], 0, 0, ["HTTP/1.1 503 Service Unavailable"]),
        ([b"HTTP/1.1 500 Internal Server Error\r\n\r\n"], 0, 0, ["HTTP/1.1 500 Internal Server Error"]),
        ([LATER, WHOLE[:-5]], 0, 1, ["HTTP/1.1 200 OK"]),
        ([b""], 0, 0, ["closed without an answer"]),
    ],
)
async def test_a_crowd_counts_what_is_neither_a_clone_nor_a_time_to_return(
    answers: list[bytes], whole: int, turned_away: int, errors: list[str]
) -> None:
    crowd = Crowd()
    async with _answering(answers) as url:
        await crowd.clone(Source(url, "alice", TOKEN), b"POST / HTTP/1.1\r\n\r\n")

    assert (len(crowd.seconds), crowd.turned_away) == (whole, turned_away)
    assert [words.splitlines()[0] for words in crowd.errors] == errors


async def test_a_node_that_does_not_listen_is_an_error() -> None:
    crowd = Crowd()
    (port,) = free_ports(1)
    await crowd.clone(Source(f"http://127.0.0.1:{port}/r", "alice", TOKEN), b"")

    assert sum(crowd.errors.values()) == 1


@asynccontextmanager
async def _answering(answers: list[bytes]) -> AsyncIterator[str]:
    """A server that says these, one a connection."""

    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(answers.pop(0))

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/r"
        nursery.cancel_scope.cancel()


# ---- what the nodes tell ----


def test_stages_are_the_times_between_what_the_logs_say(tmp_path: Path) -> None:
    """Two pushes; what was logged before the mark is no part of them."""
    net = Devnet(tmp_path, tmp_path, info={"nodes": [{"dir": str(tmp_path / str(index))} for index in range(4)]})
    for index in range(4):
        net.log_path(index).parent.mkdir(parents=True)
        net.log_path(index).write_text(_line("push_opened", 0.0))
    stages = Stages(net, tuple(map(net.mark, range(4))))
    _log(net, 0, push_opened=(1.0, 11.0), pack_kept=(1.5, 11.5), push_submitted=(1.6, 11.6), push_done=(2.0, 13.0))
    for index in range(1, 4):
        _log(net, index, pack_wanted=(1.6, 11.6), pack_held=(1.9, 11.9))

    said = stages.told([2.0, 2.2])

    assert said == (
        "ms of it: client before and after 600, upload and check 500, its facts 100,"
        " agreement with the others' checks 900 (each of them takes and checks the pack in 300)"
    )


def _log(net: Devnet, index: int, **events: tuple[float, float]) -> None:
    with net.log_path(index).open("a") as log:
        log.writelines(_line(event, at) for event, times in events.items() for at in times)


def _line(event: str, at: float) -> str:
    return json.dumps({"time": f"2026-01-01T00:00:{at:06.3f}+00:00", "event": event}) + "\n"


def test_growth_is_the_most_that_was_held() -> None:
    """A child that takes 64 MB and gives them back has grown by them."""
    code = "import sys; sys.stdin.readline(); held = b'x' * (64 << 20); print(flush=True); sys.stdin.readline()"
    with subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with watched(child.pid) as peak:
            print(file=child.stdin, flush=True)
            child.stdout.readline()
        print(file=child.stdin, flush=True)

    assert peak.growth > 60


# ---- for real ----


def test_rows_of_serving_are_measured_of_any_repository(tmp_path: Path) -> None:
    """A small one, four validators, and the peer: every row with its bar."""
    program("nginx", "nginx-light"), program("fcgiwrap", "fcgiwrap")
    mine = Git(tmp_path / "mine")
    mine.directory.mkdir()
    mine("init", "-q")
    for number in range(3):
        mine.commit("file", f"line {number}\n" * 1_000)

    with open_run(quick=True, repository=mine.directory) as run:
        rows = [*serving.measure_raw(run), *serving.measure_clones(run), *serving.measure_fetches(run)]
        rows += ready_made.measure(run)

    barred = {row.name: (row.bar, row.at_least) for row in rows if row.bar is not None}
    assert barred == {
        "raw fetch, server processor, of the peer's": (0.2, False),
        "raw fetch, first pack byte, of the peer's": (0.15, False),
        "8 raw fetches at once, of the peer's": (3.0, True),
        "stock clone, of the peer's": (1.08, False),
        "incremental fetch, of the peer's": (1.25, False),
        "shallow clone, of the peer's": (1.25, False),
        "clone without files, of the peer's": (1.25, False),
        "ready-made clone, of the peer's": (0.2, False),
    }
    assert len(rows) == 3 * len(barred)
    assert all(f"{stage} " in rows[-1].note for stage in ready_made.STAGES)
    assert "mine, 9 objects" in rows[0].note
